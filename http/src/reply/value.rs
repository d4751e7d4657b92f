//! Query results as JSON, within the `returned_*` limits of the request.

use super::json::{push_labels, push_list, push_notes, push_number, push_seconds, push_string};
use crate::api::{FetchLimits, Notes};
use m3_metric::value::{Element, Series, Value};
use std::fmt::Write;

/// How much of a result is returned, for `M3-Returned-Data-Limited`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Returned {
    series: usize,
    samples: usize,
    total: usize,
    limited: bool,
}

impl Returned {
    /// The header's value.
    pub(super) fn header(&self) -> String {
        let Self { series, samples, total, limited } = self;
        format!(
            "{{\"Series\":{series},\"Datapoints\":{samples},\"TotalSeries\":{total},\
             \"Limited\":{limited}}}"
        )
    }
}

/// The body of a result.
pub(super) fn render(
    value: &Value,
    notes: &Notes,
    limits: &FetchLimits,
    step_size_ms: Option<i64>,
) -> (String, Returned) {
    let mut body = String::with_capacity(256);
    body.push_str("{\"status\":\"success\",\"data\":{\"resultType\":");
    let returned = match value {
        Value::Scalar { time_ms, value } => {
            body.push_str("\"scalar\",\"result\":");
            push_sample(&mut body, *time_ms, *value);
            Returned::default()
        }
        Value::String { time_ms, text } => {
            body.push_str("\"string\",\"result\":[");
            push_seconds(&mut body, *time_ms);
            body.push(',');
            push_string(&mut body, text);
            body.push(']');
            Returned::default()
        }
        Value::Vector(elements) => {
            let returned = choose(elements.iter().map(|_| 1), limits);
            body.push_str("\"vector\",\"result\":");
            push_list(&mut body, &elements[..returned.series], push_element);
            returned
        }
        Value::Matrix(series) => {
            let returned = choose(series.iter().map(|one| one.points.len()), limits);
            body.push_str("\"matrix\",\"result\":");
            push_list(&mut body, &series[..returned.series], |body, one| {
                push_series(body, one, step_size_ms);
            });
            returned
        }
    };
    body.push('}');
    push_notes(&mut body, notes);
    body.push_str("}\n");
    (body, returned)
}

/// How many series fit. A series that does not fit as a whole is left out, with all series after
/// it.
fn choose(lengths: impl Iterator<Item = usize>, limits: &FetchLimits) -> Returned {
    let bound = |limit: Option<u64>| match limit {
        None | Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let (series_max, samples_max) = (bound(limits.returned_series), bound(limits.returned_samples));
    let mut returned = Returned::default();
    for length in lengths {
        returned.total += 1;
        let fits =
            returned.series < series_max && returned.samples.saturating_add(length) <= samples_max;
        if fits && !returned.limited {
            returned.series += 1;
            returned.samples += length;
        } else {
            returned.limited = true;
        }
    }
    returned
}

fn push_element(body: &mut String, element: &Element) {
    body.push_str("{\"metric\":");
    push_labels(body, &element.labels);
    body.push_str(",\"value\":");
    push_sample(body, element.time_ms, element.value);
    body.push('}');
}

fn push_series(body: &mut String, series: &Series, step_size_ms: Option<i64>) {
    body.push_str("{\"metric\":");
    push_labels(body, &series.labels);
    body.push_str(",\"values\":");
    push_list(body, &series.points, |body, &(ms, value)| push_sample(body, ms, value));
    if let Some(step) = step_size_ms {
        write!(body, ",\"step_size_ms\":{step}").expect("writing to a String succeeds");
    }
    body.push('}');
}

fn push_sample(body: &mut String, ms: i64, value: f64) {
    body.push('[');
    push_seconds(body, ms);
    body.push_str(",\"");
    push_number(body, value);
    body.push_str("\"]");
}
