//! The HTTP layer: requests as real clients send them, and what the node reports of itself.

use crate::harness::{Client, Node, Response, escape, now_ms, parse_exposition, write_body};
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};

const JSON: &str = "application/json";

/// A node with `count` series of `metric`, with one sample each at the returned time in
/// milliseconds.
fn node_with(metric: &str, count: usize) -> (Node, i64) {
    let node = Node::start(&["--cores", "0"]);
    let ms = now_ms();
    node.client().remote_write(&numbered(metric, count, ms)).expect(200);
    (node, ms)
}

fn numbered(metric: &str, count: usize, ms: i64) -> Vec<u8> {
    let mut writer = m3_http::proto::write::WriteRequestWriter::default();
    for number in 0..count {
        let id = number.to_string();
        let labels = [("__name__", metric), ("id", &id), ("job", "test")];
        writer.push(&labels, &[(ms, number as f64)]);
    }
    writer.body()
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

fn value(answer: &Response) -> &str {
    let text = std::str::from_utf8(&answer.body).unwrap();
    let from = text.rfind(",\"").map_or("", |at| &text[at + 2..]);
    from.split('"').next().unwrap()
}

#[test]
fn post_with_parameters_in_the_url_and_no_body() {
    let (node, ms) = node_with("a", 3);
    let path = format!("/api/v1/query?query=count(a)&time={}", seconds(ms));
    let mut client = node.client();
    let answer = client.send("POST", &path, &[], b"").expect(200);
    assert_eq!(value(&answer), "3");
    // Also without any length, as curl -X POST sends it.
    let raw = format!("POST {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_raw(raw.as_bytes()).unwrap();
    assert_eq!(value(&client.read_response(false).unwrap().expect(200)), "3");
}

#[test]
fn head_is_get_without_its_body() {
    let (node, ms) = node_with("a", 3);
    let mut client = node.client();
    for path in [format!("/api/v1/query?query=a&time={}", seconds(ms)), "/health".to_owned()] {
        let head = client.send("HEAD", &path, &[], b"").expect(200);
        let get = client.get(&path).expect(200);
        assert!(head.body.is_empty());
        let kind = |answer: &Response| answer.header("content-type").map(str::to_owned);
        assert_eq!(kind(&head), kind(&get));
    }
    assert_eq!(client.send("HEAD", "/api/v1/nosuch", &[], b"").status, 404);
    assert_eq!(client.get("/ready").expect(200).json(), serde_json::json!({}));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (node, ms) = node_with("a", 3);
    let mut client = node.client();
    let mut bytes = Vec::new();
    let count = 50;
    for number in 0..count {
        let path = format!("/api/v1/query?query=count(a)%2B{number}&time={}", seconds(ms));
        write!(bytes, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    client.write_raw(&bytes).unwrap();
    for number in 0..count {
        let answer = client.read_response(false).unwrap().expect(200);
        assert_eq!(value(&answer), (3 + number).to_string());
    }
}

#[test]
fn chunked_bodies_and_expect_continue() {
    let node = Node::start(&["--cores", "0"]);
    let ms = now_ms();
    let body = numbered("a", 5, ms);
    let mut client = node.client();
    let head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Encoding: snappy\r\n";
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(7) {
        write!(chunked, "{:x};note=1\r\n", chunk.len()).unwrap();
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\nTrailer: ignored\r\n\r\n");
    client.write_raw(&chunked).unwrap();
    client.read_response(false).unwrap().expect(200);

    let len = body.len();
    let asking = format!("{head}Content-Length: {len}\r\nExpect: 100-continue\r\n\r\n");
    client.write_raw(asking.as_bytes()).unwrap();
    assert_eq!(client.read_response(false).unwrap().status, 100);
    client.write_raw(&body).unwrap();
    client.read_response(false).unwrap().expect(200);
    assert_eq!(value(&client.query("count(a)", seconds(ms))), "5");
}

#[test]
fn gzip_both_ways() {
    let (node, ms) = node_with("a", 500);
    let mut client = node.client();
    let path = format!("/api/v1/query?query=a&time={}", seconds(ms));
    let plain = client.get(&path).expect(200);
    let packed = client.send("GET", &path, &[("Accept-Encoding", "gzip, deflate")], b"");
    let packed = packed.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 4);
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let refused = client.send("GET", &path, &[("Accept-Encoding", "gzip;q=0")], b"");
    assert_eq!(refused.header("content-encoding"), None);

    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let json =
        format!(r#"{{"tags":{{"__name__":"zipped"}},"timestamp":"{}","value":7}}"#, ms / 1000);
    encoder.write_all(json.as_bytes()).unwrap();
    let headers = [("Content-Type", JSON), ("Content-Encoding", "gzip")];
    client.send("POST", "/api/v1/json/write", &headers, &encoder.finish().unwrap()).expect(200);
    assert_eq!(value(&client.query("zipped", seconds(ms))), "7");
}

/// `version` is that of Prometheus, for its clients; our own is in all other places.
#[test]
fn the_versions_of_the_language_and_of_the_node() {
    let node = Node::start(&["--cores", "0"]);
    let own = env!("CARGO_PKG_VERSION");
    for path in ["/api/v1/status/buildinfo", "/prometheus/api/v1/status/buildinfo"] {
        let data = node.client().get(path).expect(200).json()["data"].clone();
        assert_eq!(data["version"], m3_http::api::build::PROMETHEUS_VERSION);
        assert_eq!(data["application"], "m3ring");
        assert_eq!(data["applicationVersion"], own);
    }
    let metrics = node.metrics_text();
    assert!(metrics.contains(&format!("build_version=\"{own}\"")), "{metrics}");
}

#[test]
fn browsers_may_ask_from_anywhere() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    for path in ["/api/v1/query", "/api/v1/services/m3db/namespace"] {
        let headers = [("Origin", "http://grafana"), ("Access-Control-Request-Method", "POST")];
        let answer = client.send("OPTIONS", path, &headers, b"").expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|m| methods.contains(m)), "{methods}");
        assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
    }
    let answer = client.get("/api/v1/query?query=sum(").expect(400);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "errors too");
}

#[test]
fn wrong_methods_and_paths_are_told_what_is_right() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let answer = client.get("/api/v1/prom/remote/write").expect(405);
    assert!(answer.header("allow").unwrap().contains("POST"));
    assert_eq!(answer.json()["status"], "error");
    let answer = client.send("DELETE", "/api/v1/query", &[], b"").expect(405);
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let answer = client.get("/api/v1/nosuch").expect(404);
    assert_eq!(answer.header("content-type"), Some(JSON));
    assert_eq!(answer.json()["status"], "error");
    let routes = client.get("/routes").expect(200).json().to_string();
    for route in ["/api/v1/query_range", "/api/v1/prom/remote/write", "/api/v1/database/create"] {
        assert!(routes.contains(route), "{routes}");
    }
}

