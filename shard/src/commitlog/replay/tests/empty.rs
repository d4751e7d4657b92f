//! Segments without a frame: at the end of a log they are no damage, before its end they are.

use super::*;
use crate::commitlog::segment::Name;

/// A log of several segments, sealed or as a crash leaves it, and what was written.
async fn log(dir: &Path, sealed: bool) -> (Image, Held, SegmentId) {
    let plan = Plan { segment_bytes: 2000, ..Plan::default() };
    let mut node = Cores::start(dir, &plan).await;
    let mut written = Vec::new();
    for request in 0..25 {
        let part = samples(&["a", "b", "c"], request * 10_000, 8);
        node.write(&part).await;
        written.extend(part);
    }
    if sealed {
        node.stop().await;
    }
    let paths = segments(dir);
    assert!(paths.len() > 2);
    (image(dir), held(&written), id_of(paths.last().unwrap()))
}

/// The number after the last frame of the log in `dir`.
fn next_frame(dir: &Path) -> u64 {
    segments(dir).iter().map(|path| frames(path).len() as u64).sum()
}

fn header(id: SegmentId, first_frame: u64) -> Vec<u8> {
    let (core_count, num_shards, hash_seed) = (1, 64, 0);
    let id_version = QUOTED_ID_VERSION;
    let header = SegmentHeader { id, core_count, num_shards, hash_seed, first_frame, id_version };
    header.encode().to_vec()
}

/// Segments are put behind the last: each with its content.
fn put(dir: &Path, last: SegmentId, contents: &[Vec<u8>]) {
    for (seq, content) in (last.seq + 1..).zip(contents) {
        std::fs::write(segment::path(dir, SegmentId { seq, ..last }), content).unwrap();
    }
}

/// Contents of a file that holds nothing, reserved or not.
fn nothings() -> [Vec<u8>; 4] {
    [Vec::new(), vec![0; 64], vec![0; 100], vec![0; 3 * 4096]]
}

/// All of `written` is there without an alarm, for each number of cores, start after start; and
/// what is written then as well.
async fn check_fine(dir: &Path, disk: &Image, written: &Held, case: &str) {
    for cores in [1, 2, 3] {
        restore(dir, disk);
        let plan = Plan { cores, segment_bytes: 6000, ..Plan::default() };
        let mut all = written.clone();
        for start in 0..3 {
            let mut node = Cores::start(dir, &plan).await;
            assert_eq!(node.damage(), [], "{case}, {cores} cores, start {start}");
            assert!(node.read(NAMESPACE) == all, "{case}, {cores} cores, start {start}");
            let part = samples(&["a", "z"], 2_000_000 + start * 1000, 1);
            node.write(&part).await;
            for (name, samples) in held(&part) {
                all.entry(name).or_default().extend(samples);
            }
        }
    }
}

#[test]
fn empty_segments_at_the_end_are_no_damage() {
    on_each(|| async {
        for sealed in [true, false] {
            let dir = TempDir::in_memory("log");
            let (disk, written, last) = log(dir.path(), sealed).await;
            let many = nothings().to_vec();
            let mut cases: Vec<Vec<Vec<u8>>> = many.iter().map(|one| vec![one.clone()]).collect();
            cases.push(many);
            for contents in cases {
                restore(dir.path(), &disk);
                put(dir.path(), last, &contents);
                let lens: Vec<usize> = contents.iter().map(Vec::len).collect();
                let case = format!("sealed {sealed}, then {lens:?} bytes");
                check_fine(dir.path(), &image(dir.path()), &written, &case).await;
            }
        }
    });
}

