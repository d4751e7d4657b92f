//! Durations as expressions.

use super::super::{DurationError, DurationExpr, ExprKind, parse};

fn range_of(text: &str) -> DurationExpr {
    match parse(text).unwrap().kind {
        ExprKind::Matrix { range, .. } => range,
        other => panic!("{other:?}"),
    }
}

#[test]
fn expressions_are_worked_out_at_a_step_and_a_range() {
    for (text, wanted) in [
        ("a[5m]", 300_000),
        ("a[step()]", 15_000),
        ("a[step() * 2 + 1]", 31_000),
        ("a[range() / 2]", 1_800_000),
        ("a[2 ^ 3 ^ 0 * 10]", 20_000),
        ("a[-(5s - 10s)]", 5_000),
        ("a[max_of(step(), 1m)]", 60_000),
        ("a[min_of(step(), 1m) % 10]", 5_000),
        ("a[(1.2345)]", 1_234),
    ] {
        let got = range_of(text).eval_positive(15_000, 3_600_000);
        assert_eq!(got, Ok(wanted), "{text}");
    }
}

#[test]
fn expressions_without_a_usable_value_are_told_where() {
    for (text, wanted) in [
        // As Prometheus answered in our records.
        ("absent_over_time(build_info[step() * 3])", "28:38: duration must be greater than 0"),
        ("f[1 / step()]", "2:12: division by zero"),
        ("f[1 % step()]", "2:12: modulo by zero"),
        ("f[10 ^ 400 + step()]", "2:19: duration is NaN or infinite"),
        ("f[10 ^ 20 + step()]", "2:18: duration is out of range"),
    ] {
        let mut expr = parse(text).unwrap();
        if let ExprKind::Call { args, .. } = expr.kind {
            expr = args.into_iter().next().unwrap();
        }
        let ExprKind::Matrix { range, .. } = expr.kind else { panic!("{text}") };
        let got = range.eval_positive(0, 0).map_err(|error| error.to_string());
        assert_eq!(got, Err(wanted.to_owned()), "{text}");
    }
}

#[test]
fn an_offset_may_be_negative_and_a_range_may_not() {
    let range = range_of("a[step() - 20]");
    assert_eq!(range.eval(15_000, 0), Ok(-5_000));
    assert!(matches!(range.eval_positive(15_000, 0), Err(DurationError { .. })));
}
