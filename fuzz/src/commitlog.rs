//! The reader of the commit log: it serves nothing that was not written, loses nothing without a
//! report, and a second start finds the same as the first.
//!
//! `data` is a program (`commitlog/program.rs`) that writes a log and then damages it, or that
//! builds payloads with correct checksums. If `data` begins with the magic of a segment, it is the
//! file itself.

mod disk;
mod program;

use disk::{Disk, Held, Replayed, replay};
use m3_shard::ShardMap;
use m3_shard::commitlog::segment::{Name, file_name, parse_name};
use program::{Harm, Log};
use std::collections::BTreeMap;

/// The clock, in nanoseconds.
const NOW: i64 = 1_800_000_000_000_000_000;
/// How this run assigns series to shards.
const SHARDS: ShardMap = ShardMap { num_shards: 4, core_count: 1, hash_seed: 0 };

/// Files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Reads `data` as a program and replays the log that it leaves.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    let log = Log::from_program(data);
    let disk = Disk::new(&log.files);
    let Ok(first) = replay(disk.path()) else {
        // A file of an unknown version is left untouched.
        assert_eq!(disk.files(), log.files);
        return;
    };
    check_damage(&first, &log.files);
    let after = disk.files();
    check_files(&first, &log.files, &after);
    if !log.is_strange {
        check_served(&first.held, &log);
        check_whole(&first, &log);
    }
    let second = replay(disk.path()).expect("what was read once can be read again");
    assert_eq!(second.held, first.held, "a second start serves the same");
    assert_eq!(second.stats.damage, first.stats.damage, "and reports the same");
    assert_eq!(second.stats.cut_bytes, 0, "a tail is cut once");
    assert_eq!(disk.files(), after, "and nothing is changed any more");
}

/// Reported damage must be at a place that exists.
fn check_damage(replayed: &Replayed, files: &Files) {
    for damage in &replayed.stats.damage {
        let name = damage.file.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let len = files.get(name).expect("a file of the log").len() as u64;
        // A file may be shorter than its header; frames are searched after the header.
        let end = len.next_multiple_of(8).max(64);
        assert!(damage.offset + damage.bytes <= end, "{damage}");
        assert!(!damage.what.is_empty());
    }
}

/// A damaged log is not changed. Of others, only the end is cut and sealed.
fn check_files(replayed: &Replayed, before: &Files, after: &Files) {
    assert!(before.keys().eq(after.keys()), "no file comes or goes");
    let changed: Vec<_> = before.iter().filter(|(name, bytes)| after[*name] != **bytes).collect();
    for (name, bytes) in &changed {
        let Some(Name::Segment(id)) = parse_name(name) else { panic!("{name} is no segment") };
        let log = file_name(id)[..13].to_owned();
        let is_of_log = |path: &std::path::Path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|n| n.starts_with(&log))
        };
        let is_damaged = replayed.stats.damage.iter().any(|damage| is_of_log(&damage.file));
        assert!(!is_damaged, "{name} is damaged and was changed");
        let now = &after[*name];
        let kept = now.len().saturating_sub(32).min(bytes.len());
        assert_eq!(now[..kept], bytes[..kept], "{name}: what was read stays");
    }
}

/// Only what was written is served.
fn check_served(held: &Held, log: &Log) {
    for (series, samples) in held {
        for (ms, bits) in samples {
            let written = log.written.get(series).and_then(|samples| samples.get(ms));
            assert!(
                written.is_some_and(|all| all.contains(bits)),
                "{series:?} at {ms} was never written as {bits:#x}"
            );
        }
    }
}

/// Everything written is served, except what the damage can remove without a trace.
fn check_whole(replayed: &Replayed, log: &Log) {
    let is_reported = !replayed.stats.damage.is_empty();
    match log.harm {
        Harm::None => {
            assert!(!is_reported, "{:?}", replayed.stats.damage);
            assert_eq!(replayed.held, log.last(log.frames));
        }
        // Damage is reported, or only the last frame is missing, as if it had been torn.
        Harm::OneFlip | Harm::OneCopy if !is_reported => {
            let whole = replayed.held == log.last(log.frames);
            assert!(whole || replayed.held == log.last(log.frames - 1), "lost without a word");
        }
        _ => {}
    }
}
