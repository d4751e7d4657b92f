//! The compiled matchers of one selector.
//!
//! They are kept in two forms: one by one, to test given labels; and grouped by label name for a
//! search, since several matchers of one name (`{a=~"x.*",a!="xy"}`) need only one pass over its
//! values.
//!
//! Always holds: an absent label has the empty value.

use crate::IndexError;
use crate::dictionary::next_label;
use crate::pattern::{PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX, Pattern, PatternError};
use m3_metric::limits::PATTERNS_COST_MAX;
use m3_metric::{MatchOp, Matcher};

/// Most matchers of one selector.
pub const MATCHERS_MAX: usize = 256;

/// The matchers of one selector. A series matches if it satisfies all of them.
#[derive(Clone, Debug)]
pub struct Matchers {
    /// In order of names.
    each: Vec<Compiled>,
    pub(crate) groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Compiled {
    name: Box<str>,
    pattern: Pattern,
    negated: bool,
}

/// What the matchers of one label require in total. Patterns apply to values that are not empty.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: Box<str>,
    pub(crate) ask: Ask,
}

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// No series matches.
    Never,
    /// The label must be absent.
    Absent,
    /// The label must exist, and its value must match every one of `all` (first the one whose
    /// values are cheapest to find) and none of `none`.
    Present { all: Vec<Pattern>, none: Vec<Pattern> },
    /// As `Present`, or the label must be absent. At least one of the two is not empty.
    Optional { all: Vec<Pattern>, none: Vec<Pattern> },
}

impl Matchers {
    /// Compiles `matchers`. An empty list matches every series.
    ///
    /// # Errors
    /// A regular expression that is invalid or too large; too many matchers.
    pub fn compile(matchers: &[Matcher]) -> Result<Self, IndexError> {
        if matchers.len() > MATCHERS_MAX {
            let count = matchers.len();
            return Err(IndexError::TooManyMatchers { count, max: MATCHERS_MAX });
        }
        let cost = m3_metric::pattern::cost_of_all(matchers);
        if cost > PATTERNS_COST_MAX {
            return Err(IndexError::PatternsTooLarge { cost, max: PATTERNS_COST_MAX });
        }
        let mut each: Vec<Compiled> = matchers.iter().map(compile).collect::<Result<_, _>>()?;
        each.sort_by(|a, b| a.name.cmp(&b.name));
        let groups = each.chunk_by(|a, b| a.name == b.name).filter_map(group).collect();
        Ok(Self { each, groups })
    }

    /// Whether a series with these labels matches. The block must be canonical.
    #[must_use]
    pub fn matches(&self, canonical_labels: &[u8]) -> bool {
        let mut rest = canonical_labels;
        let mut label: (&[u8], &[u8]) = (&[], &[]);
        self.each.iter().all(|matcher| {
            let name = matcher.name.as_bytes();
            // Both are sorted by name, so one pass over the labels is enough.
            while label.0 < name && !rest.is_empty() {
                label = next_label(&mut rest);
            }
            let value = if label.0 == name { label.1 } else { &[] };
            matcher.pattern.is_match(value) != matcher.negated
        })
    }
}

fn compile(matcher: &Matcher) -> Result<Compiled, IndexError> {
    let negated = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
    let pattern = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Pattern::literal(&matcher.value),
        MatchOp::Regex | MatchOp::NotRegex => compile_regex(matcher)?,
    };
    Ok(Compiled { name: matcher.name.as_str().into(), pattern, negated })
}

fn compile_regex(matcher: &Matcher) -> Result<Pattern, IndexError> {
    let label = || matcher.name.clone();
    if matcher.value.len() > PATTERN_BYTES_MAX {
        let bytes = matcher.value.len();
        return Err(IndexError::PatternTooLong { label: label(), bytes, max: PATTERN_BYTES_MAX });
    }
    Pattern::regex(&matcher.value).map_err(|error| match error {
        PatternError::Invalid(reason) => {
            IndexError::PatternInvalid { label: label(), pattern: matcher.value.clone(), reason }
        }
        PatternError::TooLarge => IndexError::PatternTooLarge {
            label: label(),
            pattern: matcher.value.clone(),
            max: PATTERN_COMPILED_BYTES_MAX,
        },
    })
}

/// Combines the matchers of one name; `None` if they require nothing.
fn group(matchers: &[Compiled]) -> Option<Group> {
    let absent_fits = matchers.iter().all(|m| m.pattern.is_match(b"") != m.negated);
    let (mut all, mut none) = (Vec::new(), Vec::new());
    let mut present_fits = true;
    for Compiled { pattern, negated, .. } in matchers {
        let only_empty = matches!(pattern, Pattern::Literal(literal) if literal.is_empty());
        match (pattern, negated) {
            (Pattern::Any | Pattern::NonEmpty, true) => present_fits = false,
            (_, false) if only_empty => present_fits = false,
            (Pattern::Any | Pattern::NonEmpty, false) => {}
            (_, true) if only_empty => {}
            (_, false) => all.push(pattern.clone()),
            (_, true) => none.push(pattern.clone()),
        }
    }
    all.sort_by_cached_key(Pattern::rank);
    let ask = match (present_fits, absent_fits) {
        (false, false) => Ask::Never,
        (false, true) => Ask::Absent,
        (true, false) => Ask::Present { all, none },
        (true, true) if all.is_empty() && none.is_empty() => return None,
        (true, true) => Ask::Optional { all, none },
    };
    Some(Group { name: matchers[0].name.clone(), ask })
}

#[cfg(test)]
mod tests;
