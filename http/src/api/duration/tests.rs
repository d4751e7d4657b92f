//! Durations as Go and Prometheus write them, and texts that are not durations.

use super::*;

#[test]
fn go_durations() {
    for (text, want) in [
        ("1h30m", Some(HOUR + 30 * MINUTE)),
        ("1.5s", Some(1_500_000_000)),
        ("-2m", Some(-2 * MINUTE)),
        (".5h", Some(30 * MINUTE)),
        ("100ms", Some(100 * NS_PER_MS)),
        ("0", Some(0)),
        ("2d", None),
        ("", None),
        ("5", None),
        ("h", None),
        ("1h-1m", None),
        ("9999999999h", None),
    ] {
        assert_eq!(parse_go(text), want, "{text}");
    }
}

#[test]
fn prometheus_durations() {
    for (text, want) in [
        ("1d", Some(DAY)),
        ("7d5h", Some(7 * DAY + 5 * HOUR)),
        ("1y2w3d4h5m6s7ms", Some(382 * DAY + 4 * HOUR + 5 * MINUTE + 6_007 * NS_PER_MS)),
        ("30s", Some(30 * NS_PER_S)),
        ("0", Some(0)),
        ("5m1h", None),
        ("1.5h", None),
        ("-1m", None),
        ("1m1m", None),
        ("300y", None),
    ] {
        assert_eq!(parse_prometheus(text), want, "{text}");
    }
}

#[test]
fn seconds_or_durations() {
    assert_eq!(parse_any("30"), Some(30 * NS_PER_S));
    assert_eq!(parse_any("0.25"), Some(250 * NS_PER_MS));
    assert_eq!(parse_any("1.5h"), Some(90 * MINUTE));
    assert_eq!(parse_any("abc"), None);
    assert_eq!(parse_any("NaN"), None);
    assert_eq!(parse_any("1e300"), None);
}
