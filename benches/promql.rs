//! A query without storage: parse, plan, evaluate on one core, merge.

use m3_benches::{case, criterion, labels, size};
use m3_query::{Evaluation, FragmentEval, QueryParams, Step, plan, promql};

fn main() {
    let mut criterion = criterion();
    let series = size(1000);
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
    let mut group = criterion.benchmark_group("promql");
    case(&mut group, "parse", texts.len(), || {
        texts.iter().filter(|text| promql::parse(text).is_ok()).count()
    });
    group.finish();
    let mut group = criterion.benchmark_group("evaluate");
    for text in texts {
        case(&mut group, text, series * samples as usize, || {
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
    group.finish();
    criterion.final_summary();
}
