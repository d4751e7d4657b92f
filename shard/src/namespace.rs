//! One namespace on one core: its series, their samples, its index.
//!
//! A write takes the records of a request that belong to this core. For each it finds the series
//! ([`crate::table`]), checks the time against the namespace's window, and appends the sample to
//! the series and to the log's payload. For a read, the index finds the series, and then one series
//! at a time is decoded.

use crate::blocks::Blocks;
use crate::cells::Cells;
use crate::codec::BrokenStream;
use crate::commitlog::Payload;
use crate::commitlog::entry::BadEntry;
use crate::late::{Late, merge};
use crate::owner::ShardMap;
use crate::series::{Appended, NO_SUCCESSOR, SeriesSample};
use crate::table::{FindStats, SeriesTable};
use m3_index::{Index, Matchers, Postings};
use m3_metric::labels::LabelLimits;
use m3_metric::{
    CoreId, Labels, NamespaceId, Record, SeriesOrdinal, ShardId, Timestamp, ValueKind, labels,
};
use std::collections::BTreeMap;

mod outcome;
mod window;

pub use outcome::{KnownRecord, StoreOutcome};
pub use window::{FUTURE_MAX, Refusal, StoreOptions, Window};

/// What a sender is told when a full namespace refuses its new series.
const SERIES_LIMIT_REACHED: &str = "the namespace has as many series as \
    limits.seriesPerNamespaceMax allows; samples of the series it has are stored";

/// Counters of a namespace since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteStats {
    /// How records found their series.
    pub found: FindStats,
    /// Samples stored.
    pub accepted: u64,
    /// Samples refused.
    pub refused: u64,
    /// Samples that arrived out of order.
    pub late: u64,
    /// Samples that were stored already.
    pub duplicate: u64,
    /// Samples of new series that were refused by the limit on series.
    pub exhausted: u64,
    /// Streams in memory that could not be decoded: 0 unless memory is broken.
    pub broken_streams: u64,
}

/// Decoded samples of one series, and the buffers for decoding.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    /// Milliseconds since the epoch, ascending.
    pub times_ms: Vec<i64>,
    /// The values.
    pub values: Vec<f64>,
    scratch: Vec<u8>,
    in_order: Vec<(i64, u64)>,
}

/// One namespace on one core.
pub struct NamespaceStore {
    id: NamespaceId,
    options: StoreOptions,
    blocks: Blocks,
    shards: ShardMap,
    core: CoreId,
    table: SeriesTable,
    cells: Cells,
    late: Late,
    index: Index,
    active: BTreeMap<i32, Postings>,
    /// Whether a block was ever dropped; then a series may have none left.
    expired: bool,
    series_max: u32,
    label_limits: LabelLimits,
    stats: WriteStats,
}

impl NamespaceStore {
    /// An empty namespace.
    ///
    /// # Panics
    /// If blocks are shorter than a minute; callers check options first.
    #[must_use]
    pub fn new(id: NamespaceId, options: StoreOptions, shards: ShardMap, core: CoreId) -> Self {
        Self {
            id,
            options,
            blocks: Blocks::new(options.block),
            shards,
            core,
            table: SeriesTable::default(),
            cells: Cells::default(),
            late: Late::default(),
            index: Index::default(),
            active: BTreeMap::new(),
            expired: false,
            series_max: u32::MAX,
            label_limits: LabelLimits::default(),
            stats: WriteStats::default(),
        }
    }

    /// From now on refuses new series beyond `series_max`; existing series are still written.
    pub const fn set_series_max(&mut self, series_max: u32) {
        self.series_max = series_max;
    }

    /// From now on refuses new series whose labels exceed `limits`; existing series are still
    /// written.
    pub const fn set_label_limits(&mut self, limits: LabelLimits) {
        self.label_limits = limits;
    }

    /// The namespace's number.
    #[must_use]
    pub const fn id(&self) -> NamespaceId {
        self.id
    }

    /// Its options.
    #[must_use]
    pub const fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Its counters.
    #[must_use]
    pub const fn stats(&self) -> WriteStats {
        self.stats
    }

    /// The number of series.
    #[must_use]
    pub const fn series_count(&self) -> u32 {
        self.table.count()
    }