/// A client whose base URL ends in a slash gets the answer of the route, with any method.
#[test]
fn a_path_may_repeat_its_slashes() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let ms = now_ms();
    let snappy = [("Content-Encoding", "snappy")];
    let body = numbered("a", 3, ms);
    client.send("POST", "//api/v1/prom/remote/write", &snappy, &body).expect(200);
    for path in ["//api/v1/query", "/api//v1///query", "//prometheus//api/v1/query"] {
        let target = format!("{path}?query=count(a)&time={}", seconds(ms));
        assert_eq!(value(&client.get(&target).expect(200)), "3");
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = format!("query=count(a)&time={}", seconds(ms));
        let answer = client.send("POST", path, &form, body.as_bytes()).expect(200);
        assert_eq!(value(&answer), "3");
    }
    client.get("//health").expect(200);
    client.get("//nosuch").expect(404);
    // The path after the slashes is not ignored.
    client.send("DELETE", "/api/v1/services/m3db/placement//", &[], b"").expect(404);
}

#[test]
fn bad_bodies_are_refused_and_the_connection_lives() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    client.remote_write(b"this is not snappy").expect(400);
    // A false length: 4 GiB declared, nothing follows.
    client.remote_write(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]).expect(413);
    let not_protobuf = snap::raw::Encoder::new().compress_vec(b"\x0a\xff\xff").unwrap();
    let answer = client.remote_write(&not_protobuf).expect(400);
    assert_eq!(answer.json()["status"], "error");
    client.remote_write(b"").expect(400);
    let ms = now_ms();
    client.remote_write(&numbered("a", 1, ms)).expect(200);
    assert_eq!(value(&client.query("count(a)", seconds(ms))), "1");

    for bad in ["GET /\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"] {
        let mut client = node.client();
        client.write_raw(bad.as_bytes()).unwrap();
        assert_eq!(client.read_response(false).unwrap().status, 400, "{bad:?}");
    }
    let mut client = node.client();
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    // The node may close before it has read all of this; it only has to go on answering others.
    let _ = client.write_raw(long.as_bytes());
    let refused = client.read_response(false).map(|answer| answer.status);
    assert!(refused.as_ref().map_or(true, |status| [400, 431].contains(status)), "{refused:?}");
    node.client().get("/health").expect(200);
}

