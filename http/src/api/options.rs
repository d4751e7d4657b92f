//! What headers and parameters say about how a query or a write is to be done: M3's limits,
//! restrictions, engine and timeout, with M3's texts where it has one.
//!
//! Always holds: a header wins over the parameter of the same meaning, and an empty one counts as
//! absent.

use super::{
    ApiError, Engine, FetchLimits, QueryOptions, StoragePolicy, StorageRestriction, TagRestriction,
    WriteOptions, duration,
};
use crate::message::Request;
use m3_metric::{MatchOp, Matcher, Span};
use serde_json::Value as Json;
use std::time::Duration;

/// The longest a query may ask to take, as in M3.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Bytes of `M3-Restrict-By-Tags-JSON`; the head's limit holds it anyway, this names it.
pub const RESTRICT_MATCHERS_MAX: usize = 64;

/// Reads the options of a query. `pinned` is the engine that the path names, `default_timeout`
/// the node's.
///
/// # Errors
/// The first option that cannot be read.
pub fn query_options(
    request: &Request,
    pinned: Option<Engine>,
    default_timeout: Duration,
) -> Result<QueryOptions, ApiError> {
    Ok(QueryOptions {
        engine: match pinned {
            Some(engine) => engine,
            None => engine(request)?,
        },
        timeout: timeout(request)?.unwrap_or(default_timeout),
        lookback_ms: lookback(request)?,
        tags: tag_restriction(request)?,
        storage: storage_restriction(request)?,
        limits: fetch_limits(request)?,
        truncate: None,
        stats: request.query.filled("stats").is_some_and(|value| value != "false"),
    })
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
            return Err(ApiError::bad_data(format!(
                "invalid M3-Write-Type header: {other:?} is neither default nor aggregate"
            )));
        }
    };
    Ok(WriteOptions { storage: storage_restriction(request)?, aggregate_only })
}

/// The engine that `M3-Engine` or `engine` asks for.
///
/// # Errors
/// It is none of the two.
pub fn engine(request: &Request) -> Result<Engine, ApiError> {
    match either(request, "m3-engine", "engine") {
        None | Some("prometheus") => Ok(Engine::Prometheus),
        Some("m3query") => Ok(Engine::M3Query),
        Some(other) => Err(ApiError::bad_data(format!(
            "invalid query engine: {other:?} is neither prometheus nor m3query"
        ))),
    }
}

fn either<'a>(request: &'a Request, header: &str, param: &str) -> Option<&'a str> {
    request.headers.filled(header).or_else(|| request.query.filled(param))
}

fn timeout(request: &Request) -> Result<Option<Duration>, ApiError> {
    let given = request
        .headers
        .filled("m3-timeout")
        .or_else(|| request.headers.filled("timeout"))
        .or_else(|| request.query.filled("timeout"));
    let Some(text) = given else { return Ok(None) };
    let refuse = |why: String| {
        ApiError::bad_data(format!("could not parse timeout: err=invalid 'timeout': {why}"))
    };
    let ns = duration::parse_any(text)
        .ok_or_else(|| refuse(format!("time: invalid duration {text:?}")))?;
    let length = Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    if length.is_zero() {
        return Err(refuse(format!("{} is not positive", Span(ns))));
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
        let ns = duration::parse_any(text).ok_or_else(|| {
            ApiError::bad_parameter(name, &format!("cannot parse {text:?} to a valid duration"))
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
    let flag = |header, param| either(request, header, param).map(parse_flag).transpose();
    let range_ms = match either(request, "m3-limit-max-range", "rangeLimit") {
        None => None,
        Some(text) => {
            let ns = duration::parse_any(text).filter(|ns| *ns >= 0).ok_or_else(|| {
                ApiError::bad_data(format!(
                    "could not parse duration: input={text}, err=time: invalid duration {text:?}"
                ))
            })?;
            Some(ns / 1_000_000)
        }
    };
    Ok(FetchLimits {
        series: count("m3-limit-max-series", "limit")?,
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
        require_exhaustive: flag("m3-limit-require-exhaustive", "requireExhaustive")?,
        require_no_wait: flag("m3-limit-require-no-wait", "requireNoWait")?.unwrap_or(false),
    })
}

/// Reads a number that is not negative, refusing in M3's words.
///
/// # Errors
/// It is none.
pub fn parse_count(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        let why = if text.starts_with('-') { "must not be negative" } else { "invalid syntax" };
        ApiError::bad_data(format!(
            "could not parse value: input={text}, err=strconv.Atoi: parsing {text:?}: {why}"
        ))
    })
}

fn parse_flag(text: &str) -> Result<bool, ApiError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ApiError::bad_data(format!(
            "could not parse bool: input={text}, err=strconv.ParseBool: parsing {text:?}: \
             invalid syntax"
        ))),
    }
}

