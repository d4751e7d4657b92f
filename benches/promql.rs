//! A query without storage: parse, plan, evaluate on one core, merge.

use m3_benches::{Runner, labels};
use m3_query::{Evaluation, FragmentEval, QueryParams, Step, plan, promql};

fn main() {
    let run = Runner::from_args();
    let series = run.size(1000).max(1);
    let (samples, step_ms) = (1440i64, 15_000i64);
    let all: Vec<_> = (0..series).map(labels).collect();
    let times: Vec<i64> = (0..samples).map(|i| i * step_ms).collect();
    let values: Vec<f64> = (0..samples).map(|i| (i * 17) as f64).collect();
    let params = QueryParams {
        start_ms: 300_000,
        end_ms: samples * step_ms,
        step_ms: 60_000,
        instant: false,
        lookback_ms: 300_000,
        samples_max: 100_000_000,
        default_step_ms: 60_000,
        closed_windows: false,
    };
    let texts = [
        "metric",
        "sum(metric)",
        "sum by (pod) (rate(metric[5m]))",
        "max_over_time(metric[5m])",
        "topk(5, rate(metric[5m]))",
    ];
    run.case("parse, a query", texts.len(), || {
        texts.iter().filter(|text| promql::parse(text).is_ok()).count()
    });
    for text in texts {
        run.case(&format!("{text}, a sample"), series * samples as usize, || {
            let expr = promql::parse(text).expect("valid PromQL");
            let plan = plan(expr, params.clone()).expect("it can be planned");
            let partials = plan.fragments().iter().map(|fragment| {
                let mut core = FragmentEval::new(fragment);
                for labels in &all {
                    core.push(labels.as_bytes(), &times, &values).expect("within limits");
                }
                vec![core.finish()]
            });
            let partials = partials.collect();
            let mut evaluation = Evaluation::new(plan, partials);
            loop {
                if let Step::Done(result) = evaluation.step() {
                    return result.is_ok();
                }
            }
        });
    }
}
