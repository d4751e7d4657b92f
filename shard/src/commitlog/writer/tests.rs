//! What is acknowledged and when, and what happens when the disk fails.

#![allow(clippy::disallowed_methods, reason = "tests look at files behind the log's back")]

use super::*;
use crate::commitlog::testing::*;
use m3_io::{spawn_join, time};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Waker};

/// An expected event that takes longer than this counts as missing.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let waiting = async {
        while !happened() {
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[test]
fn concurrent_writers_share_frames_and_syncs() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { segment_bytes: 1 << 20, ..Plan::default() };
        let node = Rc::new(RefCell::new(Cores::start(dir.path(), &plan).await));
        let log = node.borrow().cores[0].log.clone();
        let rounds = 20;
        let writers: Vec<_> = (0..50)
            .map(|writer| {
                let (node, log) = (Rc::clone(&node), log.clone());
                spawn_join(async move {
                    let name = format!("writer_{writer}");
                    for round in 0..rounds {
                        let part = samples(&[&name], round * 1000, 1);
                        node.borrow_mut().append(NAMESPACE, &part);
                        log.acknowledged().await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await;
        }
        let stats = log.stats();
        assert!(stats.frames >= rounds as u64 && stats.frames < 1000 / 4, "{stats:?}");
        assert_eq!(stats.syncs, stats.frames, "one sync for each frame");
        let written: Vec<Written> =
            (0..50).flat_map(|writer| samples(&[&format!("writer_{writer}")], 0, rounds)).collect();
        let (found, replay) = recovered(dir.path()).await;
        assert_eq!((found, replay.samples), (held(&written), 1000));
    });
}

#[test]
fn an_acknowledged_frame_is_in_the_file_when_the_waiter_hears_of_it() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let mut written = Vec::new();
        let copy = TempDir::new("log");
        for request in 0..30 {
            let part = samples(&["a", "b"], request * 1000, 1);
            node.write(&part).await;
            written.extend(part);
            restore(copy.path(), &image(dir.path()));
            let (found, _) = recovered(copy.path()).await;
            assert_eq!(found, held(&written));
        }
        assert_eq!(node.cores[0].log.stats().syncs, 30);
    });
}

#[test]
fn a_repeated_sample_is_answered_only_once_the_first_is_durable() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let part = samples(&["a"], 0, 1);
        node.append(NAMESPACE, &part);
        let log = node.cores[0].log.clone();
        // The same bits again: nothing is added to the log, but the frame is not written yet.
        let before = log.pending().len();
        node.append(NAMESPACE, &part);
        assert_eq!(log.pending().len(), before);
        assert_eq!(log.stats().frames, 0);
        log.acknowledged().await.unwrap();
        assert_eq!(log.stats().frames, 1);
        // Now a repetition is known to be durable at once.
        node.append(NAMESPACE, &part);
        log.acknowledged().await.unwrap();
        assert_eq!(log.stats().frames, 1);
    });
}

#[test]
fn a_frame_of_many_mebibytes_is_written_whole() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let names: Vec<String> = (0..200).map(|n| format!("series_{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (first, large, last) =
            (samples(&["a"], 0, 3), samples(&names, 0, 3000), samples(&["a"], 5000, 3));
        for part in [&first, &large, &last] {
            node.write(part).await;
        }
        let stats = node.cores[0].log.stats();
        assert!(stats.frames == 3 && stats.bytes > 4 << 20, "{stats:?}");
        drop(node);
        let (found, replay) = recovered(dir.path()).await;
        assert_eq!(replay.damage, Vec::new());
        assert!(found == held(&[first, large, last].concat()));
    });
}

#[test]
fn what_a_failed_preparation_left_is_in_nobodys_way() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { segment_bytes: 4096, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        let epoch = node.epoch;
        for seq in 1..4 {
            let id = SegmentId { epoch, core: 0, seq };
            std::fs::write(dir.path().join(segment::next_name(id)), [7; 5000]).unwrap();
        }
        let mut written = Vec::new();
        for request in 0..20 {
            let part = samples(&["a", "b"], request * 60_000, 50);
            node.write(&part).await;
            written.extend(part);
        }
        assert!(node.cores[0].log.stats().segments > 3);
        drop(node);
        let (found, replay) = recovered(dir.path()).await;
        assert_eq!((found, replay.damage), (held(&written), Vec::new()));
    });
}

#[test]
fn who_finds_too_much_pending_waits() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { pending_bytes_max: 200, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        let log = node.cores[0].log.clone();
        log.room().await.unwrap();
        node.append(NAMESPACE, &samples(&["a", "b", "c", "d", "e"], 0, 5));
        assert!(log.pending().len() >= 200);
        let mut waiting = pin!(log.room());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        log.acknowledged().await.unwrap();
        waiting.await.unwrap();
        assert!(log.pending().is_empty());
    });
}