#[test]
fn begun_segments_at_the_end_are_no_damage_if_no_frame_is_missing_before_them() {
    on_each(|| async {
        for sealed in [true, false] {
            let dir = TempDir::in_memory("log");
            let (disk, written, last) = log(dir.path(), sealed).await;
            let first = next_frame(dir.path());
            let begun = |k: u32, tail: usize| {
                let mut bytes = header(SegmentId { seq: last.seq + k, ..last }, first);
                bytes.resize(bytes.len() + tail, 0);
                bytes
            };
            for contents in [
                vec![begun(1, 0)],
                vec![begun(1, 5000)],
                vec![begun(1, 0), begun(2, 5000)],
                vec![begun(1, 5000), Vec::new(), vec![0; 4096]],
            ] {
                restore(dir.path(), &disk);
                put(dir.path(), last, &contents);
                let case = format!("sealed {sealed}, {} segments", contents.len());
                check_fine(dir.path(), &image(dir.path()), &written, &case).await;
            }
            // Its header says how many frames there were before it.
            restore(dir.path(), &disk);
            put(dir.path(), last, &[header(SegmentId { seq: last.seq + 1, ..last }, first + 2)]);
            for _ in 0..2 {
                let (found, stats) = recovered(dir.path()).await;
                assert!(found == written);
                assert_eq!(stats.damage.len(), 1, "sealed {sealed}: {:?}", stats.damage);
            }
        }
    });
}

#[test]
fn a_log_of_empty_segments_only_is_given_up() {
    on_each(|| async {
        for content in nothings() {
            let dir = TempDir::in_memory("log");
            let first = SegmentId { epoch: 7, core: 1, seq: 0 };
            let files = [first, SegmentId { seq: 1, ..first }];
            for id in files {
                std::fs::write(segment::path(dir.path(), id), &content).unwrap();
            }
            let node = Cores::start(dir.path(), &Plan::default()).await;
            assert_eq!((node.damage(), node.epoch), (Vec::new(), 8));
            assert_eq!(listing(dir.path()).segments, []);
            // What was merely reserved is not taken for written.
            for (name, bytes) in image(dir.path()) {
                assert!(matches!(segment::parse_name(&name), Some(Name::Free(_))), "{name}");
                assert_eq!(bytes.len(), 0, "{name}");
            }
        }
    });
}

#[test]
fn an_empty_segment_before_the_end_is_damage_every_time() {
    on_each(|| async {
        for sealed in [true, false] {
            let dir = TempDir::in_memory("log");
            let (disk, written, last) = log(dir.path(), sealed).await;
            let first = next_frame(dir.path());
            let paths = segments(dir.path());
            let check = async |damaged: &Path, all: bool, case: &str| {
                let disk = image(dir.path());
                for _ in 0..2 {
                    let (found, stats) = recovered(dir.path()).await;
                    let named = stats.damage.iter().any(|damage| damage.file == damaged);
                    assert!(named, "{case}, sealed {sealed}: {:?}", stats.damage);
                    assert_eq!(found == written, all, "{case}");
                    assert!(image(dir.path()) == disk, "{case}: it is left as it is");
                }
            };
            for content in nothings() {
                // Frames follow it: what it held is lost.
                for emptied in &paths[..paths.len() - 1] {
                    restore(dir.path(), &disk);
                    std::fs::write(emptied, &content).unwrap();
                    check(emptied, false, "in the middle").await;
                    put(dir.path(), last, &[Vec::new()]);
                    check(emptied, false, "in the middle, and an empty one at the end").await;
                }
                // A header follows it: it was sealed before that was written.
                restore(dir.path(), &disk);
                let begun = header(SegmentId { seq: last.seq + 2, ..last }, first + 2);
                put(dir.path(), last, &[content.clone(), begun]);
                let emptied = segment::path(dir.path(), SegmentId { seq: last.seq + 1, ..last });
                check(&emptied, true, "before a begun one").await;
                // It was begun after another that is not there.
                restore(dir.path(), &disk);
                let id = SegmentId { seq: last.seq + 2, ..last };
                std::fs::write(segment::path(dir.path(), id), &content).unwrap();
                check(&segment::path(dir.path(), id), true, "behind a gap").await;
            }
        }
    });
}

#[test]
fn a_last_segment_that_holds_anything_else_is_damage() {
    on_each(|| async {
        let dir = TempDir::in_memory("log");
        let (disk, written, last) = log(dir.path(), true).await;
        let next = SegmentId { seq: last.seq + 1, ..last };
        let whole = header(next, next_frame(dir.path()));
        let mut late = vec![0; 5000];
        late[4999] = 1;
        for content in [whole[..8].to_vec(), whole[..63].to_vec(), vec![0xff; 64], late] {
            restore(dir.path(), &disk);
            put(dir.path(), last, &[content]);
            let (found, stats) = recovered(dir.path()).await;
            assert!(found == written);
            assert_eq!(stats.damage[0].file, segment::path(dir.path(), next));
        }
    });
}
