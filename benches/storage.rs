//! Encoding and decoding samples by kind of series, and reading series from a store.

use criterion::Criterion;
use m3_benches::{case, criterion, labels, mix, size, value};
use m3_metric::batch::Record;
use m3_metric::{CoreId, NamespaceId, SeriesOrdinal, Span, Timestamp};
use m3_shard::codec;
use m3_shard::commitlog::Payload;
use m3_shard::series::ClosedStream;
use m3_shard::{NamespaceStore, ReadBuffer, ShardMap, StoreOptions};

const STEP_NS: i64 = 15_000_000_000;

/// A name, and the value of the n-th sample.
type Kind = (&'static str, fn(usize) -> f64);

fn main() {
    let mut criterion = criterion();
    let count = size(480_000);
    let kinds: [Kind; 4] = [
        ("constant", |_| 7.0),
        ("counter", |i| (i as u64 * 131 + mix(i as u64) % 50) as f64),
        ("gauge, two decimals", |i| (mix(i as u64) % 10_000) as f64 / 100.0),
        ("any bits", |i| f64::from_bits(mix(i as u64))),
    ];
    for (name, value) in kinds {
        let jittered = |i: usize| i as i64 * STEP_NS + (mix(i as u64) % 5) as i64 * 1_000_000;
        let samples: Vec<_> = (0..count).map(|i| (jittered(i), value(i).to_bits())).collect();
        let part = ClosedStream::encode(0, &samples);
        println_size(name, part.bytes.len(), count);
        let mut group = criterion.benchmark_group(name);
        case(&mut group, "encode", count, || ClosedStream::encode(0, &samples).bytes.len());
        case(&mut group, "decode", count, || {
            let mut sum = 0u64;
            let decoded = codec::decode(part.start, &part.bytes, |ts, bits| {
                sum = sum.wrapping_add(bits ^ ts as u64);
            });
            assert!(decoded.is_ok());
            sum
        });
        group.finish();
    }
    read(&mut criterion);
    criterion.final_summary();
}

/// Reads whole series, some of whose samples are in closed parts and some in open streams.
fn read(criterion: &mut Criterion) {
    const NOW_NS: i64 = 1_800_000_000_000_000_000;
    let (series, rounds) = (size(1000), size(1440));
    let options =
        StoreOptions { retention: Span::from_s(1 << 30), block: Span::from_s(7200), window: None };
    let shards = ShardMap { num_shards: 64, core_count: 1, hash_seed: 0 };
    let mut store = NamespaceStore::new(NamespaceId(0), options, shards, CoreId(0));
    let (mut buffer, mut records) = (Vec::new(), Vec::new());
    for index in 0..series {
        let labels = labels(index);
        records.push(Record {
            labels_offset: buffer.len() as u32,
            labels_len: labels.as_bytes().len() as u32,
            timestamp: Timestamp(0),
            value_bits: 0,
        });
        buffer.extend_from_slice(labels.as_bytes());
    }
    let mut payload = Payload::default();
    for round in 0..rounds {
        for (index, record) in records.iter_mut().enumerate() {
            record.timestamp = Timestamp(NOW_NS + round as i64 * STEP_NS);
            record.value_bits = value(index, round).to_bits();
        }
        store.write(&buffer, &records, NOW_NS, &mut payload);
        payload.take(Vec::new());
    }
    assert_eq!(store.series_count(), series as u32, "every series is there once");
    let mut out = ReadBuffer::default();
    let mut group = criterion.benchmark_group("store");
    case(&mut group, "read all series", series * rounds, || {
        let mut samples = 0;
        for ordinal in 0..series as u32 {
            let read = store.read(SeriesOrdinal(ordinal), i64::MIN, i64::MAX, &mut out);
            assert!(read.is_ok());
            samples += out.values.len();
        }
        assert_eq!(samples, series * rounds, "every sample is read");
    });
    group.finish();
}

#[expect(clippy::print_stdout, reason = "figures are the output")]
fn println_size(name: &str, bytes: usize, count: usize) {
    println!("{name:40} {:10.2} bytes a sample", bytes as f64 / count as f64);
}
