//! Replies as bodies and headers.

use super::*;
use m3_metric::Labels;
use m3_metric::value::{Element, Series, Value};

fn shape(family: Family) -> ReplyFormat {
    let mut shape = ReplyFormat::new("/x", family, &Request::default());
    shape.follow(&QueryOptions { timeout: Duration::from_secs(30), ..QueryOptions::default() });
    shape
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn matrix() -> Value {
    let one = |instance: &str| Series {
        labels: labels(&[("__name__", "r"), ("instance", instance)]),
        points: vec![(1000, 1.0), (2500, f64::NAN)],
    };
    Value::Matrix(vec![one("a"), one("b")])
}

fn value(value: Value) -> Reply {
    Reply::Value { value, notes: Notes::default() }
}

#[test]
fn queries_answer_as_prometheus_does() {
    let mut shape = shape(Family::Query);
    shape.echo_engine(EngineName::Prometheus);
    let response = shape.render(Ok(value(matrix())));
    assert_eq!(
        text(&response),
        "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[\
         {\"metric\":{\"__name__\":\"r\",\"instance\":\"a\"},\"values\":[[1,\"1\"],[2.5,\"NaN\"]]},\
         {\"metric\":{\"__name__\":\"r\",\"instance\":\"b\"},\"values\":[[1,\"1\"],[2.5,\"NaN\"]]}]}}\n"
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("m3-engine"), Some("prometheus"));
    assert_eq!(response.header("m3-timeout"), Some("30s"));
    assert_eq!(
        response.header("m3-returned-data-limited"),
        Some("{\"Series\":2,\"Datapoints\":4,\"TotalSeries\":2,\"Limited\":false}")
    );
    shape.step_size_ms = Some(30_000);
    assert!(text(&shape.render(Ok(value(matrix())))).contains("]],\"step_size_ms\":30000}"));
    let notes = Notes {
        warnings: vec!["w".to_owned()],
        infos: vec!["i".to_owned()],
        limited: vec!["a".to_owned(), "b".to_owned()],
        fetched: Some(FetchStats {
            namespaces: vec!["default".to_owned()],
            bytes: 377,
            series_with_samples: 2,
            metrics: vec![("k\u{fc}che".to_owned(), MetricStats::default())],
            ..FetchStats::default()
        }),
        ..Notes::default()
    };
    let element = Element { labels: Labels::default(), time_ms: 1500, value: f64::INFINITY };
    let response = shape.render(Ok(Reply::Value { value: Value::Vector(vec![element]), notes }));
    assert_eq!(
        text(&response),
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[\
         {\"metric\":{},\"value\":[1.5,\"+Inf\"]}]},\"warnings\":[\"w\"],\"infos\":[\"i\"]}\n"
    );
    assert_eq!(response.header("m3-results-limited"), Some("a,b"));
    assert_eq!(response.header("m3-fetched-bytes-estimate"), Some("377"));
    assert_eq!(response.header("m3-unaggregated-series-count"), Some("2"));
    assert_eq!(
        response.header("m3-metric-stats"),
        Some(
            "{\"k\\u00fcche\":{\"NoSamples\":0,\"WithSamples\":0,\"Aggregated\":0,\"Unaggregated\":0}}"
        )
    );
    for (plain, want) in [
        (Value::Scalar { time_ms: 0, value: 2.0 }, "\"scalar\",\"result\":[0,\"2\"]}}\n"),
        (
            Value::String { time_ms: 0, text: "hi".to_owned() },
            "\"string\",\"result\":[0,\"hi\"]}}\n",
        ),
        (Value::Vector(vec![]), "\"vector\",\"result\":[]}}\n"),
    ] {
        let response = shape.render(Ok(value(plain)));
        assert!(text(&response).ends_with(want), "{}", text(&response));
        let none = "{\"Series\":0,\"Datapoints\":0,\"TotalSeries\":0,\"Limited\":false}";
        assert_eq!(response.header("m3-returned-data-limited"), Some(none));
    }
}

#[test]
fn returned_limits_leave_out_whole_series() {
    let with = |series, samples| {
        let mut shape = shape(Family::Query);
        shape.limits.returned_series = series;
        shape.limits.returned_samples = samples;
        let response = shape.render(Ok(value(matrix())));
        response.header("m3-returned-data-limited").unwrap().to_owned()
    };
    let limited = |series, samples, limited| {
        format!(
            "{{\"Series\":{series},\"Datapoints\":{samples},\"TotalSeries\":2,\"Limited\":{limited}}}"
        )
    };
    assert_eq!(with(Some(1), None), limited(1, 2, true));
    assert_eq!(with(None, Some(3)), limited(1, 2, true));
    assert_eq!(with(None, Some(1)), limited(0, 0, true));
    assert_eq!(with(Some(0), Some(4)), limited(2, 4, false));
}

#[test]
fn metadata_is_counted_and_cut() {
    let names = || Reply::Names {
        names: vec!["a".into(), "b".into(), "c".into()],
        notes: Notes::default(),
    };
    let mut metadata = shape(Family::Metadata);
    let response = metadata.render(Ok(names()));
    assert_eq!(text(&response), "{\"status\":\"success\",\"data\":[\"a\",\"b\",\"c\"]}\n");
    let header = "m3-returned-metadata-limited";
    assert_eq!(
        response.header(header),
        Some("{\"Results\":3,\"TotalResults\":3,\"Limited\":false}")
    );
    assert_eq!(response.header("m3-engine"), None);
    metadata.limits.returned_metadata = Some(1);
    let response = metadata.render(Ok(names()));
    assert_eq!(
        response.header(header),
        Some("{\"Results\":1,\"TotalResults\":3,\"Limited\":true}")
    );
    metadata.limits.returned_metadata = None;
    metadata.truncate = Some(2);
    assert_eq!(
        text(&metadata.render(Ok(names()))),
        "{\"status\":\"success\",\"data\":[\"a\",\"b\"],\"warnings\":[\"results truncated due to limit\"]}\n"
    );
    let series = Reply::Series {
        series: vec![labels(&[("a", "1"), ("b", "2")]), labels(&[("a", "2")])],
        notes: Notes::default(),
    };
    let response = shape(Family::Metadata).render(Ok(series));
    assert_eq!(
        text(&response),
        "{\"status\":\"success\",\"data\":[{\"a\":\"1\",\"b\":\"2\"},{\"a\":\"2\"}]}\n"
    );
    assert_eq!(
        response.header(header),
        Some("{\"Results\":3,\"TotalResults\":3,\"Limited\":false}")
    );
    let search = || Reply::Search {
        tags: vec![("a".into(), vec!["1".into(), "2".into()]), ("b".into(), vec!["3".into()])],
        notes: Notes::default(),
    };
    let response = shape(Family::Metadata).render(Ok(search()));
    assert_eq!(
        text(&response),
        "{\"hits\":2,\"tags\":[{\"key\":\"a\",\"values\":[\"1\",\"2\"]},{\"key\":\"b\",\"values\":[\"3\"]}]}\n"
    );
    assert_eq!(
        response.header(header),
        Some("{\"Results\":3,\"TotalResults\":3,\"Limited\":false}")
    );
    let mut names_only = shape(Family::Metadata);
    names_only.names_only = true;
    assert_eq!(text(&names_only.render(Ok(search()))), "[\"a\",\"b\"]\n");
    names_only.names_only = false;
    names_only.limits.returned_metadata = Some(1);
    assert_eq!(
        text(&names_only.render(Ok(search()))),
        "{\"hits\":1,\"tags\":[{\"key\":\"a\",\"values\":[\"1\"]}]}\n"
    );
}

#[test]
fn errors_have_prometheus_s_type_but_not_on_admin_routes() {
    let error = || ApiError::bad_data("a \"b\"");
    let response = shape(Family::Query).render(Err(error()));
    assert_eq!(response.status, 400);
    assert_eq!(
        text(&response),
        "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"a \\\"b\\\"\"}\n"
    );
    let response =
        shape(Family::Admin).render(Err(ApiError::not_found("placement does not exist")));
    assert_eq!(response.status, 404);
    assert_eq!(text(&response), "{\"status\":\"error\",\"error\":\"placement does not exist\"}\n");
    let status = |error: ApiError| shape(Family::Query).render(Err(error)).status;
    assert_eq!(status(ApiError::execution("x")), 400);
    assert_eq!(status(ApiError::timeout("x")), 504);
    assert_eq!(status(ApiError::internal("x")), 500);
    let response = shape(Family::Query).render(Err(ApiError::unavailable("starting", 3)));
    assert_eq!((response.status, response.header("retry-after")), (503, Some("3")));
}

#[test]
fn writes_answer_nothing_or_what_was_lost() {
    let response = shape(Family::Write).render(Ok(Reply::Write(WriteOutcome::default())));
    assert_eq!((response.status, response.body.len(), response.headers.len()), (200, 0, 0));
    let mut bad = WriteOutcome::default();
    bad.bad.add(1, "datapoint too far in past: x");
    let response = shape(Family::Write).render(Ok(Reply::Write(bad.clone())));
    assert_eq!(response.status, 400);
    assert!(
        text(&response)
            .contains("\"bad_request_errors: count=1, last=datapoint too far in past: x\"")
    );
    let response = shape(Family::JsonWrite).render(Ok(Reply::Write(bad)));
    assert!(text(&response).contains("\"error\":\"datapoint too far in past: x\""));
    let mut full = WriteOutcome::default();
    full.exhausted.add(1, "x");
    let response = shape(Family::Write).render(Ok(Reply::Write(full)));
    assert_eq!((response.status, response.header("retry-after")), (429, Some("1")));
}

#[test]
fn readiness_and_health() {
    let plain = shape(Family::Metadata);
    assert_eq!(text(&plain.render(Ok(Reply::Ready(Readiness::default())))), "{}\n");
    let namespace =
        ReadyNamespace { id: "default".into(), retention_ns: 43_200_000_000_000, resolution_ns: 0 };
    let mut readiness = Readiness { ready_reads: vec![namespace.clone()], ..Readiness::default() };
    let response = plain.render(Ok(Reply::Ready(readiness.clone())));
    assert_eq!(
        text(&response),
        "{\"readyReads\":[{\"id\":\"default\",\"attributes\":{\"metricsType\":\"unaggregated\",\
         \"retention\":\"12h0m0s\",\"resolution\":\"0s\"}}]}\n"
    );
    readiness.not_ready_writes.push(namespace);
    assert_eq!(plain.render(Ok(Reply::Ready(readiness))).status, 500);
    let health = Reply::Health { uptime: Duration::from_millis(62_300), now: Timestamp(0) };
    let response = plain.render(Ok(health));
    assert_eq!(text(&response), "{\"uptime\":\"1m2.3s\",\"now\":\"1970-01-01T00:00:00Z\"}\n");
    assert_eq!(response.header("content-type"), Some(TEXT));
    let routes = plain.render(Ok(Reply::Routes(vec!["/a", "/b"])));
    assert_eq!(text(&routes), "{\"routes\":[\"/a\",\"/b\"]}\n");
    let admin = plain.render(Ok(admin_deleted()));
    assert_eq!(text(&admin), "{\"deleted\":true}\n");
}

#[test]
fn remote_reads_answer_json_or_protobuf() {
    let result = || Reply::RemoteRead {
        results: vec![ReadResult {
            matchers: vec![m3_metric::Matcher::new(MatchOp::Equal, "__name__", "t")],
            start_ms: 0,
            end_ms: 60_000,
            series: vec![Series {
                labels: labels(&[("__name__", "t")]),
                points: vec![(30_500, -0.0215)],
            }],
        }],
        notes: Notes::default(),
    };
    let mut request = Request::default();
    request.query.push("format".to_owned(), "json".to_owned());
    let response = ReplyFormat::new("/x", Family::RemoteRead, &request).render(Ok(result()));
    assert_eq!(
        text(&response),
        "{\"queries\":[{\"query\":{\"matchers\":[{\"type\":\"EQ\",\"name\":\"__name__\",\"value\":\"t\"}]},\
         \"start\":\"1970-01-01T00:00:00Z\",\"end\":\"1970-01-01T00:01:00Z\",\"series\":[{\
         \"start\":\"1970-01-01T00:00:00Z\",\"end\":\"1970-01-01T00:01:00Z\",\"tags\":[[\"__name__\",\"t\"]],\
         \"datapoints\":[{\"val\":\"-0.0215\",\"ts\":\"1970-01-01T00:00:30.5Z\"}]}]}]}\n"
    );
    let response = shape(Family::RemoteRead).render(Ok(result()));
    assert_eq!(response.header("content-encoding"), Some("snappy"));
    let back = crate::proto::read::decode_response(&response.body, 1000).unwrap();
    assert_eq!(back[0][0].points, [(30_500, -0.0215)]);
}

/// An error does not send megabytes of a request back to the client.
#[test]
fn a_long_error_is_cut() {
    let shape = shape(Family::Query);
    let long = "\u{1f600}".repeat(1 << 18);
    let body = shape.render(Err(ApiError::bad_data(format!("a{long}")))).body;
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let error = json["error"].as_str().unwrap();
    assert!(error.len() < 9000 && error.starts_with("a\u{1f600}"), "{}", error.len());
    assert!(error.ends_with("... (1048577 bytes in all)"), "{error:.100}");
    let whole = "x".repeat(8 << 10);
    let body = shape.render(Err(ApiError::bad_data(&whole))).body;
    assert!(String::from_utf8(body).unwrap().contains(&format!("\"{whole}\"")));
}
