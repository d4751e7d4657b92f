//! Limits that protect the node: what they refuse, what they let pass, and that it says so.

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
