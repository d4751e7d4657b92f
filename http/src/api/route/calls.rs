//! Parameters of the read routes; errors have Prometheus' texts.
#![warn(clippy::arithmetic_side_effects)]

use crate::api::{
    ApiError, Call, ErrorKind, MetadataCall, QueryCall, QueryOptions, QueryRangeCall, ReadQuery,
    RemoteReadCall, SearchCall, Selection, TIME_MS_MAX, TIME_MS_MIN, duration, form, options, time,
};
use crate::message::{Method, Request};
use crate::proto::{ProtoError, read::decode_request};
use m3_metric::limits::{QUERY_BYTES_MAX, QUERY_POINTS_PER_SERIES_MAX};
use m3_metric::quote::quote;
use m3_metric::{MatchOp, Matcher, Timestamp};

/// Selectors of one metadata request.
const SELECTORS_MAX: usize = 256;

/// Reads an instant query.
pub(super) fn query(
    request: &Request,
    now: Timestamp,
    options: QueryOptions,
) -> Result<QueryCall, ApiError> {
    let time_ms = time_param(request, "time", now)?.unwrap_or_else(|| now.to_ms());
    Ok(QueryCall { text: text_of(request)?, time_ms, options })
}

/// Reads a range query.
pub(super) fn query_range(
    request: &Request,
    now: Timestamp,
    options: QueryOptions,
) -> Result<QueryRangeCall, ApiError> {
    let start_ms = required_time(request, "start", now)?;
    let end_ms = required_time(request, "end", now)?;
    if end_ms < start_ms {
        return Err(ApiError::bad_parameter("end", "end timestamp must not be before start time"));
    }
    let step_text = request.query.get("step").unwrap_or_default();
    let step_ms = duration::parse_any(step_text).map_err(|_| {
        ApiError::bad_parameter(
            "step",
            &format!("cannot parse {} to a valid duration", quote(step_text)),
        )
    })? / 1_000_000;
    if step_ms <= 0 {
        return Err(ApiError::bad_parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    let points = end_ms.saturating_sub(start_ms).checked_div(step_ms);
    if points.is_none_or(|points| points > QUERY_POINTS_PER_SERIES_MAX) {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
             query resolution (?step=XX)",
        ));
    }
    Ok(QueryRangeCall { text: text_of(request)?, start_ms, end_ms, step_ms, options })
}

/// Reads the parameters that all metadata routes have.
pub(super) fn metadata(
    request: &Request,
    now: Timestamp,
    options: QueryOptions,
) -> Result<MetadataCall, ApiError> {
    let (start_ms, end_ms) = bounds(request, now)?;
    let selectors: Vec<String> = request.query.all("match[]").map(str::to_owned).collect();
    if selectors.len() > SELECTORS_MAX {
        return Err(ApiError::bad_parameter(
            "match[]",
            &format!("{} selectors, at most {SELECTORS_MAX} are allowed", selectors.len()),
        ));
    }
    for selector in &selectors {
        check_length("match[]", selector)?;
    }
    Ok(MetadataCall { selectors, start_ms, end_ms, options })
}

/// `/series` requires at least one selector.
pub(super) fn require_selector(metadata: MetadataCall) -> Result<MetadataCall, ApiError> {
    if metadata.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    Ok(metadata)
}

/// Reads a tag completion.
pub(super) fn search(
    request: &Request,
    now: Timestamp,
    options: QueryOptions,
) -> Result<SearchCall, ApiError> {
    let text = request.query.filled("query").ok_or_else(|| {
        ApiError::bad_data("no query found: query must be <label>:<regular expression>")
    })?;
    check_length("query", text)?;
    let mut matchers = Vec::new();
    for part in text.split_whitespace() {
        let (name, pattern) =
            part.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                ApiError::bad_parameter(
                    "query",
                    &format!("{part:?} is not <label>:<regular expression>"),
                )
            })?;
        matchers.push(Matcher::new(MatchOp::Regex, name, pattern));
    }
    let names_only = match request.query.filled("result") {
        None | Some("default") => false,
        Some("tagNamesOnly") => true,
        Some(other) => {
            return Err(ApiError::bad_parameter(
                "result",
                &format!("{other:?} is neither default nor tagNamesOnly"),
            ));
        }
    };
    let (start_ms, end_ms) = bounds(request, now)?;
    let names = request
        .query
        .all("tag")
        .chain(request.query.all("tags"))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    Ok(SearchCall { matchers, names, names_only, start_ms, end_ms, options })
}

