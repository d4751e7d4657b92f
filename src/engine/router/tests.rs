//! The router finds the same owner as the shard map does, and sends an ordinal only if it is that
//! of the record's series.

use super::*;
use m3_metric::{NamespaceId, Span, Timestamp};
use m3_shard::commitlog::Payload;
use m3_shard::{NamespaceStore, ReadBuffer, StoreOptions};
use m3_testing::Random;
use std::collections::{BTreeMap, BTreeSet};

const NOW_NS: i64 = 1_760_000_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn shards(core_count: u16) -> ShardMap {
    ShardMap { num_shards: 64, core_count, hash_seed: 0 }
}

fn key() -> Arc<FingerprintKey> {
    Arc::new(FingerprintKey::random())
}

fn push(buffer: &mut Vec<u8>, records: &mut Vec<Record>, labels: &[u8], ts_ns: i64, value: f64) {
    records.push(Record {
        labels_offset: buffer.len() as u32,
        labels_len: labels.len() as u32,
        timestamp: Timestamp(ts_ns),
        value_bits: value.to_bits(),
    });
    buffer.extend_from_slice(labels);
}

fn labels(number: usize, suffix: char) -> Labels {
    let pod = format!("pod-{number:06}-{suffix}");
    Labels::from_pairs([("__name__", "up"), ("pod", &pod), ("zone", "a")]).unwrap()
}

fn batch(count: usize, suffix: char) -> (Vec<u8>, Vec<Record>) {
    let (mut buffer, mut records) = (Vec::new(), Vec::new());
    for number in 0..count {
        let labels = labels(number, suffix);
        push(&mut buffer, &mut records, labels.as_bytes(), NOW_NS, number as f64);
    }
    (buffer, records)
}

