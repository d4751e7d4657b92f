//! Files on both drivers: data that was written can be read, faults are reported.

use std::io;

use super::*;
use crate::testing::on_each;
use crate::{IoError, os_code, spawn_join};
use m3_testing::TempDir;

#[test]
fn what_was_written_is_read_back_from_any_offset() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let path = dir.path().join("log");
        let file = File::create_new(&path).await.unwrap();
        let (done, buf) = file.write_all_at(b"0123456789".to_vec(), 5).await;
        done.unwrap();
        assert_eq!(buf, b"0123456789", "the buffer comes back as it was");
        file.sync_data().await.unwrap();
        assert_eq!(file.len().await.unwrap(), 15);

        // Reads append to the buffer; at the end of the file they are short, and then empty.
        let mut buf = Vec::with_capacity(64);
        buf.push(b'>');
        let (count, buf) = file.read_at(buf, 10).await;
        assert_eq!((count.unwrap(), &buf[..]), (5, &b">56789"[..]));
        assert_eq!(file.read_at(Vec::with_capacity(1), 15).await.0.unwrap(), 0);
        let no_room = file.read_at(Vec::new(), 0).await.0.unwrap_err();
        assert_eq!(no_room.kind(), io::ErrorKind::InvalidInput);

        let (done, buf) = file.read_exact_at(b"x".to_vec(), 4, 5).await;
        done.unwrap();
        assert_eq!(buf, b"x0123", "exactly as much, although the buffer may have more room");
        let (done, buf) = file.read_exact_at(Vec::new(), 9, 10).await;
        let error = done.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("log: it ends at byte 15, 4 bytes early"), "{error}");
        assert_eq!(buf, b"56789");
        file.close().await.unwrap();
    });
}

/// The direct-write flags of every open descriptor of `path`, according to the kernel.
fn flags(path: &std::path::Path) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        if std::fs::read_link(entry.path()).is_ok_and(|target| target == path) {
            let info = std::path::Path::new("/proc/self/fdinfo").join(entry.file_name());
            let info = std::fs::read_to_string(info).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            found.push(flags & (libc::O_DIRECT | libc::O_DSYNC));
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn direct_writes_take_whole_blocks_and_nothing_else() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let file = File::create_new(dir.path().join("log")).await.unwrap();
        file.allocate(1 << 20).await.unwrap();
        // Writes through the page cache need not be whole blocks.
        let mut blocks = Blocks::default();
        blocks.extend(b"cached");
        let (done, blocks) = file.write_blocks_at(blocks, 8190).await;
        done.unwrap();
        assert_eq!(blocks.bytes(), b"cached");
        let direct = match File::open_direct(file.path()).await {
            Err(error) if is_refused(&error) => return eprintln!("SKIPPED: {error}"),
            opened => opened.unwrap(),
        };
        // These flags make a frame durable. No other test would notice if one was missing.
        assert_eq!(flags(file.path()), [0, libc::O_DIRECT | libc::O_DSYNC]);
        let (done, blocks) = direct.write_blocks_at(blocks, 0).await;
        let error = done.unwrap_err();
        assert!(is_refused(&error) && error.to_string().contains("log"), "{error}");
        let mut whole = Blocks::default();
        whole.extend(blocks.bytes());
        whole.resize(2 * BLOCK_BYTES);
        let (done, whole) = direct.write_blocks_at(whole, 2 * BLOCK_BYTES as u64).await;
        done.unwrap();
        assert!(whole.len() == 2 * BLOCK_BYTES && whole.bytes().starts_with(b"cached"));
        let (_, got) = file.read_exact_at(Vec::new(), 3 * BLOCK_BYTES, 8190).await;
        assert_eq!(&got[..8], b"cacached", "one view of the file, whoever wrote");
        assert!(got[8..].iter().all(|byte| *byte == 0));
        assert_eq!(file.len().await.unwrap(), 1 << 20);
    });
}

#[test]
fn errors_name_a_file_as_it_is_called_now() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let mut file = File::create_new(dir.path().join("before")).await.unwrap();
        rename(dir.path().join("before"), dir.path().join("after")).await.unwrap();
        file.renamed(dir.path().join("after"));
        let error = file.allocate(u64::MAX).await.unwrap_err();
        assert!(error.to_string().contains("/after"), "{error}");
    });
}

#[test]
fn allocate_and_truncate_set_the_length_and_keep_the_data() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let file = File::create_new(dir.path().join("segment")).await.unwrap();
        file.write_all_at(b"kept".to_vec(), 0).await.0.unwrap();
        file.allocate(1 << 20).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 1 << 20);
        file.allocate(10).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 1 << 20, "it never shrinks");
        let (_, got) = file.read_exact_at(Vec::new(), 6, 0).await;
        assert_eq!(got, b"kept\0\0");
        file.truncate(2).await.unwrap();
        file.sync_all().await.unwrap();
        assert_eq!(read_file(file.path(), 100).await.unwrap(), b"ke");
        assert!(file.allocate(u64::MAX).await.is_err());
    });
}

