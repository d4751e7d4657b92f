//! Remote write: the node's fast split (with the strict one if an assumption was wrong) stores the
//! same as the strict split. `data` is used as a snappy block, and as a message that is compressed
//! here.

use m3_http::ingest::remote_write::{
    Contents, DecodeLimits, Decoder, IngestError, Mode, is_label_fields,
};
use m3_metric::{CoreId, FingerprintKey, NamespaceId, Record, Span, WriteBatch, labels};
use m3_shard::commitlog::Payload;
use m3_shard::{NamespaceStore, ReadBuffer, ShardMap, StoreOptions};
use std::collections::BTreeMap;

/// Small limits, so that the fuzzer reaches them.
const LIMITS: DecodeLimits = DecodeLimits { decoded_bytes: 1 << 16, samples: 64 };
/// The clock, in nanoseconds.
const NOW: i64 = 1_800_000_000_000_000_000;
/// The namespace that is written to.
const NAMESPACE: NamespaceId = NamespaceId(0);

/// What a store holds: labels to milliseconds to value bits.
type Held = BTreeMap<Vec<u8>, BTreeMap<i64, u64>>;

/// Reads `data` both ways.
///
/// # Panics
/// If a promise of the decoder is broken.
pub fn run(data: &[u8]) {
    body(data);
    let compressed = snap::raw::Encoder::new().compress_vec(data);
    body(&compressed.expect("inputs are far below 4 GiB"));
}

fn body(body: &[u8]) {
    let mut decoder = Decoder::new(LIMITS);
    let mut batch = WriteBatch::default();
    let key = FingerprintKey::random();
    let mut packed = WriteBatch::default();
    let is_packed = decoder.read_packed(body, &key, &mut packed);
    let Ok(len) = decoder.decompress(body, &mut batch) else {
        assert!(!is_packed && batch.buffer.capacity() <= LIMITS.decoded_bytes);
        return;
    };
    assert!(len <= LIMITS.decoded_bytes && batch.buffer.capacity() <= LIMITS.decoded_bytes);
    let message = batch.buffer[..len].to_vec();
    let strict = split(&mut decoder, &message, Mode::Strict);
    if let Ok((batch, found)) = &strict {
        check(batch, found, &message);
        assert!(batch.records.iter().all(|record| is_label_fields(batch.labels_of(record))));
    }
    let Ok((fast, found)) = split(&mut decoder, &message, Mode::Fast) else {
        assert!(!is_packed);
        return;
    };
    if is_packed {
        same(&packed, &fast, &key);
    }
    check(&fast, &found, &message);
    if fast.records.iter().all(|record| is_label_fields(fast.labels_of(record))) {
        let (strict, strict_found) = strict.as_ref().expect("all claims are true");
        assert_eq!((meaning(&fast), &found), (meaning(strict), strict_found));
    }
    stored(&fast, &strict);
}

fn split(
    decoder: &mut Decoder,
    message: &[u8],
    mode: Mode,
) -> Result<(WriteBatch, Contents), IngestError> {
    let mut batch = WriteBatch { buffer: message.to_vec(), ..WriteBatch::default() };
    let found = decoder.split(message.len(), &mut batch, mode)?;
    Ok((batch, found))
}

/// Reading with and without label bytes gives the same samples.
fn same(packed: &WriteBatch, fast: &WriteBatch, key: &FingerprintKey) {
    assert_eq!(packed.records.len(), fast.records.len());
    assert_eq!(packed.fingerprints.len(), fast.records.len());
    for ((a, print), b) in packed.records.iter().zip(&packed.fingerprints).zip(&fast.records) {
        assert_eq!(key.fingerprint(fast.labels_of(b)), Some(*print));
        assert_eq!((a.labels_len, a.timestamp, a.value_bits), {
            (b.labels_len, b.timestamp, b.value_bits)
        });
    }
}

/// Checks that hold for every batch.
fn check(batch: &WriteBatch, found: &Contents, message: &[u8]) {
    assert!(batch.records.len() <= LIMITS.samples);
    assert_eq!(found.samples, batch.records.len() as u64);
    assert!(batch.buffer.starts_with(message), "the body stays as it is");
    assert!(batch.buffer.len() <= 2 * message.len(), "labels are copied once at most");
    for record in &batch.records {
        let end = record.labels_offset as usize + record.labels_len as usize;
        assert!(end <= batch.buffer.len());
    }
}

/// The content of a batch, independent of where its labels are.
fn meaning(batch: &WriteBatch) -> Vec<(Vec<u8>, i64, u64)> {
    let one = |r: &Record| (batch.labels_of(r).to_vec(), r.timestamp.0, r.value_bits);
    batch.records.iter().map(one).collect()
}

/// Stores a batch as `src/engine/write.rs` does, and another with the strict split only.
fn stored(fast: &WriteBatch, strict: &Result<(WriteBatch, Contents), IngestError>) {
    let mut store = empty();
    let outcome = write(&mut store, fast);
    let total = outcome.counts.accepted + outcome.counts.bad.count;
    assert_eq!(total, fast.records.len() as u64, "every record has one outcome");
    // A wrong assumption is never stored, because such label bytes break the grammar of labels.
    if let Ok((strict, _)) = strict {
        if outcome.malformed > 0 {
            write(&mut store, strict);
        }
        let mut wanted = empty();
        write(&mut wanted, strict);
        assert_eq!(held(&store), held(&wanted));
    }
}

fn empty() -> NamespaceStore {
    let options = StoreOptions {
        retention: Span::from_s(100 * 365 * 86_400),
        block: Span::from_s(86_400),
        window: None,
    };
    let shards = ShardMap { num_shards: 4, core_count: 1, hash_seed: 0 };
    NamespaceStore::new(NAMESPACE, options, shards, CoreId(0))
}

fn write(store: &mut NamespaceStore, batch: &WriteBatch) -> m3_shard::StoreOutcome {
    store.write(&batch.buffer, &batch.records, NOW, &mut Payload::default())
}

fn held(store: &NamespaceStore) -> Held {
    let everything = m3_index::Matchers::compile(&[]).expect("no matcher at all");
    let mut held = Held::new();
    let mut buffer = ReadBuffer::default();
    for series in store.search(&everything, i64::MIN / 2, i64::MAX / 2).iter() {
        store.read(series, i64::MIN, i64::MAX, &mut buffer).expect("memory holds what was put in");
        let labels = store.labels(series);
        assert!(labels::is_canonical(labels));
        let bits = buffer.values.iter().map(|value| value.to_bits());
        let samples: BTreeMap<_, _> = buffer.times_ms.iter().copied().zip(bits).collect();
        assert!(held.insert(labels.to_vec(), samples).is_none(), "a series twice");
    }
    held
}
