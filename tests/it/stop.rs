//! How a node ends: on request, or with a full disk; and what it does with a damaged log.

use crate::crash::core_lists;
use crate::harness::{
    Node, Random, STOP_MAX, STOP_TAKES, TempDir, parse_exposition, until, write_body,
};
use crate::ledger::{LastAnswer, Ledger, Writer};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// The files of the log, in order.
fn segments(node_dir: &TempDir) -> Vec<PathBuf> {
    let dir = node_dir.path().join("data/commitlog");
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with(|c: char| c.is_ascii_digit())
    };
    let mut paths: Vec<PathBuf> = paths.filter(is_segment).collect();
    paths.sort();
    paths
}

/// Whether the file ends with a seal: a frame of kind 2 without payload (shard/FORMAT.md).
fn is_sealed(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap();
    let last = &bytes[bytes.len() - 32..];
    last[..8] == *b"M3RF\0\0\0\0" && last[12] == 2
}

/// Puts load on four connections until `end` has ended the node; returns what was sent, and how
/// each connection ended.
fn under_load(
    node: &mut Node,
    random: &mut Random,
    load: Duration,
    end: impl FnOnce(&mut Node),
) -> (Ledger, Vec<LastAnswer>) {
    let mut writers: Vec<Writer> = (0..4).map(|id| Writer::new(id, random)).collect();
    let api = node.api;
    let answers = std::thread::scope(|scope| {
        let run = |w| scope.spawn(move || Writer::run(w, api, 0));
        let running: Vec<_> = writers.iter_mut().map(run).collect();
        sleep(load);
        end(node);
        running.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let mut ledger = Ledger::default();
    writers.iter_mut().for_each(|writer| ledger.add(&mut writer.sent));
    (ledger, answers)
}

#[test]
fn a_stop_loses_nothing_and_is_quick() {
    let mut random = Random::new("a_stop_loses_nothing");
    let (one, two) = core_lists();
    let mut quickest = STOP_MAX;
    for (name, cores, driver) in [
        ("TERM", &one, "auto"),
        ("TERM", &two, "auto"),
        ("TERM", &one, "epoll"),
        ("INT", &two, "epoll"),
    ] {
        let what = format!("{name}, cores {cores}, driver {driver}");
        let args = ["--cores", cores.as_str(), "--io.driver", driver];
        let mut node = Node::start(&args);
        // One that says nothing, one that began to, one that waits for its answer's next request.
        let idle = TcpStream::connect(node.api).unwrap();
        let mut slow = TcpStream::connect(node.api).unwrap();
        slow.write_all(b"POST /api/v1/prom/remote/write HTTP/1.1\r\nContent-Le").unwrap();
        let mut kept = node.client();
        kept.get("/health").expect(200);
        let (ledger, answers) =
            under_load(&mut node, &mut random, Duration::from_millis(400), |node| {
                let (status, took) = node.stop(name);
                assert_eq!(status.code(), Some(0), "{what}:\n{}", node.stderr());
                assert!(took < STOP_MAX, "{what}: {took:?}");
                quickest = quickest.min(took);
            });
        for answer in answers {
            let is_clear = matches!(answer, LastAnswer::Closed | LastAnswer::Refused(503));
            assert!(is_clear, "{what}: {answer:?}");
        }
        for mut connection in [idle, slow] {
            connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest);
        }
        let paths = segments(node.dir());
        assert!(!paths.is_empty());
        for path in &paths {
            assert!(is_sealed(path), "{what}: {} is not sealed", path.display());
        }
        assert!(ledger.acked() > 100, "{what}: {}", ledger.acked());
        node.restart(&args);
        ledger.check(&mut node.client(), &BTreeSet::from([0]), &what);
        ledger.check_found(&mut node.client(), 1, &what);
        let metrics = parse_exposition(&node.metrics_text());
        assert_eq!(metrics["m3ring_commitlog_cut_bytes_total"], 0.0, "{what}");
        assert_eq!(metrics["m3ring_commitlog_damage_total"], 0.0, "{what}");
    }
    assert!(quickest < STOP_TAKES, "{quickest:?}");
}

#[test]
fn a_decayed_byte_is_named_and_the_rest_is_served() {
    let mut node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let base = crate::harness::now_ms() - 3_600_000;
    for k in 0..20 {
        let name = format!("decay_{k}");
        let body = write_body(&[
            (&[("__name__", "steady")], &[(base + k * 1000, k as f64)]),
            (&[("__name__", &name)], &[(base, 7.5)]),
        ]);
        client.remote_write(&body).expect(200);
    }
    node.kill();
    let path = segments(node.dir()).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The tenth frame. Each begins with its magic at a multiple of eight.
    let starts = (64..bytes.len()).step_by(8).filter(|at| bytes[*at..].starts_with(b"M3RF"));
    let at = starts.collect::<Vec<_>>()[9];
    bytes[at + 40] ^= 0x10;
    std::fs::write(&path, &bytes).unwrap();
    for start in 0..2 {
        node.restart(&["--cores", "0"]);
        let stderr = node.stderr();
        let place = format!("{} at offset {at}", path.display());
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(stderr.contains(file), "{stderr}");
        assert!(stderr.contains(&format!("at offset {at}")), "{place}:\n{stderr}");
        let metrics = parse_exposition(&node.metrics_text());
        assert_eq!(metrics["m3ring_commitlog_damage_total"], 1.0, "{stderr}");
        let mut client = node.client();
        let mut count = |query: &str| {
            let answer = client.query(query, (base + 60_000) as f64 / 1e3).expect(200).json();
            answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
        };
        assert_eq!(count("count_over_time(steady[10m])"), "19");
        assert_eq!(count("count({__name__=~\"decay_.+\"})"), "19");
        assert_eq!(count("count(decay_9)"), "0");
        assert_eq!(count("decay_10"), "7.5");
        // It goes on: what is written now is kept, here and at the next start.
        let fresh = (base + 50_000 + start, 1.0);
        let body = write_body(&[(&[("__name__", "fresh")], &[fresh])]);
        node.client().remote_write(&body).expect(200);
        let mut client = node.client();
        let kept = client.query("count_over_time(fresh[10m])", (base + 60_000) as f64 / 1e3);
        let kept = kept.expect(200).json();
        assert_eq!(kept["data"]["result"][0]["value"][1], (start + 1).to_string());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the file is left as it is");
    }
}

#[test]
fn a_node_that_cannot_write_acknowledges_nothing_and_ends() {
    for driver in ["auto", "epoll"] {
        // Files of this process are limited to a size that no segment fits into. The signal that
        // would kill it is ignored, so the write itself fails.
        let limit = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\"";
        let dir = Arc::new(TempDir::new("full"));
        let args = ["--cores", "0", "--io.driver", driver];
        let mut node = Node::try_start_through(&["sh", "-c", limit], &dir, &args).unwrap();
        let body = write_body(&[(&[("__name__", "lost")], &[(crate::harness::now_ms(), 1.0)])]);
        let mut client = node.client();
        for _ in 0..3 {
            if let Ok(answer) = client.try_remote_write(&body) {
                assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
            }
        }
        let status = until("the node ends", Duration::from_secs(10), || node.ended());
        assert!(!status.success(), "{status}");
        let stderr = node.stderr();
        assert!(stderr.contains("commit log failed"), "{stderr}");
        // With enough space it starts again, and accepts what it refused before.
        node.restart(&args);
        node.client().remote_write(&body).expect(200);
    }
}