#[test]
fn who_waits_for_room_gets_it_though_nobody_waits_for_an_answer_yet() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { pending_bytes_max: 200, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        let log = node.cores[0].log.clone();
        // A large request is appended in pieces, and waits for the acknowledgment only after the
        // last.
        for piece in 0..20 {
            let room = time::timeout(PATIENCE, log.room()).await;
            room.expect("somebody writes what is pending").unwrap();
            node.append(NAMESPACE, &samples(&["a", "b", "c", "d", "e"], piece * 1000, 5));
        }
        log.acknowledged().await.unwrap();
        assert!(log.stats().frames >= 10, "{:?}", log.stats());
    });
}

#[test]
fn a_log_that_cannot_go_on_tells_every_waiter_and_nobody_after() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let log = node.cores[0].log.clone();
        node.write(&samples(&["a"], 0, 1)).await;
        // The open segment still works; the next one cannot begin.
        std::fs::remove_dir_all(dir.path()).unwrap();
        let acked = Rc::new(Cell::new(0));
        let mut waiters = Vec::new();
        let mut request = 1;
        while log.stats().bytes + (log.pending().len() as u64) < 4096 {
            node.append(NAMESPACE, &samples(&["a"], request * 1000, 1));
            request += 1;
            if request % 10 == 0 {
                let (log, acked) = (log.clone(), Rc::clone(&acked));
                waiters.push(spawn_join(async move {
                    let result = log.acknowledged().await;
                    acked.set(acked.get() + u32::from(result.is_ok()));
                    result
                }));
            }
        }
        let mut failed = None;
        for waiter in waiters {
            if let Err(error) = waiter.await {
                failed = Some(error);
            }
        }
        let failed = failed.expect("the last waits for the segment that cannot be begun");
        let text = failed.to_string();
        assert!(text.contains("begin segment") && text.contains("-00000001.log"), "{text}");
        let (stats, acked_then) = (log.stats(), acked.get());
        // The directory comes back, but the log stays failed.
        std::fs::create_dir_all(dir.path()).unwrap();
        for _ in 0..3 {
            assert_eq!(log.room().await.unwrap_err(), failed);
            node.append(NAMESPACE, &samples(&["b"], request * 1000, 1));
            assert_eq!(log.acknowledged().await.unwrap_err(), failed);
        }
        assert_eq!(log.close().await.unwrap_err(), failed);
        assert_eq!((log.stats().syncs, log.stats().frames), (stats.syncs, stats.frames));
        assert_eq!(acked.get(), acked_then);
        assert_eq!(image(dir.path()).len(), 0, "nothing was tried again");
    });
}

#[test]
fn a_log_that_cannot_begin_acknowledges_nothing() {
    on_each(|| async {
        let dir = TempDir::new("log");
        // A directory in the place of the file to be reused.
        let id = SegmentId { epoch: 4, core: 0, seq: 0 };
        std::fs::create_dir(dir.path().join(segment::free_name(id))).unwrap();
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        node.append(NAMESPACE, &samples(&["a"], 0, 1));
        let log = node.cores[0].log.clone();
        let failed = log.acknowledged().await.unwrap_err();
        assert!(failed.to_string().contains("00000005-0000-00000000.log"), "{failed}");
        assert_eq!((log.stats().frames, log.stats().syncs), (0, 0));
        let (found, _) = recovered(dir.path()).await;
        assert_eq!(found, Held::new());
    });
}