/// A dashboard's variable with many values is sent by GET only, with all of them in the URL.
#[test]
fn a_selector_of_many_values_is_taken_by_every_route() {
    let (node, ms) = node_with("a", 3);
    let mut client = node.client();
    let hosts: Vec<_> = (0..1500).map(|n| format!("host-{n:05}.example.org:9100")).collect();
    for hosts in [hosts.join("|"), hosts.join("|").replace('.', "\\\\.")] {
        let selector = escape(&format!("a{{id=~\"1|2|{hosts}\"}}"));
        let at = seconds(ms);
        let ends = format!("start={}&end={}", at - 60.0, at + 60.0);
        for (path, want) in [
            (format!("/api/v1/query?query={selector}&time={at}"), "\"id\":\"2\""),
            (format!("/api/v1/query_range?query={selector}&{ends}&step=30"), "\"id\":\"2\""),
            (format!("/api/v1/labels?match[]={selector}"), "\"job\""),
            (format!("/api/v1/label/id/values?match[]={selector}&{ends}"), "[\"1\",\"2\"]"),
            (format!("/api/v1/series?match[]={selector}&match[]={selector}"), "\"id\":\"2\""),
        ] {
            let answer = client.get(&path).expect(200);
            assert!(answer.text().contains(want), "{}", answer.text());
        }
    }
}

