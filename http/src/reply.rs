//! Replies as responses: status, headers and JSON as M3 and Prometheus write them.
//!
//! A [`ReplyFormat`] is made when the request is routed. It holds how the answer is to be written:
//! in which engine's format, with which limits on what is returned and which headers.
//!
//! Always holds: `resultType` precedes `result`, lists are never null, JSON bodies end in a newline
//! as Go's encoder writes it, and the `returned_*` limits are applied only here.

use crate::api::settings::METRIC_STATS_MAX;
use crate::api::{
    ApiError, EngineName, FetchLimits, Notes, QueryOptions, ReadResult, Readiness, ReadyNamespace,
    Reply, WARNING_TRUNCATED,
};
use crate::ingest::{status_of, text_of};
use crate::message::{Request, Response};
use crate::proto::read::encode_response;
use m3_metric::fetch::{FetchStats, MetricStats};
use m3_metric::{MatchOp, Span, Timestamp, WriteOutcome};
use std::fmt::Write as _;
use std::time::Duration;

pub mod json;
mod value;

use json::{push_key, push_labels, push_list, push_string, push_strings};

/// The content type of JSON.
pub const JSON: &str = "application/json";
/// The content type of M3's JSON on routes that set none.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The content type of the text exposition.
pub const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes of an error's text. A refusal quotes what it refuses, and that may be a megabyte.
const ERROR_BYTES_MAX: usize = 8 << 10;

/// The kind of route that answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Queries and everything else that speaks Prometheus' JSON.
    #[default]
    Query,
    /// Labels, series, search, and routes without parameters.
    Metadata,
    /// Remote write.
    Write,
    /// JSON write: it has one sample, so that sample's error is the answer.
    JsonWrite,
    /// Remote read.
    RemoteRead,
    /// Admin: errors as M3 writes them, without `errorType`.
    Admin,
}

/// How a route wants its answer written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplyFormat {
    /// The route's name in the counters.
    pub route: &'static str,
    /// The kind of route.
    pub family: Family,
    /// Milliseconds between steps, if M3's engine adds them to every series.
    pub step_size_ms: Option<i64>,
    /// Whether a search wants names only.
    pub names_only: bool,
    engine: Option<EngineName>,
    timeout: Option<Duration>,
    limits: FetchLimits,
    truncate: Option<u64>,
    json: bool,
}

impl ReplyFormat {
    /// The shape of a route's answer to `request`.
    #[must_use]
    pub fn new(route: &'static str, family: Family, request: &Request) -> Self {
        let json = request.query.get("format") == Some("json");
        Self { route, family, json, ..Self::default() }
    }

    /// The shape of an answer to a path that is not a route.
    #[must_use]
    pub fn plain(request: &Request) -> Self {
        Self::new("", Family::Metadata, request)
    }

    /// Names the engine in `M3-Engine`, on errors too.
    pub fn echo_engine(&mut self, engine: EngineName) {
        self.engine = Some(engine);
    }

    /// Takes from the options what concerns the answer.
    pub fn follow(&mut self, options: &QueryOptions) {
        self.timeout = Some(options.timeout);
        self.limits = options.limits.clone();
        self.truncate = options.truncate;
    }

    /// The response.
    #[must_use]
    pub fn render(&self, result: Result<Reply, ApiError>) -> Response {
        let mut response = match result {
            Ok(reply) => self.reply(reply),
            Err(error) => self.error(&error),
        };
        if let Some(engine) = self.engine {
            response.push_header("M3-Engine", engine.name());
        }
        response.route = self.route;
        response
    }

    fn error(&self, error: &ApiError) -> Response {
        let kind = (self.family != Family::Admin).then(|| error.kind.name());
        let body = error_body(kind, &error.message);
        let mut response = Response::with_body(error.kind.status(), JSON, body);
        if let Some(allow) = error.allow {
            response.push_header("Allow", allow);
        }
        if let Some(seconds) = error.retry_after_s {
            response.push_header("Retry-After", seconds.to_string());
        }
        response
    }

