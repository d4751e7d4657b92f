//! Chains of binary operators: `a + b - c`.
//!
//! Generated queries add up hundreds of series, or list them with `or`. A tree with one node per
//! operator would be as deep as such a chain is long, and whatever walks it by recursion would need
//! a stack as deep. So the operands of a chain are a list, and only what is nested makes a tree
//! deeper. The operators of one chain group from the left, `(a + b) - c`, also those of different
//! precedence, as in `a * b + c`. Only `^` groups from the right: its chains contain nothing else.

use super::{BinaryOp, Expr, Matching};

/// An operator of a chain, and its right operand as written: the left operand is everything before
/// it, or for `^` the right operand is everything after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The operator.
    pub op: BinaryOp,
    /// `bool` after a comparison.
    pub return_bool: bool,
    /// How series of the two sides are paired; `None` unless both are vectors.
    pub matching: Option<Matching>,
    /// The operand after the operator.
    pub operand: Expr,
}

/// Combines the operands of a chain two at a time, in the order in which they group. `operand`
/// evaluates an item of `rest` to an operator and its operand, in the order of the text and not
/// before it is needed; `combine` takes left side, operator and right side. Both get `cx`.
pub(crate) fn group<C, I, O, T, E>(
    cx: &mut C,
    first: T,
    rest: impl IntoIterator<Item = I>,
    from_right: bool,
    mut operand: impl FnMut(&mut C, I) -> Result<(O, T), E>,
    mut combine: impl FnMut(&mut C, T, O, T) -> Result<T, E>,
) -> Result<T, E> {
    let mut last = first;
    // Left sides whose right side is not complete yet.
    let mut open = Vec::new();
    for item in rest {
        let (op, right) = operand(cx, item)?;
        if from_right {
            open.push((std::mem::replace(&mut last, right), op));
        } else {
            last = combine(cx, last, op, right)?;
        }
    }
    while let Some((left, op)) = open.pop() {
        last = combine(cx, left, op, last)?;
    }
    Ok(last)
}
