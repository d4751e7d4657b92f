//! Operators on floats.

use super::*;

#[test]
fn operators_compute_as_go_does() {
    assert_eq!(compute(BinaryOp::Mod, -5.5, 2.0), -1.5);
    assert!(compute(BinaryOp::Mod, 1.0, 0.0).is_nan());
    assert_eq!(compute(BinaryOp::Div, 1.0, 0.0), f64::INFINITY);
    assert_eq!(compute(BinaryOp::Pow, f64::NAN, 0.0), 1.0);
    assert_eq!(compute(BinaryOp::Atan2, 0.0, -1.0), std::f64::consts::PI);
}

#[test]
fn nan_compares_as_unequal_to_all() {
    assert!(holds(BinaryOp::Neq, f64::NAN, f64::NAN));
    assert!(!holds(BinaryOp::Eql, f64::NAN, f64::NAN));
    assert!(!holds(BinaryOp::Gte, f64::NAN, 1.0));
}
