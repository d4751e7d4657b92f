//! Replays Prometheus' recorded answers to generated queries.

use crate::store::{Store, Times, close};
use m3_metric::value::Value as Answer;
use m3_metric::{Labels, STALE_NAN_BITS};
use m3_query::{QueryError, QueryOutput};
use m3_testing::outside::shared_text;
use serde_json::Value;
use std::collections::BTreeMap;

/// Fewest queries that must be answered as recorded.
const PASSES_MIN: usize = 1_985;

/// Functions whose order is part of the answer.
const ORDERED: [&str; 4] = ["sort(", "sort_desc(", "sort_by_label(", "sort_by_label_desc("];

#[test]
fn recorded_answers() {
    let files = ["series", "answers"].map(|name| format!("promql-answers/{name}.jsonl.zst"));
    let [Some(series), Some(answers)] = files.map(|name| shared_text(&name)) else { return };
    let store = load(&series);
    let mut passed = 0;
    let mut wrong_texts = 0;
    let mut failures = Vec::new();
    for line in answers.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let result = store.query(record["query"].as_str().unwrap(), times(&record), 2);
        match compare(&record, &result, &mut wrong_texts) {
            Ok(()) => passed += 1,
            Err(why) => failures.push(format!("{}\n    {why}", record["query"])),
        }
    }
    let total = answers.lines().count();
    if std::env::var_os("M3RING_VERBOSE").is_some() {
        failures.iter().for_each(|f| println!("{f}"));
    }
    println!("recorded answers: {passed} of {total}; {wrong_texts} errors in other words");
    assert!(passed >= PASSES_MIN.min(total), "{passed} pass:\n{}", failures.join("\n"));
}

fn number(text: &str) -> f64 {
    match text {
        "stale" => f64::from_bits(STALE_NAN_BITS),
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().unwrap(),
    }
}

fn labels(object: &Value) -> Labels {
    let pairs: BTreeMap<&str, &str> = object
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
        .collect();
    let mut builder = m3_metric::LabelsBuilder::default();
    for (name, value) in pairs {
        builder.set(name, value);
    }
    builder.finish()
}

fn load(text: &str) -> Store {
    let mut store = Store::default();
    for line in text.lines() {
        let series: Value = serde_json::from_str(line).unwrap();
        let labels = labels(&series["labels"]);
        for sample in series["samples"].as_array().unwrap() {
            let value = number(sample[1].as_str().unwrap());
            store.add(&labels, sample[0].as_i64().unwrap(), value);
        }
    }
    store
}

#[allow(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
fn ms(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 1000.0).round() as i64
}

fn times(record: &Value) -> Times {
    if record["kind"] == "query" {
        Times::Instant(ms(&record["time"]))
    } else {
        Times::Range {
            start_ms: ms(&record["start"]),
            end_ms: ms(&record["end"]),
            step_ms: ms(&record["step"]),
        }
    }
}

fn compare(
    record: &Value,
    result: &Result<QueryOutput, QueryError>,
    wrong_texts: &mut usize,
) -> Result<(), String> {
    let answer = &record["answer"];
    let output = match (answer["status"] == "success", result) {
        (true, Ok(output)) => output,
        (true, Err(error)) => return Err(format!("error instead of a value: {error}")),
        (false, Ok(_)) => return Err(format!("a value instead of {}", answer["error"])),
        (false, Err(error)) => {
            let kind = match error {
                QueryError::Parse(_) | QueryError::BadData(_) => "bad_data",
                _ => "execution",
            };
            if answer["errorType"] != kind {
                return Err(format!("{kind} ({error}) instead of {}", answer["error"]));
            }
            let text = answer["error"].as_str().unwrap();
            let text = text.strip_prefix("invalid parameter \"query\": ").unwrap_or(text);
            if text != error.to_string() {
                *wrong_texts += 1;
                if std::env::var_os("M3RING_VERBOSE").is_some() {
                    println!("{}\n  theirs {text}\n  ours   {error}", record["query"]);
                }
            }
            return Ok(());
        }
    };
    for (name, ours) in [("warnings", &output.warnings), ("infos", &output.infos)] {
        let mut theirs: Vec<&str> =
            answer[name].as_array().into_iter().flatten().map(|t| t.as_str().unwrap()).collect();
        theirs.sort_unstable();
        let mut ours: Vec<&str> = ours.iter().map(String::as_str).collect();
        ours.sort_unstable();
        if theirs != ours {
            return Err(format!("{name} {ours:?} instead of {theirs:?}"));
        }
    }
    values(record["query"].as_str().unwrap(), &answer["data"], &output.value)
}

