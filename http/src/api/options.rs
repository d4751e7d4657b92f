//! Options of queries and writes from headers and parameters: M3's limits, restrictions, engine and
//! timeout. Errors have M3's texts where M3 has one.
//!
//! Always holds: a header takes precedence over the parameter of the same meaning, and an empty one
//! counts as absent.
#![warn(clippy::arithmetic_side_effects)]

use super::{ApiError, EngineName, FetchLimits, QueryOptions, WriteOptions, duration};
use crate::message::Request;
use m3_metric::fetch::{StoragePolicy, StorageRestriction, TagRestriction};
use m3_metric::limits::QUERY_BYTES_MAX;
use m3_metric::quote::quote;
use m3_metric::{MatchOp, Matcher, Span, go_duration};
use serde_json::Value as Json;
use std::time::Duration;

/// The longest timeout that a query may ask for, as in M3.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Bytes of a header that holds JSON: as many as a query's text. Parsed JSON takes many times its
/// length in memory, so the limit of the head would not be enough.
pub const JSON_HEADER_BYTES_MAX: usize = QUERY_BYTES_MAX;
/// Matchers and labels that `M3-Restrict-By-Tags-JSON` may name.
pub const RESTRICT_MATCHERS_MAX: usize = 64;

/// Which meaning the parameter `limit` of a route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitParam {
    /// Prometheus': results beyond it are left out of the answer.
    Answer,
    /// M3's, the same as `M3-Limit-Max-Series`: a fetch of more series is refused.
    Fetch,
}

/// Reads the options of a query. `pinned` is the engine that the path names, `default_timeout` is
/// the node's.
///
/// # Errors
/// The first option that cannot be read.
pub fn query_options(
    request: &Request,
    pinned: Option<EngineName>,
    default_timeout: Duration,
    limit: LimitParam,
) -> Result<QueryOptions, ApiError> {
    check_choices(request)?;
    let mut limits = fetch_limits(request)?;
    let mut truncate = None;
    match limit {
        LimitParam::Answer => truncate = answer_limit(request)?,
        LimitParam::Fetch if limits.series.is_none() => {
            limits.series = request.query.filled("limit").map(parse_count).transpose()?;
        }
        LimitParam::Fetch => {}
    }
    Ok(QueryOptions {
        engine: pinned.unwrap_or_else(|| engine(request)),
        timeout: timeout(request)?.unwrap_or(default_timeout),
        lookback_ms: lookback(request)?,
        tags: tag_restriction(request)?,
        storage: storage_restriction(request)?,
        limits,
        truncate,
        stats: request.query.filled("stats").is_some_and(|value| value != "false"),
    })
}

/// Refuses values that M3 does not know in two headers that have no effect here, because there is
/// one node and one sample for each time.
fn check_choices(request: &Request) -> Result<(), ApiError> {
    const CHOICES: [(&str, &str, &str); 2] = [
        (
            "m3-read-consistency-level",
            "ReadConsistencyLevel",
            "none one unstrict_majority majority unstrict_all all",
        ),
        (
            "m3-iterate-equal-timestamp-strategy",
            "IterateEqualTimestampStrategy",
            "iterate_last_pushed iterate_highest_value iterate_lowest_value \
             iterate_highest_frequency_value",
        ),
    ];
    for (header, name, choices) in CHOICES {
        let Some(given) = request.headers.filled(header) else { continue };
        if !choices.split(' ').any(|choice| choice == given) {
            let words = format!("invalid {name} '{given}' valid types are: [{choices}]");
            return Err(ApiError::bad_data(words));
        }
    }
    Ok(())
}

/// Refuses JSON headers that are too long, before they are parsed.
///
/// # Errors
/// The first header that is too long.
pub fn check_json_headers(request: &Request) -> Result<(), ApiError> {
    for name in ["M3-Restrict-By-Tags-JSON", "M3-Map-Tags-JSON"] {
        let len = request.headers.get(name).map_or(0, str::len);
        if len > JSON_HEADER_BYTES_MAX {
            return Err(ApiError::bad_data(format!(
                "header {name} is {len} bytes long, at most {JSON_HEADER_BYTES_MAX} are allowed"
            )));
        }
    }
    Ok(())
}

