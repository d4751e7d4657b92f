//! `kill -9` under load, repeatedly on one directory: nothing acknowledged is lost, and nothing
//! appears that was never sent.
//!
//! `M3RING_CRASH_CYCLES` says how often (default 50).

use crate::harness::{Node, Random, STOP_MAX, TempDir, setting};
use crate::ledger::{LastAnswer, Ledger, Writer};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Connections that write at the same time.
const WRITERS: u32 = 4;
/// Cycles that write to the same generation of series.
const CYCLES_PER_GENERATION: u64 = 5;
/// Most deaths between two cycles before the node serves.
const EARLY_DEATHS_MAX: u64 = 3;

/// The first cpu this process may use, and the first two where there are two.
pub fn core_lists() -> (String, String) {
    let cpus = m3_io::runtime::affinity();
    let list = |count: usize| {
        let texts: Vec<String> = cpus.iter().take(count).map(usize::to_string).collect();
        texts.join(",")
    };
    (list(1), list(2))
}

#[test]
fn kill_minus_nine_loses_nothing_that_was_acknowledged() {
    let cycles = setting("M3RING_CRASH_CYCLES", 50);
    let mut random = Random::new("kill_minus_nine");
    let dir = Arc::new(TempDir::new("crash"));
    let (one, two) = core_lists();
    let mut ledger = Ledger::default();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|id| Writer::new(id, &mut random)).collect();
    let mut touched = BTreeSet::new();
    let (mut deaths, mut starting) = (0, Duration::ZERO);
    for cycle in 0..=cycles {
        let driver = if cycle % 3 == 1 { "epoll" } else { "auto" };
        let cores = if cycle % 4 < 2 { &one } else { &two };
        let args = ["--cores", cores, "--io.driver", driver];
        let what = format!("cycle {cycle}, cores {cores}, driver {driver}");
        // Sometimes it dies before it serves, while it reads, cuts and seals its logs.
        if random.below(3) == 0 {
            for _ in 0..=random.below(EARLY_DEATHS_MAX) {
                die_early(&dir, &args, Duration::from_micros(random.below(80_000)));
                deaths += 1;
            }
        }
        let begun = Instant::now();
        let mut node = Node::start_in(&dir, &args);
        starting += begun.elapsed();
        if cycle > 0 {
            ledger.check(&mut node.client(), &touched, &what);
            ledger.check_found(&mut node.client(), 1 + ledger.series() / 100, &what);
            touched.clear();
        }
        if cycle == cycles {
            check_all(&ledger, &node, &what);
            let (status, took) = node.terminate();
            assert!(status.success() && took < STOP_MAX, "{status}, {took:?}");
            break;
        }
        let generation = (cycle / CYCLES_PER_GENERATION) as u32;
        let load = Duration::from_millis(50 + random.below(350));
        let api = node.api;
        std::thread::scope(|scope| {
            let running: Vec<_> =
                writers.iter_mut().map(|w| scope.spawn(move || w.run(api, generation))).collect();
            sleep(load);
            node.kill();
            for writer in running {
                assert_eq!(writer.join().unwrap(), LastAnswer::Closed, "{what}");
            }
        });
        let stderr = node.stderr();
        assert!(!stderr.contains("panicked"), "{what}:\n{stderr}");
        for writer in &mut writers {
            touched.extend(writer.sent.keys().map(|key| key.generation));
            ledger.add(&mut writer.sent);
        }
    }
    println!(
        "{cycles} kills and {deaths} deaths while starting: {} acknowledged samples of {} series \
         are there; starts took {starting:?} together",
        ledger.acked(),
        ledger.series()
    );
    assert!(ledger.acked() > 100 * cycles, "there was load");
}

/// Checks everything again on another number of cores.
fn check_all(ledger: &Ledger, node: &Node, what: &str) {
    let everything = (0..1000).collect();
    let count = ledger.check(&mut node.client(), &everything, what);
    assert!(count >= ledger.acked());
    ledger.check_found(&mut node.client(), 1, what);
    let metrics = node.metrics_text();
    assert!(metrics.contains("\nm3ring_commitlog_damage_total 0\n"), "{metrics}");
}

/// Starts a node and kills it `after` that time, whatever it is doing.
fn die_early(dir: &TempDir, args: &[&str], after: Duration) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_m3ring"))
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--http.listen", "127.0.0.1:0", "--metrics.listen", "127.0.0.1:0"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}
