//! Series like those of a Kubernetes cluster, and their values in each round.
//!
//! The shape `cluster` has targets of 500 series as listed in `catalog.rs` (39 % of histograms, 32
//! % counters, 18 % gauges, 11 % constants), each with the labels that service discovery adds. A
//! target belongs to one of 40 apps in 25 namespaces, and ten targets share a node. Each target has
//! its own scrape time within the interval, with a jitter of milliseconds. With churn, targets are
//! replaced one by one: pod and instance change, and counters begin at zero.
//!
//! The shape `plain` is the first data set of this program, kept so that figures can be compared
//! over time: no histograms, and all series alike.

use super::catalog::{self, Kind, Slot};
use crate::options::{Options, Shape};

/// Milliseconds between two rounds: a scrape interval.
pub(crate) const ROUND_MS: i64 = 15_000;
/// Series of one target, scraped together.
pub(crate) const SERIES_PER_TARGET: usize = 500;
/// A late sample is this much older than its round, which puts it between the two previous rounds.
const LATE_MS: i64 = 23_000;
/// Namespaces of the cluster.
pub(crate) const NAMESPACES: usize = 25;
const APPS: usize = 40;
const TARGETS_PER_NODE: usize = 10;
/// The average number of labels that belong to a series alone, including its name.
const OWN_LABELS: usize = 3;

const NAMES: [&str; 20] = [
    "payments",
    "checkout",
    "search",
    "catalog",
    "inventory",
    "shipping",
    "accounts",
    "sessions",
    "gateway",
    "recommendations",
    "notifications",
    "billing",
    "pricing",
    "reviews",
    "images",
    "mailer",
    "scheduler",
    "fraud",
    "ledger",
    "reports",
];

pub(crate) type Labels = Vec<(String, String)>;

/// All series and their values.
#[derive(Debug)]
pub(crate) struct Model {
    shape: Shape,
    pub(crate) series: usize,
    labels: usize,
    seed: u64,
    churn: f64,
    late: f64,
    pub(crate) start_ms: i64,
    slots: Vec<Slot>,
    /// The order in which targets are replaced.
    ranks: Vec<u32>,
}

impl Model {
    pub(crate) fn new(options: &Options) -> Self {
        let seed = mix(options.seed, 0);
        let targets = options.series.div_ceil(SERIES_PER_TARGET);
        let mut ranks: Vec<u32> = (0..targets).map(|t| t as u32).collect();
        for at in (1..targets).rev() {
            ranks.swap(at, (mix(seed ^ at as u64, 77) % (at as u64 + 1)) as usize);
        }
        Self {
            shape: options.shape,
            series: options.series,
            labels: options.labels,
            seed,
            churn: options.churn,
            late: options.late,
            start_ms: options.start_ms(ROUND_MS),
            slots: catalog::slots(),
            ranks,
        }
    }

    /// How often the target of series `index` has been replaced by `round`.
    pub(crate) fn generation(&self, index: usize, round: usize) -> u32 {
        let targets = self.ranks.len();
        let replaced = (targets as f64 * self.churn / 100.0 * round as f64) as usize;
        let rank = self.ranks[index / SERIES_PER_TARGET] as usize;
        (replaced + targets - 1).saturating_sub(rank).div_euclid(targets) as u32
    }

    /// The labels of series `index`, sorted by name, as Prometheus sends them.
    pub(crate) fn labels(&self, index: usize, generation: u32) -> Labels {
        let target = index / SERIES_PER_TARGET;
        let life = target + generation as usize * self.ranks.len();
        let mut labels = match self.shape {
            Shape::Cluster => self.cluster(target, life, index % SERIES_PER_TARGET),
            Shape::Plain => self.plain(target, life, index % SERIES_PER_TARGET),
        };
        labels.sort();
        labels
    }

