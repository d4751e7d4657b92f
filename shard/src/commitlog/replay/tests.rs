//! Logs after crashes, decay and changes by people: only what was written is served.

#![allow(clippy::disallowed_methods, reason = "tests put files into the state that a crash leaves")]

mod crash;
mod damage;
mod empty;

use super::*;
use crate::commitlog::Payload;
use crate::commitlog::testing::*;
use m3_metric::labels::QUOTED_ID_VERSION;
use m3_metric::{CoreId, ShardId, Span, ValueKind};
use std::rc::Rc;

#[test]
fn what_was_written_comes_back_bit_for_bit() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan::default();
        let mut written = Vec::new();
        for run in 0..4 {
            let mut node = Cores::start(dir.path(), &plan).await;
            assert_eq!(node.read(NAMESPACE), held(&written), "run {run}");
            assert_eq!((node.damage(), node.epoch), (Vec::new(), run + 1));
            for request in 0..40 {
                // Known and new series, late samples, and times that were written before.
                let new = format!("new_{run}_{request}");
                let mut part = samples(&["a", "b", &new], request * 1000 + i64::from(run), 3);
                part.push(("a".to_owned(), NOW_MS - 7_000_000 - request, value_of(9, request)));
                part.push(("b".to_owned(), NOW_MS - 3_600_000, value_of(u64::from(run), request)));
                node.write(&part).await;
                written.extend(part);
            }
            assert_eq!(node.read(NAMESPACE), held(&written));
            assert!(node.cores[0].log.stats().segments > 1, "the test fills several segments");
            if run % 2 == 0 {
                node.stop().await;
            }
        }
    });
}

#[test]
fn a_log_of_any_number_of_cores_is_read_by_any_other_exactly_once() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut written = Vec::new();
        // Another seed assigns series to other shards, so that series of one request move to other
        // cores.
        for (run, (cores, hash_seed)) in
            [(1, 0), (2, 0), (3, 0), (1, 0), (3, 7), (3, 0), (2, 42), (2, 42)].iter().enumerate()
        {
            let plan = Plan { cores: *cores, hash_seed: *hash_seed, ..Plan::default() };
            let mut node = Cores::start(dir.path(), &plan).await;
            assert_eq!(node.read(NAMESPACE), held(&written), "run {run}");
            assert_eq!(node.damage(), []);
            let taken: u64 = node.cores.iter().map(|core| core.replay.samples).sum();
            assert_eq!(taken, written.len() as u64, "each sample by one core");
            let names: Vec<String> = (0..20 + run).map(|n| format!("s{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let part = samples(&names, run as i64 * 10_000, 4);
            node.write(&part).await;
            written.extend(part);
            // The last write of a timestamp wins, whichever core logged it.
            let again: Vec<Written> =
                names.iter().map(|n| ((*n).to_owned(), NOW_MS, run as u64)).collect();
            node.write(&again).await;
            written.extend(again);
            if run % 3 == 1 {
                node.stop().await;
            }
        }
    });
}

/// The quoting of odd labels has changed: their shards as they were logged are not those of today.
#[test]
fn a_log_with_ids_of_another_quoting_is_spread_anew() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { cores: 2, ..Plan::default() };
        let shards = ShardMap { num_shards: 64, core_count: 2, hash_seed: 0 };
        let names = ["C:\\dir", "e\u{301}", "\u{e34}", "del\u{7f}", "plain", "say \"x\""];
        let mut written = Vec::new();
        for core in 0..2u16 {
            let mut payload = Payload::default();
            for (series, name) in (0..).zip(names) {
                let labels = labels_of(name);
                // Each on the core where it does not belong.
                let shard = shards.shard_of(labels.as_bytes()).0 ^ 1;
                if shards.owner(ShardId(shard)) != CoreId(core) {
                    continue;
                }
                payload.series(NAMESPACE, series, shard, ValueKind::Float, labels.as_bytes());
                let bits = value_of(u64::from(series), NOW_MS);
                payload.sample(crate::series::SeriesSample { series, ts_ns: NOW, bits });
                written.push((name.to_owned(), NOW_MS, bits));
            }
            payload.end_section(NAMESPACE);
            let payload = payload.take(Vec::new()).split_off(frame::FRAME_HEADER_BYTES);
            let id = SegmentId { epoch: 1, core, seq: 0 };
            segment_of(dir.path(), SegmentHeader { id_version: 0, ..header_of(id, 2) }, &payload);
        }
        for run in 0..3i64 {
            let mut node = Cores::start(dir.path(), &plan).await;
            assert_eq!((node.read(NAMESPACE), node.damage()), (held(&written), Vec::new()));
            let taken: u64 = node.cores.iter().map(|core| core.replay.samples).sum();
            assert_eq!(taken, written.len() as u64, "each sample by one core");
            // Written again they are the same series.
            let part = samples(&names, run * 1000, 1);
            node.write(&part).await;
            written.extend(part);
            assert_eq!(node.read(NAMESPACE), held(&written));
            node.stop().await;
        }
    });
}

