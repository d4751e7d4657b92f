//! How fast a core scans: run with `--release -- --ignored speed --nocapture`.

use m3_metric::Labels;
use m3_query::promql::parse;
use m3_query::{Evaluation, FragmentEval, QueryParams, Step, plan};
use std::time::Instant;

#[test]
#[ignore = "a measurement, not a test"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn speed() {
    const SERIES: usize = 2_000;
    const SAMPLES: usize = 1_440;
    let times: Vec<i64> = (0..).step_by(15_000).take(SAMPLES).collect();
    let values: Vec<f64> = (0..1_440u32).map(f64::from).collect();
    let labels: Vec<Labels> = (0..SERIES)
        .map(|i| {
            let (id, host) = (i.to_string(), (i % 20).to_string());
            Labels::from_pairs([("__name__", "m_total"), ("host", &host), ("id", &id)]).unwrap()
        })
        .collect();
    for text in [
        "m_total",
        "rate(m_total[5m])",
        "sum by (host) (rate(m_total[5m]))",
        "sum by (host) (m_total)",
        "max_over_time(m_total[5m])",
        "avg_over_time(m_total[5m])",
        "topk(5, m_total)",
        "m_total * on (id) group_left () m_total",
        "quantile by (host) (0.9, m_total)",
    ] {
        let params = QueryParams {
            start_ms: 0,
            end_ms: 21_600_000,
            step_ms: 60_000,
            instant: false,
            lookback_ms: 300_000,
            samples_max: u64::MAX,
            default_step_ms: 60_000,
            closed_windows: false,
        };
        let plan = plan(parse(text).unwrap(), params).unwrap();
        let started = Instant::now();
        let mut partials = Vec::new();
        for fragment in plan.fragments() {
            let mut eval = FragmentEval::new(fragment);
            for labels in &labels {
                eval.push(labels.as_bytes(), &times, &values).unwrap();
            }
            partials.push(vec![eval.finish()]);
        }
        let fetched = started.elapsed().as_secs_f64();
        let scanned = SERIES * SAMPLES * partials.len();
        let mut evaluation = Evaluation::new(plan, partials);
        let (mut longest, mut steps) = (0.0f64, 0);
        loop {
            let step = Instant::now();
            let result = evaluation.step();
            longest = longest.max(step.elapsed().as_secs_f64());
            steps += 1;
            if let Step::Done(result) = result {
                result.unwrap();
                break;
            }
        }
        let total = started.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "a measurement")]
        let rate = scanned as f64 / fetched / 1e6;
        println!(
            "{text:44} {rate:7.0} M samples/s on the core; root {:6.1} ms, {steps} steps, longest {:.1} ms",
            (total - fetched) * 1e3,
            longest * 1e3
        );
    }
}
