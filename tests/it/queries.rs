//! Queries that two servers must answer equally, and what equal means.
//!
//! Prometheus 2.42 includes the left edge of a range selector; ours excludes it, as Prometheus 3
//! does. Each target's samples come once a second with a fraction of a second of its own. So
//! queries use times with a fraction that no target has: then no sample lies on an edge, and both
//! rules agree. `{inner}` is a window with this property at whole seconds, where subqueries
//! evaluate; `{past}` is an earlier time with the chosen fraction.

use serde_json::Value;

/// The queries. Metrics are those of Prometheus, the node exporter and the node.
pub const QUERIES: &[&str] = &[
    "up",
    "{job=\"node\",__name__=~\"node_memory_Mem.*\"}",
    "node_cpu_seconds_total{mode!~\"idle|iowait\",cpu=\"0\"}",
    "prometheus_http_requests_total{handler=~\"/api.*|/metrics\",code!=\"\"}",
    "node_load1 offset 5s",
    "sum(node_memory_MemFree_bytes @ {past})",
    "prometheus_tsdb_head_samples_appended_total @ end()",
    "rate(prometheus_tsdb_head_samples_appended_total[10s])",
    "sum by (mode) (rate(node_cpu_seconds_total[10s]))",
    "sum without (cpu, mode) (node_cpu_seconds_total)",
    "avg by (job) (scrape_samples_scraped)",
    "min(node_memory_MemAvailable_bytes) / max(node_memory_MemTotal_bytes)",
    "count({__name__=~\".+\"})",
    "count by (job) ({job=~\".+\"})",
    "topk(3, {__name__=~\"node_memory_(MemTotal|MemFree|Cached|Active|Inactive)_bytes\"})",
    "bottomk(2, node_cpu_seconds_total{mode=~\"user|system|idle\"})",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[15s])))",
    "histogram_quantile(0.99, sum by (le) (increase(coordinator_write_batch_latency_bucket[15s])))",
    "increase(coordinator_write_success[12s])",
    "irate(prometheus_tsdb_head_samples_appended_total[6s])",
    "delta(node_memory_MemFree_bytes[10s])",
    "sum by (handler) (rate({__name__=\"prometheus_http_requests_total\"}[10s]))",
    "max_over_time(node_memory_MemFree_bytes[15s]) - min_over_time(node_memory_MemFree_bytes[15s])",
    "avg_over_time(scrape_duration_seconds[15s])",
    "sum_over_time(up[12s]) + count_over_time(up[12s])",
    "stddev_over_time(scrape_duration_seconds[12s])",
    "quantile_over_time(0.5, scrape_duration_seconds[12s])",
    "last_over_time(node_load1[4s]) and present_over_time(node_load1[4s])",
    "max_over_time(rate(prometheus_tsdb_head_samples_appended_total[{inner}])[10s:2s])",
    "avg_over_time((up + 1)[10s:1s] offset 3s)",
    "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "node_cpu_seconds_total > 1",
    "-node_load1 >= bool -0.5",
    "up == bool 1 and up",
    "up unless up{job=\"node\"}",
    "node_load1 or node_load5 or vector(7)",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "absent(nosuch{job=\"x\"})",
    "absent(up)",
    "scalar(count(up)) * vector(time()) - 2 ^ 3 % 5",
];

/// For an instant only, since their result is not a matrix.
pub const INSTANT_QUERIES: &[&str] = &[
    "prometheus_tsdb_head_samples_appended_total[5s]",
    "{job=\"node\",__name__=~\"node_load.*\"}[7s] offset 4s",
    "scrape_samples_scraped[8s:2s]",
    "2 + 3 * 4",
    "\"text\"",
    FAILING,
];

/// Both refuse it in the same words: names are dropped, and then two series have the same labels.
pub const FAILING: &str = "sum(rate({__name__=~\"prometheus_.*_total\"}[10s]))";

/// Puts the times into a query; `fraction_ms` is the chosen fraction.
pub fn fill(query: &str, eval_ms: i64, fraction_ms: i64) -> String {
    let past = eval_ms - 9_000;
    let past = format!("{}.{:03}", past / 1000, past % 1000);
    query.replace("{inner}", &format!("{}ms", 5_000 - fraction_ms)).replace("{past}", &past)
}

/// Compares two answers: labels and times exactly, values to 1e-9 of their size (sums are
/// compensated here and plain in Prometheus 2), series in any order.
///
/// # Errors
/// Where they differ.
pub fn same(one: &Value, other: &Value) -> Result<(), String> {
    if one["status"] != "success" || other["status"] != "success" {
        let is_same = one["errorType"] == other["errorType"] && one["error"] == other["error"];
        return if is_same { Ok(()) } else { Err(format!("no success: {one} {other}")) };
    }
    let (one, other) = (&one["data"], &other["data"]);
    if one["resultType"] != other["resultType"] {
        return Err(format!("{} and {}", one["resultType"], other["resultType"]));
    }
    if matches!(one["resultType"].as_str(), Some("scalar" | "string")) {
        return same_sample(&one["result"], &other["result"]);
    }
    let sorted = |data: &Value| {
        let mut series: Vec<Value> = data["result"].as_array().unwrap().clone();
        series.sort_by_key(|one| one["metric"].to_string());
        series
    };
    let (one, other) = (sorted(one), sorted(other));
    let names = |list: &[Value]| list.iter().map(|s| s["metric"].to_string()).collect::<Vec<_>>();
    let (left, right) = (names(&one), names(&other));
    if left != right {
        let only: Vec<_> = left.iter().filter(|n| !right.contains(n)).collect();
        let added: Vec<_> = right.iter().filter(|n| !left.contains(n)).collect();
        return Err(format!("series: only the first has {only:?}, only the second {added:?}"));
    }
    for (one, other) in one.iter().zip(&other) {
        let at = |why| format!("{}: {why}", one["metric"]);
        same_samples(one, other).map_err(at)?;
    }
    Ok(())
}

fn same_samples(one: &Value, other: &Value) -> Result<(), String> {
    if one["value"].is_array() {
        return same_sample(&one["value"], &other["value"]);
    }
    let list = |series: &Value| series["values"].as_array().cloned().unwrap_or_default();
    let (one, other) = (list(one), list(other));
    if one.len() != other.len() {
        return Err(format!("{} samples and {}: {one:?} {other:?}", one.len(), other.len()));
    }
    one.iter().zip(&other).try_for_each(|(one, other)| same_sample(one, other))
}

fn same_sample(one: &Value, other: &Value) -> Result<(), String> {
    let differ = || Err(format!("{one} and {other}"));
    if one[0].as_f64() != other[0].as_f64() {
        return differ();
    }
    let text = |sample: &Value| sample[1].as_str().unwrap().to_owned();
    let (left, right) = (text(one), text(other));
    let numbers = (left.parse::<f64>(), right.parse::<f64>());
    let is_same = match numbers {
        _ if left == right => true,
        (Ok(left), Ok(right)) => (left - right).abs() <= 1e-9 * left.abs().max(right.abs()),
        _ => false,
    };
    if is_same { Ok(()) } else { differ() }
}
