//! What texts mean: the tree they give, shown by writing it again.

use super::super::{
    At, BinaryOp, DurationExpr, Expr, ExprKind, Operation, ValueType, parse, parse_selector,
};
use super::shape;

/// Text, and the text of its tree.
const WRITTEN: &[(&str, &str)] = &[
    ("1", "1"),
    ("0x1F", "31"),
    ("0755", "493"),
    ("08", "8"),
    ("1_000", "1000"),
    (".5", "0.5"),
    ("5.", "5"),
    ("5e-3", "0.005"),
    ("-Inf", "-Inf"),
    ("nan", "NaN"),
    ("1h30m", "5400"),
    ("-5m", "-300"),
    ("  up  # comment\n", "up"),
    ("up{job='a',}", r#"up{job="a"}"#),
    (r#"{"a.b", 'c d'=~`e.*`, f!~"g"}"#, r#"{"a.b","c d"=~"e.*",f!~"g"}"#),
    (r#"{"up"}"#, "up"),
    (r#"{a="1","up"}"#, r#"{a="1","up"}"#),
    (r#"{__name__="up"}"#, r#"{__name__="up"}"#),
    (r#"{"on"}"#, r#"{"on"}"#),
    (r#""a\n\x41\101\u00e9\U0001F600""#, "\"a\\nAA\u{e9}\u{1f600}\""),
    (r#"up{a="\xff\xc3"}"#, r#"up{a="\xff\xc3"}"#),
    (r#"up{a="\U0010ffff\xff"}"#, r#"up{a="\U0010ffff\xff"}"#),
    (r#"{"\xff", "\xfe"="\xfd"}"#, r#"{"\xff","\xfe"="\xfd"}"#),
    (r#""a\377\x80""#, r#""a\xff\x80""#),
    // Matchers of the name may be several; only a name that stands for itself may not.
    (r#"{__name__=~"a.*",__name__!="ab"}"#, r#"{__name__=~"a.*",__name__!="ab"}"#),
    (r#"{__name__="a",__name__="b"}"#, r#"{__name__="a",__name__="b"}"#),
    ("`a\\n`", r#""a\\n""#),
    ("a:b:c", "a:b:c"),
    ("offset{step='1s'}[5m]", r#"offset{step="1s"}[5m]"#),
    ("sum{by='x'} + fill + start", r#"sum{by="x"} + fill + start"#),
    ("SUM BY (a) (x)", "sum by (a) (x)"),
    ("sum(x) without (a, 'b c',)", r#"sum without (a, "b c") (x)"#),
    ("sum by () (x)", "sum(x)"),
    ("sum by (by, and, start) (x)", "sum by (by, and, start) (x)"),
    ("topk(5, x)", "topk(5, x)"),
    ("a + on (x) group_left (y) b", "a + on (x) group_left (y) b"),
    ("a + ignoring (x) group_right b", "a + ignoring (x) group_right () b"),
    ("a > bool on() b", "a > bool on () b"),
    ("a + fill (-1) b", "a + fill (-1) b"),
    ("a + fill_right(2) fill_left(1m) b", "a + fill_left (60) fill_right (2) b"),
    ("a[5m] @ 1.5 offset -1h", "a[5m] @ 1.500 offset -1h"),
    ("a[90d]", "a[90d]"),
    ("a[2w]", "a[2w]"),
    ("a[1.5]", "a[1s500ms]"),
    ("a[0x3C]", "a[1m]"),
    ("a offset 0 offset 5m", "a offset 5m"),
    ("a[1h:]", "a[1h:]"),
    ("(a + b)[1h:5m] @ end()", "(a + b)[1h:5m] @ end()"),
    ("a[step() * 2]", "a[(step() * 2)]"),
    ("a[1 + 2 - step() * 3 * 4]", "a[(1 + 2 - (step() * 3 * 4))]"),
    ("a[(1 - 2) ^ 3 ^ (4 / 5 / 6)]", "a[((1 - 2) ^ 3 ^ (4 / 5 / 6))]"),
    ("a[-(10s-5s)+20s]", "a[((-(10 - 5)) + 20)]"),
    ("a[max_of(step(),5s):range()]", "a[max_of(step(), 5):range()]"),
    ("a offset (5m+1m)", "a offset (300 + 60)"),
    ("a offset -step()", "a offset -step()"),
    ("time() - step()", "time() - step()"),
    ("info(a, {b!='c'})", r#"info(a, {b!="c"})"#),
    ("info(a, {'c'})", r#"info(a, {"c"})"#),
    ("info(a, {'c', b='d'} @ 5)", r#"info(a, {"c",b="d"} @ 5.000)"#),
    ("info({'c'})", "info(c)"),
];

#[test]
fn texts_give_the_trees_they_should() {
    for (text, wanted) in WRITTEN {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expr.to_string(), *wanted, "the tree of {text}");
        let again = parse(wanted).unwrap_or_else(|error| panic!("{wanted}: {error}"));
        assert_eq!(shape(&again), shape(&expr), "{text} and {wanted} are one");
    }
}

/// Text, and the same with a parenthesis around every operation.
const BINDING: &[(&str, &str)] = &[
    ("-1 ^ 2", "-(1 ^ 2)"),
    ("2 ^ 3 ^ 2", "2 ^ (3 ^ 2)"),
    ("2 ^ 3 ^ 4 ^ 5 * 6 ^ 7 ^ 8 - 9", "((2 ^ (3 ^ (4 ^ 5))) * (6 ^ (7 ^ 8))) - 9"),
    ("a * b / c + d % e - f ^ g > h", "((((a * b) / c) + (d % e)) - (f ^ g)) > h"),
    ("2 ^ -1 ^ 2", "2 ^ (-(1 ^ 2))"),
    ("-a * b", "(-a) * b"),
    ("-a offset 5m", "-(a offset 5m)"),
    ("a - b - c", "(a - b) - c"),
    ("a + b * c", "a + (b * c)"),
    ("a atan2 b % c", "(a atan2 b) % c"),
    ("a < b + c", "a < (b + c)"),
    ("a or b and c", "a or (b and c)"),
    ("a unless b and c or d", "((a unless b) and c) or d"),
    ("a == b != c", "(a == b) != c"),
    ("a + b @ 5", "a + (b @ 5)"),
    ("a offset 5m - 8", "(a offset 5m) - 8"),
    ("a offset -2 ^ 2", "(a offset -2) ^ 2"),
    ("a offset step() * 2", "(a offset step()) * 2"),
    ("a offset (5m) - 8", "a offset ((5m) - 8)"),
    ("a + on (x) b * on (y) c", "a + on (x) (b * on (y) c)"),
];

#[test]
fn operators_bind_as_tight_as_they_should() {
    for (text, wanted) in BINDING {
        let of =
            |text: &str| grouped(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
        assert_eq!(of(text), of(wanted), "{text} means {wanted}");
    }
}

/// A tree with one pair of parentheses per operation, whether they were written or not.
fn grouped(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Paren(inner) => grouped(inner),
        ExprKind::Unary { negative, expr } => format!("(sign {negative} {})", grouped(expr)),
        ExprKind::Binary { first, rest } => {
            let from_right = rest[0].op == BinaryOp::Pow;
            assert!(rest.iter().all(|o| (o.op == BinaryOp::Pow) == from_right), "{expr:?}");
            let operator = |o: &Operation| format!("{:?} {} {:?}", o.op, o.return_bool, o.matching);
            let mut operators: Vec<String> = rest.iter().map(operator).collect();
            let operands = std::iter::once(&**first).chain(rest.iter().map(|o| &o.operand));
            let mut operands: Vec<String> = operands.map(grouped).collect();
            while !operators.is_empty() {
                let at = if from_right { operators.len() - 1 } else { 0 };
                let (operator, right) = (operators.remove(at), operands.remove(at + 1));
                operands[at] = format!("({} {operator} {right})", operands[at]);
            }
            operands.remove(0)
        }
        _ => shape(expr),
    }
}

#[test]
fn nodes_know_their_places() {
    let expr = parse(" sum (rate(a{b='c'}[5m] offset 1m)) by (d) + 1 ").unwrap();
    let slice = |pos: super::super::Pos| {
        &" sum (rate(a{b='c'}[5m] offset 1m)) by (d) + 1 "[pos.start as usize..pos.end as usize]
    };
    assert_eq!(slice(expr.pos), "sum (rate(a{b='c'}[5m] offset 1m)) by (d) + 1");
    let ExprKind::Binary { first, .. } = &expr.kind else { panic!("{expr:?}") };
    assert_eq!(slice(first.pos), "sum (rate(a{b='c'}[5m] offset 1m)) by (d)");
    let ExprKind::Aggregate { expr: call, .. } = &first.kind else { panic!("{first:?}") };
    assert_eq!(slice(call.pos), "rate(a{b='c'}[5m] offset 1m)");
    let ExprKind::Call { args, name_pos, .. } = &call.kind else { panic!("{call:?}") };
    assert_eq!(slice(*name_pos), "rate");
    assert_eq!(slice(args[0].pos), "a{b='c'}[5m] offset 1m");
    let ExprKind::Matrix { selector, .. } = &args[0].kind else { panic!("{args:?}") };
    assert_eq!(slice(selector.pos), "a{b='c'}");
}

#[test]
fn selectors_carry_name_offset_and_time() {
    let expr = parse("a{b='c'} offset -1.5 @ -1.0005").unwrap();
    let ExprKind::Vector(selector) = &expr.kind else { panic!("{expr:?}") };
    assert_eq!(selector.metric_name, Some("a".into()));
    assert_eq!(selector.matchers[0].to_string(), "__name__=\"a\"");
    assert_eq!(selector.matchers[1].to_string(), "b=\"c\"");
    assert_eq!(selector.offset, Some(DurationExpr::Ms(-1500)));
    assert_eq!(selector.at, Some(At::Ms(-1001)), "halves round away from zero");
}

#[test]
fn types_follow_from_the_text() {
    for (text, wanted) in [
        ("1 + 2", ValueType::Scalar),
        ("scalar(a) ^ 2", ValueType::Scalar),
        ("-(a)", ValueType::InstantVector),
        ("1 + a", ValueType::InstantVector),
        ("a[5m]", ValueType::RangeVector),
        ("(a)[5m:]", ValueType::RangeVector),
        ("('x')", ValueType::String),
        ("time()", ValueType::Scalar),
        ("vector(1)", ValueType::InstantVector),
        ("sum(a)", ValueType::InstantVector),
    ] {
        assert_eq!(parse(text).unwrap().value_type(), wanted, "the type of {text}");
    }
}

#[test]
fn matching_is_there_only_between_vectors() {
    let matching = |text: &str| match parse(text).unwrap().kind {
        ExprKind::Binary { mut rest, .. } => rest.remove(0).matching,
        other => panic!("{other:?}"),
    };
    assert!(matching("a + b").is_some());
    assert!(matching("a + 1").is_none());
    let card = matching("a and b").unwrap().card;
    assert_eq!(card, super::super::Cardinality::ManyToMany);
}

#[test]
fn match_takes_selectors_only() {
    let shown = |text: &str| match parse_selector(text) {
        Ok(matchers) => matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    };
    for (text, wanted) in [
        ("up", "__name__=\"up\""),
        ("up{a!='b'}", "__name__=\"up\" a!=\"b\""),
        ("{'x y', z=~'.+'}", "__name__=\"x y\" z=~\".+\""),
        ("", "unknown position: parse error: unexpected end of input"),
        ("up[5m]", "1:3: parse error: unexpected \"[\""),
        ("sum(up)", "1:4: parse error: unexpected \"(\""),
        ("1", "1:1: parse error: unexpected number \"1\""),
        ("up{a=~'('}", "1:4: parse error: error parsing regexp: missing closing ): `(`"),
        ("{}", "match[] must contain at least one non-empty matcher"),
        ("{a=~'.*',b!='c'}", "match[] must contain at least one non-empty matcher"),
    ] {
        assert_eq!(shown(text), wanted, "match[]={text}");
    }
}

#[test]
fn functions_ascend_and_are_found() {
    use super::super::functions::{FUNCTIONS, function};
    assert!(FUNCTIONS.windows(2).all(|two| two[0].name < two[1].name));
    let round = function("round").unwrap();
    assert_eq!(round.arity(), (1, Some(2)));
    assert_eq!(function("label_join").unwrap().arity(), (3, None));
    assert_eq!(function("label_join").unwrap().arg(9), Some(ValueType::String));
    assert_eq!(function("rate").unwrap().arg(1), None);
    assert!(function("max_of").unwrap().experimental && !round.experimental);
    assert!(function("Rate").is_none(), "names are case-sensitive");
}
