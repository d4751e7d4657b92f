//! Sends queries like a dashboard, beside the load or alone, and counts what is stored.
//!
//! The queries are fixed and repeated in turn. They ask about the newest acknowledged round, like a
//! dashboard that refreshes.

use crate::client::{Connection, Target};
use crate::load::record_us;
use crate::options::{Options, Shape};
use crate::process;
use crate::workload::Bodies;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How long stored samples may take to become visible; some servers need seconds.
const VISIBLE_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(250);
/// Counting everything needs more series than M3's limit allows, so the limit is lifted.
const NO_LIMIT: &str = "M3-Limit-Max-Series: 100000000\r\nM3-Limit-Max-Docs: 100000000\r\n";
/// The range of a dashboard, and the distance of its points.
const RANGE_S: i64 = 900;
const STEP_S: i64 = 15;

/// A panel: its name, its query, and whether it is a range query.
type Panel = (&'static str, &'static str, bool);

const CLUSTER: &[Panel] = &[
    ("one series", "process_cpu_seconds_total{namespace=\"team-3\",container=\"catalog\"}", true),
    ("requests by namespace", "sum by (namespace) (rate(http_requests_total[5m]))", true),
    (
        "errors of one team",
        "sum(rate(http_requests_total{namespace=\"team-1\",code=~\"5..\"}[5m])) / sum(rate(http_requests_total{namespace=\"team-1\"}[5m]))",
        true,
    ),
    ("busiest pods", "topk(5, sum by (pod) (rate(container_cpu_usage_seconds_total[5m])))", false),
    (
        "latency of one team",
        "histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket{namespace=\"team-1\"}[5m])))",
        true,
    ),
    (
        "latency of all",
        "histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))",
        false,
    ),
    ("memory by node", "sum by (node) (container_memory_working_set_bytes)", false),
    ("targets up", "count by (job) (up)", false),
];

const PLAIN: &[Panel] = &[
    (
        "one series",
        "container_network_receive_7_total{namespace=\"team-3\",interface=\"eth1\"}",
        true,
    ),
    ("by namespace", "sum by (namespace) (rate(container_network_receive_7_total[5m]))", true),
    ("busiest pods", "topk(5, sum by (pod) (rate(container_network_receive_9_total[5m])))", false),
    ("most of a node", "max by (node) (container_network_receive_3_total)", false),
    ("count", "count by (zone) (container_network_receive_1_total)", false),
];

