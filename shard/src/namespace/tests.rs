//! Compares a namespace with a plain map of the samples that were written.

use super::*;
use m3_metric::{MatchOp, Matcher, Span};
use m3_testing::Random;
use std::collections::BTreeMap as Map;

const NOW: i64 = 1_800_000_000_000_000_000;
const ONE: ShardMap = ShardMap { num_shards: 64, core_count: 1, hash_seed: 0 };

fn options(window: Option<Window>) -> StoreOptions {
    StoreOptions { retention: Span::from_s(48 * 3600), block: Span::from_s(7200), window }
}

fn store(shards: ShardMap) -> NamespaceStore {
    NamespaceStore::new(NamespaceId(0), options(None), shards, CoreId(0))
}

struct Request {
    buffer: Vec<u8>,
    records: Vec<Record>,
}

fn request(samples: &[(&str, i64, f64)]) -> Request {
    let mut request = Request { buffer: Vec::new(), records: Vec::new() };
    for (name, ts_ns, value) in samples {
        let labels = Labels::from_pairs([("__name__", *name), ("job", "test")]).unwrap();
        let labels_offset = request.buffer.len() as u32;
        request.buffer.extend_from_slice(labels.as_bytes());
        request.records.push(Record {
            labels_offset,
            labels_len: labels.as_bytes().len() as u32,
            timestamp: Timestamp(*ts_ns),
            value_bits: value.to_bits(),
        });
    }
    request
}

fn write(store: &mut NamespaceStore, samples: &[(&str, i64, f64)]) -> StoreOutcome {
    let request = request(samples);
    store.write(&request.buffer, &request.records, NOW, &mut Payload::default())
}

fn read(store: &NamespaceStore, name: &str) -> Vec<(i64, u64)> {
    let matchers = Matchers::compile(&[Matcher::new(MatchOp::Equal, "__name__", name)]).unwrap();
    let mut buffer = ReadBuffer::default();
    let mut out = Vec::new();
    for series in store.search(&matchers, i64::MIN / 2, NOW * 2).iter() {
        store.read(series, i64::MIN, i64::MAX, &mut buffer).unwrap();
        out.extend(buffer.times_ms.iter().copied().zip(buffer.values.iter().map(|v| v.to_bits())));
    }
    out
}

#[test]
fn a_repeated_request_is_followed_not_looked_up() {
    let mut store = store(ONE);
    for round in 0..10 {
        let at = NOW + round * 1_000_000_000;
        assert_eq!(
            write(&mut store, &[("a", at, 1.0), ("b", at, 2.0), ("c", at, 3.0)]).counts.accepted,
            3
        );
    }
    let found = store.stats().found;
    assert_eq!((found.parsed, found.looked_up, found.followed), (3, 9, 18));
    assert_eq!(read(&store, "b").len(), 10);
}

#[test]
fn any_order_any_repeats_the_last_write_wins() {
    let mut random = Random::or_seed("any_order_any_repeats", 7);
    let mut store = store(ONE);
    let mut wanted: Map<&str, Map<i64, u64>> = Map::new();
    for _ in 0..20_000 {
        let name = ["a", "b", "c"][random.below(3)];
        let spread = if random.below(4) == 0 { 40 * 3600 } else { 600 };
        let ts = NOW - random.below(spread) * 1_000_000_000 - random.below(2) * 500_000_000;
        let value = f64::from_bits(random.next() << 3 ^ random.next());
        let value = if random.below(2) == 0 { f64::from(random.below(9)) } else { value };
        assert_eq!(write(&mut store, &[(name, ts, value)]).counts.accepted, 1);
        wanted.entry(name).or_default().insert(ts / 1_000_000, value.to_bits());
    }
    let check = |store: &NamespaceStore| {
        for (name, samples) in &wanted {
            let want: Vec<_> = samples.iter().map(|(t, v)| (*t, *v)).collect();
            assert_eq!(read(store, name), want, "series {name}");
        }
    };
    check(&store);
    let smaller = StoreOptions { block: Span::from_s(1800), ..options(None) };
    store.set_options(smaller);
    check(&store);
    assert!(store.stats().late > 1000);
    assert_eq!(store.stats().broken_streams, 0);
}

