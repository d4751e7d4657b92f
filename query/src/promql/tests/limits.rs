//! However a text nests and however long its chains of operators are, the answer is a tree or a
//! message, never an exhausted stack.

use super::super::parse;
use super::shape;
use m3_metric::limits::{
    QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_OPERATORS_MAX, QUERY_SELECTORS_MAX,
};

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
            times("2^-"),
            times("1 or -("),
            format!("a{}", times("[1m:]")),
            format!("a[{}", times("(")),
            format!("a[{}1]", times("-")),
            format!("a[{}1]", times("2^-")),
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
        for (open, close) in [("(", ")"), ("sum(", ")"), ("-", ""), ("abs(", ")")] {
            let text = nested(open, close, QUERY_DEPTH_MAX - 1);
            let expr = parse(&text).unwrap_or_else(|error| panic!("{open}: {error}"));
            let written = expr.to_string();
            assert!(parse(&written).is_ok(), "{open}");
            assert_eq!(expr.clone(), expr);
            assert!(parse(&nested(open, close, QUERY_DEPTH_MAX)).is_err(), "{open}");
        }
    });
}

const OPERATORS: [&str; 16] = [
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless",
];

/// `count` operators and the operands around them.
fn chain(operator: &str, operand: &str, count: usize) -> String {
    format!("{operand}{}", format!("{operator}{operand}").repeat(count))
}

#[test]
fn a_chain_is_long_and_not_deep() {
    on_a_small_stack(|| {
        for op in OPERATORS {
            for (operator, operand) in [
                (format!(" {op} "), "a"),
                (format!(" {op} on (x) "), "a{b=\"c\"}"),
                (format!(" {op} "), "sum(rate(a[5m]))"),
            ] {
                let text = chain(&operator, operand, QUERY_SELECTORS_MAX - 1);
                let expr = parse(&text).unwrap_or_else(|error| panic!("{operator}: {error}"));
                assert_eq!(expr.pos.end as usize, text.len());
                assert_eq!(expr.to_string().len(), expr.to_string().trim().len());
                let again = parse(&expr.to_string()).unwrap();
                assert_eq!(shape(&again), shape(&expr), "{operator}");
                assert_eq!(expr.clone(), expr);
            }
        }
        // Chains within chains, as far as there is depth.
        let mut text = "a".to_owned();
        for level in 0..QUERY_DEPTH_MAX / 2 - 1 {
            text = format!("({text} {} 1 - 2)", OPERATORS[level % 5]);
        }
        assert!(parse(&text).is_ok());
    });
}

#[test]
fn chains_are_bounded_in_length() {
    on_a_small_stack(|| {
        let wanted =
            format!("the query has too many operators: the limit is {QUERY_OPERATORS_MAX}");
        for operator in ["+", "-", "*", "/", "%", "^", "==bool ", " atan2 "] {
            let text = chain(operator, "1", QUERY_OPERATORS_MAX);
            let expr = parse(&text).unwrap_or_else(|error| panic!("{operator}: {error}"));
            assert!(parse(&expr.to_string()).is_ok(), "{operator}");
            for count in [QUERY_OPERATORS_MAX + 1, QUERY_BYTES_MAX / (operator.len() + 1) - 1] {
                let error = parse(&chain(operator, "1", count)).expect_err("it is too long");
                assert!(error.to_string().ends_with(&wanted), "{operator}: {error}");
            }
        }
        for operator in ["+", "-", "*", "^"] {
            for (open, close) in [("a[", "]"), ("a[1m:", "]"), ("a offset (", ")")] {
                let within = |count| format!("{open}{}{close}", chain(operator, "1", count));
                let expr = parse(&within(QUERY_OPERATORS_MAX)).unwrap();
                let written = expr.to_string();
                assert_eq!(parse(&written).unwrap().to_string(), written);
                let error = parse(&within(QUERY_OPERATORS_MAX + 1)).expect_err("it is too long");
                assert!(error.to_string().ends_with(&wanted), "{operator}: {error}");
            }
        }
        // All chains of a query count, on all levels.
        let half = chain("+", "1", QUERY_OPERATORS_MAX / 2);
        assert!(parse(&format!("({half})")).is_ok());
        let error = parse(&format!("({half})^({half})")).expect_err("too many").to_string();
        assert!(error.ends_with(&wanted), "{error}");
        let text = format!("{}1", "a+".repeat(QUERY_BYTES_MAX / 2 - 1));
        let error = parse(&text).expect_err("too many").to_string();
        assert!(error.contains("too many selectors: the limit is 1000"), "{error}");
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
