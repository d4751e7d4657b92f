//! Floods of requests that are fine one by one: new series, tiny series, series of one shard.

use super::{Arena, Bounds, Got, get, post, scaled, shoot};
use crate::harness::{now_ms, parse_exposition};
use m3_http::proto::write::WriteRequestWriter;
use m3_metric::Labels;
use m3_shard::ShardMap;
use std::time::{Duration, Instant};

/// A remote write of `count` series `metric{n}` with one sample each.
pub fn numbered(metric: &str, first: usize, count: usize) -> Vec<u8> {
    let now = now_ms();
    let mut writer = WriteRequestWriter::default();
    for n in first..first + count {
        writer.push(&[("__name__", metric), ("n", &n.to_string())], &[(now, n as f64)]);
    }
    writer.body()
}

/// A remote write as a request.
pub fn write(body: &[u8]) -> Vec<u8> {
    post("/api/v1/prom/remote/write", &[("Content-Encoding", "snappy")], body)
}

fn series_of(arena: &Arena) -> f64 {
    let samples = parse_exposition(&arena.node.metrics_text());
    samples["m3ring_series{namespace=\"implicit\"}"]
}

/// Known series are still written, none is lost, and there are not too many.
#[test]
fn new_series_beyond_the_limit_of_a_namespace() {
    const MOST: usize = 20_000;
    let arena = Arena::start(&format!("limits: {{ seriesPerNamespaceMax: {MOST} }}\n"));
    let rounds = scaled(50, 2500);
    let bounds = Bounds { stays_mib: 96, ..Bounds::default() };
    let name = format!("{} new series where {MOST} may be", rounds * 2000);
    arena.case(&name, bounds, |arena| {
        let (mut taken, mut refused) = (0, String::new());
        for round in 0..rounds {
            match shoot(arena.addr(), &write(&numbered("flood", round * 2000, 2000))) {
                Got::Answer(200, ..) => taken += 1,
                got => refused = got.expect("flood", &[429], "limits.seriesPerNamespaceMax"),
            }
        }
        assert_eq!(series_of(arena), MOST as f64, "the limit is exact once all cores are full");
        format!("{taken} x 200, {} x {refused}", rounds - taken)
    });
}

/// The largest number of the smallest series in one request.
#[test]
fn tiny_series() {
    let arena = Arena::start("");
    let count = scaled(100_000, 1_000_000);
    let body = write(&numbered("t", 0, count));
    let bounds =
        Bounds { stays_mib: 128 + count as u64 / 1000, peak_mib: 256 + count as u64 / 1000 };
    arena.case(&format!("{count} tiny series in a request"), bounds, |arena| {
        let shown = shoot(arena.addr(), &body).expect("tiny", &[200], "");
        assert_eq!(series_of(arena), (count + super::HEALTHY_SERIES) as f64);
        shown
    });
    let one = |n: usize| {
        let mut writer = WriteRequestWriter::default();
        let now = now_ms();
        for _ in 0..n {
            writer.push(&[("a", "b")], &[(now, 1.0)]);
        }
        write(&writer.body())
    };
    arena.shots(
        "2^20 + 1 samples in a request",
        4,
        &[413],
        "too many samples",
        &one((1 << 20) + 1),
    );
    let rounds = scaled(4, 500);
    arena.case(&format!("all values of a label, {rounds} times"), bounds, |arena| {
        let begun = Instant::now();
        for _ in 0..rounds {
            shoot(arena.addr(), &get("/api/v1/label/n/values")).expect("values", &[200], "");
        }
        format!("200, {:.1} ms each", begun.elapsed().as_secs_f64() * 1e3 / rounds as f64)
    });
}

/// A client can aim all series at one shard, since that hash is public. It cannot do so for the
/// hash tables, which have secret keys. So these series cost no more than others.
#[test]
fn series_that_share_a_shard() {
    let arena = Arena::start("");
    let count = scaled(5000, 50_000);
    let shards = ShardMap { num_shards: 64, core_count: 2, hash_seed: 0 };
    let mut aimed = Vec::new();
    for n in 0.. {
        let value = n.to_string();
        let labels = Labels::from_pairs([("__name__", "aimed"), ("n", &value)]).unwrap();
        if shards.shard_of(labels.as_bytes()).0 == 7 {
            aimed.push(value);
            if aimed.len() == count {
                break;
            }
        }
    }
    let body = |metric: &str, values: &[String]| {
        let mut writer = WriteRequestWriter::default();
        let now = now_ms();
        for value in values {
            writer.push(&[("__name__", metric), ("n", value)], &[(now, 1.0)]);
        }
        write(&writer.body())
    };
    let bounds = Bounds { stays_mib: 128, ..Bounds::default() };
    arena.case(&format!("{count} series aimed at one shard"), bounds, |arena| {
        let took = |bytes: &[u8]| {
            let begun = Instant::now();
            shoot(arena.addr(), bytes).expect("aimed", &[200], "");
            begun.elapsed()
        };
        let others = took(&body("others", &aimed));
        let aimed = took(&body("aimed", &aimed));
        assert!(aimed < others * 10 + Duration::from_secs(2), "{aimed:?} and {others:?}");
        format!("200 in {} ms, others in {} ms", aimed.as_millis(), others.as_millis())
    });
}