/// If another value was written in between, the first value is not a duplicate any more.
#[test]
fn a_value_that_comes_back_wins_over_the_one_between() {
    for late_ones in [0, 10, crate::late::FOLD_COUNT as i64 + 1] {
        let mut store = store(ONE);
        let at = NOW - 1_000_000_000;
        write(&mut store, &[("a", at, 1.0), ("a", at, 2.0)]);
        let earlier: Vec<_> = (1..=late_ones).map(|k| ("a", at - k * 1_000_000, 0.0)).collect();
        write(&mut store, &earlier);
        assert_eq!(write(&mut store, &[("a", at, 1.0), ("a", at, 1.0)]).counts.accepted, 2);
        let last = read(&store, "a").last().copied();
        assert_eq!(last, Some((at / 1_000_000, 1.0f64.to_bits())), "{late_ones} late ones");
        write(&mut store, &[("a", at, 2.0)]);
        assert_eq!(read(&store, "a").last().map(|(_, bits)| *bits), Some(2.0f64.to_bits()));
    }
}

#[test]
fn windows_refuse_as_m3_does() {
    let window = Window {
        past: Span::from_s(600),
        future: Span::from_s(120),
        cold_writes: false,
        future_retention: Span(0),
    };
    let mut store = NamespaceStore::new(NamespaceId(0), options(Some(window)), ONE, CoreId(0));
    let s = 1_000_000_000;
    let outcome = write(
        &mut store,
        &[("a", NOW - 600 * s, 1.0), ("a", NOW - 600 * s - 1, 2.0), ("a", NOW + 120 * s, 3.0)],
    );
    assert_eq!((outcome.counts.accepted, outcome.counts.bad.count), (1, 2));
    assert_eq!(
        outcome.counts.bad.last.unwrap(),
        "datapoint too far in future: id={__name__=\"a\",job=\"test\"}, off_by=0s, \
         timestamp=2027-01-15T08:02:00Z, future_limit=2027-01-15T08:02:00Z, \
         timestamp_unix_nanos=1800000120000000000, future_limit_unix_nanos=1800000120000000000"
    );
    assert_eq!(read(&store, "a").len(), 1);
}

#[test]
fn a_refused_sample_leaves_no_series() {
    let mut store = store(ONE);
    let outcome = write(&mut store, &[("early", 0, 1.0), ("a", NOW, 1.0)]);
    let counts = outcome.counts;
    assert_eq!((counts.accepted, counts.bad.count, store.series_count()), (1, 1, 1));
    let all = Matchers::compile(&[Matcher::new(MatchOp::Equal, "job", "test")]).unwrap();
    assert_eq!(store.search(&all, i64::MIN, i64::MAX).len(), 1);
}

#[test]
fn without_a_window_retention_and_a_day_ahead_are_the_limits() {
    let mut store = store(ONE);
    let hour = 3_600_000_000_000;
    let samples = [
        ("a", NOW - 47 * hour, 1.0),
        ("a", NOW + 23 * hour, 1.0),
        ("a", NOW - 49 * hour, 1.0),
        ("a", NOW + 25 * hour, 1.0),
    ];
    let outcome = write(&mut store, &samples);
    assert_eq!((outcome.counts.accepted, outcome.counts.bad.count), (2, 2));
    assert!(
        outcome
            .counts
            .bad
            .last
            .unwrap()
            .starts_with("datapoint too far in future and out of retention: id=")
    );
}

#[test]
fn what_belongs_to_another_core_is_passed_on() {
    let two = ShardMap { core_count: 2, ..ONE };
    let mut store = store(two);
    let names: Vec<String> = (0..100).map(|i| format!("m{i}")).collect();
    let samples: Vec<_> = names.iter().map(|n| (n.as_str(), NOW, 1.0)).collect();
    let outcome = write(&mut store, &samples);
    assert_eq!(outcome.counts.accepted as usize + outcome.misrouted.len(), 100);
    assert!(outcome.counts.accepted > 20 && outcome.misrouted.len() > 20);
    assert!(outcome.misrouted.iter().all(|(_, core)| *core == CoreId(1)));
}