    /// Its memory in bytes, estimated.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.table.memory_bytes()
            + self.cells.memory_bytes()
            + self.late.memory_bytes()
            + self.index.memory_bytes()
    }

    /// Stores the samples `records` of a request, whose label bytes are in `buffer`, and appends
    /// them to `payload`.
    pub fn write(
        &mut self,
        buffer: &[u8],
        records: &[Record],
        now_ns: i64,
        payload: &mut Payload,
    ) -> StoreOutcome {
        let mut written = StoreOutcome::default();
        let mut refused = RefusedTimes::default();
        let mut previous = NO_SUCCESSOR;
        for (position, record) in (0u32..).zip(records) {
            let bytes = m3_metric::batch::labels_in(buffer, record);
            // Checked before the series is looked up, because a series that never had a sample must
            // not exist.
            if let Err(refusal) = self.options.check(now_ns, record.timestamp) {
                refused.note(refusal, bytes, &mut written);
                continue;
            }
            match self.series_of(previous, bytes) {
                Ok(series) => {
                    previous = series;
                    written.counts.accepted += 1;
                    let (ts_ns, bits) = (record.timestamp.0, record.value_bits);
                    self.write_sample(SeriesSample { series, ts_ns, bits }, payload);
                    if self.shards.core_count > 1 {
                        written.known.push(KnownRecord { position, series });
                    }
                }
                Err(Unowned::Elsewhere(core)) => written.misrouted.push((position, core)),
                Err(Unowned::Full) => written.counts.exhausted.add(1, SERIES_LIMIT_REACHED),
                Err(Unowned::Malformed(why)) => written.refuse_labels(why),
            }
        }
        self.end_write(refused, &mut written, payload);
        written
    }

    /// Stores samples of series that are known by their ordinals, and appends them to `payload`.
    /// Ordinals are valid as long as the namespace exists.
    ///
    /// # Panics
    /// If this store never assigned an ordinal.
    pub fn write_known(
        &mut self,
        samples: &[SeriesSample],
        now_ns: i64,
        payload: &mut Payload,
    ) -> StoreOutcome {
        let mut written = StoreOutcome::default();
        let mut refused = RefusedTimes::default();
        for sample in samples {
            if let Err(refusal) = self.options.check(now_ns, Timestamp(sample.ts_ns)) {
                refused.note(refusal, self.table.labels(sample.series), &mut written);
                continue;
            }
            written.counts.accepted += 1;
            self.write_sample(*sample, payload);
        }
        self.stats.found.followed += samples.len() as u64;
        self.end_write(refused, &mut written, payload);
        written
    }

    fn end_write(
        &mut self,
        refused: RefusedTimes,
        written: &mut StoreOutcome,
        payload: &mut Payload,
    ) {
        payload.end_section(self.id);
        self.stats.accepted += written.counts.accepted;
        self.stats.refused += refused.count;
        refused.finish(written);
    }

    #[inline]
    fn write_sample(&mut self, sample: SeriesSample, payload: &mut Payload) {
        let SeriesSample { series, ts_ns, bits } = sample;
        if !self.append(series, ts_ns, bits) {
            return;
        }
        if !self.table.hot(series).is_logged() {
            let (hot, cold) = self.table.entry(series);
            hot.set_logged();
            let (shard, kind) = (cold.shard.0, cold.kind);
            payload.series(self.id, series, shard, kind, self.table.labels(series));
        }
        payload.sample(sample);
    }

    /// Adds a sample to its series; false if it is stored already.
    #[inline]
    fn append(&mut self, series: u32, ts_ns: i64, bits: u64) -> bool {
        let block = self.blocks.number_of(ts_ns);
        let (hot, cold) = self.table.entry(series);
        match hot.append(cold, &mut self.cells, block, ts_ns, bits) {
            Appended::InOrder => {}
            Appended::OpenedBlock(block) => self.set_active(block, series),
            // A late sample may have replaced the one in the stream since.
            Appended::Duplicate if self.late.holds(series, ts_ns) => {
                self.append_late(series, block, ts_ns, bits);
            }
            Appended::Duplicate => {
                self.stats.duplicate += 1;
                return false;
            }
            Appended::Late => self.append_late(series, block, ts_ns, bits),
        }
        true
    }

    #[cold]
    fn append_late(&mut self, series: u32, block: i32, ts_ns: i64, bits: u64) {
        self.stats.late += 1;
        self.set_active(block, series);
        let held = || self.table.cold(series).closed_bytes();
        if self.late.push(series, ts_ns, bits, held) {
            let (hot, cold) = self.table.entry(series);
            let block_of = |ts| self.blocks.number_of(ts);
            let folded = self.late.fold(series, hot, cold, &mut self.cells, block_of);
            if folded.is_err() {
                self.stats.broken_streams += 1;
            }
        }
    }

    fn set_active(&mut self, block: i32, series: u32) {
        self.active.entry(block).or_default().extend([SeriesOrdinal(series)]);
    }

    #[inline]
    fn series_of(&mut self, previous: u32, bytes: &[u8]) -> Result<u32, Unowned> {
        if let Some(series) = self.table.follow(previous, bytes) {
            self.stats.found.followed += 1;
            return Ok(series);
        }
        let series = if let Some(series) = self.table.find(bytes) {
            self.stats.found.looked_up += 1;
            series
        } else {
            self.stats.found.parsed += 1;
            self.series_of_unknown(bytes)?
        };
        self.table.remember(previous, series);
        Ok(series)
    }

    #[cold]
    fn series_of_unknown(&mut self, bytes: &[u8]) -> Result<u32, Unowned> {
        if labels::is_canonical(bytes) {
            return self.insert(bytes);
        }
        let parsed = Labels::parse(bytes).map_err(|e| Unowned::Malformed(e.to_string()))?;
        match self.table.find(parsed.as_bytes()) {
            Some(series) => Ok(series),
            None => self.insert(parsed.as_bytes()),
        }
    }

    fn insert(&mut self, canonical: &[u8]) -> Result<u32, Unowned> {
        self.label_limits.check(canonical).map_err(|e| Unowned::Malformed(e.to_string()))?;
        let shard = self.shards.shard_of(canonical);
        let owner = self.shards.owner(shard);
        if owner != self.core {
            return Err(Unowned::Elsewhere(owner));
        }
        if self.table.count() >= self.series_max {
            self.stats.exhausted += 1;
            return Err(Unowned::Full);
        }
        Ok(self.insert_owned(canonical, shard, ValueKind::Float))
    }

    fn insert_owned(&mut self, canonical: &[u8], shard: ShardId, kind: ValueKind) -> u32 {
        let ordinal = self.table.insert(canonical, shard, kind);
        self.index.insert(ordinal, canonical);
        ordinal.0
    }

    /// Adds a series from the log, unless it belongs to another core. Returns its ordinal.
    ///
    /// # Errors
    /// [`BadEntry`] if the labels are not canonical.
    pub fn replay_series(
        &mut self,
        shard: ShardId,
        kind: ValueKind,
        canonical: &[u8],
    ) -> Result<Option<u32>, BadEntry> {
        if self.shards.owner(shard) != self.core {
            return Ok(None);
        }
        if let Some(series) = self.table.find(canonical) {
            return Ok(Some(series));
        }
        if !labels::is_canonical(canonical) {
            return Err(BadEntry("labels that are not canonical"));
        }
        Ok(Some(self.insert_owned(canonical, shard, kind)))
    }

    /// Adds a sample from the log, unless it has expired.
    #[inline]
    pub fn replay_sample(&mut self, series: u32, ts_ns: i64, bits: u64, now_ns: i64) {
        if ts_ns >= now_ns.saturating_sub(self.options.retention.0) {
            self.append(series, ts_ns, bits);
        }
    }

    /// The series that match and have samples in a block that `from_ns..=to_ns` touches.
    #[must_use]
    pub fn search(&self, matchers: &Matchers, from_ns: i64, to_ns: i64) -> Postings {
        let found = self.index.search(matchers);
        let (first, last) = (self.blocks.number_of(from_ns), self.blocks.number_of(to_ns));
        if first > last {
            return Postings::default();
        }
        let every = self.active.keys().all(|block| (first..=last).contains(block));
        if (every && !self.expired) || found.is_empty() {
            return found;
        }
        let mut active = Postings::default();
        for postings in self.active.range(first..=last).map(|(_, p)| p) {
            active = active.or(postings);
        }
        found.and(&active)
    }

    /// The number of blocks with samples that `from_ns..=to_ns` touches.
    #[must_use]
    pub fn blocks_within(&self, from_ns: i64, to_ns: i64) -> u64 {
        let (first, last) = (self.blocks.number_of(from_ns), self.blocks.number_of(to_ns));
        if first > last { 0 } else { self.active.range(first..=last).count() as u64 }
    }

    /// The label names of the series in `among`, sorted.
    #[must_use]
    pub fn label_names(&self, among: &Postings) -> Vec<String> {
        self.index.label_names(self.unless_all(among))
    }

    /// The values of label `name` of the series in `among`, sorted.
    #[must_use]
    pub fn label_values(&self, name: &str, among: &Postings) -> Vec<String> {
        self.index.label_values(name, self.unless_all(among))
    }

    /// An upper bound for the number of values of label `name`.
    #[must_use]
    pub fn label_values_max(&self, name: &str) -> u64 {
        self.index.label_values_max(name)
    }

    fn unless_all<'a>(&self, among: &'a Postings) -> Option<&'a Postings> {
        (among.len() != u64::from(self.table.count())).then_some(among)
    }

    /// The canonical labels of `series`.
    #[must_use]
    pub fn labels(&self, series: SeriesOrdinal) -> &[u8] {
        self.table.labels(series.0)
    }

    /// The virtual shard of `series`.
    #[must_use]
    pub fn shard(&self, series: SeriesOrdinal) -> ShardId {
        self.table.cold(series.0).shard
    }

    /// Decodes the samples of `series` in `from_ns..=to_ns` into `out`, replacing its content. Of
    /// samples in the same millisecond, only the last is returned.
    ///
    /// # Errors
    /// [`BrokenStream`] if the bytes in memory are not what was written; then `out` is empty.
    pub fn read(
        &self,
        series: SeriesOrdinal,
        from_ns: i64,
        to_ns: i64,
        out: &mut ReadBuffer,
    ) -> Result<(), BrokenStream> {
        out.times_ms.clear();
        out.values.clear();
        let (hot, cold) = (self.table.hot(series.0), self.table.cold(series.0));
        let late = self.late.read(series.0, from_ns, to_ns);
        let ReadBuffer { times_ms, values, scratch, in_order } = out;
        let mut give = |ts_ns: i64, bits: u64| {
            let ms = Timestamp(ts_ns).to_ms();
            if times_ms.last() == Some(&ms) {
                values.pop();
            } else {
                times_ms.push(ms);
            }
            values.push(f64::from_bits(bits));
        };
        if late.is_empty() {
            return hot.read(cold, &self.cells, from_ns, to_ns, scratch, give);
        }
        in_order.clear();
        let keep = |ts, bits| in_order.push((ts, bits));
        hot.read(cold, &self.cells, from_ns, to_ns, scratch, keep)?;
        merge(in_order, &late).into_iter().for_each(|(ts, bits)| give(ts, bits));
        Ok(())
    }

    /// Drops samples that are older than the retention. Returns the bytes of samples freed.
    pub fn expire(&mut self, now_ns: i64) -> u64 {
        let limit = now_ns.saturating_sub(self.options.retention.0);
        let first_kept = self.blocks.number_of(limit);
        let mut freed = 0;
        self.late.expire(limit);
        while let Some(entry) = self.active.first_entry() {
            if *entry.key() >= first_kept {
                break;
            }
            let block = *entry.key();
            for series in entry.remove().iter() {
                let (hot, cold) = self.table.entry(series.0);
                if hot.is_open_in(block) {
                    hot.close(cold, &mut self.cells);
                }
                freed += cold.expire(limit);
            }
            self.expired = true;
        }
        freed
    }

    /// Changes the namespace's options. What is held stays in its blocks; a new block size is for
    /// blocks yet to be written.
    ///
    /// # Panics
    /// If the block size is under a minute; callers check options first.
    pub fn set_options(&mut self, options: StoreOptions) {
        let last = self.active.last_key_value().map(|(block, _)| *block);
        self.blocks.resize(options.block, last);
        self.options = options;
    }
}

enum Unowned {
    Full,
    Elsewhere(CoreId),
    Malformed(String),
}

/// Samples that were refused for their time. Only the last one gets a text, since texts for all
/// would take longer than storing them.
#[derive(Default)]
struct RefusedTimes {
    count: u64,
    last: Option<(Refusal, Labels)>,
}

impl RefusedTimes {
    /// Records that a sample is refused for its time, or for its labels if these are invalid.
    #[cold]
    fn note(&mut self, refusal: Refusal, bytes: &[u8], written: &mut StoreOutcome) {
        let labels = if labels::is_canonical(bytes) {
            Ok(Labels::from_canonical(bytes))
        } else {
            Labels::parse(bytes)
        };
        match labels {
            Ok(labels) => {
                self.count += 1;
                self.last = Some((refusal, labels));
            }
            Err(why) => written.refuse_labels(why.to_string()),
        }
    }

    fn finish(self, written: &mut StoreOutcome) {
        if let Some((refusal, labels)) = self.last {
            written.counts.bad.add(self.count, refusal.text(&labels.quoted_id()));
        }
    }
}

#[cfg(test)]
mod tests;
