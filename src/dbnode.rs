//! The storage of one core: handles messages, operates the namespaces, drops expired data.
//!
//! A write is appended to memory and to the pending payload of the log, some thousand records
//! without a pause, and answered when the log has acknowledged it. A fetch reads one series after
//! the other and yields the core at short intervals. The store may change meanwhile, but ordinals
//! do not.

use crate::catalog::Catalog;
use crate::message::{
    FetchError, FragmentAnswer, FragmentJob, METRIC_NAMES_MAX, MetadataAnswer, MetadataJob,
    MetadataWant, ReadJob, WriteAnswer, WriteJob,
};
use crate::shared::Shared;
use crate::turn::{QueryTurn, QueryTurns};
use m3_index::{Matchers, Postings};
use m3_io::failpoint;
use m3_io::panics::{self, Panicked, ends_process_future};
use m3_io::time::{self, Monotonic};
use m3_metric::labels::{METRIC_NAME, iter_canonical};
use m3_metric::value::Series;
use m3_metric::{Labels, Matcher, NamespaceId, Record, Timestamp};
use m3_query::fragment::{FragmentEval, Partial};
use m3_shard::commitlog::{CommitLog, LogFailed, Payload};
use m3_shard::{CoreStore, NamespaceStore, ReadBuffer, SeriesSample, StoreOutcome};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Records that a write appends before it yields the core and checks the memory limit.
const RECORDS_AT_ONCE: usize = 4096;
/// Series between two checks of the clock.
const SERIES_PER_LOOK: usize = 4;
/// Samples between two checks of the clock, for long series.
const SAMPLES_PER_LOOK: usize = 4_000;
/// Memory for a name or value until it is in the answer, besides its text.
const NAME_BYTES: u64 = 96;
/// How long a core whose store is half changed waits for the core that saves the body.
const END_WITHIN: Duration = Duration::from_secs(2);
/// How often a core drops what is older than its retention.
const TICK_EVERY: Duration = Duration::from_secs(10);

/// Samples to be stored on their core.
#[derive(Default)]
pub struct Samples<'a> {
    /// Samples of series that the sender identifies by ordinal.
    pub known: &'a [SeriesSample],
    /// The bytes the records point into.
    pub buffer: &'a [u8],
    /// Records whose series must be found by their label bytes.
    pub records: &'a [Record],
}

/// Storage of one core.
pub struct DbNode {
    store: RefCell<CoreStore>,
    log: CommitLog,
    catalog: RefCell<Arc<Catalog>>,
    shared: Arc<Shared>,
    turns: QueryTurns,
    /// Bytes that retention has freed.
    pub expired_bytes: Cell<u64>,
    /// A write panicked half-way: nothing may be read or written any more, and the node ends.
    is_broken: Cell<bool>,
}

