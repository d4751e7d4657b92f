//! The moving windows against the plain definition, window by window.

use super::*;
use m3_testing::Random;

fn run(
    call: &RangeCall,
    times: &[i64],
    values: &[f64],
    scratch: &mut Scratch,
) -> Vec<(usize, f64)> {
    let mut out = Vec::new();
    let args = [ScalarArg::Constant(0.5), ScalarArg::Constant(0.3)];
    let notes = &mut Annotations::default();
    walk(call, &args, (times, values), scratch, notes, |s, v| out.push((s, v))).unwrap();
    out
}

#[test]
fn moving_windows_equal_single_windows() {
    use RangeFunction as F;
    let mut random = Random::or_seed("moving_windows_equal_single_windows", 7);
    let mut scratch = Scratch::default();
    for function in [
        F::Rate,
        F::Increase,
        F::Delta,
        F::Irate,
        F::Idelta,
        F::Sum,
        F::Avg,
        F::Min,
        F::Max,
        F::Count,
        F::First,
        F::Last,
        F::Stddev,
        F::Mad,
        F::Quantile,
        F::Changes,
        F::Resets,
        F::Deriv,
        F::Smoothing,
        F::TimeOfMin,
        F::TimeOfMax,
    ] {
        for _ in 0..40 {
            let (mut times, mut values, mut at) = (Vec::new(), Vec::new(), 0);
            for _ in 0..random.below(60) {
                at += 1 + random.below(40);
                times.push(at);
                values.push(match random.below(12) {
                    0 => f64::NAN,
                    1 => f64::from_bits(m3_metric::STALE_NAN_BITS),
                    2 => f64::INFINITY,
                    n => f64::from(n * random.below(5)),
                });
            }
            let lookup = Grid::new(-20, 1_000, 1 + random.below(90));
            let range_ms = 1 + random.below(200);
            let call = RangeCall {
                function,
                range_ms,
                edge_ms: 0,
                lookup,
                eval: lookup,
                pos: Pos::default(),
            };
            let moving = run(&call, &times, &values, &mut scratch);
            let mut single = Vec::new();
            for step in 0..lookup.count {
                let at = Grid::single(lookup.time(step));
                let one = RangeCall { lookup: at, eval: at, ..call };
                let (kept_times, kept_values): (Vec<i64>, Vec<f64>) = times
                    .iter()
                    .zip(&values)
                    .filter(|(t, _)| **t > at.start_ms - range_ms && **t <= at.start_ms)
                    .unzip();
                let result = run(&one, &kept_times, &kept_values, &mut Scratch::default());
                single.extend(result.first().map(|(_, v)| (step, *v)));
            }
            let bits = |v: &[(usize, f64)]| -> Vec<(usize, u64)> {
                v.iter().map(|(s, v)| (*s, if v.is_nan() { 0 } else { v.to_bits() })).collect()
            };
            assert_eq!(bits(&moving), bits(&single), "{function:?} over {times:?} {values:?}");
        }
    }
}

#[test]
fn a_rate_is_carried_to_the_edges_but_not_below_zero() {
    let call = |function, range_ms, end| {
        let grid = Grid::single(end);
        RangeCall { function, range_ms, edge_ms: 0, lookup: grid, eval: grid, pos: Pos::default() }
    };
    let times = [10_000, 20_000, 30_000];
    let mut scratch = Scratch::default();
    let increase = call(RangeFunction::Increase, 40_000, 40_000);
    // Five seconds to the zero of the counter, ten to the right edge.
    assert_eq!(run(&increase, &times, &[5.0, 15.0, 25.0], &mut scratch), [(0, 35.0)]);
    assert_eq!(run(&increase, &times, &[15.0, 25.0, 5.0], &mut scratch), [(0, 30.0)]);
    let delta = call(RangeFunction::Delta, 40_000, 40_000);
    assert_eq!(run(&delta, &times, &[15.0, 25.0, 5.0], &mut scratch), [(0, -20.0)]);
    assert_eq!(run(&increase, &times[..1], &[1.0], &mut scratch), []);
}

#[test]
fn a_mean_does_not_overflow() {
    let values = [f64::MAX, f64::MAX, -f64::MAX, f64::MAX];
    assert!((average(&values) / f64::MAX - 0.5).abs() < 1e-12);
    assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
}
