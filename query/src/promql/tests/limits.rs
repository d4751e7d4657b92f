//! However a text nests, the answer is a tree or a message, never an exhausted stack.

use super::super::parse;
use m3_metric::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_SELECTORS_MAX};

/// Bytes of stack that must do. Threads of ours have 2 MiB or more; without optimisation a level of
/// nesting takes some 5 KiB.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 3 << 19 } else { 512 << 10 };

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(test)
        .expect("a thread starts")
        .join()
        .expect("the test passes");
}

#[test]
fn endless_nesting_is_refused() {
    on_a_small_stack(|| {
        let times = |part: &str| part.repeat((QUERY_BYTES_MAX - 20) / part.len());
        for text in [
            times("("),
            times("-") + "1",
            times("sum("),
            times("rate("),
            times("a+"),
            times("2^"),
            times("1 or -("),
            format!("a{}", times("[1m:]")),
            format!("a[{}", times("(")),
            format!("a[{}1]", times("1+")),
            format!("a[{}1]", times("-")),
            format!("a[{}1]", times("2^")),
            format!("a[{}", times("max_of(")),
            format!("a offset {}", times("(")),
            format!("a offset {}1", times("-")),
            times("a + on (x) ("),
        ] {
            let error = parse(&text).expect_err("it is too deep").to_string();
            assert!(error.contains("nested too deeply"), "{}...: {error}", &text[..20]);
        }
    });
}

#[test]
fn the_deepest_tree_allowed_is_read_written_and_dropped() {
    on_a_small_stack(|| {
        let nested = |open: &str, close: &str, levels: usize| {
            format!("{}a{}", open.repeat(levels), close.repeat(levels))
        };
        for (open, close) in [("(", ")"), ("sum(", ")"), ("-", ""), ("abs(", ")"), ("1 ^ ", "")] {
            let text = nested(open, close, QUERY_DEPTH_MAX - 1);
            let expr = parse(&text).unwrap_or_else(|error| panic!("{open}: {error}"));
            let written = expr.to_string();
            assert!(parse(&written).is_ok(), "{open}");
            assert_eq!(expr.clone(), expr);
            assert!(parse(&nested(open, close, QUERY_DEPTH_MAX)).is_err(), "{open}");
        }
        let chain = format!("a{}", " + a".repeat(QUERY_DEPTH_MAX - 1));
        assert!(parse(&chain).is_ok());
    });
}

#[test]
fn long_texts_are_refused_before_they_are_read() {
    let text = format!("a{}", " ".repeat(QUERY_BYTES_MAX));
    let error = parse(&text).expect_err("it is too long").to_string();
    let wanted =
        format!("the query is too long: {} bytes, the limit is {QUERY_BYTES_MAX}", text.len());
    assert!(error.ends_with(&wanted), "{error}");
    assert!(parse(&text[..QUERY_BYTES_MAX]).is_ok());
}

#[test]
fn wide_texts_are_read() {
    let labels: Vec<_> = (0..5000).map(|at| format!("l{at}=\"v\"")).collect();
    assert!(parse(&format!("a{{{}}}", labels.join(","))).is_ok());
    let args = ", \"x\"".repeat(5000);
    assert!(parse(&format!("label_join(a, \"b\"{args})")).is_ok());
}

#[test]
fn patterns_are_weighed_all_together_before_they_are_compiled() {
    let one = r#"n!~"\\pL{100}x""#;
    assert!(parse(&format!("a{{{one}}}")).is_ok());
    let many = [one; 200].join(",");
    let label_replace = r#"label_replace(a, "b", "$1", "c", "(\\pL{100}){3}")"#;
    let spread = [r#"a{n=~"\\pL{100}"}"#; 3].join("+");
    let classes = format!("a{{n=~\"{}\"}}", "\\\\pL".repeat(10_000));
    for text in [format!("a{{{many}}}"), label_replace.to_owned(), spread, classes] {
        let error = parse(&text).expect_err("it is too large").to_string();
        assert!(error.contains("too large together"), "{error}");
    }
}

#[test]
fn many_selectors_are_refused() {
    let balanced = |count: usize| {
        let mut parts: Vec<_> = (0..count).map(|n| format!("a{n}")).collect();
        while parts.len() > 1 {
            parts = parts.chunks(2).map(|two| format!("({})", two.join("+"))).collect();
        }
        parts.remove(0)
    };
    assert!(parse(&balanced(QUERY_SELECTORS_MAX)).is_ok());
    let error = parse(&balanced(QUERY_SELECTORS_MAX + 1)).expect_err("too many").to_string();
    assert!(error.contains("too many selectors: the limit is 1000"), "{error}");
    // Most of the work for a pattern is the same for the smallest.
    let matchers: Vec<_> = (0..5000).map(|n| format!("l{n}=~\"x.*\"")).collect();
    let error = parse(&format!("a{{{}}}", matchers.join(","))).expect_err("too dear").to_string();
    assert!(error.contains("too large together"), "{error}");
}
