//! The whole node: writes, queries and admin requests with numbers from the input run one after
//! another on a simulated node; then all samples are read back.
//!
//! `data` is lines of text. Each is a request whose fields are separated by tabs; other lines are
//! ignored:
//!
//! | line | request |
//! |---|---|
//! | `w MS...` | a remote write: series 0, 1, ... with a sample at each time, in milliseconds |
//! | `n MS...` | the same, times counted from the clock |
//! | `j TIME` | a JSON write with this timestamp |
//! | `q QUERY PARAMETERS` | an instant query; parameters as in a URL |
//! | `r QUERY PARAMETERS` | a range query |
//! | `g TARGET` | a GET of this path and query |
//! | `p TARGET BODY` | a POST of it |
//!
//! Must hold: every request is answered, and none with 500. Nothing panics. Of each write, exactly
//! the samples within retention are stored, whatever else is in the body.

use m3_http::api::{ReadQuery, Selection, TIME_MS_MAX, TIME_MS_MIN};
use m3_http::proto::read::{decode_response, encode_request};
use m3_http::proto::write::WriteRequestWriter;
use m3_io::sim::End;
use m3_io::{panics, time};
use m3_metric::{MatchOp, Matcher};
use m3_sim::client::{Answer, Client};
use m3_sim::session::Session;
use std::collections::BTreeMap;

/// Most requests of one input.
const LINES_MAX: usize = 24;
/// Most bytes of one request.
const LINE_BYTES_MAX: usize = 512;
/// Nothing is asserted this close to the end of retention, since the clock moves.
const MARGIN_MS: i64 = 3_600_000;
/// How long the implicit namespace keeps samples, and how far ahead of the clock it accepts them.
const KEPT_MS: i64 = 100 * 365 * 86_400_000;
const AHEAD_MS: i64 = 86_400_000;

/// Runs the requests in `data`.
///
/// # Panics
/// If the node breaks a promise.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let fits = |line: &&str| (1..=LINE_BYTES_MAX).contains(&line.len());
    let lines = text.lines().filter(fits).take(LINES_MAX);
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let caught = panics::caught();
    // Every other input runs on two cores, so that samples are sent between them.
    let cores = 1 + data.len() % 2;
    let end = Session::with(1, |session| {
        session.life(cores, |client| async move { Talk::new(client).all(&lines).await })
    });
    assert_eq!(end, End::Returned);
    assert_eq!(panics::caught(), caught, "the work of a request panicked");
}

/// What was written, and what must be stored.
struct Talk {
    client: Client,
    /// By series and time: the value, and whether it must be stored; `None` means that it may be.
    sent: BTreeMap<(usize, i64), (f64, Option<bool>)>,
    value: f64,
    /// Whether namespaces may have changed, so that it is unknown what is stored.
    is_changed: bool,
}

impl Talk {
    fn new(client: Client) -> Self {
        Self { client, sent: BTreeMap::new(), value: 0.0, is_changed: false }
    }

    async fn all(mut self, lines: &[String]) {
        for line in lines {
            let mut fields = line.split('\t');
            let Some(verb) = fields.next() else { continue };
            let rest: Vec<&str> = fields.collect();
            self.one(verb, &rest).await;
        }
        if !self.is_changed {
            self.read_back().await;
        }
    }

    async fn one(&mut self, verb: &str, fields: &[&str]) {
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        match verb {
            "w" => self.write(fields, 0).await,
            "n" => self.write(fields, time::wall_ns() / 1_000_000).await,
            "j" => {
                let timestamp = serde_json::Value::from(field(0));
                let body = format!(
                    "{{\"tags\":{{\"__name__\":\"j\"}},\"timestamp\":{timestamp},\"value\":1}}"
                );
                self.ask("POST", "/api/v1/json/write", body.as_bytes()).await;
            }
            "q" | "r" => {
                let path = if verb == "q" { "query" } else { "query_range" };
                let (query, parameters) = (escape(field(0), false), escape(field(1), true));
                let target = format!("/api/v1/{path}?query={query}&{parameters}");
                self.ask("GET", &target, b"").await;
            }
            "g" if field(0).starts_with('/') => {
                self.ask("GET", &escape(field(0), true), b"").await;
            }
            "p" if field(0).starts_with('/') => {
                self.is_changed = true;
                self.ask("POST", &escape(field(0), true), field(1).as_bytes()).await;
            }
            _ => {}
        }
    }

