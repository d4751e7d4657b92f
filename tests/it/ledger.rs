//! The ledger: what was sent and what was acknowledged, kept outside of the node and compared with
//! what the node returns. What was acknowledged can be read, what can be read was sent, and every
//! bit is unchanged.
//!
//! A value follows from its series and time, and no series has a time twice, so every sample can be
//! judged by itself.

use crate::harness::{Client, PATIENCE, Random, now_ms};
use m3_http::api::{ReadQuery, Selection};
use m3_http::proto::read::{decode_response, encode_request};
use m3_http::proto::write::WriteRequestWriter;
use m3_metric::labels::iter_canonical;
use m3_metric::{MatchOp, Matcher, value::Series};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

/// Series per remote read request when each is selected by all its labels.
const SERIES_PER_READ: usize = 500;
/// Most bytes of an answer after decoding.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// Identifies a series: generation, connection and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When it was created; reads select by it.
    pub generation: u32,
    /// Which writer sends it.
    pub writer: u32,
    /// Counts the series of a writer.
    pub number: u32,
}

impl Key {
    fn labels(self) -> Vec<(&'static str, String)> {
        vec![
            ("__name__", "crash_test".to_owned()),
            ("generation", self.generation.to_string()),
            ("number", self.number.to_string()),
            ("path", format!("/some/longer/path/{:08x}", self.number.wrapping_mul(0x9e37_79b9))),
            ("writer", self.writer.to_string()),
        ]
    }

    fn of(series: &Series) -> Self {
        let mut numbers = [None; 3];
        for (name, value) in iter_canonical(series.labels.as_bytes()) {
            let at = match name {
                "generation" => 0,
                "writer" => 1,
                "number" => 2,
                _ => continue,
            };
            numbers[at] = value.parse().ok();
        }
        let [Some(generation), Some(writer), Some(number)] = numbers else {
            panic!("a series that was never sent: {:?}", series.labels);
        };
        let key = Self { generation, writer, number };
        let labels = iter_canonical(series.labels.as_bytes());
        let labels: Vec<_> = labels.map(|(name, value)| (name, value.to_owned())).collect();
        assert_eq!(labels, key.labels(), "labels that were never sent");
        key
    }

