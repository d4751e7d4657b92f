//! A directory in memory and a core that replays it.

use m3_index::Matchers;
use m3_io::driver::{Driver, DriverChoice, probe};
use m3_io::runtime::{RING_ENTRIES_DEFAULT, run_here};
use m3_metric::{CoreId, NamespaceId, Span};
use m3_shard::commitlog::ReplayStats;
use m3_shard::commitlog::replay::{self, ReplayOptions};
use m3_shard::commitlog::segment::Listing;
use m3_shard::{CoreStore, ReadBuffer, StoreOptions};
use m3_testing::TempDir;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use super::{Files, NOW, SHARDS};

/// What a reader sees, by namespace and labels, then milliseconds.
pub(super) type Held = BTreeMap<(u32, Vec<u8>), BTreeMap<i64, u64>>;
/// The number of namespaces. The next number was deleted; higher ones were never assigned.
pub(super) const NAMESPACES: u32 = 2;

/// A directory that is removed with the value.
pub(super) struct Disk(TempDir);

impl Disk {
    /// A directory that holds `files`.
    #[expect(clippy::disallowed_methods, reason = "puts files into the state a crash leaves")]
    pub(super) fn new(files: &Files) -> Self {
        let disk = Self(TempDir::in_memory("fuzz"));
        for (name, bytes) in files {
            fs::write(disk.path().join(name), bytes).expect("a file of the log");
        }
        disk
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// All files, as they are now.
    #[expect(clippy::disallowed_methods, reason = "looks at the files behind the node's back")]
    pub(super) fn files(&self) -> Files {
        let mut files = Files::new();
        for entry in fs::read_dir(self.path()).expect("the directory is there") {
            let path = entry.expect("an entry of it").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
            files.insert(name.to_owned(), fs::read(&path).expect("a file of it"));
        }
        files
    }
}

/// The result of a start.
pub(super) struct Replayed {
    pub(super) stats: ReplayStats,
    pub(super) held: Held,
}

type Job = (PathBuf, mpsc::Sender<io::Result<Replayed>>);

/// Replays the log in `dir` as the only core of a node. Creating a runtime costs more than a
/// replay, so one thread keeps a runtime for all of them.
pub(super) fn replay(dir: &Path) -> io::Result<Replayed> {
    static CORE: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let core = CORE.get_or_init(|| Mutex::new(start()));
    let (reply, answer) = mpsc::channel();
    let job = (dir.to_owned(), reply);
    core.lock().unwrap_or_else(PoisonError::into_inner).send(job).expect("no replay panicked");
    answer.recv().expect("the replay does not panic")
}

#[expect(clippy::disallowed_methods, reason = "a test's thread, which is no core of a node")]
fn start() -> mpsc::Sender<Job> {
    let (jobs, work) = mpsc::channel::<Job>();
    let driver = probe(DriverChoice::IoUring, 1, RING_ENTRIES_DEFAULT)
        .map_or(Driver::Epoll, |report| report.driver);
    thread::spawn(move || {
        run_here(driver, async move {
            while let Ok((dir, reply)) = work.recv() {
                // The caller may be gone.
                let _ = reply.send(replay_here(&dir).await);
            }
        })
    });
    jobs
}

async fn replay_here(dir: &Path) -> io::Result<Replayed> {
    let names: Vec<String> =
        m3_io::file::list_dir(dir).await?.into_iter().map(|e| e.name).collect();
    let listing = Listing::from_names(names.iter().map(String::as_str));
    let mut store = CoreStore::new(CoreId(0), SHARDS);
    let options = StoreOptions {
        retention: Span::from_s(48 * 3600),
        block: Span::from_s(7200),
        window: None,
    };
    let namespaces: Vec<_> = (0..NAMESPACES).map(|id| (NamespaceId(id), options)).collect();
    store.set_namespaces(&namespaces);
    let options = ReplayOptions {
        dir: dir.to_owned(),
        core: 0,
        shards: SHARDS,
        now_ns: NOW,
        namespaces_below: NAMESPACES + 1,
    };
    let stats = replay::replay(&options, &listing, &mut store).await?;
    Ok(Replayed { stats, held: held(&store) })
}

fn held(store: &CoreStore) -> Held {
    let everything = Matchers::compile(&[]).expect("no matcher at all");
    let mut held = Held::new();
    let mut buffer = ReadBuffer::default();
    for namespace in store.namespaces() {
        for series in namespace.search(&everything, i64::MIN / 2, i64::MAX / 2).iter() {
            let read = namespace.read(series, i64::MIN, i64::MAX, &mut buffer);
            read.expect("memory holds what was put in");
            let bits = buffer.values.iter().map(|value| value.to_bits());
            let samples: BTreeMap<_, _> = buffer.times_ms.iter().copied().zip(bits).collect();
            assert_eq!(samples.len(), buffer.times_ms.len(), "a time twice");
            if !samples.is_empty() {
                let key = (namespace.id().0, namespace.labels(series).to_vec());
                assert!(held.insert(key, samples).is_none(), "a series twice");
            }
        }
    }
    held
}
