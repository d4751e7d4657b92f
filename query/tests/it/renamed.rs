//! Series that become equal when they lose their names or change their labels.
//!
//! A metric is renamed while it is recorded: `a_1` ends, `a_2` begins. Whatever drops the name
//! makes one series of the two, as long as no step has a sample of both; where one has, the query
//! is refused. What must hold for every expression is said by instant queries: a range query
//! gives at each step what an instant query gives there, and is refused if one of those is.

use crate::store::{Store, Times, close};
use m3_metric::Labels;
use m3_metric::value::Value;
use m3_query::promql::ValueType;
use m3_query::promql::functions::FUNCTIONS;
use std::collections::BTreeMap;

const STEP_MS: i64 = 30_000;
const STEPS: i64 = 32;

/// Two names that never meet, as far as lookback and a subquery's window reach.
const APART: &str = "{__name__=~\"a_[12]\"}";
/// Two names that are both there for some steps.
const MEETING: &str = "{__name__=~\"m_[12]\"}";
/// What is refused: equal labels, and a pairing that is not unique because of them.
const REFUSALS: [&str; 2] =
    ["vector cannot contain metrics with the same labelset", "multiple matches for labels: "];

fn store() -> Store {
    let mut store = Store::default();
    let mut add = |pairs: &[(&str, &str)], steps: std::ops::Range<i64>| {
        let labels = Labels::from_pairs(pairs.iter().copied()).unwrap();
        for step in steps {
            store.add(&labels, step * STEP_MS - 23_000, step as f64 * 10.0);
        }
    };
    for inst in ["x", "y", "z"] {
        // The address sorts before the name that is dropped.
        let labels = |name| [("__address__", "h"), ("__name__", name), ("inst", inst)];
        add(&labels("a_1"), 1..8);
        add(&labels("a_2"), 23..31);
        add(&labels("m_1"), 1..16);
        add(&labels("m_2"), 15..31);
        add(&[("__name__", "b"), ("inst", inst)], 1..31);
    }
    for le in ["1", "2", "+Inf"] {
        add(&[("__name__", "h_1_bucket"), ("le", le)], 1..8);
        add(&[("__name__", "h_2_bucket"), ("le", le)], 23..31);
    }
    add(&[("__name__", "l"), ("i", "1")], 1..8);
    add(&[("__name__", "l"), ("i", "2")], 23..31);
    store
}

/// Calls of every function with `selector` wherever a vector may stand, and every operator.
fn expressions(selector: &str) -> Vec<String> {
    let mut all = Vec::new();
    for function in FUNCTIONS.iter().filter(|function| !function.args.is_empty()) {
        for range in ["[1m]", "[2m:30s]"] {
            let arg = |(index, kind): (usize, &ValueType)| match (kind, function.name) {
                (ValueType::InstantVector, "info") if index == 1 => "{v=\"\"}".to_owned(),
                (ValueType::InstantVector, _) => selector.to_owned(),
                (ValueType::RangeVector, _) => format!("{selector}{range}"),
                (ValueType::Scalar, _) => "0.5".to_owned(),
                (ValueType::String, "label_replace") => {
                    ["\"__name__\"", "\"q\"", "\"__name__\"", "\".*\""][index - 1].to_owned()
                }
                (ValueType::String, _) => "\"__name__\"".to_owned(),
            };
            let args: Vec<_> = function.args.iter().enumerate().map(arg).collect();
            all.push(format!("{}({})", function.name, args.join(", ")));
        }
    }
    for op in ["+", "-", "*", "/", "%", "^", "atan2"] {
        all.push(format!("{selector} {op} 2"));
        all.push(format!("2 {op} {selector}"));
        all.push(format!("{selector} {op} on (inst) b"));
        all.push(format!("b {op} on (inst) group_right () {selector}"));
        all.push(format!("{selector} {op} on (inst) group_left (i) b"));
    }
    for op in ["==", "!=", "<", ">", "<=", ">="] {
        all.push(format!("{selector} {op} bool 100"));
        all.push(format!("{selector} {op} 100"));
        all.push(format!("{selector} {op} bool ignoring (__address__) b"));
    }
    for op in ["and", "or", "unless"] {
        all.push(format!("-{selector} {op} on (inst) b"));
        all.push(format!("b {op} -{selector}"));
    }
    for op in ["sum", "avg", "min", "max", "count", "group", "stddev", "topk", "quantile"] {
        let param = if ["topk", "quantile"].contains(&op) { "1, " } else { "" };
        all.push(format!("{op} by (inst) ({param}max_over_time({selector}[1m]))"));
        all.push(format!("{op} without (inst) ({param}-{selector})"));
    }
    all.push(format!("-{selector}"));
    all.push(format!("timestamp({selector})"));
    all.push(format!("rate((-{selector})[2m:30s])"));
    all.push(format!("-rate({selector}[1m]) or abs(ceil({selector}))"));
    let histogram = "{__name__=~\"h_[12]_bucket\"}";
    all.push(format!("histogram_quantile(0.5, rate({histogram}[2m]))"));
    all.push(format!("histogram_quantile(0.5, {histogram})"));
    all.push(format!("histogram_fraction(0, 1, {histogram})"));
    all.push(format!("histogram_quantiles({histogram}, \"q\", 0.5, 0.9)"));
    all.push("label_replace(l, \"i\", \"x\", \"i\", \".*\")".to_owned());
    all.push("label_join(l, \"i\", \"-\", \"no\")".to_owned());
    all.push("sum by (i) (label_replace(rate(l[1m]), \"i\", \"x\", \"i\", \".*\"))".to_owned());
    all
}