    /// The value at a time: any bits, including stale markers, infinities and negative zeros.
    fn bits(self, ms: i64) -> u64 {
        let seed = u64::from(self.writer) << 60 ^ u64::from(self.number) << 20 ^ ms as u64;
        let mixed = (seed ^ (seed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = mixed ^ (mixed >> 32);
        match mixed % 16 {
            0 => 0x7ff0_0000_0000_0002,
            1 => (-0.0f64).to_bits(),
            2 => f64::INFINITY.to_bits(),
            3..=8 => ((mixed >> 40) as f64).to_bits(),
            9 | 10 => ((mixed >> 48) as f64 / 8.0).to_bits(),
            _ => mixed,
        }
    }
}

/// Times of a series that were sent, and whether their request was acknowledged.
type Times = BTreeMap<i64, bool>;

/// What was sent, by series.
#[derive(Debug, Default)]
pub struct Ledger {
    series: BTreeMap<Key, Times>,
}

impl Ledger {
    /// Adds what a writer has sent.
    pub fn add(&mut self, sent: &mut BTreeMap<Key, Times>) {
        for (key, times) in std::mem::take(sent) {
            let held = self.series.entry(key).or_default();
            for (ms, is_acked) in times {
                *held.entry(ms).or_default() |= is_acked;
            }
        }
    }

    /// Samples acknowledged so far.
    pub fn acked(&self) -> u64 {
        let acked = |times: &Times| times.values().filter(|acked| **acked).count() as u64;
        self.series.values().map(acked).sum()
    }

    /// Series so far.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Reads the series of `generations` and compares. Returns the number of samples read.
    pub fn check(&self, client: &mut Client, generations: &BTreeSet<u32>, what: &str) -> u64 {
        let texts: Vec<String> = generations.iter().map(u32::to_string).collect();
        let matchers = vec![
            Matcher::new(MatchOp::Equal, "__name__", "crash_test"),
            Matcher::new(MatchOp::Regex, "generation", texts.join("|")),
        ];
        let found = read(client, vec![matchers]).remove(0);
        let mut readable = BTreeMap::new();
        let mut count = 0;
        for series in found {
            let key = Key::of(&series);
            count += series.points.len() as u64;
            self.check_sent(key, &series.points, what);
            assert!(readable.insert(key, series.points).is_none(), "{what}: {key:?} twice");
        }
        for (key, times) in &self.series {
            if generations.contains(&key.generation) {
                let points = readable.get(key).map_or(&[][..], Vec::as_slice);
                self.check_acked(*key, times, points, what);
            }
        }
        count
    }

    /// Reads one in `every` of the series with an acknowledged sample, by all its labels.
    pub fn check_found(&self, client: &mut Client, every: usize, what: &str) {
        let acked = |times: &Times| times.values().any(|acked| *acked);
        let keys = self.series.iter().filter(|(_, times)| acked(times));
        let keys: Vec<_> = keys.step_by(every).collect();
        for keys in keys.chunks(SERIES_PER_READ) {
            let by_labels = |key: Key| {
                let labels = key.labels().into_iter();
                labels.map(|(name, value)| Matcher::new(MatchOp::Equal, name, &value)).collect()
            };
            let queries = keys.iter().map(|(key, _)| by_labels(**key)).collect();
            for ((key, times), found) in keys.iter().zip(read(client, queries)) {
                assert_eq!(found.len(), 1, "{what}: {key:?} by its labels");
                self.check_acked(**key, times, &found[0].points, what);
            }
        }
    }

    /// The number of acknowledged samples that cannot be read; for a node that does not promise
    /// them.
    pub fn lost(&self, client: &mut Client) -> u64 {
        let found =
            read(client, vec![vec![Matcher::new(MatchOp::Equal, "__name__", "crash_test")]]);
        let held: BTreeMap<_, _> = found[0].iter().map(|one| (Key::of(one), &one.points)).collect();
        let is_lost = |key: &Key, ms: i64| {
            held.get(key).is_none_or(|points| points.iter().all(|point| point.0 != ms))
        };
        let acked = |times: &Times| -> Vec<i64> {
            times.iter().filter(|(_, acked)| **acked).map(|(ms, _)| *ms).collect()
        };
        let lost = |(key, times): (&Key, &Times)| {
            acked(times).into_iter().filter(|ms| is_lost(key, *ms)).count() as u64
        };
        self.series.iter().map(lost).sum()
    }

    fn check_sent(&self, key: Key, points: &[(i64, f64)], what: &str) {
        let Some(sent) = self.series.get(&key) else { panic!("{what}: {key:?} was never sent") };
        assert!(points.is_sorted_by(|a, b| a.0 < b.0), "{what}: {key:?} out of order");
        for (ms, value) in points {
            assert!(sent.contains_key(ms), "{what}: {key:?} at {ms} was never sent");
            assert_eq!(value.to_bits(), key.bits(*ms), "{what}: {key:?} at {ms}");
        }
    }

    fn check_acked(&self, key: Key, times: &Times, points: &[(i64, f64)], what: &str) {
        for ms in times.iter().filter(|(_, acked)| **acked).map(|(ms, _)| *ms) {
            let is_there = points.binary_search_by_key(&ms, |point| point.0).is_ok();
            assert!(is_there, "{what}: {key:?} at {ms} was acknowledged and is lost");
        }
    }
}

fn read(client: &mut Client, queries: Vec<Vec<Matcher>>) -> Vec<Vec<Series>> {
    let (start_ms, end_ms) = (now_ms() - 40 * 3_600_000, now_ms() + 3_600_000);
    let query = |matchers| ReadQuery { start_ms, end_ms, selection: Selection::Matchers(matchers) };
    let body = encode_request(&queries.into_iter().map(query).collect::<Vec<_>>());
    let headers = [("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
    let answer = client.send("POST", "/api/v1/prom/remote/read", &headers, &body).expect(200);
    decode_response(&answer.body, ANSWER_BYTES_MAX).unwrap()
}

/// How a connection's last request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastAnswer {
    /// The connection was closed.
    Closed,
    /// The node refused with this status.
    Refused(u16),
}

/// A connection that writes until the node is gone.
#[derive(Debug)]
pub struct Writer {
    id: u32,
    random: Random,
    /// All series so far, with their newest and oldest times.
    series: Vec<(Key, i64, i64)>,
    /// What was sent and is not in the ledger yet.
    pub sent: BTreeMap<Key, Times>,
    /// What was not acknowledged; a sender repeats it.
    unanswered: Vec<(Key, Vec<i64>)>,
}

impl Writer {
    /// Writer `id`.
    pub fn new(id: u32, random: &mut Random) -> Self {
        let (series, sent) = (Vec::new(), BTreeMap::new());
        Self { id, random: Random::from_seed(random.next()), series, sent, unanswered: Vec::new() }
    }

    /// Writes to `addr` until a request is not successful.
    pub fn run(&mut self, addr: SocketAddr, generation: u32) -> LastAnswer {
        let mut client = Client::new(addr);
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the node outlives the load");
            let repeats = !self.unanswered.is_empty() && self.random.below(2) == 0;
            let request = if repeats {
                std::mem::take(&mut self.unanswered)
            } else {
                self.unanswered.clear();
                self.request(generation)
            };
            let mut body = WriteRequestWriter::default();
            for (key, times) in &request {
                let labels = key.labels();
                let labels: Vec<_> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let values = times.iter().map(|ms| (*ms, f64::from_bits(key.bits(*ms))));
                body.push(&labels, &values.collect::<Vec<_>>());
                let sent = self.sent.entry(*key).or_default();
                times.iter().for_each(|ms| {
                    sent.entry(*ms).or_default();
                });
            }
            let last = match client.try_remote_write(&body.body()) {
                Ok(answer) if answer.status == 200 || answer.status == 204 => {
                    for (key, times) in &request {
                        let sent = self.sent.get_mut(key).unwrap();
                        sent.extend(times.iter().map(|ms| (*ms, true)));
                    }
                    continue;
                }
                Ok(answer) => {
                    assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
                    LastAnswer::Refused(answer.status)
                }
                Err(_) => LastAnswer::Closed,
            };
            self.unanswered = request;
            return last;
        }
    }

    /// Known series and new ones, one to three samples each, some of them late.
    fn request(&mut self, generation: u32) -> Vec<(Key, Vec<i64>)> {
        let mut request: Vec<(Key, Vec<i64>)> = Vec::new();
        let count = 1 + self.random.below(40);
        let recent = self.series.len().saturating_sub(60) as u64;
        for _ in 0..count {
            let known = self.series.len() as u64;
            let is_known = known > 0 && self.random.below(12) > 0;
            let at = if !is_known {
                let key = Key { generation, writer: self.id, number: known as u32 };
                let newest = now_ms() - 600_000 + self.random.below(1000);
                self.series.push((key, newest, newest));
                known
            } else if self.random.below(4000) == 0 {
                self.random.below(known)
            } else {
                recent + self.random.below(known - recent)
            };
            let (key, newest, oldest) = &mut self.series[at as usize];
            if request.iter().any(|(held, _)| held == key) {
                continue;
            }
            let mut times = Vec::new();
            for _ in 0..1 + self.random.below(3) {
                if self.random.below(10) == 0 {
                    // Within the same block or an earlier one.
                    let back = if self.random.below(8) == 0 { 1_800_000 } else { 5_000 };
                    *oldest -= 1 + self.random.below(back);
                    times.push(*oldest);
                } else {
                    *newest += 1 + self.random.below(40);
                    times.push(*newest);
                }
            }
            times.sort_unstable();
            request.push((*key, times));
        }
        request
    }
}