impl DbNode {
    /// The storage of a core, with `store` in memory and `log` on disk, within the node's memory
    /// budget.
    #[must_use]
    pub fn new(
        store: CoreStore,
        log: CommitLog,
        catalog: Arc<Catalog>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            store: RefCell::new(store),
            log,
            catalog: RefCell::new(catalog),
            shared,
            turns: QueryTurns::default(),
            expired_bytes: Cell::new(0),
            is_broken: Cell::new(false),
        }
    }

    /// The namespaces as this core knows them.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &CommitLog {
        &self.log
    }

    /// The queries' turns on this core.
    #[must_use]
    pub const fn turns(&self) -> &QueryTurns {
        &self.turns
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> std::cell::Ref<'_, CoreStore> {
        self.store.borrow()
    }

    /// Replaces the catalog. This neither waits nor fails: stored data stays unchanged, whatever
    /// the new options of its namespace.
    pub fn set_catalog(&self, catalog: Arc<Catalog>) {
        self.store.borrow_mut().set_namespaces(&catalog.storage());
        *self.catalog.borrow_mut() = catalog;
    }

    /// Drops samples that are older than their retention, periodically; never returns.
    pub async fn tick(&self) {
        loop {
            time::sleep(TICK_EVERY).await;
            let freed = self.store.borrow_mut().expire(time::wall_ns());
            self.expired_bytes.set(self.expired_bytes.get() + freed);
        }
    }

    /// Stores samples in memory and in the log's pending payload. Accepted samples are durable once
    /// [`Self::acknowledged`] has returned.
    pub async fn append_samples(
        &self,
        namespace: NamespaceId,
        samples: Samples<'_>,
    ) -> WriteAnswer {
        let Samples { known, buffer, records } = samples;
        let mut answer = WriteAnswer::default();
        let write_known = |store: &mut NamespaceStore, piece: &[SeriesSample], payload: &mut _| {
            store.write_known(piece, time::wall_ns(), payload)
        };
        let write = |store: &mut NamespaceStore, piece: &[Record], payload: &mut _| {
            failpoint("store", buffer);
            store.write(buffer, piece, time::wall_ns(), payload)
        };
        let appended = async {
            self.append(namespace, known, write_known, &mut answer).await?;
            self.append(namespace, records, write, &mut answer).await
        };
        match appended.await {
            Ok(()) => {}
            Err(AppendError::Log(failed)) => answer.counts.fail(failed.to_string()),
            Err(AppendError::Panicked(panicked)) => answer.panicked = Some(panicked),
        }
        answer
    }

    /// Waits until the log has acknowledged all earlier appends, and adds a failure to `answer`.
    pub async fn acknowledged(&self, answer: &mut WriteAnswer) {
        if answer.panicked.is_some() || answer.counts.retryable.count > 0 {
            return;
        }
        if let Err(failed) = ends_process_future(pin!(self.log.acknowledged())).await {
            answer.counts.fail(failed.to_string());
        }
    }

    /// Appends in memory and to the log's pending payload, some thousand records at a time, and
    /// adds the outcome to `answer`.
    async fn append<T>(
        &self,
        namespace: NamespaceId,
        all: &[T],
        write: impl Fn(&mut NamespaceStore, &[T], &mut Payload) -> StoreOutcome,
        answer: &mut WriteAnswer,
    ) -> Result<(), AppendError> {
        let mut whole = StoreOutcome::default();
        let mut done = 0;
        while done < all.len() {
            if done > 0 {
                if self.shared.memory.is_full() {
                    break;
                }
                m3_io::yield_now().await;
            }
            self.check_whole().map_err(|_| AppendError::ending())?;
            ends_process_future(pin!(self.log.room())).await?;
            let piece = &all[done..all.len().min(done + RECORDS_AT_ONCE)];
            // A panic in here leaves series half changed, so the node ends, as soon as the core
            // that has the request's body has saved it (`quarantine.rs`). Until then neither the
            // store nor the pending payload is used.
            let written = panics::catch_to_end(|| {
                let mut store = self.store.borrow_mut();
                let store = store.namespace_mut(namespace)?;
                Some(write(store, piece, &mut self.log.pending()))
            });
            match written {
                Ok(Some(written)) => whole.absorb(written, done),
                Ok(None) => return Err(AppendError::deleted()),
                Err(panicked) => {
                    self.is_broken.set(true);
                    self.log.give_up(&panicked.text);
                    return Err(AppendError::Panicked(panicked));
                }
            }
            done += piece.len();
        }
        answer.add(whole);
        let left = (all.len() - done) as u64;
        if left > 0 {
            answer.counts.exhausted.add(left, self.shared.memory.refuse_write().text);
        }
        Ok(())
    }

    /// Whether the store can be used: it cannot once a write panicked half-way.
    ///
    /// # Errors
    /// [`FetchError::Ending`].
    pub fn check_whole(&self) -> Result<(), FetchError> {
        if self.is_broken.get() { Err(FetchError::Ending) } else { Ok(()) }
    }

    fn no_memory(&self) -> FetchError {
        FetchError::Memory(self.shared.memory.refuse_query())
    }

    /// Carries out a [`WriteJob`] of another core.
    pub async fn write(&self, job: WriteJob) {
        let WriteJob { namespace, buffer, records, known, reply } = job;
        let samples = Samples { known: &known, buffer: &buffer, records: &records };
        let mut answer = self.append_samples(namespace, samples).await;
        // The sender reuses the buffer once no other core holds it.
        drop(buffer);
        self.acknowledged(&mut answer).await;
        let panicked = answer.panicked.clone();
        reply.send(answer);
        if let Some(panicked) = panicked {
            // The sender's core ends the process after it has saved the body. In case that core is
            // gone, this one ends it.
            time::sleep(END_WITHIN).await;
            panic!("storing a request panicked: {}", panicked.text);
        }
    }

    /// Carries out a [`FragmentJob`].
    pub async fn fragment(&self, job: Box<FragmentJob>) {
        let mut answer = FragmentAnswer {
            matched: 0,
            docs: 0,
            with_samples: 0,
            bytes: 0,
            metrics: Vec::new(),
            partial: Err(FetchError::Timeout),
        };
        let evaluated = panics::catch_future(pin!(self.evaluate(&job, &mut answer))).await;
        answer.partial = evaluated.unwrap_or_else(|panicked| Err(FetchError::Panicked(panicked)));
        job.reply.send(answer);
    }

    async fn evaluate(
        &self,
        job: &FragmentJob,
        answer: &mut FragmentAnswer,
    ) -> Result<Partial, FetchError> {
        let fragment = &job.fragment;
        let (from, last) = range_ns(fragment.start_ms, fragment.end_ms);
        let to = if fragment.open_end {
            Timestamp::from_ms_saturating(fragment.end_ms).0.saturating_sub(1)
        } else {
            last
        };
        let mut slice = self.slice(job.deadline).await;
        let postings = self.search(job.namespace, &fragment.matchers, from, to)?;
        answer.matched = postings.len();
        answer.docs = self.docs(job.namespace, answer.matched, from, to);
        if answer.matched > job.series_max && !job.cut {
            return Err(FetchError::TooManySeries);
        }
        let mut evaluation = FragmentEval::new(fragment);
        let from = from.max(self.kept_from(job.namespace));
        let mut metrics = BTreeMap::new();
        let mut buffer = ReadBuffer::default();
        let most = usize::try_from(job.series_max).unwrap_or(usize::MAX);
        for series in postings.iter().take(most) {
            slice.pause(buffer.values.len()).await?;
            let store = self.store.borrow();
            let Some(store) = store.namespace(job.namespace) else { break };
            store.read(series, from, to, &mut buffer).map_err(|_| FetchError::Broken)?;
            let labels = store.labels(series);
            answer.bytes += (labels.len() + 16 * buffer.values.len()) as u64;
            let has_samples = !buffer.values.is_empty();
            count_metric(&mut metrics, labels, has_samples);
            if has_samples {
                answer.with_samples += 1;
                evaluation
                    .push(labels, &buffer.times_ms, &buffer.values)
                    .map_err(FetchError::Query)?;
            }
        }
        answer.metrics =
            metrics.into_iter().map(|(name, (with, without))| (name, with, without)).collect();
        Ok(evaluation.finish())
    }

    async fn slice(&self, deadline: Monotonic) -> Slice<'_> {
        let turn = self.turns.begin().await;
        Slice { node: self, deadline, turn, series: 0, samples: 0 }
    }

    fn search(
        &self,
        namespace: NamespaceId,
        matchers: &[Matcher],
        from_ns: i64,
        to_ns: i64,
    ) -> Result<Postings, FetchError> {
        self.check_whole()?;
        let compiled =
            Matchers::compile(matchers).map_err(|e| FetchError::Matcher(e.to_string()))?;
        let store = self.store.borrow();
        let Some(store) = store.namespace(namespace) else { return Ok(Postings::default()) };
        let kept = kept_from(store);
        Ok(store.search(&compiled, from_ns.max(kept), to_ns))
    }

    fn kept_from(&self, namespace: NamespaceId) -> i64 {
        self.store.borrow().namespace(namespace).map_or(i64::MIN, kept_from)
    }

    fn docs(&self, namespace: NamespaceId, matched: u64, from_ns: i64, to_ns: i64) -> u64 {
        let store = self.store.borrow();
        let Some(store) = store.namespace(namespace) else { return 0 };
        matched * store.blocks_within(from_ns, to_ns).max(1)
    }

    /// Carries out a [`MetadataJob`].
    pub async fn metadata(&self, job: MetadataJob) {
        let found = panics::catch_future(pin!(self.find_metadata(&job))).await;
        job.reply.send(found.unwrap_or_else(|panicked| Err(FetchError::Panicked(panicked))));
    }

    async fn find_metadata(&self, job: &MetadataJob) -> Result<MetadataAnswer, FetchError> {
        let (from, to) = range_ns(job.start_ms, job.end_ms);
        let everything = [Vec::new()];
        let selectors = if job.selectors.is_empty() { &everything[..] } else { &job.selectors };
        let mut slice = self.slice(job.deadline).await;
        let mut found = Postings::default();
        for matchers in selectors {
            slice.pause(0).await?;
            found = found.or(&self.search(job.namespace, matchers, from, to)?);
        }
        if let MetadataWant::Series(most) = &job.want {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            let series = self.find_series(job, &found, most, slice).await?;
            return Ok(MetadataAnswer::Series(series));
        }
        let store = self.store.borrow();
        let store = store.namespace(job.namespace);
        Ok(match &job.want {
            MetadataWant::Names => {
                MetadataAnswer::Names(store.map_or_else(Vec::new, |s| s.label_names(&found)))
            }
            MetadataWant::Values(name) => MetadataAnswer::Names(match store {
                Some(store) => self.values(store, name, &found)?,
                None => Vec::new(),
            }),
            MetadataWant::Tags { names, names_only } => MetadataAnswer::Tags(match store {
                Some(store) => self.tags(store, &found, names, *names_only)?,
                None => Vec::new(),
            }),
            MetadataWant::Series(_) => unreachable!("searched above"),
        })
    }

    async fn find_series(
        &self,
        job: &MetadataJob,
        found: &Postings,
        most: usize,
        mut slice: Slice<'_>,
    ) -> Result<Vec<Labels>, FetchError> {
        let mut series = Vec::new();
        for ordinal in found.iter().take(most) {
            slice.pause(0).await?;
            let store = self.store.borrow();
            let Some(store) = store.namespace(job.namespace) else { break };
            series.push(Labels::from_canonical(store.labels(ordinal)));
        }
        Ok(series)
    }

    /// The values of a label. They are listed without a pause, so their memory is reserved first.
    fn values(
        &self,
        store: &NamespaceStore,
        name: &str,
        found: &Postings,
    ) -> Result<Vec<String>, FetchError> {
        let most = store.label_values_max(name).min(found.len());
        let promise = self.shared.memory.budget().promise(most * NAME_BYTES);
        let _promise = promise.ok_or_else(|| self.no_memory())?;
        Ok(store.label_values(name, found))
    }

    fn tags(
        &self,
        store: &NamespaceStore,
        found: &Postings,
        names: &[String],
        names_only: bool,
    ) -> Result<Vec<(String, Vec<String>)>, FetchError> {
        let wanted = |name: &String| names.is_empty() || names.contains(name);
        let found_names = store.label_names(found).into_iter().filter(wanted);
        let tag = |name: String| {
            let values = if names_only { Vec::new() } else { self.values(store, &name, found)? };
            Ok((name, values))
        };
        found_names.map(tag).collect()
    }

    /// Carries out a [`ReadJob`].
    pub async fn read(&self, job: ReadJob) {
        let read = panics::catch_future(pin!(self.read_series(&job))).await;
        job.reply.send(read.unwrap_or_else(|panicked| Err(FetchError::Panicked(panicked))));
    }

    async fn read_series(&self, job: &ReadJob) -> Result<Vec<Series>, FetchError> {
        let (from, to) = range_ns(job.start_ms, job.end_ms);
        let mut slice = self.slice(job.deadline).await;
        let postings = self.search(job.namespace, &job.matchers, from, to)?;
        if postings.len() >= job.series_max && !job.cut {
            return Err(FetchError::TooMuch(format!(
                "remote read matches {} series on one core, the limit is {}: narrow the matchers, \
                 raise limits.perQuery.maxFetchedSeries (or the M3-Limit-Max-Series header), or \
                 accept a cut answer with M3-Limit-Require-Exhaustive: false",
                postings.len(),
                job.series_max
            )));
        }
        let most = usize::try_from(job.series_max).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        let mut samples = 0;
        let mut buffer = ReadBuffer::default();
        for series in postings.iter().take(most) {
            slice.pause(buffer.values.len()).await?;
            let store = self.store.borrow();
            let Some(store) = store.namespace(job.namespace) else { break };
            let from = from.max(kept_from(store));
            store.read(series, from, to, &mut buffer).map_err(|_| FetchError::Broken)?;
            if buffer.values.is_empty() {
                continue;
            }
            samples += buffer.values.len() as u64;
            if samples > job.samples_max {
                return Err(FetchError::TooMuch(format!(
                    "remote read would return more than {} samples: ask for a shorter range or \
                     fewer series",
                    job.samples_max
                )));
            }
            let points = buffer.times_ms.iter().copied().zip(buffer.values.iter().copied());
            let labels = Labels::from_canonical(store.labels(series));
            out.push(Series { labels, points: points.collect() });
        }
        Ok(out)
    }
}

