//! A store of samples that is split into simulated cores.

use m3_metric::value::Value;
use m3_metric::{Labels, MatchOp, Matcher};
use m3_query::promql::{self, pattern};
use m3_query::{Evaluation, FragmentEval, QueryError, QueryOutput, QueryParams, Step, plan};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Store {
    series: BTreeMap<Labels, BTreeMap<i64, f64>>,
}

/// The times of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Times {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

impl Store {
    pub(crate) fn add(&mut self, labels: &Labels, time_ms: i64, value: f64) {
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), BTreeMap::new());
        }
        self.series.get_mut(labels).unwrap().insert(time_ms, value);
    }

    pub(crate) fn clear(&mut self) {
        self.series.clear();
    }

    /// Answers a query with the series distributed over `cores`.
    pub(crate) fn query(
        &self,
        text: &str,
        times: Times,
        cores: usize,
    ) -> Result<QueryOutput, QueryError> {
        self.query_within(text, times, cores, 50_000_000)
    }

    /// The same with at most `samples_max` samples.
    pub(crate) fn query_within(
        &self,
        text: &str,
        times: Times,
        cores: usize,
        samples_max: u64,
    ) -> Result<QueryOutput, QueryError> {
        self.answer(text, times, cores, (samples_max, false))
    }

    /// The same as M3's engine has it if `closed_windows`, else as Prometheus 3 has it.
    pub(crate) fn query_as(
        &self,
        text: &str,
        times: Times,
        cores: usize,
        closed_windows: bool,
    ) -> Result<QueryOutput, QueryError> {
        self.answer(text, times, cores, (50_000_000, closed_windows))
    }

    fn answer(
        &self,
        text: &str,
        times: Times,
        cores: usize,
        (samples_max, closed_windows): (u64, bool),
    ) -> Result<QueryOutput, QueryError> {
        let expr = promql::parse(text)?;
        let (start_ms, end_ms, step_ms, instant) = match times {
            Times::Instant(at) => (at, at, 1, true),
            Times::Range { start_ms, end_ms, step_ms } => (start_ms, end_ms, step_ms, false),
        };
        let params = QueryParams {
            start_ms,
            end_ms,
            step_ms,
            instant,
            lookback_ms: 300_000,
            samples_max,
            default_step_ms: 60_000,
            closed_windows,
        };
        let plan = plan(expr, params)?.with_text(text);
        let mut partials = Vec::new();
        for fragment in plan.fragments() {
            let mut evals: Vec<FragmentEval> =
                (0..cores).map(|_| FragmentEval::new(fragment)).collect();
            let matchers: Vec<_> = fragment.matchers.iter().map(Compiled::new).collect();
            for (i, (labels, samples)) in self.series.iter().enumerate() {
                if !matchers.iter().all(|m| m.matches(labels)) {
                    continue;
                }
                let wanted =
                    samples.range(fragment.start_ms..=fragment.end_ms.max(fragment.start_ms));
                let (times, values): (Vec<i64>, Vec<f64>) = wanted.unzip();
                // Distributed unevenly, so that no two cores have similar shares.
                let core = (i * i + i / 3) % cores;
                evals[core].push(labels.as_bytes(), &times, &values)?;
            }
            partials.push(evals.into_iter().map(FragmentEval::finish).collect());
        }
        let mut evaluation = Evaluation::new(plan, partials);
        loop {
            if let Step::Done(result) = evaluation.step() {
                return result;
            }
        }
    }
}

struct Compiled {
    matcher: Matcher,
    regex: Option<regex::Regex>,
}

impl Compiled {
    fn new(matcher: &Matcher) -> Self {
        let is_regex = matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex);
        let regex = is_regex.then(|| pattern::compile(&matcher.value).unwrap());
        Self { matcher: matcher.clone(), regex }
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.matcher.name).unwrap_or_default();
        match self.matcher.op {
            MatchOp::Equal => value == self.matcher.value,
            MatchOp::NotEqual => value != self.matcher.value,
            MatchOp::Regex => self.regex.as_ref().unwrap().is_match(value),
            MatchOp::NotRegex => !self.regex.as_ref().unwrap().is_match(value),
        }
    }
}

/// Whether two numbers are equal up to `epsilon` of their sum; all NaNs are equal.
pub(crate) fn close(a: f64, b: f64, epsilon: f64) -> bool {
    if a == b || a.is_nan() && b.is_nan() {
        return true;
    }
    let sum = (a.abs() + b.abs()).min(f64::MAX);
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum < epsilon
}

/// Whether two values are equal up to `epsilon`, including their order.
pub(crate) fn same(a: &Value, b: &Value, epsilon: f64) -> bool {
    match (a, b) {
        (Value::Scalar { value: a, .. }, Value::Scalar { value: b, .. }) => close(*a, *b, epsilon),
        (Value::String { text: a, .. }, Value::String { text: b, .. }) => a == b,
        (Value::Vector(a), Value::Vector(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    a.labels == b.labels
                        && a.time_ms == b.time_ms
                        && close(a.value, b.value, epsilon)
                })
        }
        (Value::Matrix(a), Value::Matrix(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    a.labels == b.labels
                        && a.points.len() == b.points.len()
                        && a.points
                            .iter()
                            .zip(&b.points)
                            .all(|(a, b)| a.0 == b.0 && close(a.1, b.1, epsilon))
                })
        }
        _ => false,
    }
}