#[test]
fn many_operations_at_once_do_not_get_into_each_others_way() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let file = File::create_new(dir.path().join("many")).await.unwrap();
        let file = std::rc::Rc::new(file);
        let writes: Vec<_> = (0..200u64)
            .map(|n| {
                let file = std::rc::Rc::clone(&file);
                spawn_join(async move {
                    file.write_all_at(vec![n as u8; 512], n * 512).await.0.unwrap();
                    file.sync_data().await.unwrap();
                    let (done, got) = file.read_exact_at(Vec::new(), 512, n * 512).await;
                    done.unwrap();
                    assert!(got == vec![n as u8; 512]);
                })
            })
            .collect();
        for write in writes {
            write.await;
        }
    });
}

#[test]
fn replace_is_whole_and_leaves_nothing_beside_it() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let path = dir.path().join("state");
        // The remains of a replacement that crashed half way do no harm.
        let torn = File::create(&dir.path().join("state.tmp")).await.unwrap();
        torn.write_all_at(b"torn".to_vec(), 0).await.0.unwrap();
        replace_file(&path, b"one".to_vec()).await.unwrap();
        for n in 0..20usize {
            let next = vec![b'x'; n * 1000];
            replace_file(&path, next.clone()).await.unwrap();
            assert!(read_file(&path, 1 << 20).await.unwrap() == next);
        }
        let names: Vec<_> = list_dir(dir.path()).await.unwrap();
        assert_eq!(names, [DirEntry { name: "state".into(), len: 19_000, is_dir: false }]);
        // If the new file cannot be written, the old one stays.
        let missing = dir.path().join("no/such");
        let error = replace_file(&missing, Vec::new()).await.unwrap_err();
        let ReplaceError::Unchanged(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("no/such.tmp"), "{error}");
        assert_eq!(os_code(&error), Some(libc::ENOENT));
    });
}

#[test]
fn paths_are_made_listed_renamed_and_removed() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let deep = dir.path().join("a/b/c");
        create_dir_all(&deep).await.unwrap();
        create_dir_all(&deep).await.unwrap();
        assert!(exists(&deep).await.unwrap());
        let file = File::create_new(deep.join("1")).await.unwrap();
        let again = File::create_new(deep.join("1")).await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        file.close().await.unwrap();
        rename(deep.join("1"), deep.join("2")).await.unwrap();
        sync_dir(&deep).await.unwrap();
        assert!(!exists(deep.join("1")).await.unwrap());
        let error = create_dir_all(deep.join("2/x")).await.unwrap_err();
        assert!(error.to_string().contains("2/x"), "{error}");
        remove(deep.join("2")).await.unwrap();
        assert_eq!(list_dir(&deep).await.unwrap(), []);
        remove_dir(&deep).await.unwrap();
        assert!(!exists(&deep).await.unwrap());
        let missing = File::open_read(deep.join("2")).await.unwrap_err();
        assert!(missing.to_string().contains("cannot open"), "{missing}");
    });
}

#[test]
fn a_file_beyond_the_bound_is_refused_not_read() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let path = dir.path().join("big");
        replace_file(&path, vec![0; 1001]).await.unwrap();
        let error = read_file(&path, 1000).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("1000 bytes allowed"), "{error}");
        assert_eq!(read_file(&path, 1001).await.unwrap().len(), 1001);
        assert!(crate::blocking::read_file(&path, 1000).is_err());
        assert_eq!(crate::blocking::read_file(&path, 1001).unwrap().len(), 1001);
        // The kernel's own files report a length of 0 but are not empty.
        assert!(!read_file("/proc/self/status", 1 << 20).await.unwrap().is_empty());
    });
}

#[test]
fn a_directory_has_one_holder() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let lock = lock_dir(dir.path()).await.unwrap();
        let error = lock_dir(dir.path()).await.unwrap_err();
        let me = std::process::id();
        assert!(matches!(error, IoError::DirLocked { holder: Some(pid), .. } if pid == me));
        let text = error.to_string();
        assert!(text.contains("LOCK") && text.contains(&me.to_string()), "{text}");
        assert!(text.contains("another data directory"), "{text}");
        drop(lock);
        crate::blocking::lock_dir(dir.path()).unwrap();
        assert!(matches!(lock_dir(dir.path().join("none")).await, Err(IoError::File(_))));
    });
}

#[test]
fn the_room_on_a_disk_is_known() {
    on_each(|_| async {
        let dir = TempDir::new("io");
        let space = disk_space(dir.path()).await.unwrap();
        assert!(space.total > 0 && space.available <= space.total, "{space:?}");
        assert!(disk_space(dir.path().join("none")).await.is_err());
    });
}
