//! Power cuts: the file system under a node is shut down without a flush, which is what a power
//! failure leaves, then mounted again and read. Everything acknowledged must be there.
//!
//! In every other pair of cuts the node writes past the page cache (`--commitlog.direct true`).
//! Such writes reach the disk's image at once, whether they are synced or not. So here they only
//! show that metadata and recovery are right; that the sync is requested is shown by a test of
//! `m3-io`.
//!
//! Needs root, a loop device, `mkfs.ext4` and `perl` (for one ioctl); without them it says so and
//! returns. `M3RING_POWER_CUTS` says how often (default 6).

use crate::crash::core_lists;
use crate::harness::{Node, POLL, Random, TempDir, setting};
use crate::ledger::{LastAnswer, Ledger, Writer};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// EXT4_IOC_SHUTDOWN with NOLOGFLUSH: from now on nothing reaches the disk, not even the journal.
const CUT: &str = "my $how = pack('I', 2); sysopen(D, $ARGV[0], 0) or die $!; \
                   ioctl(D, 0x8004587d, $how) or die $!";

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", text.trim())) }
}

/// An ext4 file system for the node's data directory.
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

/// One life of a node: load, then a power cut. Returns the last answers on its connections.
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
    // A failing disk must end the node; it must neither continue nor try again.
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
    let mut random = Random::new("a_power_cut");
    let (one, two) = core_lists();
    let mut ledger = Ledger::default();
    let mut writers: Vec<Writer> = (0..4).map(|id| Writer::new(id, &mut random)).collect();
    let all = BTreeSet::from([0]);
    let cuts = setting("M3RING_POWER_CUTS", 6);
    for cut in 0..cuts {
        let cores = if random.below(2) == 0 { &one } else { &two };
        let driver = if cut % 2 == 0 { "auto" } else { "epoll" };
        let direct = if cut % 4 < 2 { "true" } else { "false" };
        let args = ["--cores", cores, "--io.driver", driver, "--commitlog.direct", direct];
        let what = format!("cut {cut}, cores {cores}, driver {driver}, direct {direct}");
        let load = Duration::from_millis(50 + random.below(500));
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
    a_buffered_node_shows_that_the_cut_is_one(&disk, &mut random);
}

/// The control: a node that acknowledges before it syncs loses samples here.
fn a_buffered_node_shows_that_the_cut_is_one(disk: &Disk, random: &mut Random) {
    let mut writers = [Writer::new(9, random)];
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