fn owners(parts: &[OwnerShare]) -> Vec<(u64, u16)> {
    let of = |(core, part): (usize, &OwnerShare)| {
        part.records.iter().map(move |r| (r.value_bits, core as u16)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = parts.iter().enumerate().flat_map(of).collect();
    all.sort_unstable();
    all
}

#[test]
fn parts_follow_the_rule_and_keep_their_order() {
    let (buffer, records) = batch(5000, 'a');
    let map = shards(4);
    let mut router = Router::new(map, key());
    for _ in 0..3 {
        let parts = router.split(&buffer, &records);
        for part in &parts {
            assert!(part.records.is_sorted_by_key(|r| r.labels_offset));
        }
        let mut want: Vec<_> = records
            .iter()
            .map(|r| (r.value_bits, map.owner(map.shard_of(labels_in(&buffer, r))).0))
            .collect();
        want.sort_unstable();
        assert_eq!(owners(&parts), want);
    }
}

/// The cores of a node and the router of one of them.
struct Cores {
    router: Router,
    stores: Vec<NamespaceStore>,
    /// Requests of which every series was known.
    whole: usize,
}

impl Cores {
    fn new(count: u16) -> Self {
        let options = StoreOptions {
            retention: Span::from_s(86_400),
            block: Span::from_s(7200),
            window: None,
        };
        let store =
            |core| NamespaceStore::new(NamespaceId(0), options, shards(count), CoreId(core));
        Self {
            router: Router::new(shards(count), key()),
            stores: (0..count).map(store).collect(),
            whole: 0,
        }
    }

    /// Writes a request as the coordinator does; returns how many samples were sent by ordinal.
    fn write(&mut self, buffer: &[u8], records: &[Record]) -> usize {
        let mut known = 0;
        let fingerprints =
            records.iter().map(|r| self.router.key.fingerprint(labels_in(buffer, r)));
        let packed = fingerprints.collect::<Option<_>>().map(|fingerprints| WriteBatch {
            fingerprints,
            records: records.to_vec(),
            ..WriteBatch::default()
        });
        let parts = match packed.and_then(|batch| self.router.split_known(&batch)) {
            Some(parts) => {
                assert!(parts.iter().all(|part| part.records.is_empty()));
                self.whole += 1;
                parts
            }
            None => self.router.split(buffer, records),
        };
        for (store, part) in self.stores.iter_mut().zip(parts) {
            let mut payload = Payload::default();
            store.write_known(&part.known, NOW_NS, &mut payload);
            known += part.known.len();
            let outcome = store.write(buffer, &part.records, NOW_NS, &mut payload);
            assert!(outcome.misrouted.is_empty());
            self.router.learn(buffer, &part, &outcome.known);
        }
        known
    }

    /// Every series' samples, by its labels.
    fn held(&self) -> BTreeMap<Vec<u8>, Vec<(i64, u64)>> {
        let mut held = BTreeMap::new();
        let mut samples = ReadBuffer::default();
        for store in &self.stores {
            for series in (0..store.series_count()).map(m3_metric::SeriesOrdinal) {
                store.read(series, i64::MIN, i64::MAX, &mut samples).unwrap();
                let values = samples.values.iter().map(|value| value.to_bits());
                let points = samples.times_ms.iter().copied().zip(values).collect();
                let is_new = held.insert(store.labels(series).to_vec(), points).is_none();
                assert!(is_new, "a series is on two cores");
            }
        }
        held
    }
}

#[test]
fn what_owners_have_told_goes_by_ordinals() {
    for count in [2, 3] {
        let mut cores = Cores::new(count);
        let (buffer, records) = batch(5000, 'a');
        assert_eq!(cores.write(&buffer, &records), 0);
        assert_eq!(cores.write(&buffer, &records), 5000);
        // In another order they are found by the look-up.
        let reversed: Vec<_> = records.iter().rev().copied().collect();
        assert_eq!(cores.write(&buffer, &reversed), 5000);
        assert_eq!(cores.whole, 2);
        // With one new series the request must be split by its labels.
        let (buffer, records) = batch(5001, 'a');
        assert_eq!(cores.write(&buffer, &records), 5000);
        assert_eq!((cores.whole, cores.write(&buffer, &records), cores.whole), (2, 5001, 3));
    }
}

#[test]
fn labels_in_any_order_are_one_series_and_long_ones_go_by_their_bytes() {
    let mut cores = Cores::new(2);
    let long = "x".repeat(m3_metric::fingerprint::BYTES_MAX);
    let sorted = Labels::from_pairs([("a", "1"), ("b", "2")]).unwrap();
    let long = Labels::from_pairs([("a", long.as_str())]).unwrap();
    let half = sorted.as_bytes().len() / 2;
    let swapped = [&sorted.as_bytes()[half..], &sorted.as_bytes()[..half]].concat();
    let mut known = Vec::new();
    for round in 0..3 {
        let (mut buffer, mut records) = (Vec::new(), Vec::new());
        for (at, bytes) in [sorted.as_bytes(), &swapped, long.as_bytes()].into_iter().enumerate() {
            let ts_ns = NOW_NS + (round * 10 + at as i64) * SECOND_NS;
            push(&mut buffer, &mut records, bytes, ts_ns, at as f64);
        }
        known.push(cores.write(&buffer, &records));
    }
    assert_eq!(known, [0, 2, 2]);
    let held = cores.held();
    assert_eq!((held[sorted.as_bytes()].len(), held[long.as_bytes()].len()), (6, 3));
    assert_eq!(held.len(), 2);
}

#[test]
fn what_is_no_labels_is_left_to_core_0_and_not_remembered() {
    let mut router = Router::new(shards(4), key());
    let (mut buffer, mut records) = batch(10, 'a');
    push(&mut buffer, &mut records, b"no labels at all, but bytes", NOW_NS, 1e9);
    let parts = router.split(&buffer, &records);
    assert!(parts[0].records.iter().any(|record| record.value_bits == 1e9_f64.to_bits()));
    assert_eq!(parts.iter().map(|part| part.records.len()).sum::<usize>(), 11);
    assert_eq!(router.entries.len(), 10);
}

#[test]
fn what_is_told_of_routes_that_were_forgotten_meanwhile_does_no_harm() {
    let mut cores = Cores::new(2);
    let (buffer, records) = batch(1000, 'a');
    let parts = cores.router.split(&buffer, &records);
    let outcome =
        cores.stores[0].write(&buffer, &parts[0].records, NOW_NS, &mut Payload::default());
    assert!(outcome.known.len() > 100);
    let known = |router: &mut Router| {
        let parts = router.split(&buffer, &records);
        parts.iter().map(|part| part.known.len()).sum::<usize>()
    };
    // As when the namespace is deleted between a message and its answer.
    let mut fresh = Router::new(shards(2), key());
    fresh.learn(&buffer, &parts[0], &outcome.known);
    assert_eq!(known(&mut fresh), 0);
    // The entries exist again, but their numbers belong to other series.
    let (others, other_records) = batch(1000, 'b');
    let mut fresh = Router::new(shards(2), key());
    fresh.split(&others, &other_records);
    fresh.learn(&buffer, &parts[0], &outcome.known);
    assert_eq!(known(&mut fresh), 0);
    cores.router.learn(&buffer, &parts[0], &outcome.known);
    assert_eq!(known(&mut cores.router), outcome.known.len());
}

#[test]
fn every_sample_lands_in_its_series_whatever_senders_change() {
    let mut random = Random::or_seed("every_sample_lands_in_its_series", 7);
    let mut cores = Cores::new(2);
    let mut expected: BTreeMap<Vec<u8>, Vec<(i64, u64)>> = BTreeMap::new();
    let mut order: Vec<Labels> = (0..600).map(|number| labels(number, 'a')).collect();
    let mut by_ordinal = 0;
    for round in 0..60 {
        // Series come, go, change places, and are replaced by similar ones.
        for _ in 0..random.below(20) {
            let (a, b) = (random.below(order.len()), random.below(order.len()));
            match random.below(4) {
                0 => order.swap(a, b),
                1 => order[a] = labels(b, ['a', 'b', 'c'][random.below(3)]),
                2 => order.insert(a, labels(order.len() + 1000, 'a')),
                _ => {
                    order.remove(a);
                }
            }
        }
        let mut seen = BTreeSet::new();
        order.retain(|labels| seen.insert(labels.as_bytes().to_vec()));
        let (mut buffer, mut records) = (Vec::new(), Vec::new());
        let ts_ns = NOW_NS - (100 - round) * SECOND_NS;
        for (at, labels) in order.iter().enumerate() {
            let value = (round * 10_000 + at as i64) as f64;
            push(&mut buffer, &mut records, labels.as_bytes(), ts_ns, value);
            let points = expected.entry(labels.as_bytes().to_vec()).or_default();
            points.push((ts_ns / 1_000_000, value.to_bits()));
        }
        by_ordinal += cores.write(&buffer, &records);
    }
    assert!(by_ordinal > 10_000, "{by_ordinal}");
    let held = cores.held();
    assert_eq!(held.len(), expected.len());
    for (labels, points) in &expected {
        assert_eq!(held.get(labels), Some(points), "SEED={}", random.seed());
    }
}
