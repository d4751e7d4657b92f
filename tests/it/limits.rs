//! Limits that protect the node: what they refuse, what they allow, and that the refusal says so.

use crate::harness::{Node, TempDir, now_ms, until, write_body};
use m3_http::proto::write::WriteRequestWriter;
use std::sync::Arc;
use std::time::Duration;

/// A body of `count` series `metric{n}` with one sample each.
fn series(metric: &str, first: usize, count: usize, ms: i64) -> Vec<u8> {
    let mut writer = WriteRequestWriter::default();
    for n in first..first + count {
        writer.push(&[("__name__", metric), ("n", &n.to_string())], &[(ms, n as f64)]);
    }
    writer.body()
}

fn start_with(config: &str, args: &[&str]) -> Node {
    let dir = Arc::new(TempDir::new("limits"));
    let file = dir.path().join("m3ring.yml");
    std::fs::create_dir_all(dir.path()).unwrap();
    std::fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let mut all = vec!["-f", file.as_str()];
    all.extend_from_slice(args);
    Node::start_in(&dir, &all)
}

#[test]
fn a_full_namespace_refuses_new_series_and_serves_the_others() {
    let node = start_with("limits: { seriesPerNamespaceMax: 100 }\n", &["--cores", "0"]);
    let mut client = node.client();
    let now = now_ms();
    client.remote_write(&series("known", 0, 100, now - 2000)).expect(200);

    let refused = client.remote_write(&series("flood", 0, 50, now - 1000)).expect(429);
    assert!(refused.text().contains("retryable_errors: count=50"), "{}", refused.text());
    assert!(refused.text().contains("limits.seriesPerNamespaceMax"), "{}", refused.text());

    client.remote_write(&series("known", 0, 100, now)).expect(200);
    let metrics = node.metrics_text();
    assert!(metrics.contains("m3ring_series{namespace=\"implicit\"} 100"), "{metrics}");
    let count = client.query("count(known)", now as f64 / 1e3).expect(200).json();
    assert_eq!(count["data"]["result"][0]["value"][1], "100");
    let flood = client.query("flood", now as f64 / 1e3).expect(200).json();
    assert_eq!(flood["data"]["result"].as_array().unwrap().len(), 0);
}

#[test]
fn labels_over_the_limits_are_refused_and_the_other_series_stored() {
    let config =
        "limits: { labelsPerSeriesMax: 3, labelNameBytesMax: 8, labelValueBytesMax: 16 }\n";
    let node = start_with(config, &["--cores", "0,1"]);
    let mut client = node.client();
    let now = now_ms();
    let one = [(now, 1.0)];
    let long = "v".repeat(17);
    let cases: [(&[(&str, &str)], &str); 3] = [
        (
            &[("__name__", "a"), ("b", "1"), ("c", "1"), ("d", "1")],
            "too many labels: count=4, max=3",
        ),
        (
            &[("__name__", "a"), ("a_long_name", "1")],
            "label literal is too long: nameLength=11, valueLength=1, maxLength=8",
        ),
        (
            &[("__name__", "a"), ("b", &long)],
            "label literal is too long: nameLength=1, valueLength=17, maxLength=16",
        ),
    ];
    for (labels, text) in cases {
        let good: &[(&str, &str)] = &[("__name__", "good"), ("n", text.get(..15).unwrap())];
        let refused = client.remote_write(&write_body(&[(good, &one), (labels, &one)])).expect(400);
        assert!(refused.text().contains(text), "{}", refused.text());
        assert!(refused.text().contains("count=1"), "{}", refused.text());
    }
    let count = client.query("count({__name__=~\".+\"})", now as f64 / 1e3).expect(200).json();
    assert_eq!(count["data"]["result"][0]["value"][1], "2", "two texts begin alike");
}

#[test]
fn at_the_memory_limit_writes_and_queries_are_refused_for_now() {
    // Less than any process takes: the limit is reached from the first reading on.
    let node = start_with("memory: { limit: 1000000 }\n", &["--cores", "0"]);
    let mut client = node.client();
    let body = write_body(&[]);
    let refused = until("the limit to be noticed", Duration::from_secs(10), || {
        let answer = client.remote_write(&body);
        (answer.status == 429).then_some(answer)
    });
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(refused.text().contains("memory limit reached"), "{}", refused.text());
    let query = client.query("vector(1)", 0.0).expect(429);
    assert!(query.text().contains("memory.limit is 0 MiB"), "{}", query.text());
    client.get("/health").expect(200);
    let metrics = node.metrics_text();
    assert!(metrics.contains("m3ring_memory_refused_total{what=\"query\"} 1"), "{metrics}");
}

/// Memory that the node may use above its limit: what arrives between two readings.
const SLACK_MIB: u64 = 48;

#[test]
fn a_flood_of_series_ends_at_the_memory_limit_and_the_node_lives() {
    let node = start_with("memory: { limit: 160000000 }\n", &["--cores", "0"]);
    let mut client = node.client();
    let now = now_ms();
    let mut refused = None;
    for round in 0..500 {
        let answer = client.remote_write(&series("flood", round * 2000, 2000, now));
        if answer.status == 429 {
            refused = Some(round);
            break;
        }
        answer.expect(200);
    }
    let stored = refused.expect("the limit is reached") * 2000;
    // Trying again does not help, even though the node returns what little memory it can.
    for round in 0..50 {
        client.remote_write(&series("more", round * 2000, 2000, now)).expect(429);
        std::thread::sleep(Duration::from_millis(if round < 40 { 10 } else { 500 }));
    }
    let peak = node.peak_mib();
    assert!(peak < 160 + SLACK_MIB, "{peak} MiB were resident");
    client.get("/health").expect(200);
    println!("{stored} series were stored, {peak} MiB were resident");
}

#[test]
fn a_query_that_needs_more_memory_than_there_is_fails_and_gives_it_back() {
    let node = start_with("memory: { limit: 200000000 }\n", &["--cores", "0"]);
    let mut client = node.client();
    let now = now_ms();
    for first in (0..10_000).step_by(2000) {
        client.remote_write(&series("wide", first, 2000, now - 4_000_000)).expect(200);
    }
    // 10,000 series at 4,000 steps: 40 M samples.
    let end = now / 1000;
    let path = format!(
        "/api/v1/query_range?query=last_over_time(wide[2h])&start={}&end={end}&step=1",
        end - 4000
    );
    for query in [path.as_str(), &path.replace("[2h])", "[2h])*2")] {
        let answer = client.get(query);
        assert_eq!(answer.status, 429, "{:.300}", answer.text());
        assert!(answer.text().contains("memory limit reached"), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    let peak = node.peak_mib();
    until("the memory to be free again", Duration::from_secs(20), || {
        (client.remote_write(&series("wide", 0, 10, now)).status == 200).then_some(())
    });
    let count =
        client.query("count(last_over_time(wide[2h]))", now as f64 / 1e3).expect(200).json();
    assert_eq!(count["data"]["result"][0]["value"][1], "10000");
    assert!(peak < 200 + SLACK_MIB, "{peak} MiB were resident");
    println!("{peak} MiB were resident at most");
}