fn storage_restriction(request: &Request) -> Result<Option<StorageRestriction>, ApiError> {
    let kind = request.headers.filled("m3-metrics-type");
    let policy = request.headers.filled("m3-storage-policy").map(storage_policy).transpose()?;
    let several = request.headers.filled("m3-restrict-by-storage-policies");
    if let Some(several) = several {
        if kind.is_some() || policy.is_some() {
            return Err(ApiError::bad_data(
                "M3-Restrict-By-Storage-Policies cannot be combined with M3-Metrics-Type or \
                 M3-Storage-Policy",
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
        (Some("aggregated"), Some(policy)) => Ok(Some(StorageRestriction::Aggregated(policy))),
        (Some("aggregated"), None) => {
            Err(invalid("expected positive resolution window, instead got: 0s".to_owned()))
        }
        (Some(other), _) => Err(ApiError::bad_data(format!(
            "could not parse metrics type: input={other}, err=unrecognized metrics type: {other}"
        ))),
        (None, Some(policy)) => Err(invalid(format!(
            "M3-Storage-Policy {} needs M3-Metrics-Type: aggregated",
            policy.text
        ))),
    }
}

/// `1m:14d;5m:60d` allows several namespaces; with one entry it is the plain restriction. More
/// would need a choice between resolutions that only aggregated namespaces have.
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

/// Reads `resolution:retention`, where the resolution may carry M3's `@precision`.
///
/// # Errors
/// It is none.
pub fn storage_policy(text: &str) -> Result<StoragePolicy, ApiError> {
    let parsed = text.split_once(':').and_then(|(resolution, retention)| {
        let resolution = resolution.split_once('@').map_or(resolution, |(window, _)| window);
        let positive = |part| {
            duration::parse_prometheus(part)
                .or_else(|| duration::parse_go(part))
                .filter(|ns| *ns > 0)
        };
        Some((positive(resolution)?, positive(retention)?))
    });
    let (resolution_ns, retention_ns) = parsed.ok_or_else(|| {
        ApiError::bad_data(format!(
            "could not parse storage policy: input={text}, err=invalid storage policy string: \
             expected resolution:retention, e.g. 1m:14d"
        ))
    })?;
    Ok(StoragePolicy { resolution_ns, retention_ns, text: text.to_owned() })
}

fn tag_restriction(request: &Request) -> Result<Option<TagRestriction>, ApiError> {
    let Some(text) = request.headers.filled("m3-restrict-by-tags-json") else { return Ok(None) };
    let bad = |why: String| {
        ApiError::bad_data(format!("could not parse M3-Restrict-By-Tags-JSON: {why}"))
    };
    let json: Json = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    let Json::Object(fields) = json else { return Err(bad("expected an object".to_owned())) };
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
    if name.is_empty() {
        return Err(ApiError::bad_data("tag matcher restriction without a name"));
    }
    let (op, value) = match field("type") {
        "" | "EQUAL" => (MatchOp::Equal, value),
        "NOTEQUAL" => (MatchOp::NotEqual, value),
        "REGEXP" => (MatchOp::Regex, value),
        "NOTREGEXP" => (MatchOp::NotRegex, value),
        "EXISTS" => (MatchOp::NotEqual, ""),
        "NOTEXISTS" => (MatchOp::Equal, ""),
        "ALL" => {
            return Err(ApiError::bad_data("ALL type not supported as a tag matcher restriction"));
        }
        other => {
            return Err(ApiError::bad_data(format!(
                "unknown tag matcher type {other:?}: one of EQUAL, NOTEQUAL, REGEXP, NOTREGEXP, \
                 EXISTS, NOTEXISTS"
            )));
        }
    };
    Ok(Matcher::new(op, name, value))
}

#[cfg(test)]
mod tests;
