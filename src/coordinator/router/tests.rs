//! The router agrees with the rule, learns from owners who know better, and calls a record by an
//! ordinal only if that is its series.

use super::*;
use m3_metric::{NamespaceId, Span, Timestamp};
use m3_shard::commitlog::Payload;
use m3_shard::{NamespaceOptions, NamespaceStore, ReadBuffer, WriteOutcome};
use std::collections::{BTreeMap, BTreeSet};

const NOW_NS: i64 = 1_760_000_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn shards(core_count: u16) -> ShardMap {
    ShardMap { num_shards: 64, core_count, hash_seed: 0 }
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

fn owners(parts: &[Part]) -> Vec<(u64, u16)> {
    let of = |(core, part): (usize, &Part)| {
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
    let mut router = Router::new(map);
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

#[test]
fn a_correction_holds() {
    let (buffer, records) = batch(10, 'a');
    let mut router = Router::new(shards(2));
    let before = owners(&router.split(&buffer, &records));
    let record = |bits: u64| *records.iter().find(|r| r.value_bits == bits).unwrap();
    let wrong: Vec<_> = before.iter().map(|(at, core)| (record(*at), CoreId(1 - core))).collect();
    router.correct(&buffer, &wrong, &records);
    let after = owners(&router.split(&buffer, &records));
    assert!(before.iter().zip(&after).all(|(a, b)| a.1 != b.1));
}

#[test]
fn a_chain_that_a_glance_led_astray_is_mended_once_a_record_came_back() {
    let (buffer, records) = batch(1000, 'a');
    let map = shards(2);
    let mut router = Router::new(map);
    router.split(&buffer, &records);
    // After the first, other series of the same lengths: they differ in a byte that no glance sees.
    let (mut other, _) = batch(1000, 'b');
    let first = records[0].labels_len as usize;
    other[..first].copy_from_slice(&buffer[..first]);
    let owner = |record: &Record| map.owner(map.shard_of(labels_in(&other, record)));
    let mut came_back = Vec::new();
    for _ in 0..4 {
        let parts = router.split(&other, &records);
        let mut wrong = Vec::new();
        for (core, part) in parts.iter().enumerate() {
            let is_wrong = |record: &&Record| usize::from(owner(record).0) != core;
            wrong.extend(part.records.iter().filter(is_wrong).map(|r| (*r, owner(r))));
        }
        came_back.push(wrong.len());
        if !wrong.is_empty() {
            router.correct(&other, &wrong, &records);
        }
    }
    assert!(came_back[0] > 100, "the test wants a glance that lies: {came_back:?}");
    assert_eq!(came_back[1..], [0, 0, 0]);
}

/// The cores of a node and the router of one of them.
struct Cores {
    router: Router,
    stores: Vec<NamespaceStore>,
}

impl Cores {
    fn new(count: u16) -> Self {
        let options = NamespaceOptions {
            retention: Span::from_s(86_400),
            block: Span::from_s(7200),
            window: None,
        };
        let store =
            |core| NamespaceStore::new(NamespaceId(0), options, shards(count), CoreId(core));
        Self { router: Router::new(shards(count)), stores: (0..count).map(store).collect() }
    }

    /// Writes a request as the coordinator does; gives how many samples went by ordinals.
    fn write(&mut self, buffer: &[u8], records: &[Record]) -> usize {
        let mut known = 0;
        let mut parts = self.router.split(buffer, records);
        for _ in 0..3 {
            let mut misrouted = Vec::new();
            for (core, part) in (0..).zip(&parts) {
                let store = &mut self.stores[usize::from(core)];
                let mut payload = Payload::default();
                store.write_known(&part.known, NOW_NS, &mut payload);
                known += part.known.len();
                let outcome = store.write(buffer, &part.records, NOW_NS, &mut payload);
                let WriteOutcome { misrouted: elsewhere, found, .. } = outcome;
                let back = elsewhere.iter().map(|(at, owner)| (part.records[*at as usize], *owner));
                misrouted.extend(back);
                let pieces = store.full_pieces(part.pieces_known).to_vec();
                let learnt = Learnt { found, first_piece: part.pieces_known, pieces };
                self.router.learn(CoreId(core), buffer, part, learnt);
            }
            if misrouted.is_empty() {
                return known;
            }
            parts = self.router.correct(buffer, &misrouted, records);
        }
        panic!("a record finds no owner");
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
        let (buffer, records) = batch(20_000, 'a');
        assert_eq!(cores.write(&buffer, &records), 0);
        // The owners tell what they find, so a series must have come twice.
        let learning = cores.write(&buffer, &records);
        let known = cores.write(&buffer, &records);
        assert!(learning == 0 && known > 14_000, "{count} cores: {learning}, {known}");
        // In another order they are looked up, and those that were guessed wrong learnt anew.
        let reversed: Vec<_> = records.iter().rev().copied().collect();
        assert!(cores.write(&buffer, &reversed) > known / 2);
        assert!(cores.write(&buffer, &reversed) >= known);
    }
}

#[test]
fn what_is_told_of_routes_that_were_forgotten_meanwhile_does_no_harm() {
    let mut cores = Cores::new(2);
    let (buffer, records) = batch(20_000, 'a');
    cores.write(&buffer, &records);
    let parts = cores.router.split(&buffer, &records);
    let store = &mut cores.stores[0];
    let outcome = store.write(&buffer, &parts[0].records, NOW_NS, &mut Payload::default());
    assert!(outcome.found.len() > 1000);
    let all = store.full_pieces(0).to_vec();
    let told = |first: usize| Learnt {
        found: outcome.found.clone(),
        first_piece: first,
        pieces: all[first..].to_vec(),
    };
    // As when the namespace is deleted between a message and its answer.
    let mut fresh = Router::new(shards(2));
    fresh.learn(CoreId(0), &buffer, &parts[0], told(3));
    fresh.learn(CoreId(0), &buffer, &parts[0], told(0));
    let known: usize = fresh.split(&buffer, &records).iter().map(|part| part.known.len()).sum();
    assert_eq!(known, 0);
}

#[test]
fn every_sample_lands_in_its_series_whatever_senders_change() {
    let seed = std::env::var("M3RING_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("M3RING_SEED={seed}");
    let mut state: u64 = seed;
    let mut below = move |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut cores = Cores::new(2);
    let mut expected: BTreeMap<Vec<u8>, Vec<(i64, u64)>> = BTreeMap::new();
    let mut order: Vec<Labels> = (0..600).map(|number| labels(number, 'a')).collect();
    let mut by_ordinal = 0;
    for round in 0..60 {
        // Series come, go, trade places, and are replaced by ones that look alike.
        for _ in 0..below(20) {
            let (a, b) = (below(order.len()), below(order.len()));
            match below(4) {
                0 => order.swap(a, b),
                1 => order[a] = labels(b, ['a', 'b', 'c'][below(3)]),
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
        assert_eq!(held.get(labels), Some(points), "M3RING_SEED={seed}");
    }
}
