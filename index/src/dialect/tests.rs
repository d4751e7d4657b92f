//! Go's regular expressions and our translation of them.

use super::translate;
use regex::bytes::Regex;

fn matches(pattern: &str, value: &str) -> bool {
    let translated = translate(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    let whole = format!("^(?s:{translated})$");
    let regex = Regex::new(&whole).unwrap_or_else(|e| panic!("{pattern} -> {translated}: {e}"));
    regex.is_match(value.as_bytes())
}

#[test]
fn reads_patterns_as_go_does() {
    // (pattern, a value that Go matches, a value that Go does not)
    let table = [
        (r"\d+", "123", "\u{661}"),
        (r"\D", "\u{661}", "1"),
        (r"\w", "_", "\u{e9}"),
        (r"\W", "\u{e9}", "a"),
        (r"\s", "\t", "\u{a0}"),
        (r"\S", "\u{b}", " "),
        (r"[\d.]+", "1.2", "a"),
        (r"[\D]", "a", "1"),
        (r"[^\s]", "a", "\n"),
        (r"a\b.b", "a-b", "aab"),
        (r"a\Bb", "ab", "a"),
        (r"\B\x{e9}\B.*", "\u{e9}", "a"),
        ("[a&&b]+", "&a&b", "c"),
        ("[a-c&&b]", "c", "d"),
        ("[+--b]", ",", "a"),
        ("[a~~b]", "~", "c"),
        ("[[]", "[", "a"),
        ("[a[b]", "[", "c"),
        ("[]a]", "]", "b"),
        ("[^]a]", "b", "]"),
        ("[a-]", "-", "b"),
        ("[-a]", "-", "b"),
        (r"[\-a]", "-", "\\"),
        ("[[:alpha:]1]+", "a1", "-"),
        ("[[:^alpha:]]", "1", "a"),
        ("[[:a]", ":", "b"),
        ("{", "{", "a"),
        ("a{", "a{", "a"),
        ("a{,2}", "a{,2}", "aa"),
        ("a{b}", "a{b}", "a"),
        ("a{01}", "a{01}", "a"),
        ("a{2}", "aa", "a"),
        ("a{1,}?", "aa", ""),
        ("a{0,2}", "", "aaa"),
        ("}", "}", "{"),
        (r"\Qa.b*\E+", "a.b**", "aXb"),
        (r"\Q.", ".", "a"),
        (r"\101", "A", "101"),
        (r"\0", "\0", "0"),
        (r"\x41\x{42}", "AB", "x"),
        (r"\<a\>", "<a>", "a"),
        (r"\/\_\ \%", "/_ %", "/"),
        (r"\a\f\v", "\u{7}\u{c}\u{b}", ""),
        (r"\pL+", "\u{e9}a", "1"),
        (r"\p{Greek}", "\u{3b1}", "a"),
        (r"\p{^Greek}", "a", "\u{3b1}"),
        (r"\P{^Greek}", "\u{3b1}", "a"),
        (r"[\p{Lu}1]+", "A1", "a"),
        ("(?i)ab", "aB", "b"),
        ("(?i:a)b", "Ab", "AB"),
        ("(?ii-s)a.", "Ab", "a\n"),
        ("a.b", "a\nb", "ab"),
        ("(?-s:a.b)", "axb", "a\nb"),
        ("(?)a", "a", "b"),
        ("(a{10}){100}|b", "b", "a"),
        ("(?P<x>a)(?<x>b)", "ab", "a"),
        ("(?U)a*", "aa", "b"),
        ("a||b", "", "c"),
        ("()", "", "a"),
        ("^a$|^b$", "b", "c"),
        ("a#b", "a#b", "a"),
        ("a b", "a b", "ab"),
        (r"\Aa\z", "a", "b"),
        ("\u{e9}+", "\u{e9}\u{e9}", "e"),
    ];
    for (pattern, yes, no) in table {
        assert!(matches(pattern, yes), "{pattern} should match {yes:?}: {:?}", translate(pattern));
        assert!(!matches(pattern, no), "{pattern} should not match {no:?}");
    }
}

#[test]
fn refuses_what_go_refuses_and_says_why() {
    let table = [
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("x[]", "missing closing ]: `[]`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|+", "missing argument to repetition operator: `+`"),
        ("(?:{2})", "missing argument to repetition operator: `{2}`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*?{3}", "invalid nested repetition operator: `*?{3}`"),
        ("a+*?", "invalid nested repetition operator: `+*?`"),
        ("??", "missing argument to repetition operator: `??`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("((a{100}){100}){100}", "invalid repeat count: `{100}`"),
        ("(ab{50}|c){2,21}?", "invalid repeat count: `{2,21}?`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("a{99999999999}", "invalid repeat count: `{99999999999}`"),
        ("[a--b]", "invalid character class range: `a--`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\xg1", r"invalid escape sequence: `\xg1`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000}`"),
        (r"\u0041", r"invalid escape sequence: `\u`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?-u:a)", "invalid or unsupported Perl syntax: `(?-u`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?i", "missing closing ): `(?i`"),
        ("(?P<>a)", "invalid named capture: `(?P<>`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        (r"\p{}", r"invalid character class range: `\p{}`"),
        (r"\p{greek}", r"invalid character class range: `\p{greek}`"),
        (r"\p", r"invalid character class range: `\p`"),
    ];
    for (pattern, reason) in table {
        assert_eq!(translate(pattern).unwrap_err(), reason, "{pattern}");
    }
}

#[test]
fn never_panics_on_any_text() {
    let mut random = crate::tests::random("never_panics_on_any_text");
    let alphabet: Vec<char> = r"ab01()[]{}|*+?.^$\-:,<>=!&~QEdDwWpPxszAB_iUmnu".chars().collect();
    for _ in 0..50_000 {
        let length = random.below(12);
        let pattern: String = (0..length).map(|_| alphabet[random.below(alphabet.len())]).collect();
        let Ok(translated) = translate(&pattern) else { continue };
        // An accepted pattern may still be refused later, like an unknown \p{..}, but must not
        // panic.
        let _ = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&translated);
    }
}
