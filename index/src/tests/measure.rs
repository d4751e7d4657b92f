//! Speed and size. Small by default; for figures set `INDEX_SERIES=1000000` in a release build
//! (`cargo test --release -p m3-index measure -- --nocapture`).

use crate::{Index, Matchers};
use m3_metric::{Labels, MatchOp, Matcher, SeriesOrdinal};
use m3_testing::Random;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Series of Kubernetes pods in the order of scrapes: 13 labels, 40 series per pod, and one label
/// (`id`) that is unique to each series.
fn block(number: u32, random: &mut Random) -> Vec<u8> {
    let (pod, metric) = (number / 40, number % 40);
    let pairs = [
        ("__name__", format!("container_network_metric_{:03}_total", metric + 40 * (pod % 12))),
        ("cluster", "production-eu-west-1".to_owned()),
        ("container", format!("container-{}", pod % 12)),
        ("device", format!("eth{}", number % 4)),
        ("endpoint", "https-metrics".to_owned()),
        ("id", format!("/kubepods/{:08x}/{number:08x}", random.next() as u32)),
        ("image", format!("registry.example.org/team/image-{}:v1.2.{}", pod % 80, pod % 7)),
        ("instance", format!("10.{}.{}.{}:10250", pod % 3, pod / 256 % 256, pod % 256)),
        ("job", "kubelet".to_owned()),
        ("namespace", format!("namespace-{}", pod % 60)),
        ("node", format!("ip-10-0-{}-{}.compute.internal", pod / 30 % 256, pod / 30 / 256)),
        ("pod", format!("deployment-{}-7d9f8b6c5d-{pod:05x}", pod % 200)),
        ("service", "prometheus-kubelet".to_owned()),
    ];
    let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (*n, v.as_str()))).unwrap();
    labels.as_bytes().to_vec()
}

#[allow(clippy::disallowed_methods, reason = "a measurement needs the clock, and only tests")]
fn now() -> Instant {
    Instant::now()
}

/// Resident kilobytes of this process, if the system says.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

#[test]
fn measure() {
    let count: u32 =
        std::env::var("INDEX_SERIES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let mut random = Random::from_seed(7);
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for number in 0..count {
        bytes.extend(block(number, &mut random));
        ends.push(bytes.len());
    }
    let resident = resident_kb();
    let mut index = Index::new();
    let mut slowest = Duration::ZERO;
    let mut chunks: Vec<Duration> = Vec::new();
    for chunk in (0..count).collect::<Vec<_>>().chunks(1000) {
        let start = now();
        let mut last = start;
        for &number in chunk {
            let n = number as usize;
            index.insert(SeriesOrdinal(number), &bytes[ends[n]..ends[n + 1]]);
            let time = now();
            slowest = slowest.max(time - last);
            last = time;
        }
        chunks.push(start.elapsed() / u32::try_from(chunk.len()).unwrap());
    }
    chunks.sort_unstable();
    let (best, median) = (chunks[chunks.len() / 20], chunks[chunks.len() / 2]);
    let grown = resident_kb().saturating_sub(resident) * 1024;
    eprintln!(
        "{count} series: {best:?} to {median:?}/insert (5 % and median of thousands, clock included), slowest {slowest:?}, \
         {} bytes/series by its own count, {} resident",
        index.memory_bytes() / u64::from(count),
        grown / u64::from(count)
    );
    searches(&index);
    assert!(index.memory_bytes() / u64::from(count) < 400);
}

fn searches(index: &Index) {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let set: Vec<String> =
        (0..1000).map(|n| format!("deployment-{}-7d9f8b6c5d-{n:05x}", n % 200)).collect();
    let set = set.join("|");
    let table: &[&[(MatchOp, &str, &str)]] = &[
        &[(Equal, "pod", "deployment-3-7d9f8b6c5d-00003")],
        &[(Equal, "cluster", "production-eu-west-1")],
        &[(Equal, "__name__", "container_network_metric_007_total")],
        &[
            (Equal, "__name__", "container_network_metric_007_total"),
            (Equal, "cluster", "production-eu-west-1"),
            (Equal, "namespace", "namespace-0"),
        ],
        &[(Regex, "pod", &set)],
        &[(Regex, "id", "/kubepods/00.*")],
        &[(Regex, "id", ".*/0000.*")],
        &[(Regex, "id", ".*77")],
        &[(Regex, "id", r"/kubepods/\w+/00\d+")],
        &[(Regex, "id", r".*[0-9]{5}/0+\d+")],
        &[(Regex, "id", ".+")],
        &[(NotRegex, "id", ".*77.*")],
        &[(Equal, "__name__", "container_network_metric_007_total"), (Regex, "id", ".*77.*")],
        &[
            (Equal, "namespace", "namespace-0"),
            (NotEqual, "device", "eth1"),
            (NotRegex, "pod", "deployment-1.*"),
        ],
        &[(Regex, "device", "eth[0-2]")],
    ];
    for matchers in table {
        let matchers: Vec<Matcher> =
            matchers.iter().map(|&(op, name, value)| Matcher::new(op, name, value)).collect();
        let start = now();
        let compiled = Matchers::compile(&matchers).unwrap();
        let compile = start.elapsed();
        let start = now();
        let found = black_box(index.search(&compiled)).len();
        let first = start.elapsed();
        (0..40).for_each(|_| drop(black_box(index.search(&compiled))));
        let timed = |_| {
            let start = now();
            drop(black_box(index.search(&compiled)));
            start.elapsed()
        };
        let later = (0..7).map(timed).min().unwrap_or_default();
        let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let shown: String = shown.join(",").chars().take(90).collect();
        eprintln!(
            "{found:>8} first {first:>10.1?} later {later:>10.1?} compile {compile:>9.1?}  {shown}"
        );
    }
    for name in ["pod", "id"] {
        let start = now();
        let values = index.label_values(name, None).len();
        eprintln!("{values:>8} values of {name} in {:?}", start.elapsed());
    }
    let start = now();
    let some = Matchers::compile(&[Matcher::new(Equal, "namespace", "namespace-0")]).unwrap();
    let some = index.search(&some);
    let values = index.label_values("id", Some(&some)).len();
    let names = index.label_names(Some(&some)).len();
    eprintln!("{values:>8} values of id, {names} names of one namespace in {:?}", start.elapsed());
}