impl WriteAnswer {
    /// Adds the result of a store.
    fn add(&mut self, written: StoreOutcome) {
        self.counts += written.counts;
        self.malformed += written.malformed;
        if !written.misrouted.is_empty() {
            self.counts.retryable.add(written.misrouted.len() as u64, "no core owns the series");
        }
        self.known.extend(written.known);
    }
}

/// Why samples could not be appended.
enum AppendError {
    Log(LogFailed),
    Panicked(Panicked),
}

impl AppendError {
    fn deleted() -> Self {
        Self::Log(LogFailed("the namespace was deleted meanwhile".to_owned()))
    }

    fn ending() -> Self {
        Self::Log(LogFailed("the node ends".to_owned()))
    }
}

impl From<LogFailed> for AppendError {
    fn from(failed: LogFailed) -> Self {
        Self::Log(failed)
    }
}

/// The oldest instant that a namespace still serves.
fn kept_from(store: &NamespaceStore) -> i64 {
    time::wall_ns().saturating_sub(store.options().retention.0)
}

/// The nanoseconds of a range of whole milliseconds, both ends included.
fn range_ns(start_ms: i64, end_ms: i64) -> (i64, i64) {
    let start = Timestamp::from_ms_saturating(start_ms).0;
    let end = Timestamp::from_ms_saturating(end_ms).0;
    (start, end.saturating_add(999_999))
}

