//! Patterns: literals, prefixes and parts found in an expression.

use super::{Pattern, PatternError, Reach};
use crate::tests::random;
use regex::Regex;

/// The form that a pattern was given, in a word.
fn class(pattern: &str) -> String {
    let Ok(pattern) = Pattern::regex(pattern) else { return "refused".into() };
    match pattern {
        Pattern::Any => "any".into(),
        Pattern::NonEmpty => "non-empty".into(),
        Pattern::Literal(text) => format!("literal {}", text.escape_ascii()),
        Pattern::Set(set) if set.len() > 8 => format!("set of {}", set.len()),
        Pattern::Set(set) => {
            let set: Vec<_> = set.iter().map(|text| text.escape_ascii().to_string()).collect();
            format!("set {}", set.join(","))
        }
        Pattern::Globs(globs) if globs.len() == 1 => {
            format!("glob {}", globs[0].prefix().escape_ascii())
        }
        Pattern::Globs(globs) => format!("globs {}", globs.len()),
        Pattern::Regex(automaton) => format!(
            "regex {}/{}",
            automaton.prefix.escape_ascii(),
            automaton
                .required
                .as_ref()
                .map_or(String::new(), |finder| { finder.needle().escape_ascii().to_string() })
        ),
    }
}

#[test]
fn takes_the_cheapest_form() {
    let table = [
        ("foo", "literal foo"),
        ("^foo$", "literal foo"),
        ("(foo)", "literal foo"),
        (r"foo\.bar", "literal foo.bar"),
        (r"\Qa.b\E", "literal a.b"),
        ("a{3}", "literal aaa"),
        ("", "literal "),
        (r"(a\.b|c\|d|\(e)", r"set (e,a.b,c|d"),
        ("(?:a|b)", "set a,b"),
        ("(a)|(b)", "set a,b"),
        (r"(a\)", "refused"),
        ("a|b|c", "set a,b,c"),
        ("foo|bar", "set bar,foo"),
        ("^foo$|^bar$", "set bar,foo"),
        ("^(?:foo|bar)$", "set bar,foo"),
        ("(a|b)c", "set ac,bc"),
        ("foo|", "set ,foo"),
        ("foo?", "set fo,foo"),
        ("[ab]{1,2}", "set a,aa,ab,b,ba,bb"),
        ("(?i)ab", "set AB,Ab,aB,ab"),
        ("5..", "regex 5/"),
        ("5[0-9][0-9]", "set of 100"),
        ("(?i)abcdefghi", "regex /"),
        (".*", "any"),
        ("(.*)", "any"),
        (".*|foo.*", "any"),
        ("^.*$", "any"),
        (".*.*", "any"),
        (".+", "non-empty"),
        (".*.+", "non-empty"),
        (".+.+", "regex /"),
        ("foo.*", "glob foo"),
        ("^foo.*", "glob foo"),
        ("foo.+", "glob foo"),
        (".*foo", "glob "),
        (".*foo.*", "glob "),
        ("a.*b.+c", "glob a"),
        ("foo.*|bar.*", "globs 2"),
        (r"foo.*\d", "regex foo/"),
        (r"foo.*bar\d", "regex foo/bar"),
        (r".*foo\d+", "regex /foo"),
        ("(?-s:.*)", "regex /"),
        (r"foo[^x]*", "regex foo/"),
    ];
    for (pattern, expected) in table {
        assert_eq!(class(pattern), expected, "{pattern}");
    }
}

#[test]
fn prefixes_that_cover_each_other_are_asked_once() {
    let pattern = Pattern::regex("ab.*x|c.*|ab.*y|b.*").unwrap();
    let Reach::Prefixes { prefixes, enough: false } = pattern.reach() else {
        panic!("{pattern:?}")
    };
    assert_eq!(prefixes, [b"ab".as_slice(), b"b", b"c"]);
    assert_eq!(super::disjoint(vec![b"ab", b"a", b"b", b"abc"]), [b"a", b"b"]);
}

#[test]
fn bounds_are_kept() {
    let large = r"\pL{1000}|\pN{1000}|\pS{1000}";
    assert_eq!(Pattern::regex(large).unwrap_err(), PatternError::TooLarge);
    let nested = format!("{}a{}", "(".repeat(400), ")".repeat(400));
    assert!(matches!(Pattern::regex(&nested), Err(PatternError::Invalid(_))), "too deep");
    let many: Vec<String> = (0..super::LITERAL_SET_MAX).map(|i| format!("x{i:05}")).collect();
    assert_eq!(class(&many.join("|")), format!("set of {}", super::LITERAL_SET_MAX));
    let huge = "((((((a{60}){60}){60}){60}){60}){60})";
    assert!(matches!(Pattern::regex(huge), Err(PatternError::Invalid(_))), "counts multiply");
    assert!(matches!(
        Pattern::regex(r"\p{Nonsense}"),
        Err(PatternError::Invalid(reason)) if reason.contains("Nonsense")
    ));
}

/// The fast forms must agree with the automaton on values built from the pattern's own pieces.
#[test]
fn every_form_agrees_with_the_regex_crate() {
    let mut random = random("every_form_agrees_with_the_regex_crate");
    let pieces = [
        r"\|",
        "(",
        ")",
        "a",
        "b",
        "ab",
        ".*",
        ".+",
        "|",
        "(a|b)",
        "(?i:ab)",
        "[ab]",
        "a?",
        "(a.*|b)",
        "\u{e9}",
        "^",
        "$",
        "(b|)",
        "a{2}",
        ".",
        "[^a]",
        "(?:a.*b)*",
    ];
    let values = ["|", "a", "b", "A", "B", "\u{e9}", "\n", "ab"];
    for _ in 0..6_000 {
        let count = 1 + random.below(5);
        let pattern: String = (0..count).map(|_| pieces[random.below(pieces.len())]).collect();
        let Ok(fast) = Pattern::regex(&pattern) else { continue };
        let oracle = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
        for _ in 0..20 {
            let length = random.below(6);
            let value: String = (0..length).map(|_| values[random.below(values.len())]).collect();
            assert_eq!(
                fast.is_match(value.as_bytes()),
                oracle.is_match(&value),
                "pattern {pattern:?} value {value:?} form {fast:?}"
            );
        }
    }
}