#[test]
fn expired_logs_become_new_segments_and_nothing_old_comes_back() {
    on_each(|| async {
        let dir = TempDir::new("log");
        // Each with several blocks, so that the first frame of a reused file overwrites only a part
        // of a block.
        let plan = Plan { cores: 2, segment_bytes: 12_288, ..Plan::default() };
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut node = Cores::start(dir.path(), &plan).await;
        for request in 0..10 {
            node.write(&samples(&names, request * 300_000, 300)).await;
        }
        let old = segments(dir.path()).len();
        assert!(old > 4);
        drop(node);

        // Two days later everything has expired; in that run nothing is written.
        let later = Plan { now_ns: NOW + 3 * 86_400 * 1_000_000_000, ..plan.clone() };
        let node = Cores::start(dir.path(), &later).await;
        assert_eq!((node.read(NAMESPACE), node.damage()), (Held::new(), Vec::new()));
        node.stop().await;
        let Listing { segments: kept, free: given_up, .. } = listing(dir.path());
        // Each core may have begun to prepare one more.
        let about = old..=old + usize::from(plan.cores);
        assert!(kept.is_empty() && about.contains(&given_up), "{given_up} of {old}");

        // A later run must not take an epoch that frames in the free files carry. Otherwise its
        // torn tail would continue into them.
        let mut node = Cores::start(dir.path(), &later).await;
        assert_eq!(node.epoch, 2);
        let fresh: Vec<Written> = samples(&names, 2 * 86_400_000, 1);
        node.write(&fresh).await;
        let found = listing(dir.path());
        assert!(found.free < given_up, "files are used again");
        drop(node);
        for path in segments(dir.path()) {
            let bytes = std::fs::read(&path).unwrap();
            let end = frames(&path).last().map(|(at, len, _)| at + len).unwrap();
            assert!(bytes[end..].windows(4).any(|w| w == b"M3RF"), "an older life shows through");
        }
        let node = Cores::start(dir.path(), &later).await;
        assert_eq!((node.read(NAMESPACE), node.damage()), (held(&fresh), Vec::new()));
        let cut: u64 = node.cores.iter().map(|core| core.replay.cut_bytes).sum();
        assert_eq!(cut, 0, "what an older life left is no torn frame");
    });
}

#[test]
fn a_bounded_number_of_files_waits_for_a_second_life() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let plan = Plan { segment_bytes: 256, ..Plan::default() };
        let mut node = Cores::start(dir.path(), &plan).await;
        for request in 0..3 * FREE_FILES_MAX as i64 {
            node.write(&samples(&["a", "b"], request * 1000, 8)).await;
        }
        node.stop().await;
        assert!(segments(dir.path()).len() > 2 * FREE_FILES_MAX);
        let later = Plan { now_ns: NOW + 3 * 86_400 * 1_000_000_000, ..plan };
        drop(Cores::start(dir.path(), &later).await);
        let found = listing(dir.path());
        assert_eq!((found.segments.len(), found.free), (0, FREE_FILES_MAX));
    });
}

