//! Every state in which a crash can leave the end of a log and its directory.

use super::*;
use crate::commitlog::segment::Name;

/// A log of several segments whose last frame was not acknowledged, as a crash leaves it. Returns
/// the directory, the acknowledged samples, those in the last frame, and its place.
async fn torn_log(dir: &Path) -> (Image, Vec<Written>, Vec<Written>, PathBuf, usize, usize) {
    let plan = Plan { segment_bytes: 6000, ..Plan::default() };
    let mut node = Cores::start(dir, &plan).await;
    let mut written = Vec::new();
    for request in 0..25 {
        let part = samples(&["a", "b", "c"], request * 10_000, 8);
        node.write(&part).await;
        written.extend(part);
    }
    // New and known series, over several sectors.
    let names: Vec<String> = (0..26).map(|n| format!("new_{n}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend(["a", "b", "c"]);
    let last = samples(&names, 1_000_000, 6);
    node.write(&last).await;
    let path = segments(dir).pop().unwrap();
    assert!(segments(dir).len() > 1);
    let (at, len, _) = *frames(&path).last().unwrap();
    assert!(len > 4 * 512, "{len}");
    (image(dir), written, last, path, at, len)
}

/// Recovers `dir` twice. Every sample of `acked` must be there, frames must be whole or absent, and
/// the log must be sealed.
async fn check_recovery(dir: &Path, acked: &Held, with_last: &Held, whole: bool, case: &str) {
    let path = segments(dir).pop().unwrap();
    for round in 0..2 {
        let (found, stats) = recovered(dir).await;
        assert_eq!(stats.damage, [], "{case}");
        assert!(found == *if whole { with_last } else { acked }, "{case}, round {round}");
        let found = frames(&path);
        let (at, len, kind) = *found.last().unwrap();
        assert_eq!(kind, FrameKind::Seal, "{case}");
        let end = (at + len) as u64;
        assert_eq!(std::fs::metadata(&path).unwrap().len(), end, "{case}: ends with its seal");
        assert!(round == 0 || stats.cut_bytes == 0, "{case}: cut twice");
    }
}

#[test]
fn a_crash_at_any_byte_of_the_last_frame_costs_that_frame_only() {
    on_each(|| async {
        let dir = TempDir::in_memory("log");
        let (disk, acked, last, path, at, len) = torn_log(dir.path()).await;
        let with_last = held(&[acked.clone(), last].concat());
        let acked = held(&acked);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = Rc::clone(&disk[&name]);
        let padding = 7;
        for cut in 0..=len {
            let mut disk = disk.clone();
            // The file ends there.
            disk.insert(name.clone(), Rc::new(whole[..at + cut].to_vec()));
            restore(dir.path(), &disk);
            let is_whole = cut + padding >= len && recoverable(&path, at);
            check_recovery(dir.path(), &acked, &with_last, is_whole, &format!("cut {cut}")).await;
            // The file was preallocated, so zeros follow.
            let mut bytes = whole[..at + cut].to_vec();
            bytes.resize(6000, 0);
            disk.insert(name.clone(), Rc::new(bytes));
            restore(dir.path(), &disk);
            let is_whole = recoverable(&path, at);
            assert!(is_whole || cut < len);
            let case = format!("zeros from {cut}");
            check_recovery(dir.path(), &acked, &with_last, is_whole, &case).await;
        }
    });
}

/// Whether there is a whole frame at `at`. If its last bytes are zeros, the file may lack them.
fn recoverable(path: &Path, at: usize) -> bool {
    frame::decode(id_of(path), &std::fs::read(path).unwrap()[at..]).is_some()
}

#[test]
fn sectors_of_the_last_frame_reach_the_disk_in_any_order() {
    on_each(|| {
        let mut random = Random::new("sectors");
        async move {
            let dir = TempDir::in_memory("log");
            let (disk, acked, last, path, at, len) = torn_log(dir.path()).await;
            let with_last = held(&[acked.clone(), last].concat());
            let acked = held(&acked);
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let whole = Rc::clone(&disk[&name]);
            let first = at / 512;
            let sectors = (at + len).div_ceil(512) - first;
            assert!((4..10).contains(&sectors));
            for written in 0..1u32 << sectors {
                // A missing sector reads as before: zeros, or an earlier use of the file.
                for older_life in [false, true] {
                    let mut bytes = whole.to_vec();
                    for sector in (0..sectors).filter(|sector| written >> sector & 1 == 0) {
                        let from = ((first + sector) * 512).max(at);
                        let to = ((first + sector + 1) * 512).min(bytes.len());
                        for byte in &mut bytes[from..to] {
                            *byte = if older_life { random.next() as u8 } else { 0 };
                        }
                    }
                    let mut disk = disk.clone();
                    disk.insert(name.clone(), Rc::new(bytes));
                    restore(dir.path(), &disk);
                    let is_whole = recoverable(&path, at);
                    let case = format!("sectors {written:b}, older life {older_life}");
                    check_recovery(dir.path(), &acked, &with_last, is_whole, &case).await;
                }
            }
        }
    });
}

#[test]
fn a_seal_may_be_torn_and_a_recovery_may_crash() {
    on_each(|| async {
        let dir = TempDir::in_memory("log");
        let (_, acked, last, path, at, len) = torn_log(dir.path()).await;
        // Recovery crashes after it has cut off the torn frame and before it has sealed the log.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..at]).unwrap();
        let acked_only = held(&acked);
        check_recovery(dir.path(), &acked_only, &acked_only, false, "cut, not sealed").await;
        // The seal is torn, whether or not the file was cut after it.
        let with_last = held(&[acked, last].concat());
        std::fs::write(&path, &bytes).unwrap();
        recovered(dir.path()).await;
        let sealed = std::fs::read(&path).unwrap();
        let seal = at + len;
        for cut in 0..=sealed.len() - seal {
            for tail in [0, 1000] {
                let mut bytes = sealed[..seal + cut].to_vec();
                bytes.resize(sealed.len() + tail, 0);
                std::fs::write(&path, &bytes).unwrap();
                let case = format!("seal cut at {cut}, {tail} bytes after it");
                let (found, stats) = recovered(dir.path()).await;
                assert_eq!((found, stats.damage), (with_last.clone(), Vec::new()), "{case}");
                // Its length will tell how much of the file was written.
                let left = std::fs::metadata(&path).unwrap().len();
                assert_eq!(left, sealed.len() as u64, "{case}");
            }
        }
    });
}

#[test]
fn a_segment_that_was_being_prepared_is_no_segment() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let (disk, acked, last, path, ..) = torn_log(dir.path()).await;
        let written = held(&[acked, last].concat());
        let id = id_of(&path);
        let next = SegmentId { seq: id.seq + 1, ..id };
        let header = SegmentHeader { first_frame: 9, ..header_of(next, 1) };
        let an_older_life = disk.values().next().unwrap().to_vec();
        for content in [Vec::new(), vec![0; 6000], header.encode().to_vec(), an_older_life] {
            restore(dir.path(), &disk);
            std::fs::write(dir.path().join(segment::next_name(next)), content).unwrap();
            let mut node = Cores::start(dir.path(), &Plan::default()).await;
            assert_eq!((node.read(NAMESPACE), node.damage()), (written.clone(), Vec::new()));
            assert_eq!(node.epoch, id.epoch + 1);
            // Its file is the first to be reused.
            node.write(&samples(&["z"], 0, 1)).await;
            let names = image(dir.path()).into_keys();
            let waiting =
                names.filter(|name| !matches!(segment::parse_name(name), Some(Name::Segment(_))));
            assert_eq!(waiting.count(), 0);
            drop(node);
            let (found, stats) = recovered(dir.path()).await;
            assert_eq!((found.len(), stats.damage), (written.len() + 1, Vec::new()));
        }
        // It is sealed, and the next one has a header but no frame yet.
        restore(dir.path(), &disk);
        recovered(dir.path()).await;
        let number = frames(&path).len() as u64;
        let header = SegmentHeader { first_frame: number, ..header };
        let mut bytes = header.encode().to_vec();
        bytes.resize(6000, 0);
        std::fs::write(segment::path(dir.path(), next), bytes).unwrap();
        for _ in 0..2 {
            let (found, stats) = recovered(dir.path()).await;
            assert_eq!((found, stats.damage), (written.clone(), Vec::new()));
        }
    });
}

#[test]
fn a_crash_while_a_log_is_given_up_leaves_a_whole_log() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        for request in 0..60 {
            node.write(&samples(&["a", "b", "c"], request * 10_000, 8)).await;
        }
        node.stop().await;
        let disk = image(dir.path());
        let Listing { segments: all, free: prepared, .. } = listing(dir.path());
        assert!(all.len() > 3);
        let later = Plan { now_ns: NOW + 3 * 86_400 * 1_000_000_000, ..Plan::default() };
        for done in 0..=all.len() {
            restore(dir.path(), &disk);
            let order: Vec<SegmentId> = all.iter().rev().copied().collect();
            for id in &order[..done] {
                let free = dir.path().join(segment::free_name(*id));
                std::fs::rename(segment::path(dir.path(), *id), free).unwrap();
            }
            let node = Cores::start(dir.path(), &later).await;
            assert_eq!(node.damage(), [], "{done} of {} renamed", all.len());
            let found = listing(dir.path());
            assert_eq!((found.segments.len(), found.free), (0, all.len() + prepared));
        }
    });
}