/// Reads a remote read: protobuf by POST, a selector by GET.
pub(super) fn remote_read(
    request: &Request,
    now: Timestamp,
    options: QueryOptions,
    decoded_bytes_max: usize,
) -> Result<RemoteReadCall, ApiError> {
    if request.method == Method::Post {
        let queries = decode_request(&request.body, decoded_bytes_max).map_err(|e| match e {
            ProtoError::TooLarge { .. } => ApiError::new(ErrorKind::TooLarge, e.to_string()),
            _ => ApiError::bad_data(e.to_string()),
        })?;
        return Ok(RemoteReadCall { queries, options });
    }
    let start_ms = required_time(request, "start", now)?;
    let end_ms = required_time(request, "end", now)?;
    if end_ms < start_ms {
        return Err(ApiError::bad_parameter("end", "end timestamp must not be before start time"));
    }
    let mut queries = Vec::new();
    for text in request.query.all("query").take(SELECTORS_MAX) {
        check_length("query", text)?;
        queries.push(ReadQuery { start_ms, end_ms, selection: Selection::Text(text.to_owned()) });
    }
    if queries.is_empty() {
        return Err(ApiError::bad_parameter("query", "missing: a series selector is expected"));
    }
    Ok(RemoteReadCall { queries, options })
}

fn text_of(request: &Request) -> Result<String, ApiError> {
    let text = request.query.get("query").unwrap_or_default();
    if text.trim().is_empty() {
        let mut why = "unknown position: parse error: no expression found in input".to_owned();
        if let Some(unread) = form::unread(request) {
            why = format!("{why}; {unread}");
        }
        return Err(ApiError::bad_parameter("query", &why));
    }
    check_length("query", text)?;
    Ok(text.to_owned())
}

fn check_length(name: &str, text: &str) -> Result<(), ApiError> {
    if text.len() <= QUERY_BYTES_MAX {
        return Ok(());
    }
    Err(ApiError::bad_parameter(
        name,
        &format!("{} bytes long, at most {QUERY_BYTES_MAX} are allowed", text.len()),
    ))
}

fn bounds(request: &Request, now: Timestamp) -> Result<(i64, i64), ApiError> {
    let start_ms = time_param(request, "start", now)?.unwrap_or(TIME_MS_MIN);
    let end_ms = time_param(request, "end", now)?.unwrap_or(TIME_MS_MAX);
    if end_ms < start_ms {
        return Err(ApiError::bad_parameter("end", "end timestamp must not be before start time"));
    }
    Ok((start_ms, end_ms))
}

fn time_param(request: &Request, name: &str, now: Timestamp) -> Result<Option<i64>, ApiError> {
    request.query.filled(name).map(|text| read_time(name, text, now)).transpose()
}

fn required_time(request: &Request, name: &str, now: Timestamp) -> Result<i64, ApiError> {
    read_time(name, request.query.get(name).unwrap_or_default(), now)
}

fn read_time(name: &str, text: &str, now: Timestamp) -> Result<i64, ApiError> {
    time::parse_ms(text, now).ok_or_else(|| {
        ApiError::bad_parameter(name, &format!("cannot parse {} to a valid timestamp", quote(text)))
    })
}

/// Reads whether readiness for reads or for writes is asked; both, unless told otherwise.
pub(super) fn ready(request: &Request) -> Result<Call, ApiError> {
    let asked = |name| match request.query.filled(name) {
        None => Ok(true),
        Some(text) => options::parse_bool(text).map_err(ApiError::bad_data),
    };
    Ok(Call::Ready { reads: asked("reads")?, writes: asked("writes")? })
}

/// Undoes Prometheus' `U__` escaping of label names in paths. A name that is not escaped, or not
/// correctly, is returned unchanged.
pub(super) fn unescape_name(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::with_capacity(rest.len());
    while let Some((plain, escaped)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = escaped.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let decoded = escaped.split_once('_').and_then(|(hex, after)| {
            let code = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() <= 6)?;
            Some((char::from_u32(code)?, after))
        });
        let Some((letter, after)) = decoded else { return name.to_owned() };
        out.push(letter);
        rest = after;
    }
    out.push_str(rest);
    out
}