fn count_metric(metrics: &mut BTreeMap<String, (u64, u64)>, labels: &[u8], has_samples: bool) {
    let name = iter_canonical(labels).find(|(n, _)| *n == METRIC_NAME).map_or("", |(_, v)| v);
    if !metrics.contains_key(name) {
        if metrics.len() >= METRIC_NAMES_MAX {
            return;
        }
        metrics.insert(name.to_owned(), (0, 0));
    }
    let Some(counts) = metrics.get_mut(name) else { return };
    if has_samples { counts.0 += 1 } else { counts.1 += 1 }
}

/// A fetch's share of the core: it yields after each slice, and ends when its time is up or the
/// node has no memory left.
struct Slice<'a> {
    node: &'a DbNode,
    deadline: Monotonic,
    turn: QueryTurn,
    series: usize,
    samples: usize,
}

impl Slice<'_> {
    /// To be called between two series; `samples` were read from the last one.
    async fn pause(&mut self, samples: usize) -> Result<(), FetchError> {
        failpoint("fetch", b"");
        self.series += 1;
        self.samples += samples;
        if self.series < SERIES_PER_LOOK && self.samples < SAMPLES_PER_LOOK {
            return Ok(());
        }
        (self.series, self.samples) = (0, 0);
        if time::now() > self.deadline {
            return Err(FetchError::Timeout);
        }
        if self.turn.is_over() {
            if self.node.shared.memory.is_full() {
                return Err(self.node.no_memory());
            }
            self.turn.next().await;
            // Other tasks ran, and a write of theirs may have broken the store.
            self.node.check_whole()?;
        }
        Ok(())
    }
}