    async fn write(&mut self, times: &[&str], from_ms: i64) {
        let now = time::wall_ns() / 1_000_000;
        let mut body = WriteRequestWriter::default();
        let mut all_stored = Some(true);
        let times = times.iter().filter_map(|text| text.parse::<i64>().ok());
        for (series, ms) in times.map(|ms| from_ms.saturating_add(ms)).enumerate() {
            self.value += 1.0;
            let name = series.to_string();
            body.push(&[("__name__", "w"), ("series", &name)], &[(ms, self.value)]);
            let stored = is_stored(ms, now);
            self.sent.insert((series, ms), (self.value, stored));
            all_stored = match (all_stored, stored) {
                (Some(all), Some(one)) => Some(all && one),
                (Some(false), None) | (None, Some(false)) => Some(false),
                _ => None,
            };
        }
        let answer = self.ask("POST", "/api/v1/prom/remote/write", &body.body()).await;
        match all_stored {
            _ if self.is_changed => assert!(matches!(answer.status, 200 | 400)),
            Some(true) => assert_eq!(answer.status, 200, "{}", answer.text()),
            Some(false) => assert_eq!(answer.status, 400, "{}", answer.text()),
            None => assert!(matches!(answer.status, 200 | 400), "{}", answer.text()),
        }
    }

    /// Sends a request, which must be answered without a server error.
    async fn ask(&mut self, method: &str, target: &str, body: &[u8]) -> Answer {
        let answer = self.client.send(method, target, &[], body).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} {target} is not answered"));
        let is_sane = answer.status < 500 || matches!(answer.status, 503 | 504);
        assert!(is_sane, "{method} {target}: {} {}", answer.status, answer.text());
        answer
    }

    async fn read_back(&mut self) {
        let matchers = vec![Matcher::new(MatchOp::Equal, "__name__", "w")];
        let query = ReadQuery {
            start_ms: TIME_MS_MIN,
            end_ms: TIME_MS_MAX,
            selection: Selection::Matchers(matchers),
        };
        let answer = self.ask("POST", "/api/v1/prom/remote/read", &encode_request(&[query])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut results = decode_response(&answer.body, 1 << 20).expect("an answer");
        let mut found = BTreeMap::new();
        for series in results.remove(0) {
            let number = series.labels.get("series").and_then(|text| text.parse().ok());
            let number: usize = number.expect("the series has its number");
            found.extend(series.points.iter().map(|(ms, value)| ((number, *ms), *value)));
        }
        for (place, value) in &found {
            let (sent, stored) = self.sent.get(place).expect("what is read was sent");
            assert_eq!((sent, *stored == Some(false)), (value, false), "{place:?}");
        }
        for (place, (_, stored)) in &self.sent {
            assert!(*stored != Some(true) || found.contains_key(place), "{place:?} is lost");
        }
    }
}

/// Whether a sample at `ms` is stored; `None` near the limits.
fn is_stored(ms: i64, now: i64) -> Option<bool> {
    let age = i128::from(now) - i128::from(ms);
    let (kept, ahead, margin) = (i128::from(KEPT_MS), i128::from(AHEAD_MS), i128::from(MARGIN_MS));
    if (age - kept).abs() < margin || (age + ahead).abs() < margin {
        return None;
    }
    Some(age < kept && age > -ahead)
}

/// Escapes `text` for a request's target; in a whole target, separators stay.
fn escape(text: &str, is_target: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let stays = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if stays || is_target && b"/?&=%+:,;[](){}'\"@!*$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