    fn cluster(&self, target: usize, life: usize, slot: usize) -> Labels {
        let slot = &self.slots[slot];
        let app = target % APPS;
        let name = NAMES[app % NAMES.len()];
        let app_name = if app < NAMES.len() { name.to_owned() } else { format!("{name}-worker") };
        let node = target / TARGETS_PER_NODE;
        let common = [
            ("instance", address(life)),
            ("job", app_name.clone()),
            ("pod", pod(&app_name, life)),
            ("namespace", format!("team-{}", app % NAMESPACES)),
            ("container", app_name.clone()),
            ("cluster", "prod-eu-west-1".to_owned()),
            ("node", format!("ip-10-0-{}-{}.eu-west-1.compute.internal", node / 256, node % 256)),
            ("environment", "production".to_owned()),
            ("service", format!("{app_name}-metrics")),
            ("image", format!("registry.internal/{name}/{app_name}:v1.{app}.0")),
            ("endpoint", "https-metrics".to_owned()),
            ("zone", format!("eu-west-1{}", ["a", "b", "c"][node % 3])),
        ];
        let mut labels = vec![("__name__".to_owned(), slot.name.to_owned())];
        labels.extend(slot.own.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
        extend(&mut labels, common, self.labels - OWN_LABELS);
        labels
    }

    fn plain(&self, target: usize, life: usize, metric: usize) -> Labels {
        let mut labels = vec![
            ("__name__".to_owned(), plain_name(metric)),
            ("instance".to_owned(), address(life)),
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
            ("pod", pod("payments", life)),
            ("zone", format!("eu-west-1{}", ["a", "b", "c"][target % 3])),
        ];
        extend(&mut labels, more, self.labels - 4);
        labels
    }

    /// Whether the sample arrives after a newer one.
    pub(crate) fn is_late(&self, index: usize, round: usize) -> bool {
        let chance = self.noise(index as u64 ^ 0x6c61_7465, round as u64) % 10_000;
        round >= 2 && (chance as f64) < self.late * 100.0
    }

    /// The sample's time.
    pub(crate) fn time_ms(&self, index: usize, round: usize) -> i64 {
        let target = (index / SERIES_PER_TARGET) as u64;
        let offset = match self.shape {
            Shape::Cluster => self.noise(target, 0x7469_6d65) % (ROUND_MS as u64 - 10),
            Shape::Plain => target % ROUND_MS as u64,
        };
        let jitter = self.noise(target, round as u64) % 9;
        let late = if self.is_late(index, round) { LATE_MS } else { 0 };
        self.start_ms + ROUND_MS * round as i64 + (offset + jitter) as i64 - late
    }

    pub(crate) fn is_histogram(&self, index: usize) -> bool {
        let kind = self.slots[index % SERIES_PER_TARGET].kind;
        self.shape == Shape::Cluster && matches!(kind, Kind::Bucket { .. } | Kind::Sum { .. })
    }

    /// The value in `round`, given the previous value, or none if the target is new.
    pub(crate) fn value(&self, index: usize, round: usize, before: Option<f64>) -> f64 {
        match self.shape {
            Shape::Cluster => self.cluster_value(index, round, before),
            Shape::Plain => self.plain_value(index, round, before),
        }
    }

    fn plain_value(&self, index: usize, round: usize, before: Option<f64>) -> f64 {
        let noise = self.noise(index as u64, round as u64);
        match self.noise(index as u64, 0) % 100 {
            0..40 => (index % 7) as f64,
            40..75 => before.unwrap_or(0.0) + (noise % 5000) as f64,
            _ => (noise % 10_000) as f64 / 100.0,
        }
    }

    fn cluster_value(&self, index: usize, round: usize, before: Option<f64>) -> f64 {
        let slot = &self.slots[index % SERIES_PER_TARGET];
        let noise = self.noise(index as u64, round as u64);
        let steady = self.noise(index as u64, 0x6b69_6e64);
        // A target that has run for long has counted much; a replacement begins at zero.
        let begin = |scale: u64| if round == 0 { (steady / 7 % scale) as f64 } else { 0.0 };
        match slot.kind {
            Kind::Constant => 1.0 + (steady % 3) as f64,
            Kind::Counter if steady.is_multiple_of(2) => before.unwrap_or_else(|| begin(1000)),
            Kind::Counter => before.unwrap_or_else(|| begin(1 << 20)) + (noise % 5000) as f64,
            Kind::Seconds => {
                before.unwrap_or_else(|| begin(100_000)) + (noise % 1500) as f64 / 100.0
            }
            Kind::Level if steady.is_multiple_of(2) => (steady % 64) as f64,
            Kind::Level => (noise % 200) as f64,
            Kind::Bytes if noise.is_multiple_of(3) => before.unwrap_or((steady % (1 << 30)) as f64),
            Kind::Bytes => ((steady % (1 << 30)) / 4096 * 4096 + noise % 512 * 4096) as f64,
            Kind::Ratio => (noise % 10_000) as f64 / 100.0,
            Kind::Bucket { group, share } => {
                let (long, seen) = self.observed(index, group, round);
                let begin = if before.is_none() { (long * share).floor() } else { 0.0 };
                before.unwrap_or(0.0) + begin + (seen * share).floor()
            }
            Kind::Sum { group, mean } => {
                let (long, seen) = self.observed(index, group, round);
                let spread = 0.9 + (noise % 1000) as f64 / 5000.0;
                let begin = if before.is_none() { long * mean } else { 0.0 };
                before.unwrap_or(0.0) + begin + seen * mean * spread
            }
        }
    }

    /// Observations of a histogram before the first round, if this is it, and in this round. All
    /// buckets see the same observations, and a larger bucket counts at least as many of them.
    fn observed(&self, index: usize, group: u32, round: usize) -> (f64, f64) {
        let histogram = (index / SERIES_PER_TARGET) as u64 * 64 + u64::from(group);
        let steady = self.noise(histogram, 0x6869_7374);
        let long = if round == 0 { (steady / 5 % 100_000) as f64 } else { 0.0 };
        if steady % 5 < 3 {
            return (long, 0.0);
        }
        (long, (self.noise(histogram ^ 0x6f62_7300_0000, round as u64) % 60) as f64)
    }

    /// Selectors that together cover all series, each once.
    pub(crate) fn selectors(&self) -> Vec<String> {
        match self.shape {
            Shape::Cluster => {
                (0..NAMESPACES).map(|n| format!("{{namespace=\"team-{n}\"}}")).collect()
            }
            Shape::Plain => (0..4).map(|n| format!("{{interface=\"eth{n}\"}}")).collect(),
        }
    }

    /// The names of all series.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |slot: usize| match self.shape {
            Shape::Cluster => self.slots[slot].name.to_owned(),
            Shape::Plain => plain_name(slot),
        };
        // In both shapes, the series of a name are adjacent.
        let mut names: Vec<_> = (0..SERIES_PER_TARGET.min(self.series)).map(name).collect();
        names.dedup();
        names
    }

    /// The number of different series in all `rounds`.
    pub(crate) fn identities(&self, rounds: usize) -> usize {
        let last = rounds.saturating_sub(1);
        let firsts = (0..self.ranks.len()).map(|target| target * SERIES_PER_TARGET);
        let of = |first: usize| {
            let series = SERIES_PER_TARGET.min(self.series - first);
            series * (self.generation(first, last) as usize + 1)
        };
        firsts.map(of).sum()
    }

    fn noise(&self, a: u64, b: u64) -> u64 {
        mix(a ^ self.seed, b)
    }
}

fn plain_name(metric: usize) -> String {
    format!("container_network_receive_{}_total", metric / 4)
}

fn address(life: usize) -> String {
    format!("10.{}.{}.{}:9100", life / 65536, life / 256 % 256, life % 256)
}

fn pod(app: &str, life: usize) -> String {
    format!("{app}-{:08x}-{:05x}", life * 2_654_435_761 % 4_294_967_296, life % 1_048_576)
}

/// Adds the first `count` labels of `more`, then meaningless ones.
fn extend<const N: usize>(labels: &mut Labels, more: [(&str, String); N], count: usize) {
    labels.extend(more.into_iter().take(count).map(|(n, v)| (n.to_owned(), v)));
    for extra in N..count {
        labels.push((format!("label_{}", extra + 4), format!("value-{}", (extra + 4) * 7)));
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 29)
}
