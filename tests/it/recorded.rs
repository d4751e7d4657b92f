//! Queries that Prometheus 3.14 answered, sent to a node over HTTP.
//!
//! The shared test data beside the checkout (`m3_testing::outside`) has generated series and
//! Prometheus' answers to 2,000 generated queries over them. The node gets the series by
//! remote write and every query by GET and by POST: on two cores, and again after a restart on one,
//! which reads them from the commit log. Answers are equal if these are: status, kind of result,
//! series as sets (in order where a query sorts), times exactly, values to 1e-9 of their size,
//! warnings and infos, types of errors. Texts are counted, and printed with `M3RING_VERBOSE=1`.

use crate::harness::{Client, Node, Response, WriteSeries, encode_form, write_body};
use m3_http::api::{ReadQuery, Selection};
use m3_http::proto::read::{decode_response, encode_request};
use m3_metric::{Labels, MatchOp, Matcher, STALE_NAN_BITS};
use m3_testing::outside::shared_text;
use serde_json::Value;
use std::collections::BTreeMap;

/// Fewest queries that must be answered as recorded. The others are ties in `topk`, `bottomk` and
/// `limitk`, and one order by a label that a series lacks.
const PASSES_MIN: usize = 1_987;
/// Series of one request.
const SERIES_PER_BODY: usize = 40;
/// A remote read of everything is smaller than this.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Functions whose order is part of the answer to an instant query.
const ORDERED: [&str; 4] = ["sort(", "sort_desc(", "sort_by_label(", "sort_by_label_desc("];
/// Aggregations whose values are ordered; series with equal values may come in any order.
const RANKED: [&str; 4] = ["topk(", "topk (", "bottomk(", "bottomk ("];
/// The prefixes of the routes, used in turn.
const PREFIXES: [&str; 2] = ["", "/prometheus"];

#[test]
fn recorded_by_prometheus() {
    let Some((series, answers)) = records() else { return };
    let records: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut node = Node::start(&["--cores", "0,1"]);
    let sent = write(&mut node.client(), &series);
    same_bits(&sent, &mut node.client());
    let first = play(&node, &records, "two cores, from memory");
    node.restart(&["--cores", "0"]);
    same_bits(&sent, &mut node.client());
    let second = play(&node, &records, "one core, from the commit log");
    for (passed, failures) in [first, second] {
        let least = PASSES_MIN.min(records.len());
        assert!(passed >= least, "{passed} pass:\n{}", failures.join("\n"));
    }
}

/// The same instant in every notation that clients use.
#[test]
fn times_in_every_notation() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    let (ms, labels) = (1_767_229_200_250, [("__name__", "noted")]);
    client.remote_write(&write_body(&[(&labels[..], &[(ms, 7.5)][..])])).expect(200);
    for time in [
        "1767229200.25",
        "1.76722920025e9",
        "1767229200.250",
        "2026-01-01T01:00:00.25Z",
        "2026-01-01T01:00:00.250000000Z",
        "2026-01-01T03:30:00.25+02:30",
        "2025-12-31T20:00:00.25-05:00",
    ] {
        let form = [("query", "noted"), ("time", time)];
        let [get, post] = ask_both(&mut client, "/api/v1/query", &form);
        same_bodies(&get, &post).unwrap_or_else(|why| panic!("{time}: {why}"));
        let sample = &get.expect(200).json()["data"]["result"][0]["value"];
        assert_eq!(sample.to_string(), "[1767229200.25,\"7.5\"]", "{time}");

        let form = [("query", "noted"), ("start", time), ("end", time), ("step", "15s")];
        let [get, post] = ask_both(&mut client, "/api/v1/query_range", &form);
        same_bodies(&get, &post).unwrap_or_else(|why| panic!("{time}: {why}"));
        let samples = &get.expect(200).json()["data"]["result"][0]["values"];
        assert_eq!(samples.to_string(), "[[1767229200.25,\"7.5\"]]", "{time}");
    }
    for step in ["0.5", "500ms", "5e-1"] {
        let (start, end) = ("2026-01-01T01:00:00.25Z", "1767229201.25");
        let form = [("query", "noted"), ("start", start), ("end", end), ("step", step)];
        let [get, post] = ask_both(&mut client, "/api/v1/query_range", &form);
        same_bodies(&get, &post).unwrap_or_else(|why| panic!("{step}: {why}"));
        let samples = &get.expect(200).json()["data"]["result"][0]["values"];
        let wanted = "[[1767229200.25,\"7.5\"],[1767229200.75,\"7.5\"],[1767229201.25,\"7.5\"]]";
        assert_eq!(samples.to_string(), wanted, "{step}");
    }
    for time in ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01 01:00:00", "0x10", "1e400"] {
        let form = [("query", "noted"), ("time", time)];
        for answer in ask_both(&mut client, "/api/v1/query", &form) {
            let answer = answer.expect(400).json();
            let text = answer["error"].as_str().unwrap();
            assert!(text.contains(&format!("cannot parse {time:?}")), "{text}");
        }
    }
}