/// Reads the options of a write.
///
/// # Errors
/// The first option that cannot be read.
pub fn write_options(request: &Request) -> Result<WriteOptions, ApiError> {
    let aggregate_only = match request.headers.filled("m3-write-type") {
        None | Some("default") => false,
        Some("aggregate") => true,
        Some(other) => {
            return Err(ApiError::bad_data(format!("unrecognized write type: {other}")));
        }
    };
    Ok(WriteOptions { storage: write_storage(request)?, aggregate_only })
}

/// Which namespace a write goes to. M3 names the types differently here than for queries, and
/// ignores the policy if no type is given.
fn write_storage(request: &Request) -> Result<Option<StorageRestriction>, ApiError> {
    let policy = request.headers.filled("m3-storage-policy");
    match request.headers.filled("m3-metrics-type") {
        None => Ok(None),
        Some("unaggregated") if policy.is_some() => {
            Err(ApiError::bad_data("storage policy should not be set for unaggregated metrics"))
        }
        Some("unaggregated") => Ok(Some(StorageRestriction::Unaggregated)),
        Some("aggregated") => {
            let policy = policy.and_then(|text| storage_policy(text).ok()).ok_or_else(|| {
                ApiError::bad_data("could not parse storage policy: invalid storage policy string")
            })?;
            Ok(Some(StorageRestriction::Aggregated(policy)))
        }
        Some(other) => Err(ApiError::bad_data(format!("unrecognized metrics type: {other}"))),
    }
}

/// The engine that `M3-Engine` or `engine` asks for; any other name is ignored, as in M3.
#[must_use]
pub fn engine(request: &Request) -> EngineName {
    match either(request, "m3-engine", "engine") {
        Some("m3query") => EngineName::M3Query,
        _ => EngineName::Prometheus,
    }
}

fn either<'a>(request: &'a Request, header: &str, param: &str) -> Option<&'a str> {
    request.headers.filled(header).or_else(|| request.query.filled(param))
}

fn timeout(request: &Request) -> Result<Option<Duration>, ApiError> {
    let header = request.headers.filled("m3-timeout").or_else(|| request.headers.filled("timeout"));
    let Some(text) = header.or_else(|| request.query.filled("timeout")) else { return Ok(None) };
    let refuse = |why: String| {
        ApiError::bad_data(format!("could not parse timeout: err=invalid 'timeout': {why}"))
    };
    // The parameter is Prometheus' too, where a bare number is seconds; the header is M3's alone.
    let read = if header.is_some() { duration::parse_with_unit } else { duration::parse_any };
    let ns = read(text).map_err(|error| refuse(error.to_string()))?;
    let length = Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    if length.is_zero() {
        return Err(refuse(format!("less than or equal to zero {}", Span(ns))));
    }
    if length > TIMEOUT_MAX {
        let max = Span::from_s(TIMEOUT_MAX.as_secs().cast_signed());
        return Err(refuse(format!("{} greater than max {max}", Span(ns))));
    }
    Ok(Some(length))
}

fn lookback(request: &Request) -> Result<Option<i64>, ApiError> {
    for name in ["lookback", "lookback_delta"] {
        let Some(mut text) = request.query.filled(name) else { continue };
        if text == "step" {
            text = request.query.filled("step").ok_or_else(|| {
                ApiError::bad_parameter(name, "\"step\" needs the parameter step")
            })?;
        }
        let ns = duration::parse_any(text).map_err(|_| {
            ApiError::bad_parameter(
                name,
                &format!("cannot parse {} to a valid duration", quote(text)),
            )
        })?;
        let ms = ns / 1_000_000;
        if ms <= 0 {
            return Err(ApiError::bad_parameter(name, "must be a positive duration"));
        }
        return Ok(Some(ms));
    }
    Ok(None)
}