#[test]
fn a_deleted_namespace_stays_deleted_and_its_log_is_given_up() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let other = NamespaceId(1);
        let both = Plan {
            namespaces: vec![(NAMESPACE, namespace_options()), (other, namespace_options())],
            namespaces_below: 2,
            ..Plan::default()
        };
        let mut node = Cores::start(dir.path(), &both).await;
        let part = samples(&["a", "b"], 0, 5);
        node.append(other, &part);
        node.acknowledged().await.unwrap();
        node.stop().await;
        let node = Cores::start(dir.path(), &both).await;
        assert_eq!(node.read(other), held(&part));
        assert_eq!(node.read(NAMESPACE), Held::new());
        node.stop().await;

        // A number that was never assigned: the registry is older than the log. Nothing is lost.
        let older = Plan { namespaces_below: 1, ..Plan::default() };
        let node = Cores::start(dir.path(), &older).await;
        assert_eq!(node.cores[0].replay.orphans, 10);
        node.stop().await;
        let node = Cores::start(dir.path(), &both).await;
        assert_eq!(node.read(other), held(&part));
        node.stop().await;

        // A number that was assigned and no longer exists: its namespace was deleted.
        let deleted = Plan { namespaces_below: 2, ..Plan::default() };
        let node = Cores::start(dir.path(), &deleted).await;
        assert_eq!((node.cores[0].replay.orphans, node.damage()), (10, Vec::new()));
        node.stop().await;
        assert_eq!(segments(dir.path()), Vec::<PathBuf>::new());
        let node = Cores::start(dir.path(), &both).await;
        assert_eq!(node.read(other), Held::new());
    });
}

#[test]
fn a_longer_retention_does_not_serve_what_expired_and_a_shorter_one_cuts() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let part = samples(&["a"], 0, 10);
        node.write(&part).await;
        node.stop().await;
        // Half of them are older than the retention.
        let mut options = namespace_options();
        options.retention = Span((NOW_MS - part[5].1) * 1_000_000);
        let short = Plan { namespaces: vec![(NAMESPACE, options)], ..Plan::default() };
        let node = Cores::start(dir.path(), &short).await;
        assert_eq!(node.read(NAMESPACE), held(&part[5..]));
        node.stop().await;
        let node = Cores::start(dir.path(), &Plan::default()).await;
        assert_eq!(node.read(NAMESPACE), held(&part), "the log still has them");
    });
}

#[test]
fn a_frame_larger_than_a_segment_has_a_segment_to_itself() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let names: Vec<String> = (0..600).map(|n| format!("series_{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut written = Vec::new();
        for request in 0..3 {
            // Small, large, small.
            let part = samples(if request == 1 { &names } else { &names[..3] }, request * 1000, 1);
            node.write(&part).await;
            written.extend(part);
        }
        let paths = segments(dir.path());
        assert_eq!(paths.len(), 3);
        assert!(std::fs::metadata(&paths[1]).unwrap().len() > 4 * 4096);
        drop(node);
        let (found, stats) = recovered(dir.path()).await;
        assert_eq!((found, stats.damage), (held(&written), Vec::new()));
    });
}

/// The header of a segment of a run with `core_count` cores.
const fn header_of(id: SegmentId, core_count: u16) -> SegmentHeader {
    SegmentHeader {
        id,
        core_count,
        num_shards: 64,
        hash_seed: 0,
        first_frame: 0,
        id_version: QUOTED_ID_VERSION,
    }
}

/// A handmade log with one frame that contains `payload`.
fn log_of(dir: &Path, payload: &[u8]) {
    let id = SegmentId { epoch: 1, core: 0, seq: 0 };
    segment_of(dir, header_of(id, 1), payload);
}

fn segment_of(dir: &Path, header: SegmentHeader, payload: &[u8]) {
    let id = header.id;
    let mut bytes = header.encode().to_vec();
    bytes.extend(frame::encode_header(id, 0, FrameKind::Data, payload));
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(frame::FRAME_ALIGN), 0);
    bytes.extend(frame::encode_header(id, 1, FrameKind::Seal, &[]));
    std::fs::write(segment::path(dir, id), bytes).unwrap();
}