    fn reply(&self, reply: Reply) -> Response {
        match reply {
            Reply::Write(outcome) => self.write(&outcome),
            Reply::Value { value, notes } => {
                let (body, returned) =
                    value::render(&value, &notes, &self.limits, self.step_size_ms);
                let mut response = self.ok(body, &notes);
                response.push_header("M3-Returned-Data-Limited", returned.header());
                response
            }
            Reply::Names { names, notes } => self.names(&names, notes),
            Reply::Series { series, notes } => self.series(&series, notes),
            Reply::Search { tags, notes } => self.search(&tags, &notes),
            Reply::RemoteRead { results, notes } => self.remote_read(&results, &notes),
            Reply::Health { uptime, now } => health(uptime, now),
            Reply::Ready(readiness) => ready(&readiness),
            Reply::Text(text) => Response::with_body(200, TEXT, text.into_bytes()),
            Reply::Metrics(text) => Response::with_body(200, EXPOSITION, text),
            Reply::Data(json) => Response::with_body(
                200,
                JSON,
                format!("{{\"status\":\"success\",\"data\":{json}}}\n").into_bytes(),
            ),
            Reply::Routes(routes) => {
                let mut body = String::from("{\"routes\":");
                push_strings(&mut body, routes.iter().copied());
                body.push_str("}\n");
                Response::with_body(200, TEXT, body.into_bytes())
            }
            Reply::Admin { status, content_type, mut body } => {
                if body.last().is_some_and(|last| *last != b'\n') {
                    body.push(b'\n');
                }
                Response::with_body(status, content_type, body)
            }
        }
    }

    fn write(&self, outcome: &WriteOutcome) -> Response {
        let status = status_of(outcome);
        if status == 200 {
            return Response::new(200);
        }
        let kind = match status {
            429 => "too_many_requests",
            500 => "internal",
            _ => "bad_data",
        };
        let text = match (&outcome.bad.last, self.family, status) {
            (Some(last), Family::JsonWrite, 400) => last.clone(),
            _ => text_of(outcome),
        };
        let mut response = Response::with_body(status, JSON, error_body(Some(kind), &text));
        if status == 429 {
            response.push_header("Retry-After", "1");
        }
        response
    }

    /// How many of `len` results remain within `limit` and the metadata limit; adds a warning if
    /// `limit` cut.
    fn cut(&self, len: usize, notes: &mut Notes) -> usize {
        let limit = self.truncate.filter(|limit| *limit > 0);
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return len };
        if len > limit {
            notes.warnings.push(WARNING_TRUNCATED.to_owned());
        }
        len.min(limit)
    }

    fn metadata_limit(&self) -> usize {
        let limit = self.limits.returned_metadata.filter(|limit| *limit > 0);
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    fn names(&self, names: &[String], mut notes: Notes) -> Response {
        let names = &names[..self.cut(names.len(), &mut notes)];
        let shown = names.len().min(self.metadata_limit());
        let mut body = String::from("{\"status\":\"success\",\"data\":");
        push_strings(&mut body, names[..shown].iter().map(String::as_str));
        json::push_notes(&mut body, &notes);
        body.push_str("}\n");
        self.metadata(body, &notes, shown, names.len(), shown < names.len())
    }

    fn series(&self, series: &[m3_metric::Labels], mut notes: Notes) -> Response {
        let series = &series[..self.cut(series.len(), &mut notes)];
        // M3 counts labels, and leaves out the first series past the limit and all after it.
        let counts: Vec<usize> = series.iter().map(|labels| labels.iter().count()).collect();
        let limit = self.metadata_limit();
        let (mut shown, mut results) = (0, 0);
        while shown < series.len() && results + counts[shown] <= limit {
            results += counts[shown];
            shown += 1;
        }
        let mut body = String::from("{\"status\":\"success\",\"data\":");
        push_list(&mut body, &series[..shown], |body, labels| {
            push_labels(body, labels);
        });
        json::push_notes(&mut body, &notes);
        body.push_str("}\n");
        self.metadata(body, &notes, results, counts.iter().sum(), shown < series.len())
    }

    fn search(&self, tags: &[(String, Vec<String>)], notes: &Notes) -> Response {
        let limit = self.metadata_limit();
        let mut body = String::new();
        if self.names_only {
            let shown = tags.len().min(limit);
            push_strings(&mut body, tags[..shown].iter().map(|(name, _)| name.as_str()));
            body.push('\n');
            return self.metadata(body, notes, shown, tags.len(), shown < tags.len());
        }
        let total: usize = tags.iter().map(|(_, values)| values.len()).sum();
        let mut results = 0;
        let mut hits = 0;
        let mut list = String::new();
        for (name, values) in tags {
            let shown = values.len().min(limit - results);
            if shown < values.len() && shown == 0 {
                break;
            }
            list.push_str(if hits == 0 { "{\"key\":" } else { ",{\"key\":" });
            push_string(&mut list, name);
            list.push_str(",\"values\":");
            push_strings(&mut list, values[..shown].iter().map(String::as_str));
            list.push('}');
            results += shown;
            hits += 1;
        }
        writeln!(body, "{{\"hits\":{hits},\"tags\":[{list}]}}")
            .expect("writing to a String succeeds");
        self.metadata(body, notes, results, total, results < total)
    }

    fn metadata(
        &self,
        body: String,
        notes: &Notes,
        results: usize,
        total: usize,
        limited: bool,
    ) -> Response {
        let mut response = self.ok(body, notes);
        response.push_header(
            "M3-Returned-Metadata-Limited",
            format!("{{\"Results\":{results},\"TotalResults\":{total},\"Limited\":{limited}}}"),
        );
        response
    }

    fn remote_read(&self, results: &[ReadResult], notes: &Notes) -> Response {
        if self.json {
            return self.ok(read_json(results), notes);
        }
        let body = encode_response(results.iter().map(|result| result.series.as_slice()));
        let mut response = Response::with_body(200, "application/x-protobuf", body);
        response.push_header("Content-Encoding", "snappy");
        self.push_cost(&mut response, notes);
        response
    }

    fn ok(&self, body: String, notes: &Notes) -> Response {
        let mut response = Response::with_body(200, JSON, body.into_bytes());
        self.push_cost(&mut response, notes);
        response
    }

    /// The headers that tell what an answer cost and what limited it.
    fn push_cost(&self, response: &mut Response, notes: &Notes) {
        if let Some(timeout) = self.timeout {
            let ns = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
            response.push_header("M3-Timeout", Span(ns).to_string());
        }
        if !notes.limited.is_empty() {
            response.push_header("M3-Results-Limited", notes.limited.join(","));
        }
        if let Some(fetched) = &notes.fetched {
            push_fetch_stats(
                response,
                fetched,
                self.limits.metric_stats.unwrap_or(METRIC_STATS_MAX),
            );
        }
    }
}