fn fetch_limits(request: &Request) -> Result<FetchLimits, ApiError> {
    let count = |header, param| either(request, header, param).map(parse_count).transpose();
    let flag = |header, param, name| {
        either(request, header, param).map(|text| parse_flag(text, name)).transpose()
    };
    let range_ms = match either(request, "m3-limit-max-range", "rangeLimit") {
        None => None,
        Some(text) => {
            let refuse = |why: &dyn std::fmt::Display| {
                ApiError::bad_data(format!(
                    "could not parse duration limit: input={text}, err={why}"
                ))
            };
            let ns = go_duration::parse(text).map_err(|error| refuse(&error))?;
            if ns < 0 {
                return Err(refuse(&"it is negative, and a range is not"));
            }
            Some(ns / 1_000_000)
        }
    };
    Ok(FetchLimits {
        series: request.headers.filled("m3-limit-max-series").map(parse_count).transpose()?,
        docs: count("m3-limit-max-docs", "docsLimit")?,
        range_ms,
        returned_series: count("m3-limit-max-returned-series", "returnedSeriesLimit")?,
        returned_samples: count("m3-limit-max-returned-datapoints", "returnedDatapointsLimit")?,
        returned_metadata: count(
            "m3-limit-max-returned-seriesmetadata",
            "returnedSeriesMetadataLimit",
        )?,
        metric_stats: count(
            "m3-limit-max-metric-metadata-stats",
            "returnedMaxMetricMetadataStats",
        )?,
        require_exhaustive: flag("m3-limit-require-exhaustive", "requireExhaustive", "limit")?,
        require_no_wait: flag("m3-limit-require-no-wait", "requireNoWait", "no-wait")?
            .unwrap_or(false),
    })
}

/// Prometheus' `limit`, refused in Prometheus' words.
fn answer_limit(request: &Request) -> Result<Option<u64>, ApiError> {
    let Some(text) = request.query.filled("limit") else { return Ok(None) };
    let refuse = |why: &str| Err(ApiError::bad_parameter("limit", why));
    match text.parse::<i64>() {
        Ok(limit) => match u64::try_from(limit) {
            Ok(limit) => Ok(Some(limit)),
            Err(_) => refuse("limit must be non-negative"),
        },
        Err(error) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let why = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            refuse(&format!("strconv.Atoi: parsing {}: {why}", quote(text)))
        }
    }
}

/// Reads a number that is not negative; errors have M3's texts.
///
/// # Errors
/// The text is not such a number.
pub fn parse_count(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        let digits = text.trim_start_matches('+');
        let why = if text.starts_with('-') {
            "must not be negative"
        } else if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            "value out of range"
        } else {
            "invalid syntax"
        };
        ApiError::bad_data(format!(
            "could not parse value: input={text}, err=strconv.Atoi: parsing {}: {why}",
            quote(text)
        ))
    })
}

fn parse_flag(text: &str, name: &str) -> Result<bool, ApiError> {
    parse_bool(text).map_err(|why| {
        ApiError::bad_data(format!("could not parse {name}: input={text}, err={why}"))
    })
}

/// Reads a boolean as Go does.
///
/// # Errors
/// The text is not a boolean, in Go's words.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(text))),
    }
}

fn storage_restriction(request: &Request) -> Result<Option<StorageRestriction>, ApiError> {
    let kind = request.headers.filled("m3-metrics-type");
    let policy = request.headers.filled("m3-storage-policy").map(storage_policy).transpose()?;
    let several = request.headers.filled("m3-restrict-by-storage-policies");
    if let Some(several) = several {
        if kind.is_some() || policy.is_some() {
            return Err(ApiError::bad_data(
                "restrict by policies is incompatible with M3-Metrics-Type and M3-Storage-Policy \
                 headers",
            ));
        }
        return restriction_by_policies(several).map(Some);
    }
    let invalid =
        |why: String| ApiError::bad_data(format!("could not validate restrict options: err={why}"));
    match (kind, policy) {
        (None, None) => Ok(None),
        (Some("unaggregated"), None) => Ok(Some(StorageRestriction::Unaggregated)),
        (Some("unaggregated"), Some(policy)) => Err(invalid(format!(
            "expected no storage policy for unaggregated metrics type, instead got: {}",
            policy.text
        ))),
        (Some("aggregated"), Some(policy)) if policy.resolution_ns > 0 => {
            Ok(Some(StorageRestriction::Aggregated(policy)))
        }
        (Some("aggregated"), _) => {
            Err(invalid("expected positive resolution window, instead got: 0s".to_owned()))
        }
        (Some(other), _) => Err(ApiError::bad_data(format!(
            "could not parse metrics type: input={other}, err=unrecognized metrics type: {other}"
        ))),
        (None, Some(_)) => Err(invalid("unknown metrics type: unknown".to_owned())),
    }
}

