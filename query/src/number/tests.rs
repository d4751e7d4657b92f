//! Numbers as Go prints and computes them.

use super::*;

#[test]
fn general_prints_as_go_does() {
    for (value, text) in [
        (1.0, "1"),
        (0.1, "0.1"),
        (-1.2, "-1.2"),
        (123_456.0, "123456"),
        (1_234_567.0, "1.234567e+06"),
        (1e21, "1e+21"),
        (0.0001, "0.0001"),
        (0.000_01, "1e-05"),
        (f64::INFINITY, "+Inf"),
        (f64::NAN, "NaN"),
        (0.0, "0"),
    ] {
        assert_eq!(general(value, None), text);
    }
    for (value, text) in [(100.0, "1e+02"), (10.0, "10"), (3.0, "3"), (0.123_4, "0.12")] {
        assert_eq!(general(value, Some(2)), text);
    }
}

#[test]
fn dates_follow_the_calendar() {
    let at = civil(1_709_164_799);
    assert_eq!((at.year, at.month, at.day, at.second), (2024, 2, 28, 86_399));
    let at = civil(1_709_164_800);
    assert_eq!((at.month, at.day, at.weekday, at.yearday), (2, 29, 4, 60));
    assert_eq!((civil(-1).year, civil(-1).yearday), (1969, 365));
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    assert_eq!((days_in_month(2100, 2), days_in_month(2000, 2)), (28, 29));
    // Far out the clock wraps, but nothing panics.
    for seconds in [i64::MIN, i64::MAX, to_integer(f64::NAN), to_integer(1e300)] {
        civil(seconds);
    }
}

#[test]
fn quantiles_interpolate_and_count_nan_as_smallest() {
    assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
    assert_eq!(quantile(0.25, &mut [1.0, 2.0]), 1.25);
    assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
    assert_eq!(quantile(1.0, &mut [1.0, f64::NAN]), 1.0);
    assert_eq!(quantile(-0.1, &mut [1.0]), f64::NEG_INFINITY);
    assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
}

#[test]
fn minimum_and_maximum_know_infinity_before_nan() {
    assert_eq!(go_max(f64::NAN, f64::INFINITY), f64::INFINITY);
    assert_eq!(go_min(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
    assert!(go_max(f64::NAN, 1.0).is_nan());
    assert!(go_min(0.0, -0.0).is_sign_negative());
}

#[test]
fn xxh64_has_the_published_values() {
    assert_eq!(xxh64(b""), 0xEF46_DB37_51D8_E999);
    assert_eq!(xxh64(b"a"), 0xD24E_C4F1_A98C_6E5B);
    assert_eq!(xxh64(b"abc"), 0x44BC_2CF5_AD77_0999);
}
