//! What users of the store rely on: versions, history, watching, and that damage is detected.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use m3_io::blocking;
use m3_io::driver::Driver;
use m3_io::runtime::run_here;
use m3_testing::TempDir;

use super::file::FileKv;
use super::memory::MemoryKv;
use super::{Kv, image, table};
use crate::Error;
use crate::limits::{KEY_BYTES_MAX, KEYS_MAX, VALUE_BYTES_MAX, VERSIONS_PER_KEY_MAX};

fn run<T>(future: impl Future<Output = T>) -> T {
    run_here(Driver::Epoll, future).unwrap()
}

/// The store's file in a directory of a test.
fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("kv/cluster.kv")
}

async fn check_contract(kv: &dyn Kv) {
    assert_eq!(kv.get("a").await.unwrap(), None);
    assert_eq!(kv.set("a", b"one".to_vec()).await.unwrap(), 1);
    assert_eq!(kv.set("a", b"two".to_vec()).await.unwrap(), 2);
    let current = kv.get("a").await.unwrap().unwrap();
    assert_eq!((&*current.value, current.version), (&b"two"[..], 2));
    assert_eq!(&*kv.get_version("a", 1).await.unwrap().unwrap().value, b"one");
    assert_eq!(kv.get_version("a", 3).await.unwrap(), None);

    let conflict = kv.compare_and_set("a", 1, b"late".to_vec()).await.unwrap_err();
    assert!(matches!(conflict, Error::Conflict { expected: 1, found: 2, .. }), "{conflict}");
    assert!(kv.compare_and_set("a", 0, b"new".to_vec()).await.is_err());
    assert_eq!(kv.compare_and_set("a", 2, b"three".to_vec()).await.unwrap(), 3);
    assert_eq!(kv.compare_and_set("ab", 0, b"b".to_vec()).await.unwrap(), 1);
    kv.set("b", Vec::new()).await.unwrap();

    let listed = kv.list("a").await.unwrap();
    let keys: Vec<&str> = listed.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a", "ab"]);

    let was = kv.delete("a").await.unwrap().unwrap();
    assert_eq!(&*was.value, b"three");
    assert_eq!(kv.delete("a").await.unwrap(), None);
    assert_eq!(kv.get_version("a", 1).await.unwrap(), None, "a delete ends the history");
    assert_eq!(kv.set("a", b"again".to_vec()).await.unwrap(), 1);
    let again = kv.get("a").await.unwrap().unwrap();
    assert!(again.revision > was.revision, "revisions tell the two lives of a key apart");

    for bad in ["", "a\nb", &"k".repeat(KEY_BYTES_MAX + 1)] {
        assert!(kv.set(bad, Vec::new()).await.is_err());
    }
    assert!(kv.set("a", vec![0; VALUE_BYTES_MAX + 1]).await.is_err());
    assert_eq!(&*kv.get("a").await.unwrap().unwrap().value, b"again");
}

#[test]
fn both_stores_keep_the_contract() {
    run(async {
        check_contract(&MemoryKv::default()).await;
        let dir = TempDir::new("contract");
        check_contract(&FileKv::open(file(&dir)).await.unwrap()).await;
    });
}

#[test]
fn the_file_remembers() {
    run(async {
        let dir = TempDir::new("remembers");
        {
            let kv = FileKv::open(file(&dir)).await.unwrap();
            kv.set("x", b"1".to_vec()).await.unwrap();
            kv.set("x", b"2".to_vec()).await.unwrap();
            kv.set("gone", b"3".to_vec()).await.unwrap();
            kv.delete("gone").await.unwrap();
        }
        let kv = FileKv::open(file(&dir)).await.unwrap();
        let x = kv.get("x").await.unwrap().unwrap();
        assert_eq!((&*x.value, x.version), (&b"2"[..], 2));
        assert_eq!(&*kv.get_version("x", 1).await.unwrap().unwrap().value, b"1");
        assert_eq!(kv.get("gone").await.unwrap(), None);
        kv.set("y", Vec::new()).await.unwrap();
        let y = kv.get("y").await.unwrap().unwrap();
        assert_eq!(y.revision, 5, "revisions go on after a start");
    });
}

