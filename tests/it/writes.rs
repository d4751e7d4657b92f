//! Writes and reads: order, repeats, bits, partial batches, namespaces, restarts.

use crate::harness::{Client, Node, PATIENCE, Random, now_ms, until, write_body};
use m3_http::api::{ReadQuery, Selection};
use m3_http::proto::read::{decode_response, encode_request};
use m3_http::proto::write::WriteRequestWriter;
use m3_metric::{MatchOp, Matcher};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const MINUTE_MS: i64 = 60_000;
const NAMESPACE: &str = "/api/v1/services/m3db/namespace";

/// The samples of each series of `metric`, by remote read; keyed by the text of the labels.
fn read(
    client: &mut Client,
    metric: &str,
    from: i64,
    to: i64,
) -> BTreeMap<String, Vec<(i64, u64)>> {
    let matchers = vec![Matcher::new(MatchOp::Equal, "__name__", metric)];
    let selection = Selection::Matchers(matchers);
    let body = encode_request(&[ReadQuery { start_ms: from, end_ms: to, selection }]);
    let headers = [("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
    let answer = client.send("POST", "/api/v1/prom/remote/read", &headers, &body).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(answer.header("content-encoding"), Some("snappy"));
    let mut results = decode_response(&answer.body, 64 << 20).unwrap();
    assert_eq!(results.len(), 1);
    let series = results.remove(0).into_iter();
    series
        .map(|one| {
            let points = one.points.iter().map(|(ms, value)| (*ms, value.to_bits()));
            (one.labels.quoted_id(), points.collect())
        })
        .collect()
}

fn only(mut series: BTreeMap<String, Vec<(i64, u64)>>) -> Vec<(i64, u64)> {
    assert_eq!(series.len(), 1, "{series:?}");
    series.pop_first().unwrap().1
}

/// The result of an instant query as (labels, value).
fn ask(client: &mut Client, query: &str, ms: i64) -> Vec<(Value, String)> {
    let answer = client.query(query, ms as f64 / 1e3).expect(200).json();
    let result = answer["data"]["result"].as_array().unwrap().iter();
    let pair = |one: &Value| (one["metric"].clone(), one["value"][1].as_str().unwrap().to_owned());
    result.map(pair).collect()
}

fn value(client: &mut Client, query: &str, ms: i64) -> Option<String> {
    let mut found = ask(client, query, ms);
    assert!(found.len() <= 1, "{found:?}");
    found.pop().map(|(_, value)| value)
}

#[test]
fn two_thousand_series_on_one_core_and_on_two() {
    for cores in ["0", "0,1"] {
        let mut node = Node::start(&["--cores", cores]);
        let ms = now_ms();
        let mut writer = WriteRequestWriter::default();
        for number in 0..2_000 {
            let (instance, path) = (format!("host-{}", number % 40), format!("/{}", number / 40));
            let labels = [
                ("__name__", "http_requests_total"),
                ("instance", instance.as_str()),
                ("job", "api"),
                ("path", path.as_str()),
            ];
            writer.push(&labels, &[(ms, f64::from(number))]);
        }
        let mut client = node.client();
        client.remote_write(&writer.body()).expect(200);
        for restarted in [false, true] {
            let what = format!("cores {cores}, restarted {restarted}");
            let mut one = |query: &str| value(&mut client, query, ms);
            assert_eq!(one("count(http_requests_total)").unwrap(), "2000", "{what}");
            assert_eq!(one("sum(http_requests_total)").unwrap(), "1999000", "{what}");
            assert_eq!(one("count(count by (instance) ({job=\"api\"}))").unwrap(), "40", "{what}");
            assert_eq!(one("max({path=~\"/4.\",job!=\"\"})").unwrap(), "1999", "{what}");
            let labels = client.get("/api/v1/label/path/values").expect(200).json();
            assert_eq!(labels["data"].as_array().unwrap().len(), 50);
            if !restarted {
                // Another number of cores than last time, after a kill.
                node.restart(&["--cores", if cores == "0" { "0,1" } else { "0" }]);
                client = node.client();
            }
        }
    }
}

#[test]
fn requests_of_more_new_series_than_the_log_holds_back_are_answered() {
    let node = Node::start(&["--cores", "0"]);
    let ms = now_ms();
    let filler = "x".repeat(800);
    // Together and each by itself more than the log lets wait (8 MiB).
    let bodies: Vec<_> = (0..3)
        .map(|sender| {
            let mut writer = WriteRequestWriter::default();
            for number in 0..20_000 {
                let id = format!("{filler}-{sender}-{number}");
                writer.push(&[("__name__", "wide"), ("id", id.as_str())], &[(ms, 1.0)]);
            }
            writer.body()
        })
        .collect();
    std::thread::scope(|scope| {
        for body in &bodies {
            scope.spawn(|| node.client().remote_write(body).expect(200));
        }
    });
    assert_eq!(value(&mut node.client(), "count(wide)", ms).unwrap(), "60000");
}

#[test]
fn any_order_any_repeats_the_last_write_wins() {
    let node = Node::start(&["--cores", "0"]);
    let mut random = Random::new("any_order_any_repeats_the_last_write_wins");
    let mut client = node.client();
    let now = now_ms();
    let mut expected = BTreeMap::new();
    for _ in 0..200 {
        let mut samples = Vec::new();
        for _ in 0..=random.below(5) {
            let ms = now - random.below(3_000) * 1_000;
            let value = random.below(1_000_000) as f64 / 7.0;
            samples.push((ms, value));
            expected.insert(ms, value.to_bits());
        }
        client.remote_write(&write_body(&[(&[("__name__", "a")], &samples)])).expect(200);
    }
    let held = only(read(&mut client, "a", now - 4_000_000, now));
    assert_eq!(held, expected.into_iter().collect::<Vec<_>>());
}

#[test]
fn values_keep_their_bits() {
    let mut node = Node::start(&["--cores", "0"]);
    let now = now_ms();
    let bits = [
        0x7ff0_0000_0000_0002, // the stale marker
        0x7ff8_0000_0000_0001,
        0xfff8_dead_beef_0001,
        f64::NAN.to_bits(),
        (-0.0f64).to_bits(),
        0.0f64.to_bits(),
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        5e-324f64.to_bits(),
        f64::MAX.to_bits(),
        0.1f64.to_bits(),
        123_456_789_012_345_680f64.to_bits(),
    ];
    let at = |number: usize| now - MINUTE_MS + i64::try_from(number).unwrap();
    let samples: Vec<(i64, f64)> =
        bits.iter().enumerate().map(|(n, bits)| (at(n), f64::from_bits(*bits))).collect();
    let expected: Vec<(i64, u64)> = bits.iter().enumerate().map(|(n, b)| (at(n), *b)).collect();
    node.client().remote_write(&write_body(&[(&[("__name__", "a")], &samples)])).expect(200);
    assert_eq!(only(read(&mut node.client(), "a", now - 2 * MINUTE_MS, now)), expected);
    node.restart(&["--cores", "0"]);
    assert_eq!(only(read(&mut node.client(), "a", now - 2 * MINUTE_MS, now)), expected);
    // A stale marker ends a series for PromQL.
    let mut client = node.client();
    assert_eq!(value(&mut client, "a", at(0)), None);
    assert_eq!(value(&mut client, "a", at(4)).unwrap(), "-0");
    assert_eq!(value(&mut client, "a", at(6)).unwrap(), "+Inf");
}

#[test]
fn labels_in_any_order_are_one_series() {
    let node = Node::start(&["--cores", "0,1"]);
    let now = now_ms();
    let mut client = node.client();
    let one = [("__name__", "a"), ("b", "1"), ("c", "2")];
    let other = [("c", "2"), ("b", "1"), ("__name__", "a")];
    client.remote_write(&write_body(&[(&one, &[(now - 2, 1.0)])])).expect(200);
    client.remote_write(&write_body(&[(&other, &[(now - 1, 2.0)])])).expect(200);
    client.remote_write(&write_body(&[(&one, &[(now, 3.0)])])).expect(200);
    let json = format!(
        r#"{{"tags":{{"c":"2","__name__":"a","b":"1"}},"timestamp":"{}","value":4}}"#,
        (now - MINUTE_MS) / 1000
    );
    client.post_json("/api/v1/json/write", &json).expect(200);
    let series = client.get("/api/v1/series?match[]=a").expect(200).json();
    assert_eq!(series["data"], json!([{"__name__": "a", "b": "1", "c": "2"}]));
    assert_eq!(only(read(&mut client, "a", now - 2 * MINUTE_MS, now)).len(), 4);
}

/// A namespace with M3's windows takes what is good of a batch and says what was not.
#[test]
fn a_partial_batch_stores_what_is_good() {
    let node = Node::start(&["--cores", "0,1"]);
    let mut client = node.client();
    let create = r#"{"type":"local","namespaceName":"default","retentionTime":"12h"}"#;
    client.post_json("/api/v1/database/create", create).expect(200);
    let now = now_ms();
    let mut writer = WriteRequestWriter::default();
    for number in 0..100 {
        let id = number.to_string();
        let ms = if number % 10 == 0 { now - 3_600_000 } else { now };
        writer.push(&[("__name__", "a"), ("id", &id)], &[(ms, 1.0)]);
    }
    let refused = client.remote_write(&writer.body()).expect(400).text();
    assert!(refused.contains("datapoint too far in past: id={__name__"), "{refused}");
    assert!(refused.contains("10"), "how many: {refused}");
    assert_eq!(value(&mut client, "count(a)", now).unwrap(), "90");
    let ids = client.get("/api/v1/label/id/values").expect(200).json();
    assert_eq!(ids["data"].as_array().unwrap().len(), 90, "no series without samples");
}

#[test]
fn storage_is_chosen_by_header() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let create = json!({
        "type": "local", "namespaceName": "raw", "retentionTime": "12h",
        "aggregatedNamespace": {"name": "agg", "resolution": "1m", "retentionTime": "720h"},
    });
    client.post_json("/api/v1/database/create", &create.to_string()).expect(200);
    let now = now_ms();
    let aggregated = [("M3-Metrics-Type", "aggregated"), ("M3-Storage-Policy", "1m:720h")];
    let body = write_body(&[(&[("__name__", "a")], &[(now, 5.0)])]);
    client.send("POST", "/api/v1/prom/remote/write", &aggregated, &body).expect(200);
    let path = format!("/api/v1/query?query=a&time={}", now as f64 / 1e3);
    let mut count = |headers: &[(&str, &str)]| {
        let answer = client.send("GET", &path, headers, b"").expect(200).json();
        answer["data"]["result"].as_array().unwrap().len()
    };
    assert_eq!(count(&aggregated), 1);
    assert_eq!(count(&[("M3-Metrics-Type", "unaggregated")]), 0);
    assert_eq!(count(&[]), 0);
    let other = [("M3-Metrics-Type", "aggregated"), ("M3-Storage-Policy", "5m:720h")];
    let refused = client.send("GET", &path, &other, b"").expect(400).text();
    assert!(refused.contains("could not find namespace for storage policy: 5m:30d"), "{refused}");
    let refused = client.send("POST", "/api/v1/prom/remote/write", &other, &body).expect(400);
    assert!(refused.text().contains("5m:30d"), "{}", refused.text());
}

#[test]
fn the_first_namespace_adopts_what_was_written_before_it() {
    let mut node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let now = now_ms();
    client.remote_write(&write_body(&[(&[("__name__", "a")], &[(now, 5.0)])])).expect(200);
    let listed = client.get(NAMESPACE).expect(200).json();
    assert_eq!(listed["registry"]["namespaces"], json!({}), "it is not in the registry");
    let create = r#"{"type":"local","namespaceName":"metrics","retentionTime":"48h"}"#;
    client.post_json("/api/v1/database/create", create).expect(200);
    client.post_json(&format!("{NAMESPACE}/ready"), r#"{"name":"metrics"}"#).expect(200);
    assert_eq!(value(&mut client, "a", now).unwrap(), "5");
    client.remote_write(&write_body(&[(&[("__name__", "b")], &[(now, 6.0)])])).expect(200);
    assert!(node.metrics_text().contains("m3ring_series{namespace=\"metrics\"} 2"));
    for _ in 0..2 {
        node.restart(&["--cores", "0"]);
        let mut client = node.client();
        assert_eq!(value(&mut client, "a", now).unwrap(), "5");
        assert_eq!(value(&mut client, "b", now).unwrap(), "6");
        let listed = client.get(NAMESPACE).expect(200).json();
        assert!(listed["registry"]["namespaces"]["metrics"].is_object());
    }
}

#[test]
fn a_deleted_namespace_stays_deleted() {
    let mut node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let create = r#"{"type":"local","namespaceName":"default","retentionTime":"12h"}"#;
    client.post_json("/api/v1/database/create", create).expect(200);
    let now = now_ms();
    client.remote_write(&write_body(&[(&[("__name__", "a")], &[(now, 5.0)])])).expect(200);
    assert_eq!(value(&mut client, "a", now).unwrap(), "5");
    client.send("DELETE", &format!("{NAMESPACE}/default"), &[], b"").expect(200);
    assert_eq!(value(&mut client, "a", now), None);
    client.remote_write(&write_body(&[(&[("__name__", "b")], &[(now, 6.0)])])).expect(200);
    node.restart(&["--cores", "0"]);
    let mut client = node.client();
    assert_eq!(value(&mut client, "a", now), None);
    assert_eq!(value(&mut client, "b", now).unwrap(), "6", "written after the delete");
    // The same name again is a new, empty namespace; it adopts what was written since.
    client.post_json("/api/v1/database/create", create).expect(200);
    assert_eq!(value(&mut client, "a", now), None);
    node.restart(&["--cores", "0"]);
    assert_eq!(value(&mut node.client(), "a", now), None);
    assert_eq!(value(&mut node.client(), "b", now).unwrap(), "6");
}

#[test]
fn late_data_is_welcome_before_anyone_forbids_it() {
    let mut node = Node::start(&["--cores", "0"]);
    let now = now_ms();
    let day = 24 * 60 * MINUTE_MS;
    let samples: Vec<(i64, f64)> = (0..400).map(|n| (now - n * day, n as f64)).collect();
    for sample in &samples {
        let body = write_body(&[(&[("__name__", "a")], &[*sample])]);
        node.client().remote_write(&body).expect(200);
    }
    node.restart(&["--cores", "0"]);
    let held = only(read(&mut node.client(), "a", now - 500 * day, now));
    assert_eq!(held.len(), 400);
    assert_eq!(held[0], (now - 399 * day, 399f64.to_bits()));
}

/// Block size and retention change while samples come in and are read: every read finds what was
/// acknowledged before it, whether it was written before the change, during it or after.
#[test]
fn options_change_while_samples_come_and_are_read() {
    let node = Node::start(&["--cores", "0,1"]);
    let names: Vec<String> = (0..60).map(|n| format!("host-{n}")).collect();
    let write = |client: &mut Client, ms: i64| {
        let mut writer = WriteRequestWriter::default();
        for name in &names {
            writer.push(&[("__name__", "load"), ("host", name)], &[(ms, 1.0)]);
        }
        client.remote_write(&writer.body()).expect(200);
    };
    // Some hours of the past, in the blocks of the implicit namespace: a day each.
    let begin = now_ms();
    let mut rounds = 0;
    for minute in (1..300).step_by(7) {
        write(&mut node.client(), begin - minute * MINUTE_MS);
        rounds += 1;
    }
    let (acknowledged, is_over) = (AtomicI64::new(rounds), AtomicBool::new(false));
    let total = |client: &mut Client| -> i64 {
        let query = "sum(count_over_time(load[6h]))";
        value(client, query, now_ms() + 1000).unwrap().parse().unwrap()
    };
    /// Ends the load, also where a change was refused.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    std::thread::scope(|scope| {
        let _ends = Ends(&is_over);
        scope.spawn(|| {
            let (mut client, mut last) = (node.client(), begin);
            while !is_over.load(Ordering::SeqCst) {
                last = now_ms().max(last + 1);
                write(&mut client, last);
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            let mut client = node.client();
            while !is_over.load(Ordering::SeqCst) {
                let least = acknowledged.load(Ordering::SeqCst) * 60;
                let found = total(&mut client);
                assert!(found >= least, "{found} samples of {least} that were acknowledged");
            }
        });
        let mut client = node.client();
        let retention = |hours: i64| {
            let nanos = (hours * 3_600_000_000_000).to_string();
            let options = json!({ "retentionOptions": { "retentionPeriodNanos": nanos } });
            json!({ "name": "metrics", "options": options }).to_string()
        };
        let create = json!({
            "type": "local", "namespaceName": "metrics", "retentionTime": "48h",
            "blockSize": { "time": "1h" },
        });
        let steps = [
            ("POST", "/api/v1/database/create", create.to_string()),
            ("PUT", NAMESPACE, retention(24)),
            ("PUT", NAMESPACE, retention(96)),
        ];
        for (method, path, body) in steps {
            let before = acknowledged.load(Ordering::SeqCst);
            until("writes go on", PATIENCE, || {
                (acknowledged.load(Ordering::SeqCst) >= before + 20).then_some(())
            });
            let headers = [("Content-Type", "application/json")];
            client.send(method, path, &headers, body.as_bytes()).expect(200);
        }
    });
    let mut client = node.client();
    assert_eq!(total(&mut client), acknowledged.load(Ordering::SeqCst) * 60);
    assert_eq!(value(&mut client, "count(load)", now_ms()).unwrap(), "60");
}
