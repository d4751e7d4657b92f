//! Replays what a real M3DB answered.
//!
//! `tests/data/m3-answers` holds requests with their answers, one JSON line each. A play runs files
//! in order on one fresh node, with one value of `{T}` for all, and lists every line that differs.
//! Answers are equal if status, content type and body are; results and data lists are compared as
//! sets, sample values as numbers. Where our answer differs on purpose (`"compare":"none"`),
//! [`ON_PURPOSE`] says what it is instead. A line of that kind without an entry there fails the
//! test.

use crate::harness::{Client, Node, Response, now_ms};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Lines of routes that do not exist yet, by the beginning of their names; a play prints them.
const NOT_PLAYED: [&str; 4] = ["topic", "kvstore", "influx", "parse"];

/// Our answers that differ from M3's: the line's name, the status, a part of the body.
const ON_PURPOSE: &[(&str, u16, &str)] = &[
    ("ns add snake", 200, "\"beta\""),
    ("ns delete beta", 404, "unable to find a namespace with specified name"),
    ("placement version 99", 404, "placement does not exist"),
    ("placement unknown service", 404, "\"status\":\"error\""),
    ("no such route", 404, "\"status\":\"error\""),
    ("w9 rfc3339", 400, "datapoint too far in past: "),
    ("w10 too far in the past", 400, "datapoint too far in past: "),
    ("w11 too far in the future", 400, "datapoint too far in future: "),
    ("w12 empty tag value", 400, "tag value empty: index=1, name=a"),
    ("w13 empty tag name", 400, "tag name empty: index=0"),
    ("w15 no tags", 400, "no tags"),
    ("w16 no timestamp", 400, "invalid timestamp for "),
    ("w17 number timestamp", 200, ""),
    ("q at", 200, "\"code\":\"500\""),
    ("labels two matches", 200, "\"room\""),
    ("restrict by tags", 200, "\"code\":\"500\""),
    ("restrict by tags default strip", 200, "\"code\":\"500\""),
    (
        "write aggregated no such namespace",
        400,
        "could not find namespace for storage policy: 1m:14d",
    ),
    ("options", 204, ""),
    ("buildinfo", 200, "\"version\":\"3."),
];

/// Lines with other answers of ours although they say `exact`: what the body contains instead.
///
/// We store the sample of `w17 number timestamp`, on purpose, so a search that matches everything
/// finds its name.
const OTHERWISE: &[(&str, &str, &str)] =
    &[("search", "/tags/0/values", r#"["a","requests_total","temperature","third_avenue"]"#)];

/// Headers of M3 whose value depends on the request alone.
const SAME_HEADERS: [&str; 7] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "m3-engine",
    "m3-returned-data-limited",
    "m3-returned-metadata-limited",
    "m3-timeout",
];

#[test]
fn walk() {
    let node = Node::start(&["--cores", "0"]);
    Play::on(&node).file("1-walk").end();
}

#[test]
fn admin() {
    let node = Node::start(&["--cores", "0"]);
    Play::on(&node).file("1-walk").file("2-admin").end();
}

#[test]
fn data() {
    let node = Node::start(&["--cores", "0"]);
    Play::on(&node).file("1-walk").file("3-data").end();
}

/// In the recorded order, all on one node; here on two cores.
#[test]
fn all_in_order() {
    let node = Node::start(&["--cores", "0,1"]);
    Play::on(&node).file("1-walk").file("2-admin").file("3-data").end();
}

/// Replaces `{T}`, `{T-30}`, `{T+30ms}` by times.
pub fn fill(text: &str, start_of_minute: i64) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{T") {
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').expect("a closed {T}");
        let (offset, unit) = match inside[..end].find(|c: char| c.is_ascii_alphabetic()) {
            Some(unit) => inside[..end].split_at(unit),
            None => (&inside[..end], ""),
        };
        let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().unwrap() };
        let zeros = match unit {
            "" => "",
            "ms" => "000",
            "ns" => "000000000",
            _ => panic!("a unit of time in {text}"),
        };
        out.push_str(&format!("{}{zeros}", start_of_minute + offset));
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    out
}

