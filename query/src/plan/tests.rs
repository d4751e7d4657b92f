//! What is planned where, and what is refused.

use super::*;
use crate::promql::parse;

fn params(instant: bool) -> QueryParams {
    QueryParams {
        start_ms: 0,
        end_ms: if instant { 0 } else { 600_000 },
        step_ms: 60_000,
        instant,
        lookback_ms: 300_000,
        samples_max: 10_000,
        default_step_ms: 60_000,
        closed_windows: false,
    }
}

fn error(text: &str, instant: bool) -> String {
    plan(parse(text).unwrap(), params(instant)).unwrap_err().to_string()
}

#[test]
fn aggregations_run_on_the_cores_where_names_cannot_clash() {
    let pushed = |text: &str| {
        let plan = plan(parse(text).unwrap(), params(false)).unwrap();
        plan.fragments().iter().map(|f| f.pushed.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(pushed("sum by (a) (rate(m_total[1m]))"), [true]);
    assert_eq!(pushed("max((m))"), [true]);
    assert_eq!(pushed("topk(3, m)"), [true]);
    assert_eq!(pushed("topk(1000, m)"), [false]);
    assert_eq!(pushed("topk(scalar(n), m)"), [false, false]);
    assert_eq!(pushed("sum(rate({a=\"b\"}[1m]))"), [false]);
    assert_eq!(pushed("sum({a=\"b\"})"), [true]);
    assert_eq!(pushed("quantile(0.5, m)"), [false]);
    assert_eq!(pushed("sum(abs(m))"), [false]);
}

#[test]
fn what_cannot_be_asked_is_refused_in_prometheus_words() {
    assert_eq!(
        error("m[1m]", false),
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
    );
    assert!(error("m[step()]", true).ends_with("duration must be greater than 0"));
    let text = "invalid regular expression in label_replace(): (";
    assert_eq!(error("label_replace(m, \"a\", \"\", \"b\", \"(\")", true), text);
}

#[test]
fn a_subquery_of_endless_steps_is_refused() {
    let result = plan(parse("sum_over_time(vector(1)[1y:1ms])").unwrap(), params(true));
    assert_eq!(result.unwrap_err(), QueryError::TooManySamples);
}

#[test]
fn extreme_times_do_not_panic() {
    for text in [
        "m @ 9223372036854775 offset -100y",
        "rate(m[100y] @ -9223372036854775 offset 100y)",
        "sum_over_time(m[100y:90y] @ -9223372036854775)",
    ] {
        if let Ok(expr) = parse(text) {
            drop(plan(expr, params(false)));
        }
    }
}

#[test]
fn the_deepest_query_is_planned_on_a_small_stack() {
    let deep = |open: &str, close: &str| {
        let mut depth = m3_metric::limits::QUERY_DEPTH_MAX;
        // The parser counts what it nests in its own way; take the deepest that it takes.
        while depth > 0 {
            let text = format!("{}m{}", open.repeat(depth), close.repeat(depth));
            if let Ok(expr) = parse(&text) {
                return plan(expr, params(true)).unwrap().nodes.len();
            }
            depth -= 1;
        }
        0
    };
    assert!(deep("abs(", ")") > 100);
    assert!(deep("-(1+", ")") > 100);
    assert!(deep("sum(", ")") > 100);
    assert!(deep("topk(2, ", ")") > 100);
    assert!(deep("histogram_quantile(0.5, ", ")") > 100);
    assert!(deep("sum_over_time(", "[1m:30s])") > 50);
}
