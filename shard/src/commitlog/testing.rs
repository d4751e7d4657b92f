//! Shared by the tests of the log: both drivers, a node of several cores in one
//! thread, and a model of what was written.

#![allow(clippy::disallowed_methods, reason = "tests put files into the state that a crash leaves")]

use super::frame::{self, FrameKind, SegmentId};
use super::replay::{self, ReplayOptions, ReplayStats};
use super::segment::{self, Listing, Name};
use super::{Ack, CommitLog, LogFailed, Options};
use crate::namespace::{ReadBuffer, StoreOptions};
use crate::{CoreStore, ShardMap};
use m3_index::Matchers;
use m3_io::driver::{Driver, DriverChoice, probe};
use m3_io::runtime::run_here;
use m3_io::{JoinHandle, blocking, spawn_join};
use m3_metric::{CoreId, Labels, NamespaceId, Record, Span, Timestamp};
pub(super) use m3_testing::{Random, TempDir};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The clock of all tests, in nanoseconds.
pub(super) const NOW: i64 = 1_800_000_000_000_000_000;
/// The same in milliseconds.
pub(super) const NOW_MS: i64 = NOW / 1_000_000;
/// The namespace tests write to.
pub(super) const NAMESPACE: NamespaceId = NamespaceId(0);

/// Runs a test once for each driver that this machine allows.
pub(super) fn on_each<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let mut drivers = vec![Driver::Epoll];
    match probe(DriverChoice::IoUring, 1, m3_io::runtime::RING_ENTRIES_DEFAULT) {
        Ok(report) => drivers.push(report.driver),
        Err(refused) => eprintln!("testing on epoll only: {refused}"),
    }
    for driver in drivers {
        eprintln!("driver {driver}");
        run_here(driver, test()).unwrap();
    }
}

/// The options of a node under test.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) cores: u16,
    pub(super) hash_seed: u32,
    pub(super) ack: Ack,
    pub(super) segment_bytes: u64,
    pub(super) pending_bytes_max: usize,
    pub(super) now_ns: i64,
    pub(super) namespaces: Vec<(NamespaceId, StoreOptions)>,
    pub(super) namespaces_below: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            cores: 1,
            hash_seed: 0,
            ack: Ack::Durable,
            segment_bytes: 4096,
            pending_bytes_max: 1 << 20,
            now_ns: NOW,
            namespaces: vec![(NAMESPACE, namespace_options())],
            namespaces_below: 1,
        }
    }
}

pub(super) const fn namespace_options() -> StoreOptions {
    StoreOptions { retention: Span::from_s(48 * 3600), block: Span::from_s(7200), window: None }
}

/// A sample: the name of its series, milliseconds, value bits.
pub(super) type Written = (String, i64, u64);

/// Samples by series name and milliseconds.
pub(super) type Held = BTreeMap<String, BTreeMap<i64, u64>>;

/// What remains of `written`: for equal timestamps the last sample wins.
pub(super) fn held(written: &[Written]) -> Held {
    let mut held = Held::new();
    for (name, ms, bits) in written {
        held.entry(name.clone()).or_default().insert(*ms, *bits);
    }
    held
}

/// `count` samples of each series in `names`, with values that identify them.
pub(super) fn samples(names: &[&str], first_ms: i64, count: i64) -> Vec<Written> {
    let each = |k: i64| {
        names.iter().enumerate().map(move |(i, name)| {
            let ms = NOW_MS - 3_600_000 + first_ms + k * 1000;
            ((*name).to_owned(), ms, value_of(i as u64, ms))
        })
    };
    (0..count).flat_map(each).collect()
}

