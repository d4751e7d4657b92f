//! Functions on labels: `label_replace`, `label_join`, and the orders of `sort_by_label`.

use crate::error::QueryError;
use crate::matrix::{Data, Row, merge_equal};
use crate::promql::Literal;
use crate::promql::pattern::compile;
use crate::work::{Context, Pieces};
use m3_metric::Labels;
use regex::Regex;
use std::cmp::Ordering;

/// A change of one label, the same for every series.
#[derive(Clone, Debug)]
pub(crate) enum LabelChange {
    /// `label_replace`
    Replace { target: String, replacement: String, source: String, pattern: Regex },
    /// `label_join`
    Join { target: String, separator: String, sources: Vec<String> },
}

impl LabelChange {
    /// `label_replace` with its texts in PromQL's order, without the vector.
    pub(crate) fn replace(texts: &[Literal]) -> Result<Self, QueryError> {
        let [target, replacement, source, pattern] = texts else {
            return Err(missing("label_replace"));
        };
        let compiled = pattern.as_str().and_then(|pattern| compile(pattern).ok());
        let Some(compiled) = compiled else {
            let text = format!("invalid regular expression in label_replace(): {pattern}");
            return Err(QueryError::Execution(text));
        };
        if target.as_label().is_empty() {
            let text = format!("invalid destination label name in label_replace(): {target}");
            return Err(QueryError::Execution(text));
        }
        Ok(Self::Replace {
            target: target.to_string(),
            replacement: replacement.to_string(),
            source: source.as_label().to_owned(),
            pattern: compiled,
        })
    }

    /// `label_join` with its texts in PromQL's order, without the vector.
    pub(crate) fn join(texts: &[Literal]) -> Result<Self, QueryError> {
        let [target, separator, sources @ ..] = texts else {
            return Err(missing("label_join"));
        };
        for (name, kind) in sources.iter().map(|s| (s, "source")).chain([(target, "destination")]) {
            if name.as_label().is_empty() {
                let text = format!("invalid {kind} label name in label_join(): {name}");
                return Err(QueryError::Execution(text));
            }
        }
        Ok(Self::Join {
            target: target.to_string(),
            separator: separator.to_string(),
            sources: sources.iter().map(Literal::to_string).collect(),
        })
    }

    fn apply(&self, labels: &Labels) -> Option<Labels> {
        let (target, value) = match self {
            Self::Replace { target, replacement, source, pattern } => {
                let captures = pattern.captures(labels.get(source).unwrap_or_default())?;
                let mut value = String::new();
                captures.expand(replacement, &mut value);
                (target, value)
            }
            Self::Join { target, separator, sources } => {
                let values: Vec<&str> =
                    sources.iter().map(|s| labels.get(s).unwrap_or_default()).collect();
                (target, values.join(separator))
            }
        };
        let mut builder = labels.to_builder();
        builder.set(target, &value);
        Some(builder.finish())
    }
}

fn missing(function: &str) -> QueryError {
    QueryError::BadData(format!("missing arguments in call to {function}"))
}

/// Applies a [`LabelChange`] to all rows.
pub(crate) struct LabelTask {
    pub(crate) change: LabelChange,
    pub(crate) rows: Vec<Row>,
}

impl Pieces for LabelTask {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        let row = &mut self.rows[index];
        if let Some(labels) = self.change.apply(&row.labels) {
            row.labels = labels;
        }
        Ok(64)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        merge_equal(std::mem::take(&mut self.rows)).map(Data::Matrix)
    }
}

/// Orders by the values of `names` in natural order, then by all labels.
pub(crate) fn compare_by_labels(names: &[String], a: &Labels, b: &Labels) -> Ordering {
    names
        .iter()
        .map(|name| natural(a.get(name).unwrap_or_default(), b.get(name).unwrap_or_default()))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.cmp(b))
}

/// Splits a text into runs of digits and of other characters.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = rest.bytes().next()?.is_ascii_digit();
        let end = rest.bytes().position(|b| b.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

/// An order in which runs of digits are compared as numbers. Prometheus' comparison treats some
/// different texts as equal, or each as less than the other; here their bytes decide.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (runs(a), runs(b));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<i64>(), y.parse::<i64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                _ => x.cmp(y),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}
