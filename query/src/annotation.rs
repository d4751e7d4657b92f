//! Warnings and infos that come with an answer.
//!
//! As in Prometheus, annotations with the same text are one annotation, at the position where it
//! was last raised. The position is added only when the texts are built.

use crate::number::{general, rfc3339};
use crate::promql::Pos;
use m3_metric::quote::quote;
use std::collections::BTreeMap;

/// Most texts of each kind that are returned, as in Prometheus' API.
const TEXTS_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Warning,
    Info,
}

/// Where and by how much the buckets of a histogram were corrected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Correction {
    pub(crate) time_ms: i64,
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) difference_max: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Corrections {
    first_ms: i64,
    last_ms: i64,
    bucket_min: f64,
    bucket_max: f64,
    difference_max: f64,
    count: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Annotation {
    pos: Pos,
    corrections: Option<Corrections>,
}

/// A set of annotations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Annotations(BTreeMap<(Kind, String), Annotation>);

impl Annotations {
    /// Adds a warning.
    pub(crate) fn warn(&mut self, text: &str, pos: Pos) {
        self.add(Kind::Warning, text, pos);
    }

    /// Adds an info.
    pub(crate) fn info(&mut self, text: &str, pos: Pos) {
        self.add(Kind::Info, text, pos);
    }

    fn add(&mut self, kind: Kind, text: &str, pos: Pos) {
        self.0.insert((kind, text.to_owned()), Annotation { pos, corrections: None });
    }

    /// `q` is not a quantile.
    pub(crate) fn quantile_out_of_range(&mut self, q: f64, pos: Pos) {
        let text = format!("quantile value should be between 0 and 1, got {}", general(q, None));
        self.warn(&text, pos);
    }

    /// `rate` or `increase` of a metric whose name is not that of a counter.
    pub(crate) fn maybe_not_counter(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
             {}",
            quote(metric)
        );
        self.info(&text, pos);
    }

    /// Buckets that were not monotonic.
    pub(crate) fn corrected(&mut self, correction: Correction, pos: Pos) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/\
                    #histogram_quantile)";
        let mut all = Corrections {
            first_ms: correction.time_ms,
            last_ms: correction.time_ms,
            bucket_min: correction.bucket_min,
            bucket_max: correction.bucket_max,
            difference_max: correction.difference_max,
            count: 1,
        };
        let entry = self.0.entry((Kind::Info, text.to_owned()));
        let annotation = entry.or_insert(Annotation { pos, corrections: None });
        if let Some(before) = annotation.corrections {
            all.first_ms = all.first_ms.min(before.first_ms);
            all.last_ms = all.last_ms.max(before.last_ms);
            all.bucket_min = all.bucket_min.min(before.bucket_min);
            all.bucket_max = all.bucket_max.max(before.bucket_max);
            all.difference_max = all.difference_max.max(before.difference_max);
            all.count += before.count;
        }
        annotation.corrections = Some(all);
    }

    /// Adds all of `other`.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Warnings and infos as texts with line and column in `query` (line 1 if the query is not
    /// known).
    pub(crate) fn texts(&self, query: Option<&str>) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        let (mut warnings_left, mut infos_left) = (0, 0);
        for ((kind, text), annotation) in &self.0 {
            let (texts, left, name) = match kind {
                Kind::Warning => (&mut warnings, &mut warnings_left, "warning"),
                Kind::Info => (&mut infos, &mut infos_left, "info"),
            };
            if texts.len() == TEXTS_MAX {
                *left += 1;
                continue;
            }
            let details = annotation.corrections.map(describe).unwrap_or_default();
            let place = place(annotation.pos, query);
            texts.push(format!("PromQL {name}: {text}{details} ({place})"));
        }
        if warnings_left > 0 {
            warnings.push(format!("{warnings_left} more warning annotations omitted"));
        }
        if infos_left > 0 {
            infos.push(format!("{infos_left} more info annotations omitted"));
        }
        (warnings, infos)
    }
}

fn describe(all: Corrections) -> String {
    format!(
        ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
        general(all.bucket_min, None),
        general(all.bucket_max, None),
        general(all.difference_max, Some(2)),
        all.count,
        rfc3339(all.first_ms.div_euclid(1000)),
        rfc3339(all.last_ms.div_euclid(1000)),
    )
}

/// Line and column of `pos`, both from 1; columns count bytes.
fn place(pos: Pos, query: Option<&str>) -> String {
    let start = pos.start as usize;
    let before = query.and_then(|q| q.as_bytes().get(..start)).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = match before.iter().rposition(|b| *b == b'\n') {
        Some(newline) => start - newline,
        None => start + 1,
    };
    format!("{line}:{column}")
}