/// Prometheus' server reads both kinds of forms, so clients send both.
#[test]
fn forms_in_parts_are_read_by_every_route_that_reads_forms() {
    let (node, ms) = node_with("a", 3);
    let mut client = node.client();
    let at = seconds(ms).to_string();
    let (start, end) = ((seconds(ms) - 60.0).to_string(), (seconds(ms) + 60.0).to_string());
    let ends = [("start", start.as_str()), ("end", end.as_str())];
    let headers = [("Content-Type", "multipart/form-data; boundary=----x7")];
    let form = |fields: &[(&str, &str)]| {
        let part = |(name, value): &(&str, &str)| {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            format!("------x7\r\n{head}\r\nContent-Type: text/plain\r\n\r\n{value}\r\n")
        };
        fields.iter().map(part).collect::<String>() + "------x7--\r\n"
    };
    for (path, fields, want) in [
        ("/api/v1/query", vec![("query", "count(a)"), ("time", &at)], "\"3\""),
        (
            "/api/v1/query_range",
            [&ends[..], &[("query", "count(a)"), ("step", "30")]].concat(),
            "\"3\"",
        ),
        ("/api/v1/labels", [&ends[..], &[("match[]", "a")]].concat(), "\"job\""),
        ("/api/v1/series", vec![("match[]", "b"), ("match[]", "a{id=\"1\"}")], "\"id\":\"1\""),
        ("/api/v1/label/id/values", vec![("match[]", "a{id!=\"1\"}")], "[\"0\",\"2\"]"),
        ("/api/v1/search", vec![("query", "id:.*"), ("result", "tagNamesOnly")], "\"job\""),
        ("/debug/log/level", vec![("level", "info")], "\"info\""),
    ] {
        let answer = client.send("POST", path, &headers, form(&fields).as_bytes()).expect(200);
        assert!(answer.text().contains(want), "{path}: {}", answer.text());
    }
    let whole = form(&[("query", "a")]);
    let cut = &whole.as_bytes()[..whole.len() - 5];
    for (headers, body, why) in [
        (&headers[..], cut, "the body ends before the boundary"),
        (&[("Content-Type", "multipart/form-data")], whole.as_bytes(), "names no boundary"),
        // A body that is not read is not taken for an empty query.
        (&[("Content-Type", JSON)], b"{\"query\":\"a\"}", "its Content-Type is application/json"),
    ] {
        let answer = client.send("POST", "/api/v1/query", headers, body).expect(400);
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    let long = form(&[("query", &"a".repeat(2 << 20))]);
    client.send("POST", "/api/v1/query", &headers, long.as_bytes()).expect(413);
}

#[test]
fn query_errors_are_prometheus_own() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let answer = client.query("sum(", 1.0).expect(400).json();
    assert_eq!(answer["errorType"], "bad_data");
    assert_eq!(
        answer["error"],
        "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"
    );
    let answer = client.get("/api/v1/query_range?query=up&start=1&end=2&step=0").expect(400);
    assert!(answer.text().contains("zero or negative query resolution step widths"));
    let answer = client.get("/api/v1/query?query=up&time=tomorrow").expect(400);
    assert!(answer.text().contains("invalid parameter \\\"time\\\""), "{}", answer.text());
    let steps = client.get("/api/v1/query_range?query=up&start=0&end=20000&step=1").expect(400);
    assert!(steps.text().contains("exceeded maximum resolution of 11,000 points"));
}

#[test]
fn limits_by_header() {
    let (node, ms) = node_with("a", 20);
    let mut client = node.client();
    let path = format!("/api/v1/query?query=a&time={}", seconds(ms));
    let mut ask = |headers: &[(&str, &str)]| client.send("GET", &path, headers, b"");
    let refused = ask(&[("M3-Limit-Max-Series", "5")]).expect(400).text();
    assert!(refused.contains('5') && refused.contains("20"), "{refused}");
    assert!(refused.contains("M3-Limit-Max-Series"), "the way out: {refused}");
    let cut = [("M3-Limit-Max-Series", "5"), ("M3-Limit-Require-Exhaustive", "false")];
    let cut = ask(&cut).expect(200);
    assert_eq!(cut.json()["data"]["result"].as_array().unwrap().len(), 5);
    assert!(cut.header("m3-results-limited").is_some());
    assert!(!cut.json()["warnings"].as_array().unwrap().is_empty());
    ask(&[("M3-Limit-Max-Series", "many")]).expect(400);
    let shown = ask(&[("M3-Limit-Max-Returned-Series", "7")]).expect(200);
    assert_eq!(shown.json()["data"]["result"].as_array().unwrap().len(), 7);
    let counts = shown.header("m3-returned-data-limited").unwrap();
    let counts: serde_json::Value = serde_json::from_str(counts).unwrap();
    assert_eq!(counts["Series"], 7);
    assert_eq!(counts["TotalSeries"], 20);
    assert_eq!(counts["Limited"], true);
    let path = format!("/api/v1/query?query=sum_over_time(a[1d])&time={}", seconds(ms));
    let range = client.send("GET", &path, &[("M3-Limit-Max-Range", "1h")], b"").expect(400);
    assert!(range.text().contains("1h"), "{}", range.text());
    let values = client.send(
        "GET",
        "/api/v1/label/id/values",
        &[("M3-Limit-Max-Returned-SeriesMetadata", "4")],
        b"",
    );
    assert_eq!(values.expect(200).json()["data"].as_array().unwrap().len(), 4);
}

