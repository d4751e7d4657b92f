//! Prints a syntax tree as Prometheus does. Parsing the text gives the same tree, apart from
//! positions.

use super::quote::quote;
use super::token::{Kind, keyword};
use super::{
    At, BinaryOp, Cardinality, DurationExpr, DurationNode, Expr, ExprKind, LabelMatcher, Matching,
    Operation, VectorSelector,
};
use m3_metric::MatchOp;
use m3_metric::labels::METRIC_NAME;
use m3_metric::promql_duration::write_ms;
use std::fmt::{Display, Formatter, Result};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.kind.fmt(f)
    }
}

impl Display for ExprKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Number(value) => write_number(f, *value),
            Self::String(text) => f.write_str(&text.quoted()),
            Self::Vector(selector) => selector.fmt(f),
            Self::Matrix { selector, range } => {
                write_selector(f, selector)?;
                write!(f, "[{range}]")?;
                write_modifiers(f, selector.at, selector.offset.as_ref())
            }
            Self::Subquery { expr, range, step, offset, at } => {
                write!(f, "{expr}[{range}:")?;
                if let Some(step) = step {
                    step.fmt(f)?;
                }
                f.write_str("]")?;
                write_modifiers(f, *at, offset.as_ref())
            }
            Self::Call { name, args, .. } => {
                f.write_str(name)?;
                f.write_str("(")?;
                for (index, arg) in args.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    match &arg.kind {
                        // A name without braces would not be accepted there.
                        ExprKind::Vector(labels) if *name == "info" && index == 1 => {
                            write_matchers(f, labels, &labels.matchers)?;
                            write_modifiers(f, labels.at, labels.offset.as_ref())?;
                        }
                        _ => arg.fmt(f)?,
                    }
                }
                f.write_str(")")
            }
            Self::Aggregate { op, expr, param, grouping, without } => {
                f.write_str(op.name())?;
                if *without || !grouping.is_empty() {
                    f.write_str(if *without { " without (" } else { " by (" })?;
                    write_labels(f, grouping)?;
                    f.write_str(") ")?;
                }
                f.write_str("(")?;
                if let Some(param) = param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{expr})")
            }
            Self::Unary { negative, expr } => {
                f.write_str(if *negative { "-" } else { "+" })?;
                expr.fmt(f)
            }
            Self::Binary { first, rest } => {
                first.fmt(f)?;
                rest.iter().try_for_each(|operation| operation.fmt(f))
            }
            Self::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, " {}", self.op.symbol())?;
        f.write_str(if self.return_bool { " bool" } else { "" })?;
        if let Some(matching) = &self.matching {
            write_matching(f, matching)?;
        }
        write!(f, " {}", self.operand)
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_selector(f, self)?;
        write_modifiers(f, self.at, self.offset.as_ref())
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Ms(ms) => write_ms(f, *ms),
            Self::Computed(node, _) => match **node {
                // Parentheses turn a number into an expression, and allow an expression as an
                // offset.
                DurationNode::Seconds(_) | DurationNode::Binary(..) => {
                    f.write_str("(")?;
                    write_node(f, node)?;
                    f.write_str(")")
                }
                _ => write_node(f, node),
            },
        }
    }
}

fn write_node(f: &mut Formatter<'_>, node: &DurationNode) -> Result {
    match node {
        DurationNode::Seconds(seconds) => write_number(f, *seconds),
        DurationNode::Step => f.write_str("step()"),
        DurationNode::Range => f.write_str("range()"),
        DurationNode::Negate(inner) => {
            f.write_str("-")?;
            let atom = matches!(
                **inner,
                DurationNode::Step
                    | DurationNode::Range
                    | DurationNode::Min(..)
                    | DurationNode::Max(..)
            );
            write_operand(f, inner, !atom)
        }
        DurationNode::Binary(first, rest) => {
            let wrap = |node: &DurationNode| match node {
                DurationNode::Seconds(seconds) => seconds.is_sign_negative(),
                DurationNode::Binary(..) | DurationNode::Negate(_) => true,
                _ => false,
            };
            write_operand(f, first, wrap(first))?;
            rest.iter().try_for_each(|(op, operand)| {
                write!(f, " {} ", op.symbol())?;
                // A bare zero to the right of a division is refused, but one in parentheses is not.
                let divides = matches!(op, BinaryOp::Div | BinaryOp::Mod);
                let zero = matches!(operand, DurationNode::Seconds(seconds) if *seconds == 0.0);
                write_operand(f, operand, wrap(operand) || divides && zero)
            })
        }
        DurationNode::Min(left, right) => write_pair(f, "min_of", left, right),
        DurationNode::Max(left, right) => write_pair(f, "max_of", left, right),
    }
}

fn write_operand(f: &mut Formatter<'_>, node: &DurationNode, wrap: bool) -> Result {
    if !wrap {
        return write_node(f, node);
    }
    f.write_str("(")?;
    write_node(f, node)?;
    f.write_str(")")
}