/// A value that no other sample of a test has. Some are NaNs or negative zeros.
pub(super) fn value_of(series: u64, ms: i64) -> u64 {
    let mixed = (series << 48) ^ (ms as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match mixed % 7 {
        0 => (mixed % 1_000_000) << 32 | 0x3ff0_0000_0000_0000,
        1 => (-((mixed % 100_000) as f64)).to_bits(),
        2 => 0x7ff0_0000_0000_0002 | mixed << 12 >> 12,
        _ => mixed,
    }
}

/// One core of a [`Cores`].
pub(super) struct Core {
    pub(super) store: CoreStore,
    pub(super) log: CommitLog,
    pub(super) replay: ReplayStats,
    running: JoinHandle<Result<(), LogFailed>>,
}

/// A node without an API. Its cores take turns on one thread.
pub(super) struct Cores {
    pub(super) cores: Vec<Core>,
    pub(super) epoch: u32,
    shards: ShardMap,
    now_ns: i64,
}

/// The files of the log in `dir`.
pub(super) fn listing(dir: &Path) -> Listing {
    let entries = blocking::list_dir(dir).unwrap();
    Listing::from_names(entries.iter().map(|entry| entry.name.as_str()))
}

/// What each core finds in the log, without beginning a new log.
pub(super) async fn replay_all(
    dir: &Path,
    plan: &Plan,
) -> std::io::Result<Vec<(CoreStore, ReplayStats)>> {
    let listing = listing(dir);
    let shards = ShardMap { num_shards: 64, core_count: plan.cores, hash_seed: plan.hash_seed };
    let mut out = Vec::new();
    for core in 0..plan.cores {
        let mut store = CoreStore::new(CoreId(core), shards);
        store.set_namespaces(&plan.namespaces);
        let options = ReplayOptions {
            dir: dir.to_owned(),
            core,
            shards,
            now_ns: plan.now_ns,
            namespaces_below: plan.namespaces_below,
        };
        let stats = replay::replay(&options, &listing, &mut store).await?;
        out.push((store, stats));
    }
    Ok(out)
}

impl Cores {
    /// Replays the logs in `dir` and begins new ones.
    pub(super) async fn start(dir: &Path, plan: &Plan) -> Self {
        let epoch = listing(dir).next_epoch();
        let shards = ShardMap { num_shards: 64, core_count: plan.cores, hash_seed: plan.hash_seed };
        let mut cores = Vec::new();
        for (store, replay) in replay_all(dir, plan).await.unwrap() {
            replay::recycle(dir, &replay.recyclable).await.unwrap();
            let log = CommitLog::new(Options {
                dir: dir.to_owned(),
                epoch,
                core: cores.len() as u16,
                shards,
                ack: plan.ack,
                segment_bytes: plan.segment_bytes,
                direct: true,
                pending_bytes_max: plan.pending_bytes_max,
            });
            let writing = log.clone();
            let running = spawn_join(async move { writing.run().await });
            cores.push(Core { store, log, replay, running });
        }
        Self { cores, epoch, shards, now_ns: plan.now_ns }
    }

    /// Appends to memory and to the pending payloads without waiting.
    pub(super) fn append(&mut self, namespace: NamespaceId, written: &[Written]) {
        let mut batches: Vec<(Vec<u8>, Vec<Record>)> = Vec::new();
        batches.resize_with(self.cores.len(), Default::default);
        for (name, ms, bits) in written {
            let labels = labels_of(name);
            let owner = self.shards.owner(self.shards.shard_of(labels.as_bytes()));
            let (buffer, records) = &mut batches[owner.0 as usize];
            records.push(Record {
                labels_offset: buffer.len() as u32,
                labels_len: labels.as_bytes().len() as u32,
                timestamp: Timestamp(ms * 1_000_000),
                value_bits: *bits,
            });
            buffer.extend_from_slice(labels.as_bytes());
        }
        for (core, (buffer, records)) in self.cores.iter_mut().zip(&batches) {
            let store = core.store.namespace_mut(namespace).unwrap();
            let outcome = store.write(buffer, records, self.now_ns, &mut core.log.pending());
            let counts = outcome.counts;
            assert_eq!(counts.accepted, records.len() as u64, "{:?}", counts.bad.last);
        }
    }

    /// Waits until everything appended so far is acknowledged.
    pub(super) async fn acknowledged(&self) -> Result<(), LogFailed> {
        for core in &self.cores {
            core.log.acknowledged().await?;
        }
        Ok(())
    }

    /// Writes durably. No background task works on the directory afterwards: a test that drops
    /// these cores to simulate a crash must not find a file that they prepared meanwhile.
    pub(super) async fn write(&mut self, written: &[Written]) {
        self.append(NAMESPACE, written);
        self.acknowledged().await.unwrap();
        while self.cores.iter().any(|core| core.log.is_next_begun()) {
            m3_io::yield_now().await;
        }
    }

    /// Closes the logs.
    pub(super) async fn stop(self) {
        for core in self.cores {
            core.log.close().await.unwrap();
            core.running.await.unwrap();
        }
    }

    /// What a reader of `namespace` sees. Fails if a series is on two cores.
    pub(super) fn read(&self, namespace: NamespaceId) -> Held {
        read_stores(self.cores.iter().map(|core| &core.store), namespace)
    }

    /// All reported damage.
    pub(super) fn damage(&self) -> Vec<replay::Damage> {
        self.cores.iter().flat_map(|core| core.replay.damage.clone()).collect()
    }
}

pub(super) fn read_stores<'a>(
    stores: impl Iterator<Item = &'a CoreStore>,
    namespace: NamespaceId,
) -> Held {
    let mut held = Held::new();
    let mut buffer = ReadBuffer::default();
    let everything = Matchers::compile(&[]).unwrap();
    for store in stores {
        let Some(store) = store.namespace(namespace) else { continue };
        for series in store.search(&everything, i64::MIN / 2, i64::MAX / 2).iter() {
            store.read(series, i64::MIN, i64::MAX, &mut buffer).unwrap();
            let bits = buffer.values.iter().map(|value| value.to_bits());
            let samples: BTreeMap<_, _> = buffer.times_ms.iter().copied().zip(bits).collect();
            assert_eq!(samples.len(), buffer.times_ms.len(), "a time twice");
            if !samples.is_empty() {
                let name = name_of(store.labels(series));
                assert!(held.insert(name, samples).is_none(), "a series twice");
            }
        }
    }
    held
}