/// `1m:14d;5m:60d` allows several namespaces; with one entry it is the plain restriction. Several
/// would need a choice between resolutions, which only aggregated namespaces have.
fn restriction_by_policies(text: &str) -> Result<StorageRestriction, ApiError> {
    let mut policies = text.split(';').filter(|part| !part.is_empty()).map(storage_policy);
    let first = policies.next().ok_or_else(|| {
        ApiError::bad_data("M3-Restrict-By-Storage-Policies names no policy: e.g. 1m:14d")
    })??;
    match policies.next() {
        None => Ok(StorageRestriction::Aggregated(first)),
        Some(_) => Err(ApiError::bad_data(
            "M3-Restrict-By-Storage-Policies with several policies is not supported yet: name one",
        )),
    }
}

/// Reads `resolution:retention`, where the resolution may have M3's suffix `@precision`.
///
/// # Errors
/// The text is not a storage policy.
pub fn storage_policy(text: &str) -> Result<StoragePolicy, ApiError> {
    let parsed = text.split_once(':').and_then(|(resolution, retention)| {
        let resolution = resolution.split_once('@').map_or(resolution, |(window, _)| window);
        let length = |part| duration::parse_with_unit(part).ok().filter(|ns| *ns >= 0);
        Some((length(resolution)?, length(retention)?))
    });
    let (resolution_ns, retention_ns) = parsed.ok_or_else(|| {
        ApiError::bad_data(format!(
            "could not parse storage policy: input={text}, err=invalid storage policy string"
        ))
    })?;
    let text =
        format!("{}:{}", duration::in_units(resolution_ns), duration::in_units(retention_ns));
    Ok(StoragePolicy { resolution_ns, retention_ns, text })
}

fn tag_restriction(request: &Request) -> Result<Option<TagRestriction>, ApiError> {
    let Some(text) = request.headers.filled("m3-restrict-by-tags-json") else { return Ok(None) };
    let bad = |why: String| {
        ApiError::bad_data(format!("could not parse M3-Restrict-By-Tags-JSON: {why}"))
    };
    let json: Json = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    let fields = match json {
        Json::Null => return Ok(None),
        Json::Object(fields) => fields,
        _ => return Err(bad("expected an object".to_owned())),
    };
    let list = |name: &str| match fields.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Array(items)) if items.len() <= RESTRICT_MATCHERS_MAX => Ok(Some(items)),
        Some(_) => Err(bad(format!("{name} must be a list of at most {RESTRICT_MATCHERS_MAX}"))),
    };
    let mut matchers = Vec::new();
    for item in list("match")?.into_iter().flatten() {
        matchers.push(tag_matcher(item)?);
    }
    let strip = match list("strip")? {
        None => matchers.iter().map(|matcher| matcher.name.clone()).collect(),
        Some(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| bad("strip must be a list of label names".to_owned()))?,
    };
    Ok((!matchers.is_empty() || !strip.is_empty()).then_some(TagRestriction { matchers, strip }))
}

fn tag_matcher(item: &Json) -> Result<Matcher, ApiError> {
    let field = |name: &str| item.get(name).and_then(Json::as_str).unwrap_or_default();
    let (name, value) = (field("name"), field("value"));
    let (op, value) = match field("type") {
        "EQUAL" => (MatchOp::Equal, value),
        "NOTEQUAL" => (MatchOp::NotEqual, value),
        "REGEXP" => (MatchOp::Regex, value),
        "NOTREGEXP" => (MatchOp::NotRegex, value),
        "EXISTS" => (MatchOp::NotEqual, ""),
        "NOTEXISTS" => (MatchOp::Equal, ""),
        "ALL" => {
            return Err(ApiError::bad_data("ALL type not supported as a tag matcher restriction"));
        }
        other => {
            return Err(ApiError::bad_data(format!("matcher type {other} not recognized")));
        }
    };
    if name.is_empty() {
        return Err(ApiError::bad_data("name must be set unless using MatchAll"));
    }
    Ok(Matcher::new(op, name, value))
}

#[cfg(test)]
mod tests;
