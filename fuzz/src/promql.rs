//! The PromQL parser: it returns a tree or an error, with positions inside the text. A tree can be
//! written and read again, and its text is then stable.

use m3_query::promql::{
    DurationExpr, Expr, ExprKind, ParseError, Place, Pos, VectorSelector, parse, parse_selector,
};

/// Reads `data` as a query, a selector and a duration.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = m3_metric::promql_duration::parse_ms(text);
    if let Err(error) = parse_selector(text) {
        check_error(text, &error);
    }
    match parse(text) {
        Err(error) => check_error(text, &error),
        Ok(expr) => check_tree(text, expr),
    }
}

fn check_tree(text: &str, mut expr: Expr) {
    strip(&mut expr, text);
    let written = expr.to_string();
    let mut again =
        parse(&written).unwrap_or_else(|error| panic!("{text:?} is written {written:?}: {error}"));
    strip(&mut again, &written);
    // Compared as text, since NaN is not equal to itself.
    let (first, second) = (format!("{expr:?}"), format!("{again:?}"));
    assert_eq!(first, second, "{text:?} is written {written:?}");
    assert_eq!(again.to_string(), written);
}

fn check_error(text: &str, error: &ParseError) {
    check_pos(text, error.pos);
    assert!(!error.message.is_empty());
    if let Place::At { line, column } = error.place {
        let lines = text.split('\n').collect::<Vec<_>>();
        let wanted = lines.get(line as usize - 1).expect("a line of the text");
        assert!((1..=wanted.len() + 1).contains(&(column as usize)), "{error} in {text:?}");
    }
}

fn check_pos(text: &str, pos: Pos) {
    assert!(pos.start <= pos.end && pos.end as usize <= text.len(), "{pos:?} in {text:?}");
}

/// Checks every position in the text and resets it, so that trees can be compared.
fn strip(expr: &mut Expr, text: &str) {
    drop_pos(&mut expr.pos, text);
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => strip_selector(selector, text),
        ExprKind::Matrix { selector, range } => {
            strip_selector(selector, text);
            strip_duration(range, text);
        }
        ExprKind::Subquery { expr, range, step, offset, .. } => {
            strip(expr, text);
            strip_duration(range, text);
            step.iter_mut().chain(offset).for_each(|duration| strip_duration(duration, text));
        }
        ExprKind::Call { name_pos, args, .. } => {
            drop_pos(name_pos, text);
            args.iter_mut().for_each(|arg| strip(arg, text));
        }
        ExprKind::Aggregate { expr, param, .. } => {
            strip(expr, text);
            param.iter_mut().for_each(|param| strip(param, text));
        }
        ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => strip(expr, text),
        ExprKind::Binary { first, rest } => {
            strip(first, text);
            rest.iter_mut().for_each(|operation| strip(&mut operation.operand, text));
        }
    }
}

fn strip_selector(selector: &mut VectorSelector, text: &str) {
    drop_pos(&mut selector.pos, text);
    selector.offset.iter_mut().for_each(|offset| strip_duration(offset, text));
}

fn strip_duration(duration: &mut DurationExpr, text: &str) {
    if let DurationExpr::Computed(_, pos) = duration {
        drop_pos(pos, text);
    }
}

fn drop_pos(pos: &mut Pos, text: &str) {
    check_pos(text, *pos);
    *pos = Pos::default();
}