const REPLAY: &[Panel] = &[
    ("one series", "node_load1{job=\"node\"}", true),
    ("cpu by mode", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", true),
    (
        "busiest",
        "topk(5, sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m])))",
        false,
    ),
    (
        "latency of the log",
        "histogram_quantile(0.99, sum by (le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket[5m])))",
        true,
    ),
    ("memory by job", "sum by (job) (process_resident_memory_bytes)", false),
];

/// The measurements of the queries.
pub(crate) struct Asked {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    /// Answers without a series.
    pub(crate) empty: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) latency_us: Histogram<u64>,
    by_panel: Vec<(&'static str, Histogram<u64>)>,
    pub(crate) cpu_s: f64,
}

impl Asked {
    fn new(panels: &[Panel]) -> Result<Self, String> {
        let histogram = || Histogram::new(3).map_err(|e| e.to_string());
        let by_panel = panels.iter().map(|panel| Ok((panel.0, histogram()?)));
        Ok(Self {
            count: 0,
            errors: 0,
            empty: 0,
            first_error: None,
            latency_us: histogram()?,
            by_panel: by_panel.collect::<Result<_, String>>()?,
            cpu_s: 0.0,
        })
    }

    fn add(&mut self, other: Self) -> Result<(), String> {
        self.count += other.count;
        self.errors += other.errors;
        self.empty += other.empty;
        self.cpu_s += other.cpu_s;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latency_us.add(other.latency_us).map_err(|e| e.to_string())?;
        for ((_, to), (_, from)) in self.by_panel.iter_mut().zip(other.by_panel) {
            to.add(from).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// For each panel: number of queries, p50 and p99 in milliseconds.
    pub(crate) fn by_query(&self) -> String {
        let ms = |h: &Histogram<u64>, q| h.value_at_quantile(q) as f64 / 1000.0;
        let one = |(name, h): &(&str, Histogram<u64>)| {
            format!("\"{name}\":[{},{:.3},{:.3}]", h.len(), ms(h, 0.5), ms(h, 0.99))
        };
        format!("{{{}}}", self.by_panel.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

/// Sends queries on `--queries` connections until `is_done`, or for `--seconds`.
pub(crate) fn ask(
    options: &Options,
    target: &Target,
    newest_ms: &AtomicI64,
    is_done: &AtomicBool,
) -> Result<Asked, String> {
    let panels = panels(options);
    let begun = Instant::now();
    let mut asked = Asked::new(panels)?;
    std::thread::scope(|scope| {
        let spawn = |number| {
            scope.spawn(move || {
                let asking = Asking { options, target, panels, number, begun };
                asking.run(newest_ms, is_done)
            })
        };
        let threads: Vec<_> = (0..options.queries).map(spawn).collect();
        for thread in threads {
            asked.add(thread.join().map_err(|_| "asking panicked".to_owned())??)?;
        }
        Ok::<_, String>(())
    })?;
    Ok(asked)
}

fn panels(options: &Options) -> &'static [Panel] {
    match options.shape {
        _ if options.replay.is_some() => REPLAY,
        Shape::Cluster => CLUSTER,
        Shape::Plain => PLAIN,
    }
}

/// One connection for queries.
struct Asking<'a> {
    options: &'a Options,
    target: &'a Target,
    panels: &'static [Panel],
    number: usize,
    begun: Instant,
}

impl Asking<'_> {
    fn run(&self, newest_ms: &AtomicI64, is_done: &AtomicBool) -> Result<Asked, String> {
        process::sleep_exactly();
        let cpu_s = process::thread_cpu_s();
        let deadline = self.begun + Duration::from_secs(self.options.seconds);
        let mut connection = Connection::open(self.target)?;
        let mut asked = Asked::new(self.panels)?;
        for turn in 0.. {
            // All connections together go through the queries in turn.
            let at = turn * self.options.queries + self.number;
            let due = self.due(at);
            let is_over = || is_done.load(Ordering::Relaxed) || Instant::now() > deadline;
            while Instant::now() < due && !is_over() {
                let rest = due.saturating_duration_since(Instant::now());
                std::thread::sleep(rest.min(Duration::from_millis(20)));
            }
            if is_over() {
                break;
            }
            let begun = if self.options.query_rate > 0.0 { due } else { Instant::now() };
            let panel = at % self.panels.len();
            let request = self.request(&self.panels[panel], newest_ms.load(Ordering::Relaxed));
            asked.count += 1;
            let error = match connection.exchange(request.as_bytes()) {
                Ok(200) => None,
                Ok(status) => {
                    let text = String::from_utf8_lossy(connection.body());
                    Some((format!("{}: {status}: {}", self.panels[panel].1, text.trim()), true))
                }
                Err(text) => Some((text, false)),
            };
            record_us(&mut asked.latency_us, begun.elapsed())?;
            record_us(&mut asked.by_panel[panel].1, begun.elapsed())?;
            if let Some((text, can_go_on)) = error {
                asked.errors += 1;
                asked.first_error.get_or_insert(text);
                if !can_go_on {
                    break;
                }
            } else {
                asked.empty += u64::from(is_empty(connection.body()));
            }
        }
        asked.cpu_s = process::thread_cpu_s() - cpu_s;
        Ok(asked)
    }

    fn due(&self, at: usize) -> Instant {
        let rate = self.options.query_rate;
        let after = if rate > 0.0 { at as f64 / rate } else { 0.0 };
        self.begun + Duration::from_secs_f64(after)
    }

    fn request(&self, (_, query, is_range): &Panel, newest_ms: i64) -> String {
        let end_s = newest_ms / 1000;
        let path = &self.options.query_path;
        let query = escape(query);
        let path = if *is_range {
            let start_s = end_s - RANGE_S;
            format!("{path}/query_range?query={query}&start={start_s}&end={end_s}&step={STEP_S}")
        } else {
            format!("{path}/query?query={query}&time={end_s}")
        };
        self.target.get(&path)
    }
}

/// Whether an answer contains no series: then its result ends within the first bytes.
fn is_empty(body: &[u8]) -> bool {
    let front = String::from_utf8_lossy(&body[..body.len().min(200)]);
    front.contains("\"result\":[]")
}

/// The number of samples that the server finds; waits a while until it is `expected`.
pub(crate) fn stored(
    options: &Options,
    target: &Target,
    bodies: &Bodies,
    expected: u64,
) -> Result<u64, String> {
    let range_s = (bodies.end_ms - bodies.start_ms) / 1000 + 120;
    let time_s = bodies.end_ms / 1000 + 20;
    let begun = Instant::now();
    let mut connection = Connection::open(target)?;
    loop {
        let mut found = 0.0;
        for name in &bodies.names {
            let query = format!("sum(count_over_time({name}[{range_s}s]))");
            found += number(&mut connection, options, target, &query, time_s)?;
        }
        if found as u64 >= expected || begun.elapsed() > VISIBLE_MAX {
            return Ok(found as u64);
        }
        std::thread::sleep(POLL);
    }
}

/// The number of series with a sample in the last rounds.
pub(crate) fn series(
    options: &Options,
    target: &Target,
    bodies: &Bodies,
    until_ms: i64,
) -> Result<u64, String> {
    let mut found = 0.0;
    let mut connection = Connection::open(target)?;
    for selector in &bodies.selectors {
        let query = format!("count({selector})");
        found += number(&mut connection, options, target, &query, until_ms / 1000)?;
    }
    Ok(found as u64)
}

/// The single number that answers `query`; 0 if there is none.
fn number(
    connection: &mut Connection,
    options: &Options,
    target: &Target,
    query: &str,
    time_s: i64,
) -> Result<f64, String> {
    let path = &options.query_path;
    // Without the server's cache, since the samples have just been written.
    let path = format!("{path}/query?query={}&time={time_s}&nocache=1", escape(query));
    let request = target.get_with(&path, NO_LIMIT);
    let status = connection.exchange(request.as_bytes())?;
    let text = String::from_utf8_lossy(connection.body()).into_owned();
    if status != 200 {
        return Err(format!("{query}: {status}: {}", text.trim()));
    }
    let answer: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("{query}: {e}: {text}"))?;
    let value = answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0");
    value.parse().map_err(|_| format!("{query}: {text}"))
}

/// Escapes a text for a URL's query.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{CLUSTER, PLAIN, REPLAY, escape, is_empty};

    #[test]
    fn queries_survive_a_url() {
        assert_eq!(escape("up{a=~\"b+\"} é"), "up%7Ba%3D~%22b%2B%22%7D%20%C3%A9");
    }

    #[test]
    fn an_empty_answer_is_seen() {
        assert!(is_empty(br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#));
        assert!(!is_empty(br#"{"status":"success","data":{"resultType":"vector","result":[{}]}}"#));
    }

    #[test]
    fn all_panels_are_promql() {
        for (name, query, _) in [CLUSTER, PLAIN, REPLAY].concat() {
            m3_query::promql::parse(query).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
    }
}
