//! What all benches share: seeded data, and how criterion measures.
//!
//! `cargo bench -p m3-benches` measures. `cargo test -p m3-benches --benches` runs every case once
//! over little data, so that none stops working unnoticed.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use m3_metric::Labels;

/// Criterion as all benches use it; options of the command line come first.
///
/// The cases are long enough that ten samples within a second tell a change of a few percent.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

/// `full` when measuring, else a small part of it. Only `cargo bench` passes `--bench`.
#[must_use]
pub fn size(full: usize) -> usize {
    let mut args = std::env::args();
    if args.any(|arg| arg == "--bench") { full } else { full.div_ceil(1000) }
}

/// Measures `case`, which handles `elements` elements at each call.
pub fn case<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    elements: usize,
    case: impl FnMut() -> T,
) {
    let mut case = case;
    group.throughput(Throughput::Elements(elements as u64));
    group.bench_function(name, |bencher| bencher.iter(&mut case));
}

/// The labels of series `index`: thirteen, as in a Kubernetes cluster.
#[must_use]
pub fn labels(index: usize) -> Labels {
    let (target, metric) = (index / 500, index % 500);
    let pairs = [
        ("__name__", format!("container_network_receive_{}_total", metric / 4)),
        ("cluster", "prod-eu-west-1".to_owned()),
        ("container", format!("payments-{}", target % 40)),
        ("endpoint", "https-metrics".to_owned()),
        ("environment", "production".to_owned()),
        ("image", format!("registry.local/team/payments:v1.{}.0", target % 40)),
        ("instance", format!("10.0.{}.{}:9100", target / 256, target % 256)),
        ("interface", format!("eth{}", metric % 4)),
        ("job", "kubernetes-nodes-cadvisor".to_owned()),
        ("namespace", format!("team-{}", target % 25)),
        ("node", format!("ip-10-0-{}-{}.internal", target / 256, target % 256)),
        ("pod", format!("payments-{:08x}", mix(target as u64))),
        ("zone", format!("eu-west-1{}", ["a", "b", "c"][target % 3])),
    ];
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    Labels::from_pairs(pairs).expect("these are labels")
}

/// The value of series `index` in round `round`: 40 % constant, 35 % counters, 25 % gauges.
#[must_use]
pub fn value(index: usize, round: usize) -> f64 {
    match mix(index as u64) % 100 {
        0..40 => (index % 7) as f64,
        40..75 => (round as u64 * (mix(index as u64) % 5000)) as f64,
        _ => (mix((index * 31 + round) as u64) % 10_000) as f64 / 100.0,
    }
}

/// A number without a visible pattern, the same for the same seed.
#[must_use]
pub const fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
