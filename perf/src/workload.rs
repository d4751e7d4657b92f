//! What is sent: series as a Kubernetes cluster has them, encoded beforehand.
//!
//! Labels come in the sender's order (sorted, as Prometheus sends them). Of the series, 40 % are
//! constant, 35 % are counters and 25 % gauges with two decimals; all samples of one round have the
//! timestamps of their target's scrape, jittered by milliseconds.

use crate::options::Options;
use m3_http::proto::write::WriteRequestWriter;

/// Milliseconds between two rounds: a scrape interval.
const ROUND_MS: i64 = 15_000;
/// Series of one target, scraped together.
const SERIES_PER_TARGET: usize = 500;

/// Requests, by round.
pub(crate) struct Bodies {
    pub(crate) rounds: Vec<Vec<Body>>,
    pub(crate) series: usize,
}

/// One request.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) samples: usize,
}

impl Bodies {
    pub(crate) fn encode(options: &Options) -> Self {
        let all: Vec<_> = (0..options.series).map(|i| labels(i, options.labels)).collect();
        let now = std::time::SystemTime::now();
        let now_ms = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let rounds = options.warm + options.rounds;
        let first_ms = now_ms - ROUND_MS * rounds as i64;
        let encode_round = |round: usize| {
            let chunks = all.chunks(options.batch).enumerate();
            let body = |(chunk, series): (usize, &[Vec<(String, String)>])| {
                let mut writer = WriteRequestWriter::default();
                for (at, labels) in series.iter().enumerate() {
                    let index = chunk * options.batch + at;
                    let pairs: Vec<_> =
                        labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                    writer.push(&pairs, &[sample(index, round, first_ms)]);
                }
                Body { bytes: writer.body(), samples: series.len() }
            };
            chunks.map(body).collect()
        };
        Self { rounds: (0..rounds).map(encode_round).collect(), series: options.series }
    }
}

fn labels(index: usize, count: usize) -> Vec<(String, String)> {
    let target = index / SERIES_PER_TARGET;
    let metric = index % SERIES_PER_TARGET;
    let mut labels = vec![
        ("__name__".to_owned(), format!("container_network_receive_{}_total", metric / 4)),
        (
            "instance".to_owned(),
            format!("10.{}.{}.{}:9100", target / 65536, target / 256 % 256, target % 256),
        ),
        ("job".to_owned(), "kubernetes-nodes-cadvisor".to_owned()),
        ("interface".to_owned(), format!("eth{}", metric % 4)),
    ];
    let more = [
        ("cluster", "prod-eu-west-1".to_owned()),
        ("container", format!("payments-{}", target % 40)),
        ("endpoint", "https-metrics".to_owned()),
        ("environment", "production".to_owned()),
        ("image", format!("registry.local/team/payments:v1.{}.0", target % 40)),
        ("namespace", format!("team-{}", target % 25)),
        ("node", format!("ip-10-0-{}-{}.internal", target / 256 % 256, target % 256)),
        (
            "pod",
            format!(
                "payments-{:08x}-{:05x}",
                target * 2_654_435_761 % 4_294_967_296,
                target % 1_048_576
            ),
        ),
        ("zone", format!("eu-west-1{}", ["a", "b", "c"][target % 3])),
    ];
    for (name, value) in more.into_iter().take(count.saturating_sub(4)) {
        labels.push((name.to_owned(), value));
    }
    for extra in 13..count {
        labels.push((format!("label_{extra}"), format!("value-{}", extra * 7)));
    }
    labels.sort();
    labels
}

fn sample(index: usize, round: usize, first_ms: i64) -> (i64, f64) {
    let target = index / SERIES_PER_TARGET;
    let jitter = mix(target as u64, round as u64) % 9;
    let time = first_ms + ROUND_MS * round as i64 + (target % 15_000) as i64 + jitter as i64;
    let kind = mix(index as u64, 0) % 100;
    let value = match kind {
        0..40 => (index % 7) as f64,
        40..75 => (0..=round).map(|r| mix(index as u64, r as u64) % 5000).sum::<u64>() as f64,
        _ => (mix(index as u64, round as u64) % 10_000) as f64 / 100.0,
    };
    (time, value)
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 29)
}
