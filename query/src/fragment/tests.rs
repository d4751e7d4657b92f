//! Fragments: what is asked for, what travels, what is refused.

use super::*;
use crate::promql::parse;
use crate::{Evaluation, Plan, QueryParams, Step, plan};
use m3_metric::value::Value;
use m3_metric::{MatchOp, Matcher};

fn planned(text: &str, samples_max: u64) -> Plan {
    let params = QueryParams {
        start_ms: 600_000,
        end_ms: 900_000,
        step_ms: 60_000,
        instant: false,
        lookback_ms: 300_000,
        samples_max,
        default_step_ms: 60_000,
        closed_windows: false,
    };
    plan(parse(text).unwrap(), params).unwrap()
}

fn series(name: &str, host: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("host", host)]).unwrap()
}

#[test]
fn a_fragment_asks_for_the_samples_it_needs() {
    let range = |text: &str| planned(text, 1000).fetch_range_ms();
    assert_eq!(range("m"), Some((300_001, 900_000)));
    assert_eq!(range("rate(m[1m])"), Some((540_001, 900_000)));
    assert_eq!(range("m offset 1m"), Some((240_001, 840_000)));
    assert_eq!(range("m @ 100"), Some((-199_999, 100_000)));
    assert_eq!(range("sum_over_time(m[2m:1m])"), Some((240_001, 900_000)));
    assert_eq!(range("time()"), None);
}

#[test]
fn an_aggregation_travels_as_one_row_per_group() {
    let plan = planned("sum by (host) (rate(m_total[2m]))", 1000);
    let mut eval = FragmentEval::new(&plan.fragments()[0]);
    for i in 0..50 {
        let labels = Labels::from_pairs([("__name__", "m_total"), ("i", &i.to_string())]).unwrap();
        eval.push(labels.as_bytes(), &[600_000, 660_000], &[0.0, 60.0]).unwrap();
    }
    let partial = eval.finish();
    assert_eq!((partial.series_fetched, partial.samples_fetched), (50, 100));
    let Body::Fold(fold) = partial.body else { panic!("not folded") };
    let rows = fold.finish();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].samples().collect::<Vec<_>>(), [(1, 25.0)]);
}

#[test]
fn too_many_samples_are_refused_on_the_core() {
    let plan = planned("m", 7);
    let mut eval = FragmentEval::new(&plan.fragments()[0]);
    let push =
        |eval: &mut FragmentEval, host| eval.push(series("m", host).as_bytes(), &[500_000], &[1.0]);
    assert_eq!(push(&mut eval, "a"), Ok(()));
    let error = push(&mut eval, "b").unwrap_err();
    assert_eq!(error, QueryError::TooManySamples);
    assert_eq!(
        error.to_string(),
        "query processing would load too many samples into memory in query execution"
    );
}

#[test]
fn a_restriction_adds_matchers_and_strips_labels() {
    let mut plan = planned("m + n", 1000);
    let only = Matcher::new(MatchOp::Equal, "host", "a");
    plan.restrict(std::slice::from_ref(&only), &["host".to_owned()]);
    assert!(plan.fragments().iter().all(|f| f.matchers.last() == Some(&only)));
    let partials = ["m", "n"].iter().zip(plan.fragments()).map(|(name, fragment)| {
        let mut eval = FragmentEval::new(fragment);
        eval.push(series(name, "a").as_bytes(), &[600_000], &[1.0]).unwrap();
        vec![eval.finish()]
    });
    let partials = partials.collect();
    let mut evaluation = Evaluation::new(plan, partials);
    let Step::Done(Ok(output)) = evaluation.step() else { panic!("a small query is one step") };
    let Value::Matrix(series) = output.value else { panic!("no matrix") };
    assert!(series[0].labels.is_empty());
    assert_eq!(series[0].points[0], (600_000, 2.0));
}

#[test]
fn series_that_a_restriction_makes_equal_are_one_or_refused() {
    // The second series begins where the first has ended, or a minute before.
    let answer = |text: &str, second_ms: i64| {
        let mut plan = planned(text, 1000);
        plan.restrict(&[], &["host".to_owned()]);
        let partials = plan.fragments().iter().map(|fragment| {
            let push = |host, times: &[i64], values: &[f64]| {
                let mut eval = FragmentEval::new(fragment);
                eval.push(series("m", host).as_bytes(), times, values).unwrap();
                eval.finish()
            };
            let stale = f64::from_bits(m3_metric::STALE_NAN_BITS);
            vec![push("a", &[600_000, 720_000], &[1.0, stale]), push("b", &[second_ms], &[2.0])]
        });
        let partials = partials.collect();
        match Evaluation::new(plan, partials).step() {
            Step::Done(result) => result,
            Step::Yield => panic!("a small query is one step"),
        }
    };
    for text in ["m", "-m", "topk(1, m)", "m * 2", "max_over_time(m[1m])"] {
        let Value::Matrix(all) = answer(text, 720_000).unwrap().value else { panic!("no matrix") };
        assert_eq!(all.len(), 1, "{text}");
        let (first, last) = (all[0].points[0].0, all[0].points.last().unwrap().0);
        assert_eq!((first, last >= 720_000), (600_000, true), "{text}");
    }
    for text in ["m", "-m", "topk(1, m)", "m * 2"] {
        assert_eq!(answer(text, 660_000), Err(QueryError::same_labelset()), "{text}");
    }
}

#[test]
fn long_work_yields() {
    let plan = planned("-m", 50_000_000);
    let mut eval = FragmentEval::new(&plan.fragments()[0]);
    for i in 0..40_000 {
        eval.push(series("m", &i.to_string()).as_bytes(), &[600_000], &[1.0]).unwrap();
    }
    let mut evaluation = Evaluation::new(plan, vec![vec![eval.finish()]]);
    let mut yields = 0;
    while matches!(evaluation.step(), Step::Yield) {
        yields += 1;
    }
    assert!(yields > 1, "{yields} yields");
}

#[test]
fn partials_and_fragments_may_travel() {
    fn travels<T: Send>() {}
    travels::<Fragment>();
    travels::<Partial>();
}