fn push_fetch_stats(response: &mut Response, fetched: &FetchStats, metrics_max: u64) {
    let series = fetched.series_with_samples + fetched.series_no_samples;
    let unaggregated = series.saturating_sub(fetched.series_aggregated);
    let counts = [
        ("M3-Series-Count", series),
        ("M3-Series-With-Samples-Count", fetched.series_with_samples),
        ("M3-Series-No-Samples-Count", fetched.series_no_samples),
        ("M3-Aggregated-Series-Count", fetched.series_aggregated),
        ("M3-Unaggregated-Series-Count", unaggregated),
        ("M3-Metadata-Count", fetched.metadata),
        ("M3-Fetched-Responses", fetched.responses),
        ("M3-Fetched-Bytes-Estimate", fetched.bytes),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        response.push_header(name, count.to_string());
    }
    if !fetched.namespaces.is_empty() {
        response.push_header("M3-Namespaces", fetched.namespaces.join(","));
    }
    let shown = fetched.metrics.len().min(usize::try_from(metrics_max).unwrap_or(usize::MAX));
    if shown > 0 {
        let mut stats = String::from("{");
        for (index, (name, of)) in fetched.metrics[..shown].iter().enumerate() {
            push_key(&mut stats, index, name);
            let MetricStats { no_samples, with_samples, aggregated, unaggregated } = of;
            write!(
                stats,
                "{{\"NoSamples\":{no_samples},\"WithSamples\":{with_samples},\
                 \"Aggregated\":{aggregated},\"Unaggregated\":{unaggregated}}}"
            )
            .expect("writing to a String succeeds");
        }
        stats.push('}');
        // A header is ASCII; JSON escapes all other characters.
        response.push_header("M3-Metric-Stats", json::to_ascii(&stats));
    }
}

