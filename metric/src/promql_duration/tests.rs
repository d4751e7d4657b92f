//! Duration literals as Prometheus reads and prints them.

use super::{MS_MAX, parse_ms, write_ms};

#[test]
fn texts_become_milliseconds() {
    for (text, wanted) in [
        ("0", 0),
        ("0s", 0),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1d2h", 93_600_000),
        ("1y2w3d4h5m6s7ms", 33_019_506_007),
        ("1500ms", 1500),
        ("292y", 292 * 365 * 86_400_000),
    ] {
        assert_eq!(parse_ms(text), Ok(wanted), "{text}");
    }
}

#[test]
fn texts_that_are_no_durations_are_told_why() {
    for (text, wanted) in [
        ("", "empty duration string"),
        ("5", "not a valid duration string: \"5\""),
        ("-5m", "not a valid duration string: \"-5m\""),
        ("1.5h", "unknown unit \".\" in duration \"1.5h\""),
        ("1m1h", "not a valid duration string: \"1m1h\""),
        ("1m1m", "not a valid duration string: \"1m1m\""),
        ("5x", "unknown unit \"x\" in duration \"5x\""),
        ("5 m", "unknown unit \" m\" in duration \"5 m\""),
        ("293y", "duration out of range"),
        ("292y292y", "not a valid duration string: \"292y292y\""),
        ("99999999999999999999999s", "not a valid duration string: \"99999999999999999999999s\""),
        ("18446744073709551615s", "duration out of range"),
        ("5\u{e9}", "unknown unit \"\u{e9}\" in duration \"5\u{e9}\""),
    ] {
        let got = parse_ms(text).map_err(|error| error.to_string());
        assert_eq!(got, Err(wanted.to_owned()), "{text}");
    }
}

#[test]
fn every_length_that_is_printed_can_be_read() {
    struct Printed(i64);
    impl std::fmt::Display for Printed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write_ms(f, self.0)
        }
    }
    for (ms, wanted) in [
        (0, "0s"),
        (1_500, "1s500ms"),
        (5_400_000, "1h30m"),
        (90 * 86_400_000, "90d"),
        (14 * 86_400_000, "2w"),
        (365 * 86_400_000, "1y"),
        (MS_MAX, "106751d23h47m16s854ms"),
    ] {
        assert_eq!(Printed(ms).to_string(), wanted);
        assert_eq!(parse_ms(wanted), Ok(ms), "{wanted}");
        if ms > 0 {
            assert_eq!(Printed(-ms).to_string(), format!("-{wanted}"));
        }
    }
    assert!(Printed(i64::MIN).to_string().starts_with("-"));
}

#[test]
fn the_longest_duration_is_the_last_whose_nanoseconds_fit() {
    assert_eq!(parse_ms("9223372036854ms"), Ok(MS_MAX));
    for beyond in ["9223372036855ms", "106751d23h47m16s855ms", "18446744073709551615ms"] {
        assert_eq!(parse_ms(beyond).unwrap_err().to_string(), "duration out of range", "{beyond}");
    }
}
