//! The evaluation of PromQL: every query that can be parsed is answered or refused within its
//! limits, and the same way a second time. Instant and range queries over a small fixed store.

use m3_metric::value::Value;
use m3_metric::{Labels, MatchOp, Matcher};
use m3_query::promql::{self, Expr, pattern};
use m3_query::{
    Evaluation, Fragment, FragmentEval, Partial, QueryError, QueryOutput, QueryParams, Step, plan,
};

/// Most samples of a query: enough to have a meaning, too few for a long wait.
const SAMPLES_MAX: u64 = 20_000;
/// Most steps of about a millisecond that such a query takes.
const STEPS_MAX: usize = 10_000;
/// Simulated cores.
const CORES: usize = 2;

/// Reads `data` as a query and evaluates it.
///
/// # Panics
/// If a promise of the evaluation is broken.
pub fn run(data: &[u8]) {
    let Some(expr) = std::str::from_utf8(data).ok().and_then(|text| promql::parse(text).ok())
    else {
        return;
    };
    let store = store();
    for (instant, end_ms) in [(true, 600_000), (false, 900_000)] {
        for closed_windows in [false, true] {
            let params = QueryParams {
                start_ms: 600_000,
                end_ms,
                step_ms: 60_000,
                instant,
                lookback_ms: 300_000,
                samples_max: SAMPLES_MAX,
                default_step_ms: 60_000,
                closed_windows,
            };
            let answer = ask(&store, expr.clone(), params.clone());
            if let Ok(output) = &answer {
                check(output, &params);
            }
            let again = ask(&store, expr.clone(), params);
            assert_eq!(format!("{answer:?}"), format!("{again:?}"));
        }
    }
}

/// A series and its samples.
type Stored = (Labels, Vec<i64>, Vec<f64>);

/// Counters, gauges, classic buckets and NaNs.
fn store() -> Vec<Stored> {
    let mut store = Vec::new();
    let mut add = |name: &str, pairs: &[(&str, &str)], value: &dyn Fn(i64) -> f64| {
        let named = [("__name__", name)].into_iter().chain(pairs.iter().copied());
        let labels = Labels::from_pairs(named).expect("good labels");
        let times: Vec<i64> = (0..60).map(|k| k * 15_000).collect();
        let values = times.iter().map(|ms| value(ms / 15_000)).collect();
        store.push((labels, times, values));
    };
    add("c", &[("j", "a"), ("i", "0")], &|k| (k % 20) as f64);
    add("c", &[("j", "a"), ("i", "1")], &|k| (k * 3) as f64);
    add("c", &[("j", "b"), ("i", "0")], &|k| k as f64 / 7.0);
    add("g", &[("j", "a")], &|k| if k % 9 == 0 { f64::NAN } else { -(k as f64) });
    add("g", &[("j", "b")], &|k| if k % 5 == 0 { f64::INFINITY } else { 1e300 * k as f64 });
    for (le, share) in [("0.1", 1), ("1", 3), ("+Inf", 4)] {
        add("h_bucket", &[("le", le)], &|k| (k * share) as f64);
    }
    add("info", &[("j", "a"), ("v", "1.2")], &|_| 1.0);
    store
}

fn ask(store: &[Stored], expr: Expr, params: QueryParams) -> Result<QueryOutput, QueryError> {
    let plan = plan(expr, params)?;
    let fragments = plan.fragments().iter();
    let partials = fragments.map(|fragment| fetch(store, fragment)).collect::<Result<_, _>>()?;
    let mut evaluation = Evaluation::new(plan, partials);
    for _ in 0..STEPS_MAX {
        if let Step::Done(answer) = evaluation.step() {
            return answer;
        }
    }
    panic!("the evaluation does not end");
}

fn fetch(store: &[Stored], fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
    let mut evals: Vec<_> = (0..CORES).map(|_| FragmentEval::new(fragment)).collect();
    let found = store.iter().filter(|(labels, ..)| matches(&fragment.matchers, labels));
    for (index, (labels, times, values)) in found.enumerate() {
        let from = times.partition_point(|ms| *ms < fragment.start_ms);
        let to = times.partition_point(|ms| *ms <= fragment.end_ms).max(from);
        evals[index % CORES].push(labels.as_bytes(), &times[from..to], &values[from..to])?;
    }
    Ok(evals.into_iter().map(FragmentEval::finish).collect())
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| {
        let value = labels.get(&matcher.name).unwrap_or_default();
        let is_match = || pattern::compile(&matcher.value).is_ok_and(|regex| regex.is_match(value));
        match matcher.op {
            MatchOp::Equal => value == matcher.value,
            MatchOp::NotEqual => value != matcher.value,
            MatchOp::Regex => is_match(),
            MatchOp::NotRegex => !is_match(),
        }
    })
}

fn check(output: &QueryOutput, params: &QueryParams) {
    match &output.value {
        Value::Scalar { time_ms, .. } | Value::String { time_ms, .. } => {
            assert_eq!(*time_ms, params.end_ms);
        }
        Value::Vector(elements) => {
            let mut all: Vec<&Labels> = elements.iter().map(|element| &element.labels).collect();
            all.sort_unstable();
            assert!(all.windows(2).all(|two| two[0] != two[1]), "a series twice: {elements:?}");
        }
        Value::Matrix(series) => {
            let mut all: Vec<&Labels> = series.iter().map(|one| &one.labels).collect();
            all.sort_unstable();
            assert!(all.windows(2).all(|two| two[0] != two[1]), "a series twice");
            for one in series {
                assert!(one.points.windows(2).all(|two| two[0].0 < two[1].0), "times ascend");
                let within = params.start_ms..=params.end_ms;
                assert!(params.instant || one.points.iter().all(|(ms, _)| within.contains(ms)));
            }
        }
    }
}