/// Prometheus' parameter cuts the answer with a warning. In a namespace that M3's routes created it
/// is M3's, which refuses a fetch of as many series.
#[test]
fn the_parameter_limit_is_prometheus_and_in_m3s_namespaces_m3s() {
    let (node, ms) = node_with("a", 4);
    let mut client = node.client();
    let mut ask = |query: &str, more: &str| {
        let query = escape(query);
        let at = seconds(ms);
        let instant = format!("/api/v1/query?query={query}&time={at}&{more}");
        let end = at + 60.0;
        let range =
            format!("/api/v1/query_range?query={query}&start={at}&end={end}&step=30&{more}");
        [instant, range].map(|path| client.get(&path))
    };
    let count = |answer: &Response| answer.json()["data"]["result"].as_array().unwrap().len();
    let truncated = serde_json::json!(["results truncated due to limit"]);
    for limit in [1, 3] {
        for answer in ask("a", &format!("limit={limit}")) {
            let answer = answer.expect(200);
            assert_eq!(count(&answer), limit);
            assert_eq!(answer.json()["warnings"], truncated);
        }
    }
    // Without a warning if nothing is cut: as many as the limit, no limit, and results that are not
    // lists.
    for more in ["limit=4", "limit=5", "limit=0", "limit="] {
        for answer in ask("a", more) {
            let answer = answer.expect(200);
            assert_eq!(count(&answer), 4, "{more}");
            assert!(answer.json().get("warnings").is_none(), "{more}");
        }
    }
    for query in ["1", "scalar(sum(a))", "\"text\""] {
        let [instant, _] = ask(query, "limit=1");
        let instant = instant.expect(200);
        assert!(instant.json().get("warnings").is_none(), "{query}");
        assert_eq!(count(&instant), 2, "a time and a value: {query}");
    }
    // The answer is cut, not the data it is computed from.
    for answer in ask("count(a)", "limit=1") {
        let text = answer.expect(200).text();
        assert!(text.contains("\"4\""), "{text}");
    }
    for (limit, why) in [("-1", "limit must be non-negative"), ("x", "invalid syntax")] {
        for answer in ask("a", &format!("limit={limit}")) {
            let error = answer.expect(400).json()["error"].as_str().unwrap().to_owned();
            assert!(error.starts_with("invalid parameter \"limit\": "), "{error}");
            assert!(error.ends_with(why), "{error}");
        }
    }
    let create = r#"{"type":"local","namespaceName":"default","retentionTime":"12h"}"#;
    node.client().send("POST", "/api/v1/database/create", &[], create.as_bytes()).expect(200);
    for answer in ask("a", "limit=3") {
        let text = answer.expect(400).text();
        assert!(text.contains("query exceeded limit") && text.contains("series_limit=3"), "{text}");
    }
    for answer in ask("a", "limit=3&requireExhaustive=false") {
        let answer = answer.expect(200);
        assert_eq!(count(&answer), 3);
        assert!(answer.header("m3-results-limited").is_some());
    }
    for answer in ask("a", "limit=0") {
        assert_eq!(count(&answer.expect(200)), 4);
    }
}

