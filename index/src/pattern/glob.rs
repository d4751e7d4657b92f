//! Literals with `.*` or `.+` between them: prefixes, suffixes, "contains", and combinations.
//!
//! Always holds: there is at least one gap. Literals begin and end at character boundaries, so a
//! gap of at least one character is a gap of at least one byte.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A prefix, literals in order, a suffix, and gaps between them.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    prefix: Box<[u8]>,
    middle: Vec<Piece>,
    /// Fewest bytes before the suffix.
    gap: usize,
    suffix: Box<[u8]>,
}

/// A literal after a gap.
#[derive(Clone, Debug)]
struct Piece {
    /// Fewest bytes before it: 0 or 1.
    gap: usize,
    finder: Finder<'static>,
}

/// A glob under construction.
#[derive(Default)]
struct Builder {
    prefix: Option<Vec<u8>>,
    middle: Vec<Piece>,
    /// The literal after the last gap.
    literal: Vec<u8>,
    gap: usize,
}

impl Glob {
    /// Converts `hir` to a glob, if possible.
    pub(crate) fn of(hir: &Hir) -> Option<Self> {
        let mut builder = Builder::default();
        builder.read(hir)?;
        // A pattern without a gap would be a literal.
        let prefix = builder.prefix?.into();
        let Builder { middle, literal, gap, .. } = builder;
        Some(Self { prefix, middle, gap, suffix: literal.into() })
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    fn is_bare(&self) -> bool {
        self.prefix.is_empty() && self.middle.is_empty() && self.suffix.is_empty()
    }

    /// Whether this is a literal followed by `.*`.
    pub(crate) fn is_prefix(&self) -> bool {
        self.middle.is_empty() && self.suffix.is_empty() && self.gap == 0
    }

    /// Whether this is `.*`.
    pub(crate) fn is_any(&self) -> bool {
        self.is_bare() && self.gap == 0
    }

    /// Whether this is `.+`.
    pub(crate) fn is_non_empty(&self) -> bool {
        self.is_bare() && self.gap == 1
    }

    #[inline]
    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        if !value.starts_with(&self.prefix) {
            return false;
        }
        let mut at = self.prefix.len();
        // Taking the leftmost match of each literal leaves the most room for the rest.
        for piece in &self.middle {
            let Some(rest) = value.get(at + piece.gap..) else { return false };
            let Some(found) = piece.finder.find(rest) else { return false };
            at += piece.gap + found + piece.finder.needle().len();
        }
        value.len() >= at + self.gap + self.suffix.len() && value.ends_with(&self.suffix)
    }
}

impl Builder {
    fn read(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.literal.extend_from_slice(&literal.0),
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.read(part))?,
            HirKind::Capture(group) => self.read(&group.sub)?,
            HirKind::Repetition(repetition) if repetition.max.is_none() => {
                let min = usize::try_from(repetition.min).ok()?;
                if !is_dot(&repetition.sub) {
                    return None;
                }
                self.push_gap(min)?;
            }
            HirKind::Class(_) if is_dot(hir) => return None,
            _ => return None,
        }
        Some(())
    }

    /// Ends the literal before a gap. Globs do not support gaps of two or more characters, since
    /// characters differ in length.
    fn push_gap(&mut self, min: usize) -> Option<()> {
        let literal = std::mem::take(&mut self.literal);
        if self.prefix.is_none() {
            self.prefix = Some(literal);
            self.gap = min;
        } else if literal.is_empty() {
            self.gap += min;
        } else {
            let finder = Finder::new(&literal).into_owned();
            self.middle.push(Piece { gap: self.gap, finder });
            self.gap = min;
        }
        (self.gap <= 1).then_some(())
    }
}

/// Whether `hir` matches any single character.
fn is_dot(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
        }
        HirKind::Capture(group) => is_dot(&group.sub),
        _ => false,
    }
}