fn write_pair(
    f: &mut Formatter<'_>,
    name: &str,
    left: &DurationNode,
    right: &DurationNode,
) -> Result {
    write!(f, "{name}(")?;
    write_node(f, left)?;
    f.write_str(", ")?;
    write_node(f, right)?;
    f.write_str(")")
}

/// A number without an exponent. Infinity is printed without Prometheus' sign, because `+Inf ^ 2`
/// would be parsed as `+(Inf ^ 2)`.
fn write_number(f: &mut Formatter<'_>, value: f64) -> Result {
    match value {
        f64::INFINITY => f.write_str("Inf"),
        f64::NEG_INFINITY => f.write_str("-Inf"),
        _ => write!(f, "{value}"),
    }
}

fn write_modifiers(f: &mut Formatter<'_>, at: Option<At>, offset: Option<&DurationExpr>) -> Result {
    match at {
        Some(At::Ms(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            let ms = ms.unsigned_abs();
            write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
        }
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        None => {}
    }
    match offset {
        Some(offset) => write!(f, " offset {offset}"),
        None => Ok(()),
    }
}

fn is_name(selector: &VectorSelector, matcher: &LabelMatcher) -> bool {
    matcher.op == MatchOp::Equal
        && matcher.name == *METRIC_NAME
        && Some(&matcher.value) == selector.metric_name.as_ref()
}

fn write_selector(f: &mut Formatter<'_>, selector: &VectorSelector) -> Result {
    let mut rest = &selector.matchers[..];
    let names = rest.iter().filter(|matcher| matcher.name == *METRIC_NAME).count();
    if let Some(matcher) = rest.first().filter(|matcher| is_name(selector, matcher))
        && names == 1
        && let Some(name) = matcher.value.as_str().filter(|name| is_bare_metric(name))
    {
        f.write_str(name)?;
        rest = &rest[1..];
        if rest.is_empty() {
            return Ok(());
        }
    }
    write_matchers(f, selector, rest)
}

/// Some matchers of the selector, in braces.
fn write_matchers(
    f: &mut Formatter<'_>,
    selector: &VectorSelector,
    matchers: &[LabelMatcher],
) -> Result {
    let name_at = matchers.iter().position(|matcher| is_name(selector, matcher));
    f.write_str("{")?;
    for (index, matcher) in matchers.iter().enumerate() {
        f.write_str(if index > 0 { "," } else { "" })?;
        if name_at == Some(index) {
            f.write_str(&matcher.value.quoted())?;
            continue;
        }
        match matcher.name.as_str() {
            Some(name) => write_label(f, name)?,
            None => f.write_str(&matcher.name.quoted())?,
        }
        write!(f, "{}{}", matcher.op.symbol(), matcher.value.quoted())?;
    }
    f.write_str("}")
}

/// Whether a metric name can be written without quotes.
fn is_bare_metric(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| is_word(b) && !b.is_ascii_digit() || b == b':');
    first
        && bytes.all(|b| is_word(b) || b == b':')
        && keyword(name).unwrap_or(Kind::Identifier).names_metric()
}

fn is_word(b: u8) -> bool {
    b == b'_' || b.is_ascii_alphanumeric()
}

/// A label name, quoted if necessary.
fn write_label(f: &mut Formatter<'_>, label: &str) -> Result {
    let bare = !label.is_empty()
        && label.bytes().all(is_word)
        && !label.starts_with(|c: char| c.is_ascii_digit());
    if bare { f.write_str(label) } else { f.write_str(&quote(label)) }
}

/// A list of labels, as after `by`. A few words that cannot be bare labels there need quotes.
fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> Result {
    for (index, label) in labels.iter().enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        if keyword(label).unwrap_or(Kind::Identifier).names_label() {
            write_label(f, label)?;
        } else {
            f.write_str(&quote(label))?;
        }
    }
    Ok(())
}

fn write_matching(f: &mut Formatter<'_>, matching: &Matching) -> Result {
    let side = match matching.card {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || side.is_some() {
        f.write_str(if matching.on { " on (" } else { " ignoring (" })?;
        write_labels(f, &matching.labels)?;
        f.write_str(")")?;
    }
    if let Some(side) = side {
        write!(f, " group_{side} (")?;
        write_labels(f, &matching.include)?;
        f.write_str(")")?;
    }
    let fill = |f: &mut Formatter<'_>, name: &str, value: f64| {
        write!(f, " {name} (")?;
        write_number(f, value)?;
        f.write_str(")")
    };
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => fill(f, "fill", left),
        (left, right) => {
            if let Some(left) = left {
                fill(f, "fill_left", left)?;
            }
            right.map_or(Ok(()), |right| fill(f, "fill_right", right))
        }
    }
}