type Points = BTreeMap<Labels, Vec<(i64, f64)>>;

/// The points of an answer by labels; labels that come twice are an error here.
fn points(value: Value) -> Points {
    let mut all = Points::new();
    let mut add = |labels: Labels, points: Vec<(i64, f64)>| {
        let names: Vec<_> = labels.iter().map(|(name, _)| name).collect();
        assert!(names.windows(2).all(|two| two[0] < two[1]), "{labels:?}");
        assert!(all.insert(labels, points).is_none(), "labels come twice");
    };
    match value {
        Value::Scalar { time_ms, value } => add(Labels::default(), vec![(time_ms, value)]),
        Value::Vector(all) => {
            all.into_iter().for_each(|e| add(e.labels, vec![(e.time_ms, e.value)]))
        }
        Value::Matrix(all) => all.into_iter().for_each(|s| add(s.labels, s.points)),
        Value::String { .. } => {}
    }
    all
}

/// What the instants of a range give together, or the first refusal.
fn stepwise(store: &Store, text: &str, closed_windows: bool) -> Result<Points, String> {
    let mut all = Points::new();
    for step in 0..=STEPS {
        let output = store.query_as(text, Times::Instant(step * STEP_MS), 1, closed_windows);
        for (labels, more) in points(output.map_err(|error| error.to_string())?.value) {
            all.entry(labels).or_default().extend(more);
        }
    }
    Ok(all)
}

fn same(a: &Points, b: &Points) -> bool {
    let near = |a: &(i64, f64), b: &(i64, f64)| a.0 == b.0 && close(a.1, b.1, 1e-9);
    let equal = |a: &Vec<(i64, f64)>, b: &Vec<(i64, f64)>| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b))
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && equal(a.1, b.1))
}

/// Asks all `expressions` as ranges and compares; returns how many were answered and refused.
fn check(store: &Store, expressions: &[String]) -> (usize, usize) {
    let (mut answered, mut refused) = (0, 0);
    let times = Times::Range { start_ms: 0, end_ms: STEPS * STEP_MS, step_ms: STEP_MS };
    for text in expressions {
        for closed_windows in [false, true] {
            let wanted = stepwise(store, text, closed_windows);
            for cores in 1..=3 {
                let got = store.query_as(text, times, cores, closed_windows);
                let got = got.map(|output| points(output.value)).map_err(|error| error.to_string());
                let place = format!("{text} on {cores} cores, closed: {closed_windows}");
                match (&wanted, &got) {
                    (Ok(wanted), Ok(got)) => {
                        assert!(same(wanted, got), "{place}:\n{got:?}\ninstead of\n{wanted:?}");
                    }
                    _ => assert_eq!(got, wanted, "{place}"),
                }
            }
            match wanted {
                Ok(_) => answered += 1,
                Err(why) => {
                    assert!(REFUSALS.iter().any(|text| why.starts_with(text)), "{text}: {why}");
                    refused += 1;
                }
            }
        }
    }
    (answered, refused)
}

#[test]
fn series_that_never_meet_become_one() {
    let (answered, refused) = check(&store(), &expressions(APART));
    assert_eq!(refused, 0);
    assert!(answered > 200, "{answered}");
}

#[test]
fn series_that_meet_in_one_step_are_refused() {
    let (answered, refused) = check(&store(), &expressions(MEETING));
    // What keeps the names or sums up is answered.
    assert!(answered > 30 && refused > 100, "{answered} answered, {refused} refused");
}
