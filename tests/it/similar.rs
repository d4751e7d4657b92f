//! Requests similar to the recorded ones in `answers.rs`, each with its expected answer.
//!
//! A real M3DB and ours were asked the same on fresh nodes; the tables contain what both answer. An
//! [`Ask`] has the request, the status, and a part of the body.

use crate::answers::fill;
use crate::harness::{Client, Node, Response, now_ms};
use m3_http::proto::read::{decode_response, encode_request};
use m3_metric::{MatchOp, Matcher};
use serde_json::{Value, json};

/// Method and path, headers, body, status, and a part of the answer.
type Ask<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

const NONE: &[(&str, &str)] = &[];

/// One node, and one value of `{T}`: the start of the current minute.
struct Door {
    node: Node,
    client: Client,
    start_of_minute: i64,
}

impl Door {
    fn fresh() -> Self {
        let node = Node::start(&["--cores", "0"]);
        let seconds = now_ms() / 1000;
        let client = node.client();
        Self { node, client, start_of_minute: seconds - seconds % 60 }
    }

    /// With the namespace from the first steps in M3's documentation.
    fn with_default() -> Self {
        let mut door = Self::fresh();
        door.all(&[("POST /api/v1/database/create", NONE, CREATE, 200, "\"default\"")]);
        door
    }

    fn ask(&mut self, request: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let (method, path) = request.split_once(' ').unwrap();
        let path = fill(path, self.start_of_minute);
        let body = fill(body, self.start_of_minute);
        self.client.send(method, &path, headers, body.as_bytes())
    }

