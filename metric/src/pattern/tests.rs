//! Patterns that people write are cheap; those that cost the engine much are expensive.

use super::cost;
use crate::limits::PATTERNS_COST_MAX;

#[test]
fn what_people_write_is_cheap() {
    for pattern in ["a|b|c", ".*", ".+", "prod-.*", "(?i)error", "[a-z0-9._-]{1,63}", "5..", "\\d+"]
    {
        assert!(cost(pattern) < 1000, "{pattern}: {}", cost(pattern));
    }
    let pods: Vec<_> = (0..10_000).map(|n| format!("pod-{n}")).collect();
    assert!(cost(&pods.join("|")) < PATTERNS_COST_MAX);
}

#[test]
fn what_costs_much_is_dear() {
    let many_classes = "\\pL".repeat(1000);
    let dear = [
        "\\pL{1000}",
        "(\\pL{100}){10}",
        "((a{100}){100}){100}",
        "[^a]{1000}[^b]{1000}(.{100}){100}{10}",
        "(?i)\\pL{200}",
        "[\\pL\\pN]{200}",
        "(((.{10}){10}){10}){100}",
        "[]\\pL]{300}",
        "\\p{Greek}{300}",
        "\\P{L}{300}",
        &many_classes,
    ];
    for pattern in dear {
        assert!(cost(pattern) > PATTERNS_COST_MAX, "{pattern:.40}: {}", cost(pattern));
    }
}

#[test]
fn no_text_is_too_odd() {
    for pattern in ["", ")", "((", "[", "[^", "[[:", "\\", "{", "a{", "a{1", "a{,}"] {
        assert!(cost(pattern) < 200, "{pattern}");
    }
    // These are texts, not counts.
    for pattern in ["a{079079}", "a{+9000}", "a{1,079079}", "((a{079079}){x}~){10}"] {
        assert!(cost(pattern) < 500, "{pattern}: {}", cost(pattern));
    }
    assert_eq!(cost("a{99999999999}{99999999999}"), u64::MAX, "it saturates");
}
