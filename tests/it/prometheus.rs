//! A real Prometheus writes to the node and reads from it, and both must answer the same queries
//! equally.
//!
//! It scrapes itself, a real node exporter and the node's metrics once a second for
//! `M3RING_E2E_SECONDS`. Then its own counters must show that nothing failed or was dropped; the
//! queries of [`super::queries`] must have equal answers at an instant and over a range; and a
//! second Prometheus with an empty store must answer them through the node.

use crate::harness::{
    Client, Node, Program, Response, TempDir, parse_exposition, peer, setting, until,
};
use crate::queries::{FAILING, INSTANT_QUERIES, QUERIES, fill, same};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

/// How far the newest common sample may be behind.
const CATCH_UP: Duration = Duration::from_secs(60);
/// Milliseconds of a range query.
const RANGE_MS: i64 = 15_000;
/// The range, the longest window and offset, and the first seconds of a remote write queue.
const SECONDS_MIN: u64 = 40;

/// A Prometheus with its directory.
struct Prometheus {
    client: Client,
    program: Program,
    _dir: TempDir,
}

impl Prometheus {
    /// Runs one. `config` is its configuration, except how it scrapes itself.
    fn run(program: &Path, addr: SocketAddr, config: &str) -> Self {
        let dir = TempDir::new("prometheus");
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let args = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()),
            format!("--web.listen-address={addr}"),
        ];
        let program = Program::run(program, &args, dir.path());
        let mut client = Client::new(addr);
        until("Prometheus is ready", Duration::from_secs(60), || {
            let answer = client.try_send("GET", "/-/ready", &[], b"").ok()?;
            (answer.status == 200).then_some(())
        });
        Self { client, program, _dir: dir }
    }

    /// The sum of a family of its own metrics; 0 if it has no samples.
    fn total(&mut self, family: &str) -> f64 {
        let samples = self.metrics();
        let is_of = |key: &&String| key.split('{').next() == Some(family);
        samples.keys().filter(is_of).map(|key| samples[key]).sum()
    }

    fn metrics(&mut self) -> HashMap<String, f64> {
        parse_exposition(&self.client.get("/metrics").expect(200).text())
    }
}

/// A free port of this machine.
fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn remote_read(node: &Node) -> String {
    format!(
        "remote_read:\n  - url: http://{}/api/v1/prom/remote/read\n    read_recent: true\n",
        node.api
    )
}

#[test]
fn a_real_prometheus_writes_and_reads() {
    let (Some(prometheus), Some(exporter)) = (peer("prometheus"), peer("prometheus-node-exporter"))
    else {
        return;
    };
    let seconds = setting("M3RING_E2E_SECONDS", SECONDS_MIN).max(SECONDS_MIN);
    let begun = Instant::now();
    let node = Node::start(&["--cores", "0"]);
    let exporter_addr = free_addr();
    let exporter_dir = TempDir::new("exporter");
    let args = [format!("--web.listen-address={exporter_addr}")];
    let _exporter = Program::run(&exporter, &args, exporter_dir.path());

    let addr = free_addr();
    let targets = [("prometheus", addr), ("node", exporter_addr), ("m3ring", node.metrics)];
    let mut config = String::from("global:\n  scrape_interval: 1s\nscrape_configs:\n");
    for (job, addr) in targets {
        config.push_str(&format!("  - job_name: {job}\n    static_configs:\n"));
        config.push_str(&format!("      - targets: ['{addr}']\n"));
    }
    config.push_str(&format!(
        "remote_write:\n  - url: http://{}/api/v1/prom/remote/write\n    \
         queue_config: {{batch_send_deadline: 500ms}}\n    \
         metadata_config: {{send_interval: 10s}}\n",
        node.api
    ));
    config.push_str(&remote_read(&node));
    let mut writer = Prometheus::run(&prometheus, addr, &config);
    std::thread::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed()));

    let (eval_ms, fraction_ms) = settled(&mut writer, &node);
    println!("{} s in: everything until {eval_ms} ms is in both", begun.elapsed().as_secs());
    nothing_was_lost(&mut writer, &node);
    equal_answers(&mut writer.client, &mut node.client(), eval_ms, fraction_ms);
    let reader = &mut Prometheus::run(&prometheus, free_addr(), &remote_read(&node));
    through_remote_read(reader, &node, eval_ms, fraction_ms);
    let said = reader.program.stderr.text() + &writer.program.stderr.text();
    let complaints: Vec<_> = said.lines().filter(|line| line.contains("level=error")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    println!("took {:?}", begun.elapsed());
}

/// The fractions of a second at which the targets are scraped, from the times of `up`.
fn phases(client: &mut Client) -> Vec<i64> {
    let answer = client.get("/api/v1/query?query=up[10s]").expect(200).json();
    let mut phases = Vec::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        for sample in series["values"].as_array().unwrap() {
            phases.push((sample[0].as_f64().unwrap() * 1e3).round() as i64 % 1000);
        }
    }
    assert!(!phases.is_empty());
    phases
}

