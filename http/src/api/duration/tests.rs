//! Lengths with and without a unit, and what is none.

use super::*;

#[test]
fn lengths_with_a_unit_are_promqls_or_gos() {
    for (text, want) in [
        ("1d", DAY),
        ("1y2w3d4h5m6s7ms", 382 * DAY + 4 * HOUR + 5 * MINUTE + 6_007 * NS_PER_MS),
        ("0", 0),
        ("1.5h", 90 * MINUTE),
        ("0.3333333333333333333h", 20 * MINUTE),
        ("-2m", -2 * MINUTE),
        ("1m1m", 2 * MINUTE),
        ("-9223372036854775808ns", i64::MIN),
    ] {
        assert_eq!(parse_with_unit(text), Ok(want), "{text}");
        assert_eq!(parse_any(text), Ok(want), "{text}");
    }
}

#[test]
fn numbers_are_seconds_where_they_may_be() {
    assert_eq!(parse_any("30"), Ok(30 * NS_PER_S));
    assert_eq!(parse_any("0.25"), Ok(250 * NS_PER_MS));
    assert!(parse_with_unit("30").is_err());
}

#[test]
fn what_is_no_length_is_refused_in_gos_words() {
    for (text, words) in [
        ("", "time: invalid duration \"\""),
        ("abc", "time: invalid duration \"abc\""),
        ("NaN", "time: invalid duration \"NaN\""),
        ("99999999999", "time: missing unit in duration \"99999999999\""),
        ("1e300", "time: unknown unit \"e\" in duration \"1e300\""),
        ("300y", "time: unknown unit \"y\" in duration \"300y\""),
        ("9999999h", "time: invalid duration \"9999999h\""),
    ] {
        assert_eq!(parse_any(text).unwrap_err().to_string(), words, "{text}");
    }
}