#[test]
fn every_query_carries_the_headers_of_m3() {
    let (node, ms) = node_with("a", 20);
    let answer = node.client().query("a", seconds(ms)).expect(200);
    let expected = [
        ("m3-engine", "prometheus"),
        ("m3-timeout", "30s"),
        ("m3-series-count", "20"),
        ("m3-series-with-samples-count", "20"),
        ("m3-unaggregated-series-count", "20"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    for name in [
        "m3-namespaces",
        "m3-returned-data-limited",
        "m3-fetched-responses",
        "m3-fetched-bytes-estimate",
        "m3-metric-stats",
    ] {
        assert!(answer.header(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
}

#[test]
fn queries_are_restricted_by_tags() {
    let (node, ms) = node_with("a", 20);
    let mut client = node.client();
    let path = format!("/api/v1/query?query=a&time={}", seconds(ms));
    let restrict = r#"{"match":[{"name":"id","type":"REGEXP","value":"1.?"}],"strip":["job"]}"#;
    let answer = client.send("GET", &path, &[("M3-Restrict-By-Tags-JSON", restrict)], b"");
    let answer = answer.expect(200).json();
    let result = answer["data"]["result"].as_array().unwrap();
    assert_eq!(result.len(), 11, "1 and 10 to 19");
    assert!(result.iter().all(|series| series["metric"].get("job").is_none()));
    assert!(result.iter().all(|series| series["metric"].get("id").is_some()));
    let restrict = r#"{"match":[{"name":"id","type":"NOTEQUAL","value":"3"}],"strip":[]}"#;
    let path = "/api/v1/label/id/values";
    let answer = client.send("GET", path, &[("M3-Restrict-By-Tags-JSON", restrict)], b"");
    let values = answer.expect(200).json();
    assert_eq!(values["data"].as_array().unwrap().len(), 19);
    let answer = client.send("GET", path, &[("M3-Restrict-By-Tags-JSON", "{")], b"").expect(400);
    assert_eq!(answer.json()["status"], "error");
}

#[test]
fn the_nodes_own_metrics() {
    let (node, ms) = node_with("a", 20);
    node.client().query("a", seconds(ms)).expect(200);
    let mut client = Client::new(node.metrics);
    let get = client.get("/metrics").expect(200);
    let post = client.send("POST", "/metrics", &[], b"").expect(200);
    for answer in [&get, &post] {
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let samples = parse_exposition(&answer.text());
        let one = |name: &str| samples.get(name).copied();
        assert_eq!(one("coordinator_write_success"), Some(20.0));
        assert_eq!(one("coordinator_fetch_success"), Some(1.0));
        assert_eq!(one("m3ring_series{namespace=\"implicit\"}"), Some(20.0));
        assert!(one("process_resident_memory_bytes").unwrap() > 1e6);
        assert!(one("process_start_time_seconds").unwrap() > 1e9);
        for start in [
            "coordinator_build_information{",
            "coordinator_http_handler_http_handler_request{",
            "coordinator_write_batch_latency_bucket{",
            "process_cpu_seconds_total",
            "process_open_fds",
            "process_max_fds",
        ] {
            assert!(samples.keys().any(|key| key.starts_with(start)), "{start}");
        }
        let driver: Vec<_> =
            samples.keys().filter(|k| k.contains("io_driver") && k.contains("driver=")).collect();
        assert!(!driver.is_empty(), "the I/O driver is told");
    }
    let types = get.text();
    for family in ["coordinator_write_success counter", "m3ring_series gauge"] {
        assert!(types.contains(&format!("# TYPE {family}\n")), "{family}");
    }
    client.get("/nosuch").expect(404);
}

#[test]
fn epoll_serves_as_io_uring_does() {
    let node = Node::start(&["--cores", "0", "--io.driver", "epoll"]);
    let ms = now_ms();
    let mut client = node.client();
    client.remote_write(&numbered("a", 100, ms)).expect(200);
    assert_eq!(value(&client.query("count(a)", seconds(ms))), "100");
    let metrics = node.metrics_text();
    assert!(metrics.lines().any(|l| l.contains("io_driver") && l.contains("epoll")), "{metrics}");
}

/// Also, a body without `Content-Encoding` is taken for snappy.
#[test]
fn metadata_and_exemplars_are_skipped() {
    let node = Node::start(&["--cores", "0"]);
    let ms = now_ms();
    let body = write_body(&[(&[("__name__", "a")], &[(ms, 1.0)])]);
    let mut message = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    // WriteRequest.metadata (3): { type (1): COUNTER, metric_family_name (2): "a" }.
    message.extend_from_slice(b"\x1a\x05\x08\x01\x12\x01a");
    // A series with an exemplar (TimeSeries 3): labels, value, and no sample.
    let mut series = b"\x0a\x0d\x0a\x08__name__\x12\x01b".to_vec();
    series.extend_from_slice(b"\x1a\x09\x11\0\0\0\0\0\0\xf0\x3f");
    message.extend_from_slice(&[0x0a, u8::try_from(series.len()).unwrap()]);
    message.extend_from_slice(&series);
    let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    let mut client = node.client();
    client.send("POST", "/api/v1/write", &[], &body).expect(200);
    assert_eq!(value(&client.query("a", seconds(ms))), "1");
}