#[test]
fn a_full_disk_is_told_before_anything_is_acknowledged_on_it() {
    on_each(|| async {
        let dir = TempDir::new("log");
        // More than the disk of a test machine has, so the reservation fails.
        let plan = Plan { segment_bytes: 1 << 50, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        node.append(NAMESPACE, &samples(&["a"], 0, 1));
        let log = node.cores[0].log.clone();
        let failed = log.acknowledged().await.unwrap_err().to_string();
        assert!(failed.contains("allocate"), "{failed}");
        assert_eq!(segments(dir.path()).len(), 0, "what was not begun is no segment");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let part = samples(&["a"], 0, 1);
        node.write(&part).await;
        assert_eq!(node.read(NAMESPACE), held(&part));
    });
}

/// The number of bytes from the start of `path` to the last one that is not `byte`.
fn touched(path: &std::path::Path, byte: u8) -> usize {
    let bytes = std::fs::read(path).unwrap();
    bytes.iter().rposition(|found| *found != byte).map_or(0, |at| at + 1)
}

#[test]
fn what_an_earlier_run_only_reserved_does_not_count_as_written() {
    on_each(|| async {
        let dir = TempDir::new("log");
        // Reserved to its end, but not known to be written.
        let id = SegmentId { epoch: 4, core: 0, seq: 7 };
        let plan = Plan { segment_bytes: 1 << 20, ..Plan::default() };
        let reserved = vec![0xaa; 1 << 20];
        std::fs::write(dir.path().join(segment::next_name(id)), reserved).unwrap();
        let mut node = Cores::start(dir.path(), &plan).await;
        let part = samples(&["a"], 0, 1);
        node.write(&part).await;
        let path = segments(dir.path()).pop().unwrap();
        assert_eq!(touched(&path, 0xaa), 1 << 20, "zeros are written where frames will stand");
        assert_eq!(recovered(dir.path()).await.0, held(&part));
    });
}

#[test]
fn the_next_segment_is_written_with_zeros_before_it_is_needed() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { segment_bytes: 1 << 16, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        let log = node.cores[0].log.clone();
        let next = |seq| {
            let id = SegmentId { epoch: 1, core: 0, seq };
            dir.path().join(segment::next_name(id))
        };
        let mut written = Vec::new();
        let mut request = 0;
        let mut fill = async |node: &mut Cores, bytes: u64| {
            while log.stats().bytes < bytes {
                let part = samples(&["a", "b", "c", "d"], request * 1000, 20);
                node.write(&part).await;
                written.extend(part);
                request += 20;
            }
        };
        fill(&mut node, 1 << 14).await;
        assert!(!next(1).exists(), "before half of the segment is used nothing is prepared");
        fill(&mut node, (1 << 15) + (1 << 13)).await;
        let whole = || std::fs::metadata(next(1)).is_ok_and(|found| found.len() == 1 << 16);
        until("the next segment is prepared", whole).await;
        fill(&mut node, (1 << 16) + (1 << 13)).await;
        assert!(log.stats().segments == 2 && !next(1).exists(), "it is the second segment");
        fill(&mut node, (1 << 16) + (1 << 15) + (1 << 13)).await;
        node.stop().await;
        let left: Vec<String> = image(dir.path()).keys().cloned().collect();
        assert!(left.iter().all(|name| !name.starts_with("next-")), "{left:?}");
        let (found, stats) = recovered(dir.path()).await;
        assert_eq!((found, stats.damage, stats.cut_bytes), (held(&written), vec![], 0));
    });
}

#[test]
fn closing_writes_what_waits_and_takes_no_more() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let part = samples(&["a", "b"], 0, 4);
        node.append(NAMESPACE, &part);
        let log = node.cores[0].log.clone();
        node.stop().await;
        log.acknowledged().await.unwrap();
        assert!(log.room().await.unwrap_err().to_string().contains("stopping"));
        let path = segments(dir.path()).pop().unwrap();
        let (at, len, kind) = *frames(&path).last().unwrap();
        assert_eq!(kind, FrameKind::Seal);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), (at + len) as u64);
        let (found, stats) = recovered(dir.path()).await;
        assert_eq!((found, stats.cut_bytes), (held(&part), 0));
        // A log that never wrote leaves no file.
        let idle = TempDir::new("log");
        Cores::start(idle.path(), &Plan::default()).await.stop().await;
        assert_eq!(image(idle.path()).len(), 0);
    });
}

#[test]
fn a_buffered_log_syncs_once_a_second_and_survives_the_process() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { ack: Ack::Buffered, segment_bytes: 1 << 20, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        let begun = time::now();
        let mut written = Vec::new();
        for request in 0..200 {
            let part = samples(&["a", "b"], request * 1000, 1);
            node.write(&part).await;
            written.extend(part);
        }
        let log = node.cores[0].log.clone();
        let stats = log.stats();
        let seconds = time::now().since(begun).as_secs();
        assert_eq!(stats.frames, 200);
        assert!(stats.syncs <= seconds, "{stats:?} in {seconds} s");
        let copy = TempDir::new("log");
        restore(copy.path(), &image(dir.path()));
        let (found, _) = recovered(copy.path()).await;
        assert_eq!(found, held(&written), "the operating system has it");
        until("it is synced though nobody writes", || log.stats().syncs > stats.syncs).await;
        // Requests that bring nothing new do not delay the sync.
        node.write(&samples(&["a"], 300_000, 1)).await;
        let synced = log.stats().syncs;
        let again = samples(&["a"], 300_000, 1);
        let repeating = async {
            while log.stats().syncs == synced {
                node.append(NAMESPACE, &again);
                log.acknowledged().await.unwrap();
                time::sleep(Duration::from_millis(100)).await;
            }
        };
        time::timeout(PATIENCE, repeating).await.expect("it is synced all the same");
        node.stop().await;
        let (found, stats) = recovered(dir.path()).await;
        assert_eq!(stats.damage, []);
        written.extend(again);
        assert_eq!(found, held(&written));
    });
}