fn read_json(results: &[ReadResult]) -> String {
    let mut body = String::from("{\"queries\":");
    push_list(&mut body, results, |body, result| {
        body.push_str("{\"query\":{\"matchers\":");
        push_list(body, &result.matchers, |body, matcher| {
            let kind = match matcher.op {
                MatchOp::Equal => "EQ",
                MatchOp::NotEqual => "NEQ",
                MatchOp::Regex => "RE",
                MatchOp::NotRegex => "NRE",
            };
            write!(body, "{{\"type\":\"{kind}\",\"name\":").expect("a String takes all");
            push_string(body, &matcher.name);
            body.push_str(",\"value\":");
            push_string(body, &matcher.value);
            body.push('}');
        });
        let bounds = format!(
            "\"start\":\"{}\",\"end\":\"{}\"",
            Timestamp::from_ms_saturating(result.start_ms),
            Timestamp::from_ms_saturating(result.end_ms)
        );
        write!(body, "}},{bounds},\"series\":").expect("a String takes all");
        push_list(body, &result.series, |body, series| {
            write!(body, "{{{bounds},\"tags\":[").expect("a String takes all");
            for (index, (name, value)) in series.labels.iter().enumerate() {
                body.push_str(if index == 0 { "[" } else { ",[" });
                push_string(body, name);
                body.push(',');
                push_string(body, value);
                body.push(']');
            }
            body.push_str("],\"datapoints\":");
            push_list(body, &series.points, |body, &(ms, value)| {
                body.push_str("{\"val\":\"");
                json::push_number(body, value);
                let at = Timestamp::from_ms_saturating(ms);
                write!(body, "\",\"ts\":\"{at}\"}}").expect("a String takes all");
            });
            body.push('}');
        });
        body.push('}');
    });
    body.push_str("}\n");
    body
}

fn health(uptime: Duration, now: Timestamp) -> Response {
    let uptime = Span(i64::try_from(uptime.as_nanos()).unwrap_or(i64::MAX));
    let body = format!("{{\"uptime\":\"{uptime}\",\"now\":\"{now}\"}}\n");
    Response::with_body(200, TEXT, body.into_bytes())
}

fn ready(readiness: &Readiness) -> Response {
    let lists = [
        ("readyReads", &readiness.ready_reads),
        ("notReadyReads", &readiness.not_ready_reads),
        ("readyWrites", &readiness.ready_writes),
        ("notReadyWrites", &readiness.not_ready_writes),
    ];
    let mut body = String::from("{");
    let filled = lists.into_iter().filter(|(_, list)| !list.is_empty());
    for (index, (name, list)) in filled.enumerate() {
        push_key(&mut body, index, name);
        push_list(&mut body, list, push_ready_namespace);
    }
    body.push_str("}\n");
    let all = readiness.not_ready_reads.is_empty() && readiness.not_ready_writes.is_empty();
    Response::with_body(if all { 200 } else { 500 }, JSON, body.into_bytes())
}

fn push_ready_namespace(body: &mut String, namespace: &ReadyNamespace) {
    body.push_str("{\"id\":");
    push_string(body, &namespace.id);
    let kind = if namespace.resolution_ns == 0 { "unaggregated" } else { "aggregated" };
    write!(
        body,
        ",\"attributes\":{{\"metricsType\":\"{kind}\",\"retention\":\"{}\",\"resolution\":\"{}\"}}}}",
        Span(namespace.retention_ns),
        Span(namespace.resolution_ns)
    )
    .expect("writing to a String succeeds");
}

/// The body of an error: with Prometheus' `errorType`, or as M3 writes it.
#[must_use]
pub fn error_body(kind: Option<&str>, message: &str) -> Vec<u8> {
    let mut body = String::from("{\"status\":\"error\"");
    if let Some(kind) = kind {
        body.push_str(",\"errorType\":");
        push_string(&mut body, kind);
    }
    body.push_str(",\"error\":");
    if message.len() > ERROR_BYTES_MAX {
        let kept = &message[..message.floor_char_boundary(ERROR_BYTES_MAX)];
        push_string(&mut body, &format!("{kept}... ({} bytes in all)", message.len()));
    } else {
        push_string(&mut body, message);
    }
    body.push_str("}\n");
    body.into_bytes()
}

/// A JSON answer of an admin route, with the content type that M3 gives to most of them.
#[must_use]
pub fn admin_json(status: u16, body: Vec<u8>) -> Reply {
    Reply::Admin { status, content_type: JSON, body }
}

/// `{"deleted":true}` as M3 answers it: as text.
#[must_use]
pub fn admin_deleted() -> Reply {
    Reply::Admin { status: 200, content_type: TEXT, body: b"{\"deleted\":true}".to_vec() }
}

#[cfg(test)]
mod tests;