#[test]
fn payloads_of_a_broken_writer_are_reported_and_never_panic() {
    on_each(|| {
        let mut random = Random::new("payloads_of_a_broken_writer");
        async move {
            let dir = TempDir::in_memory("log");
            let mut good = Payload::default();
            good.series(NAMESPACE, 0, 0, ValueKind::Float, labels_of("a").as_bytes());
            for k in 0..20 {
                let ts_ns = NOW - k * k * 1_000_000_000;
                let bits = value_of(0, k);
                good.sample(crate::series::SeriesSample { series: 0, ts_ns, bits });
            }
            good.end_section(NAMESPACE);
            let good = good.take(Vec::new()).split_off(frame::FRAME_HEADER_BYTES);
            log_of(dir.path(), &good);
            let (found, stats) = recovered(dir.path()).await;
            assert_eq!((found.len(), stats.damage), (1, Vec::new()));

            for (payload, what) in [
                (&b"\x09\x00"[..], "unknown entry"),
                (b"\x01\x00\x00\x00\x00\x03\x0a\x00\x00", "labels that are not canonical"),
                (b"\x01\x00\x00\x00\x63\x00", "unknown value kind"),
                (b"\x01\x00\xff\xff\xff\xff\x0f\x00\x00\x00", "labels that are not canonical"),
                (b"\x01\x00\x00\x00\x00\x7f", "labels past end"),
                (b"\x02\x00\x01\x7f", "samples past end"),
                (b"\x02\x00\x01\x00", "entry past end"),
                (b"\x02\x00\x00\x01\x00", "bytes after the last sample"),
                (b"\x02\x00\x01\x0b\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "out of range"),
            ] {
                log_of(dir.path(), payload);
                let (found, stats) = recovered(dir.path()).await;
                assert_eq!(found, Held::new());
                let [damage] = &stats.damage[..] else { panic!("{what}: {:?}", stats.damage) };
                assert!(damage.what.contains(what), "{what}: {damage}");
                assert_eq!(damage.offset, 64);
            }
            for _ in 0..2000 {
                let mut bytes = good.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(bytes.len() as u64) as usize;
                    bytes[at] = random.next() as u8;
                }
                bytes.truncate(random.below(bytes.len() as u64 + 1) as usize + 1);
                log_of(dir.path(), &bytes);
                recovered(dir.path()).await;
            }
        }
    });
}

