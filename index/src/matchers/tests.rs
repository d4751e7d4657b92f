//! Matchers: anchoring, empty labels, limits.

use super::{MATCHERS_MAX, Matchers};
use crate::IndexError;
use m3_metric::{Labels, MatchOp, Matcher};

fn matches(labels: &[(&str, &str)], op: MatchOp, name: &str, value: &str) -> bool {
    let labels = Labels::from_pairs(labels.iter().copied()).unwrap();
    Matchers::compile(&[Matcher::new(op, name, value)]).unwrap().matches(labels.as_bytes())
}

#[test]
fn an_absent_label_is_the_empty_value() {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let with = [("a", "x"), ("b", "y")];
    let without = [("b", "y")];
    // (operator, value, matches a="x", matches without a)
    let table = [
        (Equal, "", false, true),
        (Equal, "x", true, false),
        (NotEqual, "", true, false),
        (NotEqual, "x", false, true),
        (NotEqual, "z", true, true),
        (Regex, "", false, true),
        (Regex, ".*", true, true),
        (Regex, ".+", true, false),
        (Regex, "x|", true, true),
        (Regex, "z|", false, true),
        (Regex, "x?", true, true),
        (NotRegex, "", true, false),
        (NotRegex, ".*", false, false),
        (NotRegex, ".+", false, true),
        (NotRegex, "x|", false, false),
        (NotRegex, "x", false, true),
        (NotRegex, "y", true, true),
    ];
    for (op, value, present, absent) in table {
        assert_eq!(matches(&with, op, "a", value), present, "a{}{value:?}", op.symbol());
        assert_eq!(matches(&without, op, "a", value), absent, "absent a{}{value:?}", op.symbol());
    }
}

#[test]
fn a_regular_expression_covers_the_whole_value() {
    assert!(!matches(&[("a", "xfoo")], MatchOp::Regex, "a", "foo"));
    assert!(!matches(&[("a", "foox")], MatchOp::Regex, "a", "foo|bar"));
    assert!(matches(&[("a", "f\no")], MatchOp::Regex, "a", "f.o"));
    assert!(matches(&[("a", "\u{e9}")], MatchOp::Regex, "a", "."));
}

#[test]
fn errors_name_the_label_the_pattern_and_the_fault() {
    let compile = |value: &str| {
        Matchers::compile(&[Matcher::new(MatchOp::Regex, "job", value)]).unwrap_err().to_string()
    };
    assert_eq!(
        compile("a(b"),
        "error parsing regexp: missing closing ): `a(b` (pattern \"a(b\" of label \"job\")"
    );
    let text = compile(r"\pL{1000}|\pN{1000}|\pS{1000}");
    assert!(text.contains("too large together") && text.contains("max=250000"), "{text}");
    let text = compile(&"a".repeat(200_000));
    assert_eq!(text, "regular expression of label \"job\" is too long: bytes=200000, max=131072");
    let many = vec![Matcher::new(MatchOp::Equal, "a", "b"); MATCHERS_MAX + 1];
    assert_eq!(
        Matchers::compile(&many).unwrap_err(),
        IndexError::TooManyMatchers { count: MATCHERS_MAX + 1, max: MATCHERS_MAX }
    );
}

#[test]
fn the_empty_label_name_is_absent_everywhere() {
    assert!(matches(&[("a", "x")], MatchOp::Equal, "", ""));
    assert!(!matches(&[("a", "x")], MatchOp::Equal, "", "x"));
}
