//! What all benches share: seeded data, and a runner that measures or only runs.
//!
//! `cargo bench -p m3-benches` measures: each case is repeated for about a second in rounds, and
//! the best round is printed as nanoseconds an element, since noise only ever adds. `cargo test -p
//! m3-benches --benches` runs every case once over little data, so that none rots.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock itself")]
#![allow(clippy::print_stdout, reason = "figures are the output")]

use m3_metric::Labels;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one case is repeated.
const MEASURE: Duration = Duration::from_secs(1);

/// Runs cases, measuring them or once only.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    measures: bool,
}

impl Runner {
    /// As cargo asks: `--bench` is passed by `cargo bench` and by nothing else.
    #[must_use]
    pub fn from_args() -> Self {
        Self { measures: std::env::args().any(|arg| arg == "--bench") }
    }

    /// `full` when measuring, else a small part of it.
    #[must_use]
    pub const fn size(self, full: usize) -> usize {
        if self.measures { full } else { full.div_ceil(1000) }
    }

    /// Runs `case`, which handles `elements` elements, and prints what one costs.
    pub fn case<T>(self, name: &str, elements: usize, mut case: impl FnMut() -> T) {
        let mut rounds = Rounds::begin(self);
        while rounds.wants_more() {
            let round = Instant::now();
            black_box(case());
            rounds.took(round.elapsed());
        }
        rounds.print(name, elements);
    }

    /// The same where the case waits; on a core of `m3_io`.
    pub async fn case_on_core(self, name: &str, elements: usize, mut case: impl AsyncFnMut()) {
        let mut rounds = Rounds::begin(self);
        while rounds.wants_more() {
            let round = Instant::now();
            case().await;
            rounds.took(round.elapsed());
        }
        rounds.print(name, elements);
    }
}

/// The rounds of one case: one when only running, else as many as fit into [`MEASURE`].
struct Rounds {
    measures: bool,
    begun: Instant,
    count: usize,
    best: Duration,
}

impl Rounds {
    fn begin(run: Runner) -> Self {
        Self { measures: run.measures, begun: Instant::now(), count: 0, best: Duration::MAX }
    }

    fn wants_more(&self) -> bool {
        self.count == 0 || self.measures && self.begun.elapsed() < MEASURE
    }

    fn took(&mut self, round: Duration) {
        self.count += 1;
        self.best = self.best.min(round);
    }

    fn print(&self, name: &str, elements: usize) {
        if self.measures {
            let each = self.best.as_secs_f64() * 1e9 / elements.max(1) as f64;
            println!("{name:44} {each:10.2} ns an element");
        } else {
            println!("{name}: ran");
        }
    }
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