pub(super) fn labels_of(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "test")]).unwrap()
}

fn name_of(canonical: &[u8]) -> String {
    let mut labels = m3_metric::labels::iter_canonical(canonical);
    let name = labels.find(|(name, _)| *name == "__name__");
    name.map_or_else(|| format!("{canonical:?}"), |(_, value)| value.to_owned())
}

/// The segments of `dir`, in order.
pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    listing(dir).segments.iter().map(|id| segment::path(dir, *id)).collect()
}

/// The segment at `path`.
pub(super) fn id_of(path: &Path) -> SegmentId {
    let name = path.file_name().unwrap().to_str().unwrap();
    match segment::parse_name(name) {
        Some(Name::Segment(id)) => id,
        other => panic!("{name}: {other:?}"),
    }
}

/// Offset, length in the file and kind of each frame in the segment at `path`.
pub(super) fn frames(path: &Path) -> Vec<(usize, usize, FrameKind)> {
    let bytes = std::fs::read(path).unwrap();
    let mut at = frame::SEGMENT_HEADER_BYTES;
    let mut out = Vec::new();
    while let Some(found) = frame::decode(id_of(path), &bytes[at..]) {
        out.push((at, found.bytes, found.kind));
        at += found.bytes;
    }
    out
}

/// All files of a directory with their contents.
pub(super) type Image = BTreeMap<String, Rc<Vec<u8>>>;

pub(super) fn image(dir: &Path) -> Image {
    let entries = blocking::list_dir(dir).unwrap();
    let load = |entry: blocking::DirEntry| {
        let bytes = std::fs::read(dir.join(&entry.name)).unwrap();
        (entry.name, Rc::new(bytes))
    };
    entries.into_iter().map(load).collect()
}

/// Makes `dir` hold exactly `image`.
pub(super) fn restore(dir: &Path, image: &Image) {
    for entry in blocking::list_dir(dir).unwrap() {
        if !image.contains_key(&entry.name) {
            std::fs::remove_file(dir.join(&entry.name)).unwrap();
        }
    }
    for (name, bytes) in image {
        std::fs::write(dir.join(name), &**bytes).unwrap();
    }
}

/// Starts a node of one core on `dir` after a crash; returns what it serves and its report.
pub(super) async fn recovered(dir: &Path) -> (Held, ReplayStats) {
    let mut cores = replay_all(dir, &Plan::default()).await.unwrap();
    let (store, stats) = cores.pop().unwrap();
    (read_stores(std::iter::once(&store), NAMESPACE), stats)
}