#[test]
fn another_version_is_refused_and_left_alone() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        node.write(&samples(&["a"], 0, 3)).await;
        node.stop().await;
        let path = segments(dir.path()).pop().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8..12].copy_from_slice(&7u32.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..64].copy_from_slice(&crc);
        std::fs::write(&path, &bytes).unwrap();
        for cores in [1, 2] {
            let plan = Plan { cores, ..Plan::default() };
            let Err(error) = replay_all(dir.path(), &plan).await else { panic!("it was read") };
            let text = error.to_string();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(text.contains(name) && text.contains("format version 7"), "{text}");
            assert!(text.contains("start the program that wrote it"), "{text}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    });
}

#[test]
fn random_runs_crashes_and_numbers_of_cores_lose_nothing_acknowledged() {
    on_each(|| {
        let mut random = Random::new("random_runs");
        async move {
            let dir = TempDir::in_memory("log");
            let mut written: Vec<Written> = Vec::new();
            let mut clock = 0;
            for run in 0..60 {
                let plan = Plan {
                    cores: 1 + random.below(4) as u16,
                    segment_bytes: 200 + random.below(3000),
                    ..Plan::default()
                };
                let mut node = Cores::start(dir.path(), &plan).await;
                assert_eq!(node.damage(), [], "run {run}");
                assert_eq!(node.read(NAMESPACE), held(&written), "run {run}");
                for _ in 0..random.below(12) {
                    let mut part = Vec::new();
                    for _ in 0..1 + random.below(30) {
                        clock += 1;
                        let name = format!("s{}", random.below(40));
                        let late =
                            if random.below(4) == 0 { random.below(9_000_000) as i64 } else { 0 };
                        let ms = NOW_MS - 3_600_000 + clock - late;
                        part.push((name, ms, value_of(random.below(1 << 16), ms)));
                    }
                    node.write(&part).await;
                    written.extend(part);
                }
                match random.below(3) {
                    0 => node.stop().await,
                    1 => drop(node),
                    // A frame that was not acknowledged is half on the disk.
                    _ => {
                        drop(node);
                        for path in segments(dir.path()) {
                            tear(&path, &mut random);
                        }
                    }
                }
            }
        }
    });
}

/// Puts a torn frame after the last one, if the segment is open.
fn tear(path: &Path, random: &mut Random) {
    let id = id_of(path);
    let mut bytes = std::fs::read(path).unwrap();
    let found = frames(path);
    if found.last().is_some_and(|(_, _, kind)| *kind == FrameKind::Seal) {
        return;
    }
    let end = found.last().map_or(frame::SEGMENT_HEADER_BYTES, |(at, len, _)| at + len);
    // Missing bytes read as zeros, so the frame must not end with a zero, or it would be whole.
    let mut payload: Vec<u8> = (0..=random.below(900)).map(|_| random.next() as u8).collect();
    *payload.last_mut().expect("at least a byte") |= 1;
    let mut torn = frame::encode_header(id, 99, FrameKind::Data, &payload).to_vec();
    torn.extend(payload);
    torn.truncate(random.below(torn.len() as u64) as usize);
    bytes.resize(bytes.len().max(end + torn.len()), 0);
    bytes[end..end + torn.len()].copy_from_slice(&torn);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn format_md_says_what_is_written() {
    let text = include_str!("../../../FORMAT.md");
    // The example in FORMAT.md, produced by the code that writes logs.
    let id = SegmentId { epoch: 3, core: 1, seq: 12 };
    let header = SegmentHeader { hash_seed: 42, first_frame: 100, ..header_of(id, 2) };
    let mut payload = Payload::default();
    let labels = m3_metric::Labels::from_pairs([("__name__", "up"), ("job", "x")]).unwrap();
    payload.series(NamespaceId(0), 7, 21, ValueKind::Float, labels.as_bytes());
    let mut sample = |series, ms: i64, ns: i64, value: f64| {
        let ts_ns = ms * 1_000_000 + ns;
        payload.sample(crate::series::SeriesSample { series, ts_ns, bits: value.to_bits() });
    };
    sample(7, 1_700_000_000_000, 0, 1.0);
    sample(8, 1_700_000_000_000, 0, 1.0);
    sample(9, 1_700_000_000_001, 0, 0.1);
    sample(5, 1_700_000_000_001, 5, -300.0);
    sample(6, 1_700_000_000_001, 5, 0.5);
    sample(7, 1_700_000_000_001, 5, 0.0);
    payload.end_section(NamespaceId(0));
    let payload = payload.take(Vec::new()).split_off(frame::FRAME_HEADER_BYTES);
    let mut bytes = header.encode().to_vec();
    bytes.extend(frame::encode_header(id, 100, FrameKind::Data, &payload));
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(frame::FRAME_ALIGN), 0);
    bytes.extend(frame::encode_header(id, 101, FrameKind::Seal, &[]));
    let mut dump = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        dump.push_str(&format!("{:04x}  {}\n", line * 16, hex.join(" ")));
    }
    let advice = "the bytes of the log changed: change FORMAT.md, and VERSION unless old logs still \
                  read; the example is now";
    assert!(text.contains(&dump), "{advice}\n\n{dump}");
    for constant in [
        format!("version {}", frame::VERSION),
        format!("{} bytes of header", frame::SEGMENT_HEADER_BYTES),
        format!("{} bytes of frame header", frame::FRAME_HEADER_BYTES),
        format!("multiple of {}", frame::FRAME_ALIGN),
        format!("{} MiB of payload", frame::PAYLOAD_BYTES_MAX >> 20),
        segment::file_name(id),
    ] {
        assert!(text.contains(&constant), "FORMAT.md does not say: {constant}");
    }
}