/// A time up to which both have everything, with a fraction of a second far from all samples.
fn settled(writer: &mut Prometheus, node: &Node) -> (i64, i64) {
    let phases = phases(&mut writer.client);
    let distance = |fraction: i64| {
        let of = |phase: &i64| {
            let apart = (fraction - phase).abs();
            apart.min(1000 - apart)
        };
        phases.iter().map(of).min().unwrap()
    };
    let fraction_ms = (1..1000).max_by_key(|fraction| distance(*fraction)).unwrap();
    println!("scraped at {phases:?} ms of a second, asked at {fraction_ms}");
    let eval_ms = crate::harness::now_ms() / 1000 * 1000 + fraction_ms;
    // Every target has a sample after that time, on both sides. A queue sends in order, so earlier
    // samples have arrived.
    let mut ours = node.client();
    until("both hold what was scraped", CATCH_UP, || {
        let at = crate::harness::now_ms() as f64 / 1e3;
        let query = format!("count(timestamp(up) * 1000 > {})", eval_ms + 2_000);
        let has_all = |client: &mut Client| {
            let answer: Response = client.query(&query, at).expect(200);
            answer.json()["data"]["result"][0]["value"][1] == "3"
        };
        (has_all(&mut ours) && has_all(&mut writer.client)).then_some(())
    });
    (eval_ms, fraction_ms)
}

fn nothing_was_lost(writer: &mut Prometheus, node: &Node) {
    let sent = writer.total("prometheus_remote_storage_samples_total");
    assert!(sent > 10_000.0, "{sent} samples were sent");
    for family in [
        "prometheus_remote_storage_samples_failed_total",
        "prometheus_remote_storage_samples_dropped_total",
        "prometheus_remote_storage_samples_retried_total",
        "prometheus_remote_storage_metadata_failed_total",
        "prometheus_remote_storage_enqueue_retries_total",
    ] {
        assert_eq!(writer.total(family), 0.0, "{family}");
    }
    let ours = parse_exposition(&node.metrics_text());
    for kind in ["bad_request", "retryable"] {
        let key = format!("coordinator_write_errors{{type=\"{kind}\"}}");
        assert_eq!(ours.get(&key), Some(&0.0), "{key}");
    }
    let stored = ours["coordinator_write_success"];
    assert!(stored >= sent, "{stored} stored of {sent} sent");
    println!("{sent} samples sent, none failed, dropped or retried");
}

fn equal_answers(theirs: &mut Client, ours: &mut Client, eval_ms: i64, fraction_ms: i64) {
    let mut failures = Vec::new();
    let mut without_result = Vec::new();
    for query in QUERIES.iter().chain(INSTANT_QUERIES) {
        let query = fill(query, eval_ms, fraction_ms);
        let (one, other) = (instant(theirs, &query, eval_ms), instant(ours, &query, eval_ms));
        if let Err(why) = same(&one.json(), &other.json()) {
            failures.push(format!("{query}: {why}"));
        }
        if other.json()["data"]["result"].as_array().is_none_or(Vec::is_empty) {
            without_result.push(query);
        }
    }
    for query in QUERIES {
        for step in ["1s", "5s"] {
            let query = fill(query, eval_ms, fraction_ms);
            let (one, other) =
                (range(theirs, &query, eval_ms, step), range(ours, &query, eval_ms, step));
            if let Err(why) = same(&one.json(), &other.json()) {
                failures.push(format!("{query} every {step}: {why}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    // Two empty answers are equal but prove nothing.
    assert_eq!(without_result, ["absent(up)", FAILING]);
    println!("{} queries answered equally", QUERIES.len() + INSTANT_QUERIES.len());
}

fn through_remote_read(reader: &mut Prometheus, node: &Node, eval_ms: i64, fraction_ms: i64) {
    assert_eq!(reader.total("prometheus_tsdb_head_series"), 0.0, "its own store is empty");
    let mut ours = node.client();
    let mut failures = Vec::new();
    for query in QUERIES.iter().chain(INSTANT_QUERIES) {
        let query = fill(query, eval_ms, fraction_ms);
        let one = instant(&mut reader.client, &query, eval_ms);
        if let Err(why) = same(&one.json(), &instant(&mut ours, &query, eval_ms).json()) {
            failures.push(format!("{query}: {why}"));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    let metrics = reader.metrics();
    let family = "prometheus_remote_storage_read_queries_total{";
    let reads: Vec<_> = metrics.iter().filter(|(key, _)| key.starts_with(family)).collect();
    assert!(!reads.is_empty() && reads.iter().all(|(key, _)| key.contains("code=\"200\"")));
    println!("the same through an empty Prometheus");
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn instant(client: &mut Client, query: &str, eval_ms: i64) -> Response {
    client.post_form("/api/v1/query", &[("query", query), ("time", &seconds(eval_ms))])
}

fn range(client: &mut Client, query: &str, end_ms: i64, step: &str) -> Response {
    let (start, end) = (seconds(end_ms - RANGE_MS), seconds(end_ms));
    let form = [("query", query), ("start", &start), ("end", &end), ("step", step)];
    client.post_form("/api/v1/query_range", &form)
}
