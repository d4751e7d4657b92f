//! Literals in a syntax tree: the whole set it stands for, or what every match must contain.

use super::{LITERAL_SET_BYTES_MAX, LITERAL_SET_MAX};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Most literals from multiplying alternatives, as in `(?i)foo`. A list in the pattern itself may
/// be longer.
const PRODUCT_MAX: usize = 256;
/// Most repetitions of one part.
const COPIES_MAX: u32 = 64;

type Literal = Box<[u8]>;

/// The values of a pattern that is a plain list, `a|b` or `(a|b)`, with no escapes except of
/// punctuation. Dashboards send such lists with thousands of values, for which the syntax tree
/// would take milliseconds.
pub(super) fn plain(pattern: &str) -> Option<Vec<Literal>> {
    let inner = pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.map_or(pattern, |inner| inner.strip_prefix("?:").unwrap_or(inner));
    let mut set = Vec::new();
    let mut literal = Vec::new();
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'|' => set.push(std::mem::take(&mut literal).into()),
            b'\\' => literal.push(bytes.next().filter(u8::is_ascii_punctuation)?),
            b'(' | b')' | b'[' | b'{' | b'*' | b'+' | b'?' | b'.' | b'^' | b'$' => return None,
            _ => literal.push(byte),
        }
        if set.len() >= LITERAL_SET_MAX {
            return None;
        }
    }
    set.push(literal.into());
    set.sort_unstable();
    set.dedup();
    Some(set)
}

/// All values that `hir` matches, sorted, if they are few.
pub(super) fn set(hir: &Hir) -> Option<Vec<Literal>> {
    let mut set = expand(hir)?;
    set.sort_unstable();
    set.dedup();
    Some(set.into_iter().map(Vec::into_boxed_slice).collect())
}

fn expand(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Class(class) => members(class),
        HirKind::Look(_) => None,
        HirKind::Capture(group) => expand(&group.sub),
        HirKind::Repetition(repetition) => {
            let max = repetition.max.filter(|&max| max <= COPIES_MAX)?;
            let one = expand(&repetition.sub)?;
            let mut all = Vec::new();
            let mut copies = vec![Vec::new()];
            for count in 0..=max {
                if count >= repetition.min {
                    all.extend_from_slice(&copies);
                }
                if count < max {
                    copies = product(copies, &one)?;
                }
                bounded(&all)?;
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![Vec::new()], |heads, part| product(heads, &expand(part)?))
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(expand(branch)?);
                if all.len() > LITERAL_SET_MAX {
                    return None;
                }
            }
            bounded(&all)?;
            Some(all)
        }
    }
}

fn members(class: &Class) -> Option<Vec<Vec<u8>>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
    if count > PRODUCT_MAX {
        return None;
    }
    let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    Some(chars.map(|c| c.encode_utf8(&mut [0; 4]).as_bytes().to_vec()).collect())
}

/// Combines every head with every tail.
fn product(heads: Vec<Vec<u8>>, tails: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if heads.len() > 1 && tails.len() > 1 && heads.len() * tails.len() > PRODUCT_MAX {
        return None;
    }
    let bytes = |set: &[Vec<u8>]| set.iter().map(Vec::len).sum::<usize>();
    if bytes(&heads) * tails.len() + bytes(tails) * heads.len() > LITERAL_SET_BYTES_MAX {
        return None;
    }
    Some(
        heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| [head.as_slice(), tail].concat()))
            .collect(),
    )
}

fn bounded(set: &[Vec<u8>]) -> Option<()> {
    let bytes: usize = set.iter().map(Vec::len).sum();
    (set.len() <= LITERAL_SET_MAX && bytes <= LITERAL_SET_BYTES_MAX).then_some(())
}

/// `hir` without a leading `^` and a trailing `$`, which mean nothing if the whole value must
/// match. Users write them because other tools do not anchor patterns.
pub(super) fn without_anchors(hir: &Hir) -> Hir {
    strip(hir, true, true)
}

fn strip(hir: &Hir, front: bool, back: bool) -> Hir {
    match hir.kind() {
        HirKind::Look(Look::Start) if front => Hir::empty(),
        HirKind::Look(Look::End) if back => Hir::empty(),
        HirKind::Capture(group) => strip(&group.sub, front, back),
        HirKind::Alternation(branches) => {
            Hir::alternation(branches.iter().map(|branch| strip(branch, front, back)).collect())
        }
        HirKind::Concat(parts) => {
            let last = parts.len() - 1;
            let strip_part = |(i, part)| strip(part, front && i == 0, back && i == last);
            Hir::concat(parts.iter().enumerate().map(strip_part).collect())
        }
        _ => hir.clone(),
    }
}

/// The prefix of every match of `hir`, and the longest other literal that every match contains.
pub(super) fn required(hir: &Hir) -> (Literal, Option<Literal>) {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let literal = |part: &Hir| match part.kind() {
        HirKind::Literal(literal) => Some(literal.0.clone()),
        _ => None,
    };
    let prefix = literal(&parts[0]).unwrap_or_default();
    let rest = if prefix.is_empty() { parts } else { &parts[1..] };
    (prefix, rest.iter().filter_map(literal).max_by_key(|literal| literal.len()))
}