    fn all(&mut self, asks: &[Ask<'_>]) {
        let mut failures = Vec::new();
        for (request, headers, body, status, part) in asks {
            let answer = self.ask(request, headers, body);
            let part = fill(part, self.start_of_minute);
            if answer.status != *status || !answer.text().contains(&part) {
                let got = format!("{} {}", answer.status, answer.text());
                failures.push(format!(
                    "{request} {headers:?} {body}\n  want {status} {part}\n  got  {got}"
                ));
            }
        }
        assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    }

    fn json(&mut self, path: &str) -> Value {
        self.ask(&format!("GET {path}"), NONE, "").expect(200).json()
    }

    /// Writes a counter of two series, with a sample every 30 seconds until half a minute before
    /// `{T}`.
    fn write_counter(&mut self) {
        for (at, value) in [("{T-120}", 10), ("{T-90}", 40), ("{T-60}", 70), ("{T-30}", 100)] {
            for instance in ["a", "b"] {
                let tags = json!({ "__name__": "requests", "instance": instance });
                let body = json!({ "tags": tags, "timestamp": at, "value": value });
                self.ask("POST /api/v1/json/write", NONE, &body.to_string()).expect(200);
            }
        }
    }
}

const CREATE: &str = r#"{"type":"local","namespaceName":"default","retentionTime":"12h"}"#;

#[test]
fn a_database_is_created_or_refused() {
    let post = "POST /api/v1/database/create";
    let mut door = Door::fresh();
    door.all(&[
        ("GET /ready?reads=foo", NONE, "", 400, r#"strconv.ParseBool: parsing \"foo\""#),
        ("GET /ready?writes=0", NONE, "", 200, "{}"),
        (post, NONE, "null", 400, "missing required field: namespaceName"),
        (post, NONE, r#"{"namespaceName":"x","type":"cluster"}"#, 400, "required field\""),
        (
            post,
            NONE,
            &json!({ "namespaceName": "x", "aggregatedNamespace":
                { "name": "y", "resolution": "0s", "retentionTime": "720h" } })
            .to_string(),
            400,
            "invalid resolution 0s. must be greater than 0",
        ),
        (post, NONE, CREATE, 200, "\"m3db_local\""),
        (
            post,
            NONE,
            r#"{"type":"cluster","namespaceName":"other"}"#,
            400,
            "cannot replace existing local placement with a clustered placement. Use the placement",
        ),
        (
            post,
            NONE,
            &json!({ "type": "cluster", "namespaceName": "other", "hosts": [{ "id": "m3db_local",
                "address": "127.0.0.1", "port": 9000, "isolationGroup": "local",
                "zone": "embedded", "weight": 1 }] })
            .to_string(),
            400,
            "cannot use database create API to modify clustered placements",
        ),
        (post, NONE, r#"{"namespaceName":"typeless"}"#, 200, "\"typeless\""),
    ]);
    let namespaces = door.json("/api/v1/services/m3db/namespace");
    let names: Vec<_> = namespaces["registry"]["namespaces"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["default", "typeless"], "a refused request changes nothing");
}

/// The body of a request for a namespace with `options` and valid `retentionOptions`.
fn namespace(name: &str, options: &Value) -> String {
    let retention = json!({ "retentionPeriodDuration": "48h", "blockSizeDuration": "2h",
        "bufferFutureDuration": "10m", "bufferPastDuration": "10m" });
    let mut all = json!({ "retentionOptions": retention });
    let given = options.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(given);
    json!({ "name": name, "options": all }).to_string()
}

#[test]
fn namespace_options_are_taken_or_refused() {
    let mut door = Door::with_default();
    let resolution = |text: &str| {
        json!({ "aggregationOptions": { "aggregations":
            [{ "aggregated": true, "attributes": { "resolutionDuration": text } }] } })
    };
    let unequal = "index and retention block size must match (2h0m0s, ";
    for (options, status, part) in [
        (json!({ "indexOptions": { "enabled": false } }), 400, format!("{unequal}0s)")),
        (json!({ "indexOptions": {} }), 400, format!("{unequal}0s)")),
        (
            json!({ "indexOptions": { "enabled": false, "blockSizeDuration": "7h" } }),
            400,
            format!("{unequal}7h0m0s)"),
        ),
        (
            json!({ "extendedOptions": { "type": "foo", "options": {} } }),
            400,
            "bad namespace metadata: dynamic ExtendedOptions converter not registered for type foo"
                .to_owned(),
        ),
        (
            resolution("0s"),
            400,
            "bad namespace metadata: invalid resolution 0s. must be greater than 0".to_owned(),
        ),
        (resolution("-1m"), 400, "invalid resolution -1m0s. must be greater than 0".to_owned()),
        (json!({ "runtimeOptions": {} }), 200, "\"runtimeOptions\":null".to_owned()),
        (
            json!({ "retentionOptions": { "retentionPeriodDuration": true } }),
            400,
            "error converting duration to nanos: invalid duration type".to_owned(),
        ),
    ] {
        let body = namespace("n", &options);
        door.all(&[("POST /api/v1/services/m3db/namespace", NONE, &body, status, &part)]);
    }
    let (post, put) =
        ("POST /api/v1/services/m3db/namespace", "PUT /api/v1/services/m3db/namespace");
    let delete = "DELETE /api/v1/services/m3db/schema";
    let refused = "unable to validate update request: ";
    door.all(&[
        (post, NONE, "null", 400, "namespace options must be set"),
        (put, NONE, "null", 400, "must specify namespace name"),
        (
            put,
            NONE,
            r#"{"name":"n","options":{"retentionOptions":{"retentionPeriodDuration":"1h"}}}"#,
            400,
            "error constructing new metadata: unable to validate options: retention period must",
        ),
        (
            put,
            NONE,
            r#"{"name":"n","options":{"cacheBlocksOnRetrieve":false}}"#,
            400,
            &format!("{refused}CacheBlocksOnRetrieve: namespace option field is immutable"),
        ),
        (
            put,
            NONE,
            &json!({ "name": "n", "options":
                { "aggregationOptions": { "aggregations": [{ "aggregated": true }] } } })
            .to_string(),
            400,
            "error constructing construction aggregationOptions: must set Attributes when",
        ),
        (
            put,
            NONE,
            r#"{"name":"n","options":{"extendedOptions":{"type":"foo"}}}"#,
            400,
            "\"dynamic ExtendedOptions converter not registered for type foo\"",
        ),
        (delete, NONE, r#"{"name":"n"}"#, 400, "CAUTION! Reset schema"),
        (delete, &[("Force", "true")], r#"{"name":"n"}"#, 200, "{}"),
        (delete, &[("Force", "true")], r#"{"name":"nosuch"}"#, 404, "namespace is not found"),
    ]);
}

#[test]
fn writes_are_taken_or_refused() {
    let mut door = Door::with_default();
    let json = "POST /api/v1/json/write";
    let remote = "POST /api/v1/prom/remote/write";
    let sample = r#"{"tags":{"__name__":"a"},"timestamp":"{T-30}","value":1}"#;
    let map = |json: &'static str| [("M3-Map-Tags-JSON", json)];
    door.all(&[
        (json, NONE, r#"{"Tags":{"__name__":"a"},"TIMESTAMP":"{T-60}","Value":1}"#, 200, ""),
        (json, NONE, "{}", 400, "invalid timestamp for "),
        (
            json,
            NONE,
            r#"{"tags":{"__name__":"a","b":null},"timestamp":"{T-30}","value":1}"#,
            400,
            "tag value empty: index=1, name=b",
        ),
        (json, &[("M3-Storage-Policy", "1m:48h")], sample, 200, ""),
        (
            remote,
            &[("M3-Metrics-Type", "unaggregated"), ("M3-Storage-Policy", "1m:48h")],
            "",
            400,
            "storage policy should not be set for unaggregated metrics",
        ),
        (
            remote,
            &[("M3-Metrics-Type", "aggregated")],
            "",
            400,
            "could not parse storage policy: invalid storage policy string",
        ),
        (remote, &[("M3-Metrics-Type", "foo")], "", 400, "unrecognized metrics type: foo"),
        (remote, &[("M3-Write-Type", "foo")], "", 400, "unrecognized write type: foo"),
        (json, &map("{}"), sample, 200, ""),
        (
            json,
            &map(r#"{"tagMappers":[{"drop":{"tag":"c"}}]}"#),
            sample,
            400,
            "Drop operation is not yet supported",
        ),
        (
            json,
            &map(r#"{"tagMappers":[{"append":{"tag":"c"}}]}"#),
            sample,
            400,
            "must specify one operation per tag mapper (got 0)",
        ),
        (
            json,
            &map(r#"{"tagMappers":[{"write":{"tag":"c","value":"d"},"drop":{"tag":"a"}}]}"#),
            sample,
            400,
            "must specify one operation per tag mapper (got 2)",
        ),
    ]);
    let all = door.json("/api/v1/query?query=a[2m]&time={T}");
    assert_eq!(all["data"]["result"][0]["values"].as_array().unwrap().len(), 2);
}

#[test]
fn options_of_queries_are_taken_or_refused() {
    let mut door = Door::with_default();
    door.write_counter();
    let query = "GET /api/v1/query?query=requests&time={T}";
    let labels = "GET /api/v1/labels?start={T-600}&end={T}";
    let restrict = |json: &'static str| [("M3-Restrict-By-Tags-JSON", json)];
    let policy =
        |text: &'static str| [("M3-Metrics-Type", "aggregated"), ("M3-Storage-Policy", text)];
    door.all(&[
        (query, &restrict("null"), "", 200, "\"instance\":\"a\""),
        (
            query,
            &restrict(r#"{"match":[{"name":"instance","value":"a"}]}"#),
            "",
            400,
            "matcher type  not recognized",
        ),
        (
            query,
            &restrict(r#"{"match":[{"name":"instance","type":"equal","value":"a"}]}"#),
            "",
            400,
            "matcher type equal not recognized",
        ),
        (
            query,
            &restrict(r#"{"match":[{"type":"EQUAL","value":"a"}]}"#),
            "",
            400,
            "name must be set unless using MatchAll",
        ),
        (query, &[("M3-Engine", "thanos")], "", 200, "\"success\""),
        (query, &policy("1m:48h"), "", 400, "could not find namespace for storage policy: 1m:2d"),
        (
            query,
            &policy("90s:8760h"),
            "",
            400,
            "could not find namespace for storage policy: 1m30s:1y",
        ),
        (query, &policy("foo"), "", 400, "input=foo, err=invalid storage policy string\""),
        (query, &policy("0s:48h"), "", 400, "expected positive resolution window, instead got: 0s"),
        (
            query,
            &[("M3-Storage-Policy", "1m:48h")],
            "",
            400,
            "could not validate restrict options: err=unknown metrics type: unknown",
        ),
        (
            query,
            &[("M3-Restrict-By-Storage-Policies", "1m:48h"), ("M3-Metrics-Type", "unaggregated")],
            "",
            400,
            "policies is incompatible with M3-Metrics-Type and M3-Storage-Policy headers",
        ),
        (query, &[("M3-Timeout", "5")], "", 400, "missing unit in duration"),
        (query, &[("M3-Timeout", "0s")], "", 400, "less than or equal to zero 0s"),
        (
            query,
            &[("M3-Limit-Require-Exhaustive", "x")],
            "",
            400,
            "could not parse limit: input=x, err=strconv.ParseBool",
        ),
        (
            query,
            &[("M3-Limit-Max-Range", "x")],
            "",
            400,
            "could not parse duration limit: input=x, err=time: invalid duration",
        ),
        (query, &[("M3-Limit-Max-Series", "99999999999999999999")], "", 400, "value out of range"),
        (query, &[("M3-Limit-Max-Range", "60")], "", 400, "missing unit in duration"),
        (query, &[("M3-Limit-Max-Range", "1m")], "", 400, "range_limit=1m0s, range_matched=5m0s"),
        (labels, &[("M3-Limit-Max-Range", "1m")], "", 400, "range_limit=1m0s, range_matched=10m0s"),
        (labels, &[("M3-Limit-Max-Range", "1h")], "", 200, "\"instance\""),
        (query, &[("M3-Read-Consistency-Level", "one")], "", 200, "\"success\""),
        (
            query,
            &[("M3-Read-Consistency-Level", "x")],
            "",
            400,
            "invalid ReadConsistencyLevel 'x' valid types are: [none one unstrict_majority majority",
        ),
        (
            query,
            &[("M3-Iterate-Equal-Timestamp-Strategy", "x")],
            "",
            400,
            "invalid IterateEqualTimestampStrategy 'x' valid types are: [iterate_last_pushed",
        ),
        // A limit is reached by as many as it says.
        (query, &[("M3-Limit-Max-Series", "3")], "", 200, "\"instance\":\"b\""),
        (query, &[("M3-Limit-Max-Series", "2")], "", 400, "exceeded limit"),
        (
            query,
            &[("M3-Limit-Max-Series", "2"), ("M3-Limit-Require-Exhaustive", "false")],
            "",
            200,
            "results not exhaustive",
        ),
        ("GET /api/v1/labels", &[("M3-Limit-Max-Series", "1")], "", 400, "exceeded limit"),
        ("GET /api/v1/labels", &[("M3-Limit-Max-Series", "4")], "", 200, "\"instance\""),
        (
            "GET /api/v1/label/instance/values",
            &[("M3-Limit-Max-Series", "1")],
            "",
            400,
            "exceeded limit",
        ),
        (
            "GET /api/v1/series?match[]=requests",
            &[("M3-Limit-Max-Series", "1")],
            "",
            400,
            "exceeded limit",
        ),
        ("GET /api/v1/series?match[]=%7Binstance!=%22a%22%7D", NONE, "", 200, "\"instance\":\"b\""),
        ("GET /api/v1/labels?match[]=%7B%7D", NONE, "", 200, "\"instance\""),
    ]);
    // A range that is too long but may be cut keeps its latest part.
    let cut = [("M3-Limit-Max-Range", "1m"), ("M3-Limit-Require-Exhaustive", "false")];
    let range = "GET /api/v1/query_range?query=requests&start={T-120}&end={T}&step=30";
    let answer = door.ask(range, &cut, "").expect(200);
    assert_eq!(answer.header("m3-results-limited"), Some("max_fetch_range_limit_applied"));
    let values = answer.json()["data"]["result"][0]["values"].clone();
    let values: Vec<_> = values.as_array().unwrap().iter().map(|v| v[1].clone()).collect();
    assert_eq!(values, ["70", "100", "100"]);
}

/// M3 omits a sample exactly at the end of what it fetches. Ours does so only with an offset;
/// without one, a sample is seen at its own time.
#[test]
fn the_end_of_an_offset_is_open() {
    let mut door = Door::with_default();
    door.write_counter();
    let mut value = |query: &str, time: &str| {
        let path = format!("/api/v1/query?query={query}&time={time}");
        let answer = door.json(&path);
        let mut result = answer["data"]["result"][0].clone();
        let last = result["values"].as_array_mut().and_then(Vec::pop);
        let sample = last.unwrap_or_else(|| result["value"].clone());
        sample[1].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(value("requests", "{T}"), "100");
    assert_eq!(value("requests", "{T-30}"), "100", "at the sample's own time");
    assert_eq!(value("requests+offset+30s", "{T}"), "70");
    assert_eq!(value("requests+offset+29s", "{T}"), "100");
    assert_eq!(value("requests+offset+2m", "{T}"), "none");
    assert_eq!(value("requests+offset+1m", "{T}"), "40");
    assert_eq!(value("requests[1m]+offset+30s", "{T}"), "70");
    assert_eq!(value("count_over_time(requests[1m]+offset+30s)", "{T}"), "2");
    assert_eq!(value("max_over_time(requests[2m:30s])", "{T-30}"), "100");
    assert_eq!(value("max_over_time(requests[2m:30s]+offset+30s)", "{T}"), "70");
    assert_eq!(value("max_over_time(requests[2m:25s]+offset+31s)", "{T}"), "70");
    assert_eq!(value("timestamp(requests+offset+30s)+-+{T-60}", "{T}"), "0");
    let range = "/api/v1/query_range?query=requests+offset+10s&start={T-80}&end={T-20}&step=30";
    let values = door.json(range)["data"]["result"][0]["values"].clone();
    let values: Vec<_> = values.as_array().unwrap().iter().map(|v| v[1].clone()).collect();
    assert_eq!(values, ["40", "70", "70"], "only the last step is at the end");
    let longer = "/api/v1/query_range?query=requests+offset+10s&start={T-80}&end={T-10}&step=30";
    let values = door.json(longer)["data"]["result"][0]["values"].clone();
    let values: Vec<_> = values.as_array().unwrap().iter().map(|v| v[1].clone()).collect();
    assert_eq!(values, ["40", "70", "100"]);
}

/// Prometheus' annotations are newer than the engine in M3, and so is the new name of
/// `holt_winters`.
#[test]
fn queries_have_no_annotations() {
    let mut door = Door::with_default();
    door.write_counter();
    for query in
        ["rate(requests[2m])", "quantile(2,requests)", "holt_winters(requests[2m],0.5,0.5)"]
    {
        let answer = door.json(&format!("/api/v1/query?query={query}&time={{T}}"));
        let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["status", "data"], "{query}");
        assert!(!answer["data"]["result"].as_array().unwrap().is_empty(), "{query}");
    }
    // Namespaces that answer as Prometheus 3 have them.
    let mut fresh = Door::fresh();
    fresh.write_counter();
    let answer = fresh.json("/api/v1/query?query=rate(requests[2m])&time={T}");
    assert!(answer["infos"][0].as_str().unwrap().starts_with("PromQL info"), "{answer}");
}

/// `curl --data-binary` declares every body as a form.
#[test]
fn remote_reads_answer_whatever_the_content_type() {
    let mut door = Door::with_default();
    door.write_counter();
    let end_ms = door.start_of_minute * 1000;
    let matchers = vec![Matcher::new(MatchOp::Equal, "__name__", "requests")];
    let query = m3_http::api::ReadQuery {
        start_ms: end_ms - 600_000,
        end_ms,
        selection: m3_http::api::Selection::Matchers(matchers),
    };
    let body = encode_request(&[query]);
    for kind in ["application/x-www-form-urlencoded", "application/x-protobuf", "text/plain"] {
        let headers = [("Content-Type", kind)];
        let answer =
            door.client.send("POST", "/api/v1/prom/remote/read", &headers, &body).expect(200);
        let results = decode_response(&answer.body, 1 << 20).unwrap();
        assert_eq!(results[0].len(), 2, "{kind}: two series");
    }
    let limit = ("M3-Limit-Max-Series", "1");
    let path = "/api/v1/prom/remote/read";
    let refused = door.client.send("POST", path, &[limit], &body).expect(400).text();
    assert!(refused.contains("2 series") && refused.contains("the limit is 1"), "{refused}");
    let headers = [limit, ("M3-Limit-Require-Exhaustive", "false")];
    let cut = door.client.send("POST", path, &headers, &body).expect(200);
    assert_eq!(decode_response(&cut.body, 1 << 20).unwrap()[0].len(), 1);
    assert_eq!(cut.header("m3-results-limited"), Some("max_fetch_series_limit_applied"));
    let get = "GET /api/v1/prom/remote/read?query=requests&start={T-600}&end={T}";
    let answer = door.ask(get, NONE, "").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(answer.header("content-encoding"), Some("snappy"));
    assert_eq!(decode_response(&answer.body, 1 << 20).unwrap()[0].len(), 2);
    let answer = door.ask(&format!("{get}&format=json"), NONE, "").expect(200);
    assert_eq!(answer.json()["queries"][0]["series"].as_array().unwrap().len(), 2);
    assert!(door.node.ended().is_none());
}