#[test]
fn bad_labels_are_named_and_the_rest_is_stored() {
    let mut store = store(ONE);
    let mut request = request(&[("a", NOW, 1.0), ("b", NOW, 1.0)]);
    request.buffer[0] ^= 0xff;
    let outcome = store.write(&request.buffer, &request.records, NOW, &mut Payload::default());
    assert_eq!((outcome.counts.accepted, outcome.malformed), (1, 1));
    assert_eq!(outcome.counts.bad.last.unwrap(), "malformed labels: expected a label field");
}

#[test]
fn expired_blocks_are_dropped_and_searches_keep_to_their_range() {
    let mut store = store(ONE);
    let hour = 3_600_000_000_000i64;
    write(
        &mut store,
        &[("old", NOW - 40 * hour, 1.0), ("new", NOW, 1.0), ("old", NOW - 39 * hour, 2.0)],
    );
    let all = Matchers::compile(&[Matcher::new(MatchOp::Equal, "job", "test")]).unwrap();
    assert_eq!(store.search(&all, NOW - hour, NOW).len(), 1);
    assert_eq!(store.search(&all, NOW - 47 * hour, NOW).len(), 2);
    store.expire(NOW + 20 * hour);
    assert_eq!(store.search(&all, NOW - 47 * hour, NOW).len(), 1);
}

/// Whatever the block size was when a sample came, and whatever it is now: it is found and read, by
/// itself and among all others, as if nothing had changed.
#[test]
fn options_that_change_again_and_again_change_no_answer() {
    let mut random = Random::or_seed("options_that_change", 11);
    let mut store = store(ONE);
    let mut wanted: Map<&str, Map<i64, u64>> = Map::new();
    let mut front = NOW - 40 * 3600 * 1_000_000_000;
    for step in 0..6_000 {
        if step % 100 == 0 {
            let block = [60, 420, 1800, 7200, 86_400][random.below(5)];
            store.set_options(StoreOptions { block: Span::from_s(block), ..options(None) });
        }
        let name = ["a", "b", "c"][random.below(3)];
        front = (front + random.below(60_000) * 1_000_000).min(NOW + 3600 * 1_000_000_000);
        let behind = if random.below(3) == 0 { random.below(100_000) } else { 0 };
        let ts = (front - behind * 1_000_000_000).max(NOW - 47 * 3600 * 1_000_000_000);
        let value = f64::from(random.below(9));
        assert_eq!(write(&mut store, &[(name, ts, value)]).counts.accepted, 1);
        wanted.entry(name).or_default().insert(ts / 1_000_000, value.to_bits());
    }
    let mut buffer = ReadBuffer::default();
    for (name, samples) in &wanted {
        let want: Vec<_> = samples.iter().map(|(t, v)| (*t, *v)).collect();
        assert_eq!(read(&store, name), want, "series {name}");
        let by_name = [Matcher::new(MatchOp::Equal, "__name__", *name)];
        let matchers = Matchers::compile(&by_name).unwrap();
        for (ms, bits) in samples {
            let (from, to) = (ms * 1_000_000, ms * 1_000_000 + 999_999);
            let found: Vec<_> = store.search(&matchers, from, to).iter().collect();
            assert_eq!(found.len(), 1, "series {name} at {ms}");
            store.read(found[0], from, to, &mut buffer).unwrap();
            assert_eq!((&buffer.times_ms[..], buffer.values[0].to_bits()), (&[*ms][..], *bits));
        }
    }
    assert_eq!(store.stats().broken_streams, 0);
    // What is older than the retention goes, whatever blocks it lies in.
    store.expire(NOW + 200 * 3600 * 1_000_000_000);
    assert_eq!(read(&store, "a"), []);
}

/// A shorter retention has dropped the block that a series wrote to last; a longer one lets it
/// write there again.
#[test]
fn a_block_that_was_dropped_takes_samples_again() {
    let mut store = store(ONE);
    let h = 3600 * 1_000_000_000;
    let at = NOW - 47 * h;
    write(&mut store, &[("a", at, 1.0)]);
    store.expire(NOW + 6 * h);
    assert_eq!(read(&store, "a"), []);
    let longer = StoreOptions { retention: Span::from_s(96 * 3600), ..options(None) };
    store.set_options(longer);
    assert_eq!(write(&mut store, &[("a", at + 1_000_000, 2.0)]).counts.accepted, 1);
    assert_eq!(read(&store, "a"), [(at / 1_000_000 + 1, 2.0f64.to_bits())]);
}
