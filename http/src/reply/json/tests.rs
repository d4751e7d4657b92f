//! JSON as Prometheus writes numbers and strings.

use super::*;

fn number(value: f64) -> String {
    let mut out = String::new();
    push_number(&mut out, value);
    out
}

#[test]
fn numbers_are_written_as_go_writes_them() {
    for (value, want) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-21.5e-3, "-0.0215"),
        (3347.26, "3347.26"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000_001, "0.000001"),
        (9.9e-7, "9.9e-07"),
        (5e-324, "5e-324"),
        (-1e-7, "-1e-07"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (123_456_789_012_345_680.0, "123456789012345680"),
    ] {
        assert_eq!(number(value), want);
    }
}

#[test]
fn times_are_seconds_exact_to_the_millisecond() {
    for (ms, want) in [
        (0, "0"),
        (1_435_781_451_781, "1435781451.781"),
        (1_435_781_451_700, "1435781451.7"),
        (1_435_781_451_070, "1435781451.07"),
        (1_435_781_451_001, "1435781451.001"),
        (1_435_781_451_000, "1435781451"),
        (-1_500, "-1.5"),
        (i64::MIN, "-9223372036854775.808"),
    ] {
        let mut out = String::new();
        push_seconds(&mut out, ms);
        assert_eq!(out, want);
    }
}

#[test]
fn strings_survive_a_parser() {
    let hard = "a\"b\\c\n\r\t\u{0}\u{1f}\u{7f}\u{20ac}\u{1f600}</script>\u{2028}";
    let mut out = String::new();
    push_string(&mut out, hard);
    assert_eq!(serde_json::from_str::<String>(&out).unwrap(), hard);
    let ascii = to_ascii(&out);
    assert!(ascii.is_ascii());
    assert_eq!(serde_json::from_str::<String>(&ascii).unwrap(), hard);
}
