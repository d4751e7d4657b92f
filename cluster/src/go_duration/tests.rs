//! Durations that users type and read.

use super::{format, parse, parse_long};

#[test]
fn parses_what_go_parses() {
    let cases = [
        ("0", 0),
        ("+0", 0),
        ("5s", 5_000_000_000),
        ("30s", 30_000_000_000),
        ("-5s", -5_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("5.s", 5_000_000_000),
        ("3000h", 10_800_000_000_000_000),
        ("1h1m1s1ms1us1ns", 3_661_001_001_001),
        ("12\u{b5}s", 12_000),
        ("12\u{3bc}s", 12_000),
        ("9223372036854775807ns", i64::MAX),
    ];
    for (text, ns) in cases {
        assert_eq!(parse(text), Ok(ns), "{text}");
    }
}

#[test]
fn parses_prometheus_units() {
    assert_eq!(parse_long("2d"), Ok(172_800_000_000_000));
    assert_eq!(parse_long("1w"), Ok(604_800_000_000_000));
    assert_eq!(parse_long("1y"), Ok(31_536_000_000_000_000));
    assert_eq!(parse_long("1d12h"), Ok(129_600_000_000_000));
}

#[test]
fn refuses_with_gos_words() {
    let cases = [
        ("", "time: invalid duration \"\""),
        ("-", "time: invalid duration \"-\""),
        ("s", "time: invalid duration \"s\""),
        (".", "time: invalid duration \".\""),
        ("3", "time: missing unit in duration \"3\""),
        ("2x", "time: unknown unit \"x\" in duration \"2x\""),
        ("1h 2m", "time: unknown unit \"h \" in duration \"1h 2m\""),
        ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
        ("999999999999999999999h", "time: invalid duration \"999999999999999999999h\""),
        ("2d", "time: unknown unit \"d\" in duration \"2d\""),
    ];
    for (text, words) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), words);
    }
    let words = "time: invalid duration \"300y\"";
    assert_eq!(parse_long("300y").unwrap_err().to_string(), words);
}

#[test]
fn prints_as_go_prints() {
    let cases = [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1\u{b5}s"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (245_000_000_000, "4m5s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (172_800_000_000_000, "48h0m0s"),
        (-1_500_000_000, "-1.5s"),
        (i64::MAX, "2562047h47m16.854775807s"),
        (i64::MIN, "-2562047h47m16.854775808s"),
    ];
    for (ns, text) in cases {
        assert_eq!(format(ns), text);
        if ns != i64::MIN {
            assert_eq!(parse(text), Ok(ns), "what is printed can be read");
        }
    }
}
