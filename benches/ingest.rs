//! From a remote-write body to samples in memory and in the log's payload.

use criterion::Criterion;
use m3_benches::{case, criterion, labels, size, value};
use m3_http::ingest::remote_write::{DecodeLimits, Decoder, Mode};
use m3_http::proto::write::WriteRequestWriter;
use m3_metric::batch::labels_in;
use m3_metric::{
    CoreId, FingerprintKey, NamespaceId, ShardId, Span, Timestamp, ValueKind, WriteBatch,
};
use m3_shard::SeriesSample;
use m3_shard::commitlog::entry::Entries;
use m3_shard::commitlog::{Entry, Payload};
use m3_shard::series::NO_SUCCESSOR;
use m3_shard::table::SeriesTable;
use m3_shard::{NamespaceStore, ShardMap, StoreOptions};

/// Samples of one request.
const BATCH: usize = 2000;
const NOW_MS: i64 = 1_800_000_000_000;

fn body(first: usize, round: usize) -> Vec<u8> {
    let mut writer = WriteRequestWriter::default();
    for index in first..first + BATCH {
        let labels = labels(index);
        let pairs: Vec<_> = labels.iter().collect();
        writer.push(&pairs, &[(NOW_MS + round as i64 * 15_000, value(index, round))]);
    }
    writer.body()
}

fn main() {
    let mut criterion = criterion();
    let mut group = criterion.benchmark_group("body");
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut batch = WriteBatch::default();
    let request = body(0, 0);
    let len = decoder.decompress(&request, &mut batch).expect("our own body");
    case(&mut group, "snappy", BATCH, || decoder.decompress(&request, &mut batch).is_ok());
    let key = FingerprintKey::random();
    let mut packed = WriteBatch::default();
    case(&mut group, "snappy, split and fingerprints through a window", BATCH, || {
        decoder.read_packed(&request, &key, &mut packed)
    });
    for (name, mode) in [("split, fast", Mode::Fast), ("split, strict", Mode::Strict)] {
        case(&mut group, name, BATCH, || {
            batch.records.clear();
            decoder.split(len, &mut batch, mode).is_ok()
        });
    }
    batch.records.clear();
    decoder.split(len, &mut batch, Mode::Fast).expect("our own body");
    group.finish();
    find(&mut criterion, &batch);
    store(&mut criterion, &mut decoder);
    criterion.final_summary();
}

fn find(criterion: &mut Criterion, batch: &WriteBatch) {
    let mut table = SeriesTable::default();
    for record in &batch.records {
        table.insert(labels_in(&batch.buffer, record), ShardId(0), ValueKind::Float);
    }
    let mut group = criterion.benchmark_group("find the series");
    case(&mut group, "by hash", BATCH, || {
        batch.records.iter().filter(|r| table.find(labels_in(&batch.buffer, r)).is_some()).count()
    });
    case(&mut group, "by following", BATCH, || {
        let mut previous = NO_SUCCESSOR;
        for record in &batch.records {
            let bytes = labels_in(&batch.buffer, record);
            let next = table.follow(previous, bytes).or_else(|| table.find(bytes));
            let next = next.expect("the table holds the batch");
            table.remember(previous, next);
            previous = next;
        }
        previous
    });
    group.finish();
}

fn store(criterion: &mut Criterion, decoder: &mut Decoder) {
    let rounds = size(64);
    let requests: Vec<WriteBatch> = (0..rounds)
        .map(|round| {
            let mut batch = WriteBatch::default();
            let len = decoder.decompress(&body(0, round), &mut batch).expect("our own body");
            decoder.split(len, &mut batch, Mode::Fast).expect("our own body");
            batch
        })
        .collect();
    let options =
        StoreOptions { retention: Span::from_s(1 << 30), block: Span::from_s(7200), window: None };
    let shards = ShardMap { num_shards: 64, core_count: 1, hash_seed: 0 };
    let now_ns = NOW_MS * 1_000_000;
    let mut bytes = Vec::new();
    let mut group = criterion.benchmark_group("store and log");
    case(&mut group, "warm from the second round", BATCH * rounds, || {
        let mut store = NamespaceStore::new(NamespaceId(0), options, shards, CoreId(0));
        let mut payload = Payload::default();
        for batch in &requests {
            store.write(&batch.buffer, &batch.records, now_ns, &mut payload);
        }
        bytes = payload.take(std::mem::take(&mut bytes));
        store.series_count()
    });
    let mut warm = NamespaceStore::new(NamespaceId(0), options, shards, CoreId(0));
    let mut payload = Payload::default();
    let (mut round, mut spare) = (0, Vec::new());
    let mut records = requests[0].records.clone();
    case(&mut group, "a warm request", BATCH, || {
        let timestamp = Timestamp(now_ns + round * 15_000_000_000);
        records.iter_mut().for_each(|record| record.timestamp = timestamp);
        round += 1;
        warm.write(&requests[0].buffer, &records, now_ns, &mut payload);
        spare = payload.take(std::mem::take(&mut spare));
        spare.len()
    });
    group.finish();
    let mut group = criterion.benchmark_group("the log's payload");
    case(&mut group, "make", BATCH, || {
        for (series, record) in (0..).zip(&records) {
            let (ts_ns, bits) = (record.timestamp.0, record.value_bits);
            payload.sample(SeriesSample { series, ts_ns, bits });
        }
        payload.end_section(NamespaceId(0));
        spare = payload.take(std::mem::take(&mut spare));
        spare.len()
    });
    let header = m3_shard::commitlog::frame::FRAME_HEADER_BYTES;
    case(&mut group, "read", BATCH * rounds, || {
        let mut samples = 0;
        for entry in Entries(&bytes[header..]) {
            if let Ok(Entry::Samples { samples: section, .. }) = entry {
                samples += section.filter(Result::is_ok).count();
            }
        }
        samples
    });
    group.finish();
}
