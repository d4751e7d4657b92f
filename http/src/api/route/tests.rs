//! Routes: which call a request becomes, and which requests are answered at once.

use super::*;
use crate::api::{AdminRoute, Service, WriteCall, WriteSource};
use crate::proto::write::WriteRequestWriter;
use crate::reply::JSON;
use m3_metric::FingerprintKey;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_700_000_000_500_000_000);

fn ask(method: Method, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Routed {
    let mut request = Request { method, body: body.to_vec(), ..Request::default() };
    crate::wire::target::split(target, &mut request.path, &mut request.query).unwrap();
    headers.iter().for_each(|(name, value)| request.headers.push(name, value.as_bytes()));
    Api::new(ApiSettings::default()).route(Listener::Api, &mut request, NOW)
}

fn get(target: &str) -> Call {
    ask(Method::Get, target, &[], b"").call.unwrap_or_else(|e| panic!("{target}: {e}"))
}

fn refused(target: &str) -> (u16, String) {
    let routed = ask(Method::Get, target, &[], b"");
    let error = routed.call.expect_err(target);
    (error.kind.status(), error.message)
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn instant_queries() {
    let Call::Query(call) = get("/api/v1/query?query=up&time=1700000000.123") else { panic!() };
    assert_eq!((call.text.as_str(), call.time_ms), ("up", 1_700_000_000_123));
    assert_eq!(call.options.timeout, Duration::from_secs(30));
    let Call::Query(call) = get("/api/v1/query?query=up") else { panic!() };
    assert_eq!(call.time_ms, 1_700_000_000_500);
    let routed = ask(Method::Post, "/api/v1/query?query=b", &[FORM], b"query=a&time=1");
    let Ok(Call::Query(call)) = routed.call else { panic!() };
    assert_eq!((call.text.as_str(), call.time_ms), ("a", 1_000));
    for target in ["/api/v1/query?query=up&time=x", "/m3query/api/v1/query"] {
        assert_eq!(refused(target).0, 400);
    }
    assert_eq!(
        refused("/api/v1/query?query=up&time=yesterday").1,
        "invalid parameter \"time\": cannot parse \"yesterday\" to a valid timestamp"
    );
    assert_eq!(
        refused("/api/v1/query").1,
        "invalid parameter \"query\": unknown position: parse error: no expression found in input"
    );
}

#[test]
fn entries_of_the_metric_stats_are_as_configured_unless_the_request_says() {
    let api = Api::new(ApiSettings { metric_stats_max: 7, ..ApiSettings::default() });
    for (header, wanted) in [(None, 7), (Some("2"), 2)] {
        let mut request = Request::default();
        let target = "/api/v1/query?query=up";
        crate::wire::target::split(target, &mut request.path, &mut request.query).unwrap();
        if let Some(text) = header {
            request.headers.push("M3-Limit-Max-Metric-Metadata-Stats", text.as_bytes());
        }
        let Ok(Call::Query(call)) = api.route(Listener::Api, &mut request, NOW).call else {
            panic!()
        };
        assert_eq!(call.options.limits.metric_stats, Some(wanted));
    }
}

#[test]
fn range_queries() {
    let target = "/api/v1/query_range?query=up&start=1&end=2024-05-06T07:08:09Z&step=1w";
    let Call::QueryRange(call) = get(target) else { panic!() };
    assert_eq!((call.start_ms, call.end_ms, call.step_ms), (1_000, 1_714_979_289_000, 604_800_000));
    // Parameters in the URL of a POST without a body.
    let routed = ask(Method::Post, target, &[], b"");
    assert!(matches!(routed.call, Ok(Call::QueryRange(_))));
    for (target, part) in [
        ("?query=up&end=1&step=1", "invalid parameter \"start\": cannot parse \"\""),
        ("?query=up&start=1&step=1", "invalid parameter \"end\": cannot parse \"\""),
        ("?query=up&start=2&end=1&step=1", "end timestamp must not be before start time"),
        (
            "?query=up&start=1&end=2",
            "invalid parameter \"step\": cannot parse \"\" to a valid duration",
        ),
        ("?query=up&start=1&end=2&step=abc", "cannot parse \"abc\" to a valid duration"),
        ("?query=up&start=1&end=2&step=0", "zero or negative query resolution step widths"),
        ("?query=up&start=1&end=2&step=-1", "zero or negative query resolution step widths"),
        ("?query=up&start=0&end=11001&step=1", "exceeded maximum resolution of 11,000 points"),
        ("?query=+&start=0&end=1&step=1", "no expression found"),
    ] {
        let (status, message) = refused(&format!("/api/v1/query_range{target}"));
        assert!(status == 400 && message.contains(part), "{target}: {message}");
    }
    get("/api/v1/query_range?query=up&start=0&end=11000&step=1");
    // The whole of time in one step does not overflow.
    get("/api/v1/query_range?query=up&start=-292273086-05-16T16:47:06Z&end=1e300&step=100y");
}

#[test]
fn prefixes_pin_the_engine() {
    let routed =
        ask(Method::Get, "/m3query/api/v1/query_range?query=a&start=0&end=1&step=30", &[], b"");
    assert_eq!(routed.shape.step_size_ms, Some(30_000));
    let Ok(Call::QueryRange(call)) = routed.call else { panic!() };
    assert_eq!(call.options.engine, EngineName::M3Query);
    assert_eq!(routed.shape.render(Err(ApiError::internal("x"))).header("m3-engine"), None);
    let routed = ask(Method::Get, "/prometheus/api/v1/query", &[("M3-Engine", "m3query")], b"");
    assert_eq!(routed.shape.render(routed.call.map(|_| unreachable!())).header("m3-engine"), None);
    let routed = ask(Method::Get, "/api/v1/query", &[], b"");
    let response = routed.shape.render(routed.call.map(|_| unreachable!()));
    assert_eq!(response.header("m3-engine"), Some("prometheus"));
    assert_eq!(response.header("content-type"), Some(JSON));
    get("/prometheus/api/v1/labels");
    get("/prometheus/api/v1/status/buildinfo");
    assert_eq!(refused("/prometheus/api/v1/prom/remote/read").0, 404);
    assert_eq!(refused("/prometheus/health").0, 404);
}

#[test]
fn metadata_routes() {
    let Call::Labels(call) = get("/api/v1/labels?match[]=a&match[]=b&limit=40000") else {
        panic!()
    };
    assert_eq!(call.selectors, ["a", "b"]);
    assert_eq!(
        (call.start_ms, call.end_ms),
        (super::super::TIME_MS_MIN, super::super::TIME_MS_MAX)
    );
    assert_eq!((call.options.truncate, call.options.limits.series), (Some(40_000), None));
    let routed = ask(Method::Post, "/api/v1/labels", &[FORM], b"match[]=x&start=1&end=2");
    let Ok(Call::Labels(call)) = routed.call else { panic!() };
    assert_eq!((call.selectors.len(), call.start_ms, call.end_ms), (1, 1_000, 2_000));
    let Call::LabelValues { name, .. } = get("/api/v1/label/U__http_2e_status__code/values") else {
        panic!()
    };
    assert_eq!(name, "http.status_code");
    let Call::LabelValues { name, .. } = get("/api/v1/label/__name__/values") else { panic!() };
    assert_eq!(name, "__name__");
    let Call::LabelValues { name, .. } = get("/api/v1/label/U__bad_zz_x/values") else { panic!() };
    assert_eq!(name, "U__bad_zz_x");
    assert_eq!(refused("/api/v1/label//values").0, 404);
    assert_eq!(refused("/api/v1/series"), (400, "no match[] parameter provided".to_owned()));
    let Call::Series(call) = get("/api/v1/series?match[]={a=\"b\"}") else { panic!() };
    assert_eq!(call.selectors, ["{a=\"b\"}"]);
    for path in ["labels?", "query?query=a", "query_range?query=a&start=1&end=2&step=1"] {
        assert_eq!(
            refused(&format!("/api/v1/{path}&limit=-1")),
            (400, "invalid parameter \"limit\": limit must be non-negative".to_owned())
        );
    }
    let Call::Query(call) = get("/api/v1/query?query=a&limit=3") else { panic!() };
    assert_eq!((call.options.truncate, call.options.limits.series), (Some(3), None));
    let Call::Search(call) = get("/api/v1/search?query=code:.*&tag=a&tag=b&result=tagNamesOnly")
    else {
        panic!()
    };
    assert_eq!(call.matchers, [m3_metric::Matcher::new(m3_metric::MatchOp::Regex, "code", ".*")]);
    assert!(call.names_only && call.names == ["a", "b"]);
    for target in ["/api/v1/search", "/api/v1/search?query=x", "/api/v1/search?query=x:y&result=z"]
    {
        assert_eq!(refused(target).0, 400);
    }
}

#[test]
fn writes_and_their_batches() {
    let mut writer = WriteRequestWriter::default();
    writer.push(&[("__name__", "up")], &[(1_700_000_000_000, 1.0)]);
    for path in ["/api/v1/prom/remote/write", "/api/v1/write"] {
        let routed = ask(Method::Post, path, &[("Content-Encoding", "snappy")], &writer.body());
        let Ok(Call::Write(call)) = routed.call else { panic!() };
        let body_len = writer.message().len();
        assert_eq!(call.source, WriteSource::RemoteWriteFast { body_len });
        assert_eq!((call.batch.records.len(), call.options.storage.is_none()), (1, true));
    }
    let path = "/api/v1/prom/remote/write";
    for body in [&b""[..], b"hello world"] {
        let error = ask(Method::Post, path, &[FORM], body).call.unwrap_err();
        assert_eq!((error.kind.status(), error.message.as_str()), (400, "snappy: corrupt input"));
    }
    let error = ask(Method::Post, path, &[("Content-Encoding", "zstd")], b"x").call.unwrap_err();
    assert_eq!(error.kind.status(), 415);
    let mapped = ("M3-Map-Tags-JSON", r#"{"tagMappers":[{"write":{"tag":"a","value":"b"}}]}"#);
    let Ok(Call::Write(call)) = ask(Method::Post, path, &[mapped], &writer.body()).call else {
        panic!()
    };
    let labels = m3_metric::Labels::parse(call.batch.labels_of(&call.batch.records[0])).unwrap();
    assert_eq!(labels.quoted_id(), "{__name__=\"up\",a=\"b\"}");
    let json = br#"{"tags":{"__name__":"a"},"timestamp":"1","value":1}"#;
    let Ok(Call::Write(call)) = ask(Method::Post, "/api/v1/json/write", &[FORM], json).call else {
        panic!()
    };
    assert_eq!((call.source, call.batch.records.len()), (WriteSource::Json, 1));
    assert_eq!(
        ask(Method::Post, "/api/v1/json/write", &[], b"zzz").call.unwrap_err().kind.status(),
        400
    );
}

#[test]
fn a_batch_s_memory_is_used_again() {
    let mut writer = WriteRequestWriter::default();
    writer.push(&[("__name__", "up")], &[(1_700_000_000_000, 1.0)]);
    let api = Api::new(ApiSettings::default());
    let mut request = Request { method: Method::Post, ..Request::default() };
    request.path = "/api/v1/write".to_owned();
    let mut buffers = Vec::new();
    for _ in 0..3 {
        request.body = writer.body();
        let routed = api.route(Listener::Api, &mut request, NOW);
        let Ok(Call::Write(mut call)) = routed.call else { panic!() };
        api.decode_strictly(&mut call).unwrap();
        assert_eq!(call.batch.records.len(), 1);
        assert!(matches!(call.source, WriteSource::RemoteWriteStrict { .. }));
        buffers.push(call.batch.buffer.as_ptr());
        api.recycle(call.batch);
        assert!(!request.body.is_empty(), "the body stays with the connection");
    }
    assert!(buffers.iter().all(|buffer| *buffer == buffers[0]));
}

#[test]
fn a_body_is_read_packed_where_series_are_known_and_decoded_where_they_are_not() {
    let mut writer = WriteRequestWriter::default();
    writer.push(&[("__name__", "up")], &[(1_700_000_000_000, 1.0)]);
    let fingerprints = Some(Arc::new(FingerprintKey::random()));
    let api = Api::new(ApiSettings { fingerprints, ..ApiSettings::default() });
    let write = || {
        let mut request = Request { method: Method::Post, ..Request::default() };
        request.path = "/api/v1/write".to_owned();
        request.body = writer.body();
        match api.route(Listener::Api, &mut request, NOW).call {
            Ok(Call::Write(call)) => call,
            other => panic!("{other:?}"),
        }
    };
    let is_packed = |call: &WriteCall| matches!(call.source, WriteSource::RemoteWritePacked);
    for _ in 0..3 {
        let call = write();
        assert!(is_packed(&call));
        assert_eq!((call.batch.records.len(), call.batch.fingerprints.len()), (1, 1));
        assert!(call.batch.buffer.is_empty());
        api.recycle_known(call.batch);
    }
    // For a sender whose series are always new, bodies are decoded at once except for one attempt
    // in 17.
    let mut attempts = 0;
    for _ in 0..170 {
        let mut call = write();
        attempts += usize::from(is_packed(&call));
        api.decode(&mut call).unwrap();
        let body_len = writer.message().len();
        assert_eq!(call.source, WriteSource::RemoteWriteFast { body_len });
        assert_eq!((call.batch.records.len(), call.batch.fingerprints.len()), (1, 0));
        assert_eq!(
            call.batch.labels_of(&call.batch.records[0]),
            b"\x0a\x0e\x0a\x08__name__\x12\x02up"
        );
        api.recycle(call.batch);
    }
    assert!((10..=14).contains(&attempts), "{attempts}");
}

#[test]
fn bodies_that_cannot_be_read_packed_are_not_tried_each_time() {
    let mut writer = WriteRequestWriter::default();
    writer.push(&[("__name__", "up")], &[(1_700_000_000_000, 1.0)]);
    let usual = writer.body();
    let mut with_metadata = writer.message().to_vec();
    crate::proto::put_bytes(&mut with_metadata, 3, b"");
    let unusual = snap::raw::Encoder::new().compress_vec(&with_metadata).unwrap();
    let fingerprints = Some(Arc::new(FingerprintKey::random()));
    let api = Api::new(ApiSettings { fingerprints, ..ApiSettings::default() });
    let is_packed = |body: &[u8]| {
        let mut request = Request { method: Method::Post, ..Request::default() };
        request.path = "/api/v1/write".to_owned();
        request.body = body.to_vec();
        let routed = api.route(Listener::Api, &mut request, NOW);
        let Ok(Call::Write(call)) = routed.call else { panic!() };
        matches!(call.source, WriteSource::RemoteWritePacked)
    };
    assert!(is_packed(&usual) && !is_packed(&unusual));
    assert!(!is_packed(&usual) && is_packed(&usual));
}

#[test]
fn a_header_of_json_has_a_bound_of_its_own() {
    let wide = format!("[{}0]", "0,".repeat(100_000));
    for (method, path, name) in [
        (Method::Get, "/api/v1/query?query=a", "M3-Restrict-By-Tags-JSON"),
        (Method::Get, "/api/v1/labels", "M3-Restrict-By-Tags-JSON"),
        (Method::Post, "/api/v1/json/write", "M3-Map-Tags-JSON"),
        (Method::Post, "/api/v1/prom/remote/write", "M3-Map-Tags-JSON"),
    ] {
        let error = ask(method, path, &[(name, &wide)], b"").call.unwrap_err();
        assert_eq!(error.kind.status(), 400);
        let want = format!("header {name} is 200003 bytes long, at most 131072 are allowed");
        assert_eq!(error.message, want);
    }
}

#[test]
fn admin_routes() {
    let call = |method, target: &str| {
        let headers = [("Cluster-Environment-Name", "other"), ("Dry-Run", "true"), FORM];
        match ask(method, target, &headers, b"{}").call {
            Ok(Call::Admin(call)) => call,
            other => panic!("{target}: {other:?}"),
        }
    };
    let create = call(Method::Post, "/api/v1/database/create");
    assert_eq!((create.route, create.body.as_slice()), (AdminRoute::DatabaseCreate, &b"{}"[..]));
    assert_eq!((create.environment.as_str(), create.zone.as_str()), ("other", "embedded"));
    assert!(create.dry_run && !create.force);
    let ready = call(Method::Post, "/api/v1/services/m3db/namespace/ready");
    assert_eq!(ready.route, AdminRoute::NamespaceReady);
    let delete = call(Method::Delete, "/api/v1/services/m3db/namespace/default?force=true");
    assert_eq!((delete.route, delete.id.as_deref()), (AdminRoute::NamespaceNamed, Some("default")));
    assert!(delete.force);
    let list = call(Method::Get, "/api/v1/services/m3db/namespace?debug=true");
    assert_eq!((list.route, list.params.get("debug")), (AdminRoute::Namespace, Some("true")));
    let init = call(Method::Post, "/api/v1/services/m3aggregator/placement/init");
    assert_eq!(init.route, AdminRoute::PlacementInit(Service::M3aggregator));
    let one = call(Method::Delete, "/api/v1/services/m3coordinator/placement/a:1");
    assert_eq!(one.route, AdminRoute::PlacementInstance(Service::M3coordinator));
    assert_eq!(one.id.as_deref(), Some("a:1"));
    assert_eq!(call(Method::Get, "/api/v1/placement").route, AdminRoute::Placement(Service::M3db));
}

#[test]
fn unknown_paths_and_methods() {
    assert_eq!(refused("/api/v1/nosuch").0, 404);
    assert_eq!(refused("/api/v1/services/nosuch/placement").0, 404);
    for path in ["/api/v1/json/write", "/api/v1/prom/remote/write", "/api/v1/database/create"] {
        let error = ask(Method::Get, path, &[], b"").call.unwrap_err();
        assert_eq!((error.kind.status(), error.allow), (405, Some("POST, OPTIONS")));
    }
    let error = ask(Method::Delete, "/api/v1/query", &[], b"").call.unwrap_err();
    assert_eq!(error.allow, Some("GET, HEAD, POST, OPTIONS"));
    let mut request = Request { path: "/metrics".to_owned(), ..Request::default() };
    let api = Api::new(ApiSettings::default());
    assert!(api.route(Listener::Api, &mut request, NOW).call.is_err());
    for method in [Method::Get, Method::Post, Method::Head] {
        request.method = method;
        let routed = api.route(Listener::Metrics, &mut request, NOW);
        assert!(matches!(routed.call, Ok(Call::Metrics)));
    }
}

#[test]
fn what_needs_no_node_is_answered_at_once() {
    for (target, want) in [
        ("/api/v1/query_exemplars?query=test&start=1700000000000&end=1700000000000", "[]"),
        ("/api/v1/metadata", "{}"),
        ("/api/v1/rules", "{\"groups\":[]}"),
        ("/api/v1/alerts", "{\"alerts\":[]}"),
    ] {
        let routed = ask(Method::Get, target, &[], b"");
        let Ok(Call::Answered(reply)) = routed.call else { panic!("{target}") };
        let response = routed.shape.render(Ok(reply));
        let want = format!("{{\"status\":\"success\",\"data\":{want}}}\n");
        assert_eq!(String::from_utf8(response.body).unwrap(), want);
    }
    assert!(matches!(get("/ready?reads=false"), Call::Ready { reads: false, writes: true }));
    assert!(matches!(get("/health"), Call::Health));
    assert!(matches!(get("/-/ready"), Call::ReadyText));
    let Call::Answered(Reply::Routes(paths)) = get("/routes") else { panic!() };
    assert!(paths.contains(&"/api/v1/label/{name}/values") && paths.len() > 40);
}

/// Clients compare `version` with Prometheus' versions; the node's own is in another field.
#[test]
fn build_information_names_the_prometheus_that_is_spoken() {
    let settings = ApiSettings { version: "0.1.7", revision: "abc", ..ApiSettings::default() };
    let mut request = Request { path: "/api/v1/status/buildinfo".to_owned(), ..Request::default() };
    let routed = Api::new(settings).route(Listener::Api, &mut request, NOW);
    let body = String::from_utf8(routed.shape.render(Ok(answered(routed.call))).body).unwrap();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    let data = &json["data"];
    let version = data["version"].as_str().unwrap();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap());
    let (major, minor) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!((major, minor) >= (3, 0) && numbers.count() == 1, "{version}");
    assert_eq!(
        (&data["application"], &data["applicationVersion"]),
        (&"m3ring".into(), &"0.1.7".into())
    );
    assert_eq!(data["revision"], "abc");
    for name in ["branch", "buildUser", "buildDate", "goVersion"] {
        assert!(data[name].is_string(), "Prometheus' field {name}: {body}");
    }
    // Grafana takes a server that has this field for Mimir.
    assert!(data.get("features").is_none());
}

fn answered(call: Result<Call, ApiError>) -> Reply {
    match call {
        Ok(Call::Answered(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn remote_reads() {
    let query = super::super::ReadQuery {
        start_ms: 1,
        end_ms: 2,
        selection: super::super::Selection::Matchers(vec![]),
    };
    let body = crate::proto::read::encode_request(std::slice::from_ref(&query));
    for path in ["/api/v1/prom/remote/read", "/api/v1/read"] {
        let headers = [("Content-Encoding", "snappy")];
        let Ok(Call::RemoteRead(call)) = ask(Method::Post, path, &headers, &body).call else {
            panic!()
        };
        assert_eq!(call.queries.as_slice(), std::slice::from_ref(&query));
        let error = ask(Method::Post, path, &[FORM], b"").call.unwrap_err();
        assert_eq!((error.kind.status(), error.message.as_str()), (400, "snappy: corrupt input"));
    }
    let Call::RemoteRead(call) = get("/api/v1/prom/remote/read?query=t&start=1&end=2&format=json")
    else {
        panic!()
    };
    assert_eq!(call.queries[0].selection, super::super::Selection::Text("t".to_owned()));
    assert_eq!(refused("/api/v1/prom/remote/read?start=1&end=2").0, 400);
}

#[test]
fn bodies_may_be_gzip() {
    let zip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let headers = [FORM, ("Content-Encoding", "gzip")];
    let routed = ask(Method::Post, "/api/v1/query", &headers, &zip(b"query=a&time=1"));
    assert!(matches!(routed.call, Ok(Call::Query(call)) if call.text == "a"));
    let json = br#"{"tags":{"__name__":"a"},"timestamp":"1","value":1}"#;
    let routed = ask(Method::Post, "/api/v1/json/write", &headers, &zip(json));
    assert!(matches!(routed.call, Ok(Call::Write(_))));
    let bad = ask(Method::Post, "/api/v1/json/write", &headers, json).call.unwrap_err();
    assert!(bad.kind.status() == 400 && bad.message.starts_with("gzip: corrupt input"));
    let other = [FORM, ("Content-Encoding", "br")];
    let bad = ask(Method::Post, "/api/v1/query", &other, b"query=a").call.unwrap_err();
    assert_eq!(bad.kind.status(), 415);
}