type Points = Vec<(i64, f64)>;

fn values(query: &str, data: &Value, value: &Answer) -> Result<(), String> {
    let result = &data["result"];
    let point = |p: &Value| (ms(&p[0]), number(p[1].as_str().unwrap()));
    let (kind, mut ours): (&str, Vec<(Labels, Points)>) = match value {
        Answer::Scalar { time_ms, value } => {
            ("scalar", vec![(Labels::default(), vec![(*time_ms, *value)])])
        }
        Answer::String { text, .. } => {
            return if result[1] == text.as_str() { Ok(()) } else { Err(format!("got {text}")) };
        }
        Answer::Vector(elements) => {
            let points = elements.iter().map(|e| (e.labels.clone(), vec![(e.time_ms, e.value)]));
            ("vector", points.collect())
        }
        Answer::Matrix(series) => {
            ("matrix", series.iter().map(|s| (s.labels.clone(), s.points.clone())).collect())
        }
    };
    if data["resultType"] != kind {
        return Err(format!("{kind} instead of {}", data["resultType"]));
    }
    let mut theirs: Vec<(Labels, Points)> = match kind {
        "scalar" => vec![(Labels::default(), vec![point(result)])],
        _ => {
            let series = result.as_array().unwrap().iter();
            series
                .map(|s| {
                    let points = match s["values"].as_array() {
                        Some(points) => points.iter().map(point).collect(),
                        None => vec![point(&s["value"])],
                    };
                    (labels(&s["metric"]), points)
                })
                .collect()
        }
    };
    if !ORDERED.iter().any(|name| query.starts_with(name)) || kind == "matrix" {
        theirs.sort_by(|a, b| a.0.cmp(&b.0));
        ours.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = theirs.len() == ours.len()
        && theirs.iter().zip(&ours).all(|(a, b)| {
            a.0 == b.0
                && a.1.len() == b.1.len()
                && a.1.iter().zip(&b.1).all(|(a, b)| a.0 == b.0 && close(a.1, b.1, 1e-9))
        });
    if same { Ok(()) } else { Err(difference(&theirs, &ours)) }
}

fn difference(theirs: &[(Labels, Points)], ours: &[(Labels, Points)]) -> String {
    for (labels, points) in theirs {
        match ours.iter().find(|o| &o.0 == labels) {
            None => {
                return format!(
                    "{} instead of {} series, missing {labels:?}",
                    ours.len(),
                    theirs.len()
                );
            }
            Some((_, other)) => {
                if let Some(i) = (0..points.len().max(other.len())).find(|i| {
                    match (points.get(*i), other.get(*i)) {
                        (Some(a), Some(b)) => a.0 != b.0 || !close(a.1, b.1, 1e-9),
                        _ => true,
                    }
                }) {
                    return format!(
                        "{labels:?}: {:?} instead of {:?}",
                        other.get(i),
                        points.get(i)
                    );
                }
            }
        }
    }
    let extra: Vec<_> =
        ours.iter().filter(|o| !theirs.iter().any(|t| t.0 == o.0)).take(2).collect();
    format!("{} instead of {} series or another order, extra {extra:?}", ours.len(), theirs.len())
}
