//! What a matcher requires of a value, in the cheapest form that can test it.
//!
//! Most regular expressions in dashboards are a literal, a list of literals, or literals with `.*`
//! between them. These are recognized in the syntax tree here and never become an automaton:
//! literals are looked up, [`Glob`]s are compared and searched for.
//!
//! Always holds: a pattern must match the whole value, and `.` matches a newline.

mod glob;
mod literals;

pub(crate) use glob::Glob;

use crate::dialect;
use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

/// Most bytes of one regular expression.
pub const PATTERN_BYTES_MAX: usize = m3_metric::limits::QUERY_BYTES_MAX;
/// Most bytes of a compiled regular expression. `\w{1000}` with Unicode classes would take more,
/// but nothing sensible does.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 10 << 20;
/// Most literals of a regular expression that are looked up one by one.
pub const LITERAL_SET_MAX: usize = 16_384;
/// Most bytes of these literals together.
pub const LITERAL_SET_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of groups.
const NEST_MAX: u32 = 250;
/// Most alternatives that are tried one by one instead of as an automaton.
const GLOBS_MAX: usize = 16;

/// What a value must be.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Any value: `.*`.
    Any,
    /// Any value that is not empty: `.+`.
    NonEmpty,
    /// This value.
    Literal(Box<[u8]>),
    /// One of these, sorted.
    Set(Box<[Box<[u8]>]>),
    /// A value that matches one of these.
    Globs(Box<[Glob]>),
    /// A value that the automaton accepts.
    Regex(Box<Automaton>),
}

/// A regular expression that has no simpler form.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    /// The prefix of every match.
    prefix: Box<[u8]>,
    /// A text that every match contains. It is searched first, at a fifth of the cost of the
    /// automaton.
    required: Option<Finder<'static>>,
    regex: Regex,
}

/// Why a pattern cannot be compiled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PatternError {
    Invalid(String),
    TooLarge,
}

impl Pattern {
    pub(crate) fn literal(value: &str) -> Self {
        Self::Literal(value.as_bytes().into())
    }

    /// Compiles a regular expression in Go's syntax, anchored at both ends.
    pub(crate) fn regex(pattern: &str) -> Result<Self, PatternError> {
        if let Some(set) = literals::plain(pattern) {
            return Ok(Self::of_set(set));
        }
        let translated = dialect::translate(pattern).map_err(PatternError::Invalid)?;
        let hir = ParserBuilder::new()
            .utf8(false)
            .dot_matches_new_line(true)
            .nest_limit(NEST_MAX)
            .build()
            .parse(&translated)
            .map_err(|error| PatternError::Invalid(reason(pattern, &error)))?;
        let hir = literals::without_anchors(&hir);
        match Self::simple(&hir) {
            Some(simple) => Ok(simple),
            None => Automaton::compile(&hir, &translated).map(|a| Self::Regex(Box::new(a))),
        }
    }

    fn of_set(mut set: Vec<Box<[u8]>>) -> Self {
        if set.len() == 1 { Self::Literal(set.remove(0)) } else { Self::Set(set.into()) }
    }

    fn simple(hir: &Hir) -> Option<Self> {
        if let Some(set) = literals::set(hir) {
            return Some(Self::of_set(set));
        }
        let branches = match hir.kind() {
            HirKind::Alternation(branches) if branches.len() <= GLOBS_MAX => branches.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let globs: Vec<Glob> = branches.iter().map(Glob::of).collect::<Option<_>>()?;
        if globs.iter().any(Glob::is_any) {
            return Some(Self::Any);
        }
        match globs.as_slice() {
            [one] if one.is_non_empty() => Some(Self::NonEmpty),
            _ => Some(Self::Globs(globs.into())),
        }
    }

    /// Whether `value` matches.
    #[inline]
    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::NonEmpty => !value.is_empty(),
            Self::Literal(literal) => **literal == *value,
            Self::Set(set) => set.binary_search_by(|literal| (**literal).cmp(value)).is_ok(),
            Self::Globs(globs) => globs.iter().any(|glob| glob.is_match(value)),
            Self::Regex(automaton) => automaton.is_match(value),
        }
    }

    /// Which values may match: those in a list, those with one of some prefixes, or any.
    pub(crate) fn reach(&self) -> Reach<'_> {
        match self {
            Self::Any | Self::NonEmpty => Reach::Scan,
            Self::Literal(literal) => Reach::Literals(std::slice::from_ref(literal)),
            Self::Set(set) => Reach::Literals(set),
            Self::Globs(globs) if globs.iter().all(|glob| !glob.prefix().is_empty()) => {
                let prefixes = disjoint(globs.iter().map(Glob::prefix).collect());
                Reach::Prefixes { prefixes, enough: globs.iter().all(Glob::is_prefix) }
            }
            Self::Regex(automaton) if !automaton.prefix.is_empty() => {
                Reach::Prefixes { prefixes: vec![&automaton.prefix], enough: false }
            }
            Self::Globs(_) | Self::Regex(_) => Reach::Scan,
        }
    }

    /// The cost of finding the values that match; lower is cheaper.
    pub(crate) fn rank(&self) -> usize {
        match self.reach() {
            Reach::Literals(literals) => literals.len(),
            Reach::Prefixes { prefixes, .. } => LITERAL_SET_MAX + prefixes.len(),
            Reach::Scan => 2 * LITERAL_SET_MAX,
        }
    }
}

/// Which values may match a pattern.
pub(crate) enum Reach<'a> {
    /// Only these, and all of them match.
    Literals(&'a [Box<[u8]>]),
    /// Those that begin with one of these prefixes, none of which begins with another. If that is
    /// `enough`, all of them match.
    Prefixes { prefixes: Vec<&'a [u8]>, enough: bool },
    /// Any value.
    Scan,
}

/// `prefixes` without those that begin with another of them.
fn disjoint(mut prefixes: Vec<&[u8]>) -> Vec<&[u8]> {
    prefixes.sort_unstable();
    // After sorting, texts that begin with a prefix directly follow it.
    prefixes.dedup_by(|next, kept| next.starts_with(kept));
    prefixes
}

impl Automaton {
    fn compile(hir: &Hir, translated: &str) -> Result<Self, PatternError> {
        let regex = RegexBuilder::new(&format!("^(?s:{translated})$"))
            .nest_limit(NEST_MAX + 1)
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
                other => PatternError::Invalid(last_line(&other.to_string())),
            })?;
        let (prefix, required) = literals::required(hir);
        let required = required.map(|literal| Finder::new(&literal).into_owned());
        Ok(Self { prefix, required, regex })
    }

    fn is_match(&self, value: &[u8]) -> bool {
        value.starts_with(&self.prefix)
            && self.required.as_ref().is_none_or(|finder| finder.find(value).is_some())
            && self.regex.is_match(value)
    }
}

/// The parser's error for a pattern that [`dialect::translate`] accepted.
fn reason(pattern: &str, error: &regex_syntax::Error) -> String {
    let kind = match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => last_line(&other.to_string()),
    };
    format!("{kind}: `{pattern}`")
}

/// The line of a multi-line error that says what is wrong.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text);
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests;
