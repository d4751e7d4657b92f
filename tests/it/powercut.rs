//! Power cuts: the file system under a node is shut down without a flush, as a lost machine leaves
//! it, mounted again and read. Only what was synced is there; everything acknowledged must be.
//!
//! What a node writes past the page cache (`--commitlog.direct true`, every other pair of cuts) is
//! in the disk's image when it was written, synced or not: of that path this shows that metadata
//! and recovery hold, not that the sync is asked for, which a test of `m3-io` does.
//!
//! Needs root, a loop device, `mkfs.ext4` and `perl` (for one ioctl); says so and returns where
//! they are not to be had. `M3RING_POWER_CUTS` says how often (6 unless given).

use crate::crash::core_lists;
use crate::harness::{Node, POLL, Rng, TempDir, setting};
use crate::ledger::{LastAnswer, Ledger, Writer};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// EXT4_IOC_SHUTDOWN with NOLOGFLUSH: from here on nothing reaches the disk, the journal neither.
const CUT: &str = "my $how = pack('I', 2); sysopen(D, $ARGV[0], 0) or die $!; \
                   ioctl(D, 0x8004587d, $how) or die $!";

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", text.trim())) }
}

/// An ext4 of its own on the node's data directory.
struct Disk {
    dir: Arc<TempDir>,
}

impl Disk {
    fn new() -> Result<Self, String> {
        let disk = Self { dir: Arc::new(TempDir::new("power")) };
        std::fs::create_dir(disk.data()).unwrap();
        let image = disk.dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(2 << 30).unwrap();
        run("mkfs.ext4", &["-q", "-F", &image.to_string_lossy()])?;
        disk.mount()?;
        Ok(disk)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn mount(&self) -> Result<(), String> {
        let image = self.dir.path().join("image");
        let image = image.to_string_lossy();
        run("mount", &["-t", "ext4", "-o", "loop", &image, &self.data().to_string_lossy()])
    }

    fn cut(&self) -> Result<(), String> {
        run("perl", &["-e", CUT, &self.data().to_string_lossy()])
    }

    fn back(&self) {
        run("umount", &[&self.data().to_string_lossy()]).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &self.data().to_string_lossy()]);
    }
}

/// One node's life: load, then no more power. What its connections heard last.
fn life(disk: &Disk, args: &[&str], writers: &mut [Writer], load: Duration) -> Vec<LastAnswer> {
    let mut node = Node::start_in(&disk.dir, args);
    let api = node.api;
    let (answers, cut, ended) = std::thread::scope(|scope| {
        let run = |w| scope.spawn(move || Writer::run(w, api, 0));
        let running: Vec<_> = writers.iter_mut().map(run).collect();
        sleep(load);
        let cut = disk.cut();
        let waited = Instant::now();
        while cut.is_ok() && node.ended().is_none() && waited.elapsed() < Duration::from_secs(5) {
            sleep(POLL);
        }
        let ended = node.ended();
        node.kill();
        let answers = running.into_iter().map(|writer| writer.join().unwrap()).collect();
        (answers, cut, ended)
    });
    cut.unwrap();
    // A disk that fails is the end of a node: it must not go on, nor try again.
    let ended = ended.expect("the node ends by itself");
    assert!(!ended.success(), "{ended}");
    let stderr = node.stderr();
    assert!(stderr.contains("commit log failed"), "{stderr}");
    answers
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let disk = match Disk::new() {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: no disk of its own: {why}"),
    };
    let mut rng = Rng::new("a_power_cut");
    let (one, two) = core_lists();
    let mut ledger = Ledger::default();
    let mut writers: Vec<Writer> = (0..4).map(|id| Writer::new(id, &mut rng)).collect();
    let all = BTreeSet::from([0]);
    let cuts = setting("M3RING_POWER_CUTS", 6);
    for cut in 0..cuts {
        let cores = if rng.below(2) == 0 { &one } else { &two };
        let driver = if cut % 2 == 0 { "auto" } else { "epoll" };
        let direct = if cut % 4 < 2 { "true" } else { "false" };
        let args = ["--cores", cores, "--io.driver", driver, "--commitlog.direct", direct];
        let what = format!("cut {cut}, cores {cores}, driver {driver}, direct {direct}");
        let load = Duration::from_millis(50 + rng.below(500));
        for answer in life(&disk, &args, &mut writers, load) {
            let is_clear = match answer {
                LastAnswer::Closed => true,
                LastAnswer::Refused(status) => status >= 500,
            };
            assert!(is_clear, "{what}: {answer:?}");
        }
        writers.iter_mut().for_each(|writer| ledger.add(&mut writer.sent));
        disk.back();
        let node = Node::start_in(&disk.dir, &args);
        ledger.check(&mut node.client(), &all, &what);
        ledger.check_found(&mut node.client(), 5, &what);
        let metrics = node.metrics_text();
        assert!(metrics.contains("\nm3ring_commitlog_damage_total 0\n"), "{what}\n{metrics}");
    }
    println!("{cuts} power cuts: {} acknowledged samples are there", ledger.acked());
    assert!(ledger.acked() > 20 * cuts, "there was load");
    a_buffered_node_shows_that_the_cut_is_one(&disk, &mut rng);
}

/// The control: a node that acknowledges before it syncs, and says so, does lose samples here.
fn a_buffered_node_shows_that_the_cut_is_one(disk: &Disk, rng: &mut Rng) {
    let mut writers = [Writer::new(9, rng)];
    let args = ["--commitlog.ack", "buffered"];
    life(disk, &args, &mut writers, Duration::from_millis(400));
    let mut ledger = Ledger::default();
    ledger.add(&mut writers[0].sent);
    disk.back();
    let node = Node::start_in(&disk.dir, &[]);
    let lost = ledger.lost(&mut node.client());
    println!("the control: {lost} of {} buffered samples are lost", ledger.acked());
    assert!(lost > 0, "the cut reached the disk");
}