#[test]
fn changes_at_once_are_made_one_after_the_other() {
    run(async {
        let dir = TempDir::new("turns");
        let kv = FileKv::open(file(&dir)).await.unwrap();
        let writers: Vec<_> = (0..20)
            .map(|n| {
                let kv = kv.clone();
                m3_io::spawn_join(async move { kv.set("n", vec![n]).await.unwrap() })
            })
            .collect();
        let mut versions = Vec::new();
        for writer in writers {
            versions.push(writer.await);
        }
        versions.sort_unstable();
        assert_eq!(versions, (1..=20).collect::<Vec<u64>>());
        // Even if the caller goes away, the file is whole.
        drop(kv.set("n", b"abandoned".to_vec()));
        assert_eq!(FileKv::open(file(&dir)).await.unwrap().list("").await.unwrap().len(), 1);
    });
}

#[test]
fn a_watcher_sees_sets_deletes_and_second_lives() {
    run(async {
        let kv = Rc::new(MemoryKv::default());
        let watcher = {
            let kv = Rc::clone(&kv);
            m3_io::spawn_join(async move {
                let mut seen = None;
                let mut story = Vec::new();
                while story.len() < 4 {
                    let now = kv.changed("k", seen).await.unwrap();
                    seen = now.as_ref().map(|value| value.revision);
                    story.push(now.map(|value| (value.version, value.value.to_vec())));
                }
                story
            })
        };
        let pause = || m3_io::time::sleep(Duration::from_millis(1));
        pause().await;
        kv.set("other", b"x".to_vec()).await.unwrap();
        kv.set("k", b"1".to_vec()).await.unwrap();
        pause().await;
        kv.delete("k").await.unwrap();
        pause().await;
        kv.set("k", b"1".to_vec()).await.unwrap();
        pause().await;
        // Deleted and created again between two checks: the version is the same, and yet it is a
        // change.
        kv.delete("k").await.unwrap();
        kv.set("k", b"1".to_vec()).await.unwrap();
        let one = Some((1, b"1".to_vec()));
        assert_eq!(watcher.await, [one.clone(), None, one.clone(), one]);
    });
}

#[test]
fn history_and_keys_are_bounded() {
    let mut table = table::Table::default();
    let set = |key: &str, value: Vec<u8>| table::Change::Set {
        key: key.to_string(),
        value,
        expected: None,
    };
    for n in 0..VERSIONS_PER_KEY_MAX as u64 + 10 {
        let (next, version) = table.with(set("k", n.to_le_bytes().to_vec())).unwrap();
        assert_eq!(version, n + 1);
        table = next;
    }
    assert_eq!(table.keys["k"].len(), VERSIONS_PER_KEY_MAX);
    assert!(table.get_version("k", 10).is_none());
    assert!(table.get_version("k", 11).is_some());
    for _ in 0..4 {
        table = table.with(set("large", vec![0; VALUE_BYTES_MAX])).unwrap().0;
    }
    assert_eq!(table.keys["large"].len(), 2, "4 MiB of history and the current version");
    for n in 0..KEYS_MAX - 2 {
        table = table.with(set(&format!("key{n}"), Vec::new())).unwrap().0;
    }
    let error = table.with(set("one too many", Vec::new())).unwrap_err();
    assert_eq!(error.to_string(), "keys in the store: 4097 is over the limit of 4096");
}

#[test]
fn every_damaged_bit_is_seen() {
    let kv = MemoryKv::default();
    run(async {
        kv.set("_kv/default_env/a", br#"{"a":1}"#.to_vec()).await.unwrap();
        kv.set("_kv/default_env/a", br#"{"a":2}"#.to_vec()).await.unwrap();
        kv.set("b", Vec::new()).await.unwrap();
    });
    let (table, _) = kv.after(table::Change::Delete { key: "none".to_string() }).unwrap();
    let bytes = image::encode(&table).unwrap();
    let path = Path::new("/data/cluster.kv");
    assert_eq!(image::decode(path, &bytes).unwrap(), table);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = image::decode(path, &damaged).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "bit {bit}");
        assert!(error.to_string().starts_with("/data/cluster.kv is damaged: "), "{error}");
    }
    for len in 0..bytes.len() {
        assert!(image::decode(path, &bytes[..len]).is_err(), "cut at {len}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(image::decode(path, &longer).is_err());
}

#[test]
fn a_damaged_file_is_not_served() {
    run(async {
        let dir = TempDir::new("damaged");
        let kv = FileKv::open(file(&dir)).await.unwrap();
        kv.set("x", b"12345678".to_vec()).await.unwrap();
        let mut bytes = blocking::read_file(file(&dir), 1 << 20).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        m3_io::file::replace_file(file(&dir), bytes).await.unwrap();
        let error = FileKv::open(file(&dir)).await.unwrap_err().to_string();
        assert!(error.contains("cluster.kv is damaged: CRC-32C: expected "), "{error}");
        assert!(error.contains("restore the file from a backup"), "{error}");
    });
}
