//! Times as requests write them.

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_500_000_000);

#[test]
fn instants_of_queries() {
    for (text, want) in [
        ("1700000000", Some(1_700_000_000_000)),
        ("1700000000.123", Some(1_700_000_000_123)),
        ("-1.5", Some(-1_500)),
        ("1.7e9", Some(1_700_000_000_000)),
        ("2024-05-06T07:08:09Z", Some(1_714_979_289_000)),
        ("2024-05-06T09:08:09.0015+02:00", Some(1_714_979_289_001)),
        (MIN_LITERAL, Some(TIME_MS_MIN)),
        (MAX_LITERAL, Some(TIME_MS_MAX)),
        ("now", Some(1_700_000_000_500)),
        ("1795384277576", Some(TIME_MS_MAX)),
        ("-1e300", Some(TIME_MS_MIN)),
        ("yesterday", None),
        ("", None),
        ("NaN", None),
        ("inf", None),
        ("2024-05-06", None),
        ("2024-05-06T07:08:09", None),
        ("\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}", None),
    ] {
        assert_eq!(parse_ms(text, NOW), want, "{text}");
    }
}

#[test]
fn instants_of_samples_are_exact() {
    for (text, want) in [
        ("1534952005", Some(1_534_952_005_000_000_000)),
        ("1534952005.5", Some(1_534_952_005_500_000_000)),
        ("1534952005.123456789", Some(1_534_952_005_123_456_789)),
        ("-0.000000001", Some(-1)),
        ("1.5e9", Some(1_500_000_000_000_000_000)),
        ("2020-01-01T00:00:00Z", Some(1_577_836_800_000_000_000)),
        ("9223372037", None),
        ("1e30", None),
        (".", None),
        ("", None),
        ("x", None),
    ] {
        assert_eq!(parse_exact(text), want.map(Timestamp), "{text}");
    }
}