/// The series and the answers; `None` if they are missing, which it says.
fn records() -> Option<(String, String)> {
    let file = |name: &str| shared_text(&format!("promql-answers/{name}.jsonl.zst"));
    Some((file("series")?, file("answers")?))
}

/// Samples of a series as (milliseconds, bits of the value), by the series' labels.
type Bits = BTreeMap<Labels, Vec<(i64, u64)>>;

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|(ms, value)| (*ms, value.to_bits())).collect()
}

/// Writes all series, some to a request; what was written.
fn write(client: &mut Client, text: &str) -> Bits {
    let mut sent = Bits::new();
    let series: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for chunk in series.chunks(SERIES_PER_BODY) {
        let parts: Vec<_> =
            chunk.iter().map(|one| (labels(&one["labels"]), samples(one))).collect();
        let series: Vec<WriteSeries<'_>> = parts.iter().map(|(l, s)| (&l[..], &s[..])).collect();
        client.remote_write(&write_body(&series)).expect(200);
        for (labels, samples) in &parts {
            let labels = Labels::from_pairs(labels.iter().copied()).unwrap();
            assert!(sent.insert(labels, bits(samples)).is_none(), "a series stands there twice");
        }
    }
    sent
}

/// Reads everything by remote read and compares all bits, including stale markers.
fn same_bits(sent: &Bits, client: &mut Client) {
    let selection = Selection::Matchers(vec![Matcher::new(MatchOp::Regex, "job", ".*")]);
    let query = ReadQuery { start_ms: 0, end_ms: 4_000_000_000_000, selection };
    let headers = [("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
    let body = encode_request(&[query]);
    let answer = client.send("POST", "/api/v1/prom/remote/read", &headers, &body).expect(200);
    let found = decode_response(&answer.body, ANSWER_BYTES_MAX).unwrap().remove(0);
    let found: Bits = found.into_iter().map(|one| (one.labels, bits(&one.points))).collect();
    for (labels, samples) in sent {
        assert_eq!(found.get(labels), Some(samples), "{labels:?}");
    }
    assert_eq!(found.len(), sent.len(), "series that nobody wrote");
}

/// Labels in the order of their names, as a sender has them.
fn labels(object: &Value) -> Vec<(&str, &str)> {
    let pairs = object.as_object().unwrap().iter();
    let mut pairs: Vec<_> = pairs.map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
    pairs.sort_unstable();
    pairs
}

fn samples(series: &Value) -> Vec<(i64, f64)> {
    let list = series["samples"].as_array().unwrap().iter();
    list.map(|s| (s[0].as_i64().unwrap(), number(&s[1]))).collect()
}

fn number(text: &Value) -> f64 {
    match text.as_str().unwrap() {
        "stale" => f64::from_bits(STALE_NAN_BITS),
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().unwrap(),
    }
}

/// Sends all queries; returns how many answers are as recorded, and the differences of the others.
fn play(node: &Node, records: &[Value], how: &str) -> (usize, Vec<String>) {
    let mut client = node.client();
    let (mut passed, mut other_words, mut failures) = (0, 0, Vec::new());
    for (at, record) in records.iter().enumerate() {
        let kind = record["kind"].as_str().unwrap();
        let path = format!("{}/api/v1/{kind}", PREFIXES[at % PREFIXES.len()]);
        let mut form = vec![("query", record["query"].as_str().unwrap().to_owned())];
        for name in ["time", "start", "end", "step"] {
            if record[name].is_number() {
                form.push((name, record[name].to_string()));
            }
        }
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let [get, post] = ask_both(&mut client, &path, &form);
        let result = same_bodies(&get, &post).and_then(|()| compare(record, &get));
        match result {
            Ok(same_words) => {
                passed += 1;
                other_words += usize::from(!same_words);
            }
            Err(why) => failures.push(format!("{}\n    {why}", record["query"])),
        }
    }
    if std::env::var_os("M3RING_VERBOSE").is_some() {
        failures.iter().for_each(|failure| println!("{failure}"));
    }
    let total = records.len();
    println!("{how}: {passed} of {total} as recorded; {other_words} errors in other words");
    (passed, failures)
}

fn ask_both(client: &mut Client, path: &str, form: &[(&str, &str)]) -> [Response; 2] {
    let get = client.get(&format!("{path}?{}", encode_form(form)));
    [get, client.post_form(path, form)]
}

/// Whether two answers to one query are equal. The order of series depends on cores and hashes,
/// which are the same for both.
fn same_bodies(get: &Response, post: &Response) -> Result<(), String> {
    if get.status == post.status && get.body == post.body {
        return Ok(());
    }
    let (one, other) = (get.text(), post.text());
    Err(format!("GET {} {one}\n    POST {} {other}", get.status, post.status))
}

/// Whether the node answered as recorded; for an error, whether in the same words.
fn compare(record: &Value, answer: &Response) -> Result<bool, String> {
    let (theirs, ours) = (&record["answer"], answer.json());
    if theirs["status"] == "error" {
        // M3 answers every query that cannot be answered by 400, where Prometheus has 422 too.
        if answer.status != 400 || ours["status"] != "error" {
            return Err(format!("{} {ours} instead of {}", answer.status, theirs["error"]));
        }
        if ours["errorType"] != theirs["errorType"] {
            return Err(format!("{ours} instead of {theirs}"));
        }
        let is_same = ours["error"] == theirs["error"];
        if !is_same && std::env::var_os("M3RING_VERBOSE").is_some() {
            println!(
                "{}\n  theirs {}\n  ours   {}",
                record["query"], theirs["error"], ours["error"]
            );
        }
        return Ok(is_same);
    }
    if answer.status != 200 || ours["status"] != "success" {
        return Err(format!("{} {ours} instead of a value", answer.status));
    }
    for name in ["warnings", "infos"] {
        let texts = |from: &Value| {
            let mut texts = from[name].as_array().cloned().unwrap_or_default();
            texts.sort_by_key(ToString::to_string);
            texts
        };
        let (theirs, ours) = (texts(theirs), texts(&ours));
        if theirs != ours {
            return Err(format!("{name} {ours:?} instead of {theirs:?}"));
        }
    }
    let query = record["query"].as_str().unwrap();
    same_data(query, &theirs["data"], &ours["data"]).map(|()| true)
}

fn same_data(query: &str, theirs: &Value, ours: &Value) -> Result<(), String> {
    let kind = &theirs["resultType"];
    if kind != &ours["resultType"] {
        return Err(format!("{} instead of {kind}", ours["resultType"]));
    }
    let (theirs, ours) = (&theirs["result"], &ours["result"]);
    if kind == "string" || kind == "scalar" {
        let is_same = if kind == "string" { theirs == ours } else { same_sample(theirs, ours) };
        return if is_same { Ok(()) } else { Err(format!("{ours} instead of {theirs}")) };
    }
    if kind == "vector" && RANKED.iter().any(|name| query.starts_with(name)) {
        let values = |list: &Value| {
            let list = list.as_array().unwrap().iter();
            list.map(|one| one["value"].clone()).collect::<Vec<_>>()
        };
        let (theirs, ours) = (values(theirs), values(ours));
        if !theirs.iter().zip(&ours).all(|(one, other)| same_sample(one, other)) {
            return Err(format!("{ours:?} instead of {theirs:?}, in this order"));
        }
    }
    let is_ordered = kind == "vector" && ORDERED.iter().any(|name| query.starts_with(name));
    let series = |list: &Value| {
        let mut list = list.as_array().unwrap().clone();
        if !is_ordered {
            list.sort_by_cached_key(|one| format!("{:?}", labels(&one["metric"])));
        }
        list
    };
    let (theirs, ours) = (series(theirs), series(ours));
    if theirs.len() != ours.len() {
        let only = theirs.iter().find(|t| !ours.iter().any(|o| o["metric"] == t["metric"]));
        let missing = only.map_or_else(String::new, |one| format!(", without {}", one["metric"]));
        return Err(format!("{} series instead of {}{missing}", ours.len(), theirs.len()));
    }
    for (theirs, ours) in theirs.iter().zip(&ours) {
        if theirs["metric"] != ours["metric"] {
            return Err(format!("{} instead of {}", ours["metric"], theirs["metric"]));
        }
        let list = |series: &Value| match series["values"].as_array() {
            Some(values) => values.clone(),
            None => vec![series["value"].clone()],
        };
        let (one, other) = (list(theirs), list(ours));
        let differing = one.iter().zip(&other).find(|(one, other)| !same_sample(one, other));
        let at = &theirs["metric"];
        if let Some((one, other)) = differing {
            return Err(format!("{at}: {other} instead of {one}"));
        }
        if one.len() != other.len() {
            return Err(format!("{at}: {} samples instead of {}", other.len(), one.len()));
        }
    }
    Ok(())
}

fn same_sample(theirs: &Value, ours: &Value) -> bool {
    let (one, other) = (number(&theirs[1]), number(&ours[1]));
    let is_close = (one - other).abs() <= 1e-9 * one.abs().max(other.abs());
    let is_same = one == other || one.is_nan() && other.is_nan() || is_close && one.is_finite();
    theirs[0].as_f64() == ours[0].as_f64() && is_same
}