/// One node and one `{T}`.
struct Play {
    client: Client,
    metrics: Client,
    start_of_minute: i64,
    begun: Instant,
    played: usize,
    left_out: Vec<String>,
    failures: Vec<String>,
}

impl Play {
    fn on(node: &Node) -> Self {
        let seconds = now_ms() / 1000;
        Self {
            client: Client::new(node.api),
            metrics: Client::new(node.metrics),
            start_of_minute: seconds - seconds % 60,
            begun: Instant::now(),
            played: 0,
            left_out: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn file(mut self, name: &str) -> Self {
        let path = format!("{}/tests/data/m3-answers/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let name = line["name"].as_str().unwrap().to_owned();
            if NOT_PLAYED.iter().any(|start| name.starts_with(start)) {
                self.left_out.push(name);
                continue;
            }
            self.played += 1;
            let answer = self.ask(&line);
            if let Err(why) = self.check(&line, &answer) {
                self.failures.push(format!("{name}: {why}"));
            }
            if name == "ns add snake" {
                // M3 refuses it, so later lists of M3 do not contain it; neither may ours.
                let path = "/api/v1/services/m3db/namespace/beta";
                self.client.send("DELETE", path, &[], b"").expect(200);
            }
        }
        self
    }

    fn end(self) {
        println!("{} lines played in {:?}", self.played, self.begun.elapsed());
        if !self.left_out.is_empty() {
            println!("not played yet: {}", self.left_out.join(", "));
        }
        let failures = &self.failures;
        assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    }

    /// Sends a line's request; repeats it until the answer is right, if the line says so.
    fn ask(&mut self, line: &Value) -> Response {
        let method = line["method"].as_str().unwrap_or("GET");
        let path = self.fill(line["path"].as_str().unwrap());
        let body = self.fill(line["body"].as_str().unwrap_or(""));
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if let Some(map) = line["headers"].as_object() {
            headers
                .extend(map.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
        }
        let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if line["body"].is_string() && !is_typed {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let is_metrics = line["port"] == "metrics";
        let client = if is_metrics { &mut self.metrics } else { &mut self.client };
        let deadline = Instant::now() + Duration::from_secs(line["within"].as_u64().unwrap_or(0));
        loop {
            let answer = client.send(method, &path, &headers, body.as_bytes());
            let is_done = line["until"].as_str().is_none_or(|until| matches(until, &answer.text()));
            if is_done || Instant::now() >= deadline {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn fill(&self, text: &str) -> String {
        fill(text, self.start_of_minute)
    }

    fn check(&self, line: &Value, answer: &Response) -> Result<(), String> {
        let name = line["name"].as_str().unwrap();
        let expected = &line["answer"];
        let status = u16::try_from(expected["status"].as_u64().unwrap()).unwrap();
        let compare = line["compare"].as_str().unwrap_or("exact");
        if compare == "none" {
            let promise = ON_PURPOSE.iter().find(|(line, ..)| *line == name);
            let (_, status, part) = promise.ok_or("no promise in ON_PURPOSE")?;
            same_status(*status, answer)?;
            if !answer.text().contains(part) {
                return Err(format!("no {part:?} in {}", answer.text()));
            }
            if name.starts_with("restrict by tags") && answer.text().contains("\"instance\"") {
                return Err(format!("instance is not stripped: {}", answer.text()));
            }
            return Ok(());
        }
        same_status(status, answer)?;
        let mut json = expected["json"].clone();
        let otherwise: Vec<_> = OTHERWISE.iter().filter(|(line, ..)| *line == name).collect();
        for (_, place, value) in &otherwise {
            *json.pointer_mut(place).unwrap() = serde_json::from_str(value).unwrap();
        }
        for name in SAME_HEADERS {
            // Another body has other counts.
            let is_meant = otherwise.is_empty() || !name.ends_with("-limited");
            if let Some(value) = expected["headers"][name].as_str()
                && is_meant
                && answer.header(name) != Some(value)
            {
                let (ours, body) = (answer.header(name), answer.text());
                return Err(format!("{name}: {ours:?}, not {value:?}: {body}"));
            }
        }
        if compare == "status" {
            return Ok(());
        }
        let content_type = expected["headers"]["content-type"].as_str();
        if answer.header("content-type") != content_type {
            let ours = answer.header("content-type");
            return Err(format!("content type {ours:?}, not {content_type:?}"));
        }
        if let Some(text) = expected["text"].as_str() {
            let text = self.fill(text);
            return if answer.text() == text {
                Ok(())
            } else {
                Err(format!("{:?}, not {text:?}", answer.text()))
            };
        }
        let body: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("no JSON ({error}): {}", answer.text()))?;
        let more_fields = compare == "error";
        self.same(&json, &body, &Place { path: String::new(), more_fields })
    }

    fn same(&self, expected: &Value, actual: &Value, place: &Place) -> Result<(), String> {
        let differs = || Err(format!("{}: {actual}, not {expected}", place.path));
        match (expected, actual) {
            (Value::String(wild), _) if wild == "*" => Ok(()),
            (Value::Object(expected), Value::Object(actual)) => {
                for (name, value) in expected {
                    let Some(other) = actual.get(name) else {
                        return Err(format!("{}: no {name}", place.path));
                    };
                    self.same(value, other, &place.inside(name))?;
                }
                let added = actual.keys().find(|name| !expected.contains_key(*name));
                match added {
                    Some(name) if !(place.more_fields && place.path.is_empty()) => {
                        Err(format!("{}: {name} is not in M3's answer", place.path))
                    }
                    _ => Ok(()),
                }
            }
            (Value::Array(expected), Value::Array(actual)) => {
                if expected.len() != actual.len() {
                    return differs();
                }
                if place.is_set() {
                    return self.same_set(expected, actual, place);
                }
                let mut pairs = expected.iter().zip(actual);
                pairs.try_for_each(|(one, other)| self.same(one, other, place))
            }
            (Value::String(one), _) => {
                let one = self.fill(one);
                let other = match actual {
                    Value::String(other) => other.clone(),
                    other => other.to_string(),
                };
                let numbers = (one.parse::<f64>(), other.parse::<f64>());
                let is_same = match numbers {
                    // Comparing bits would tell one NaN from another, and the text of a number is
                    // not unique.
                    (Ok(one), Ok(other)) => one == other || one.is_nan() && other.is_nan(),
                    _ => one == other,
                };
                if is_same { Ok(()) } else { differs() }
            }
            _ if expected == actual => Ok(()),
            _ => differs(),
        }
    }

    fn same_set(&self, expected: &[Value], actual: &[Value], place: &Place) -> Result<(), String> {
        let mut left: Vec<&Value> = actual.iter().collect();
        for one in expected {
            let found = left.iter().position(|other| self.same(one, other, place).is_ok());
            let Some(at) = found else {
                // If only one candidate is left, the difference inside it says more.
                if let [only] = left[..] {
                    return self.same(one, only, place);
                }
                return Err(format!("{}: no {one} in {left:?}", place.path));
            };
            left.remove(at);
        }
        Ok(())
    }
}

/// The position of a comparison in an answer.
struct Place {
    path: String,
    more_fields: bool,
}

impl Place {
    fn inside(&self, name: &str) -> Self {
        Self { path: format!("{}.{name}", self.path), more_fields: self.more_fields }
    }

    /// Whether a list at this position has no order: results, data lists, and those of a search.
    fn is_set(&self) -> bool {
        matches!(self.path.as_str(), "" | ".data" | ".data.result" | ".tags" | ".tags.values")
    }
}

fn same_status(status: u16, answer: &Response) -> Result<(), String> {
    if answer.status == status {
        return Ok(());
    }
    Err(format!("status {}, not {status}: {}", answer.status, answer.text()))
}

/// The regular expressions in the files. The crate `regex` has no look-ahead, and there are only
/// three.
fn matches(until: &str, body: &str) -> bool {
    match until {
        r"^(?!.*INITIALIZING)(?s:.*)AVAILABLE" => {
            body.contains("AVAILABLE") && !body.contains("INITIALIZING")
        }
        "\"ready\":true" => body.contains(until),
        "^$" => body.is_empty(),
        other => panic!("a regular expression unknown to this test: {other}"),
    }
}
