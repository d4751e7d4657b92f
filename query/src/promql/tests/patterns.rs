//! Regular expressions mean what they mean to Prometheus.

use super::super::pattern::{compile, translate};

#[test]
fn go_patterns_match_as_in_go() {
    for (pattern, yes, no) in [
        ("a|b", "a", "ab"),
        ("foo.bar", "foo\nbar", "foobar"),
        ("/api/{id}", "/api/{id}", "/api/id"),
        ("a{,2}", "a{,2}", "aa"),
        ("a{2,}", "aaa", "a"),
        ("[[a]", "[", "[a"),
        ("[]a]", "]", "b"),
        ("[a&&b]", "&", "c"),
        ("[+--]+", ",-", "b"),
        ("\\d+", "12", "\u{663}"),
        ("\\w", "k", "\u{e9}"),
        ("\\s", "\t", "\u{a0}"),
        ("\\Qa.b\\E", "a.b", "axb"),
        ("\\x41\\x{42}\\103", "ABC", "abc"),
        ("\\pL[^\\PL]", "\u{e9}a", "1a"),
        ("\\p{^L}", "1", "a"),
        ("(?i)foo", "FOO", "bar"),
        ("(?-s:.)", "a", "\n"),
        ("(?ii)a", "A", "b"),
        ("(?i-i)a", "a", "A"),
        ("(?i-is:a.)", "ab", "A\n"),
        ("(?)a", "a", "b"),
        ("(?P<1>a)", "a", "b"),
        ("(?P<x>a)(?<x>b)", "ab", "a"),
        ("(?P<1>a)(?P<_1>b)", "ab", "a"),
        ("[[:alpha:]]+", "abc", "a1"),
        ("\\<a\\>", "<a>", "a"),
        ("a\\b.*", "a b", "ab"),
        ("#x y", "#x y", "xy"),
        ("", "", "a"),
    ] {
        let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert!(regex.is_match(yes), "{pattern} matches {yes:?}: {regex}");
        assert!(!regex.is_match(no), "{pattern} does not match {no:?}: {regex}");
    }
}

#[test]
fn bad_patterns_are_refused_in_go_words() {
    for (pattern, wanted) in [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|*?", "missing argument to repetition operator: `*?`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("\\p{Foo}", "invalid character class range: `\\p{Foo}`"),
        ("\\p{l}", "invalid character class range: `\\p{l}`"),
        ("\\p{{Greek}", "invalid character class range: `\\p{{Greek}`"),
        ("\\p{sc=Greek}", "invalid character class range: `\\p{sc=Greek}`"),
        ("\\y", "invalid escape sequence: `\\y`"),
        ("\\1", "invalid escape sequence: `\\1`"),
        ("\\xg0", "invalid escape sequence: `\\xg0`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("((a{100}){100}){100}", "invalid repeat count: `{100}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<a-b>c)", "invalid named capture: `(?P<a-b>`"),
    ] {
        let got = translate(pattern).expect_err(pattern);
        assert_eq!(got, format!("error parsing regexp: {wanted}"), "{pattern}");
    }
}

#[test]
fn patterns_that_would_take_much_memory_are_refused() {
    let error = compile("(\\pL{1000}|\\pN{1000}|\\pS{1000}){1}").expect_err("it is large");
    assert!(error.contains("expression too large"), "{error}");
}
