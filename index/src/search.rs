//! Finds the series that match a set of matchers.
//!
//! Labels that can be looked up come first, the shortest list before longer ones. If the result
//! becomes empty, the search ends before it scans any values. Scans come next; they skip values
//! whose series are all excluded already. Negative matchers come last.
//!
//! Always holds: only the first list of a search is copied.

mod gather;

pub(crate) use gather::{Among, Found, Gather};

use crate::Index;
use crate::dictionary::Name;
use crate::matchers::{Ask, Group, Matchers};
use crate::pattern::{Pattern, Reach};
use crate::postings::Postings;
use roaring::RoaringBitmap;

/// From this many values of a name on, a scan first checks whether a value's series are still of
/// interest. With fewer values, preparing the check costs more than it saves.
const SCAN_FILTER_MIN: usize = 1024;

/// A group of matchers with the name it applies to.
struct Step<'a> {
    number: u32,
    name: &'a Name,
    ask: &'a Ask,
}

/// The series that still match; `None` means all.
#[derive(Default)]
struct Remaining(Option<RoaringBitmap>);

impl Index {
    /// The series that match, ascending.
    #[must_use]
    pub fn search(&self, matchers: &Matchers) -> Postings {
        self.search_steps(&matchers.groups).unwrap_or_default()
    }

    /// Returns `None` if it finds early that no series matches.
    fn search_steps(&self, groups: &[Group]) -> Option<Postings> {
        let steps = self.steps(groups)?;
        let mut found = Vec::new();
        let mut scans = Vec::new();
        for step in &steps {
            match step.ask {
                Ask::Present { all, none } => match all.first().map(Pattern::reach) {
                    None => found.push(self.present(step.name)),
                    Some(Reach::Literals(_)) => {
                        found.push(self.matching(step, all, none, None).finish());
                    }
                    Some(Reach::Prefixes { .. }) => scans.insert(0, (step, all, none)),
                    Some(Reach::Scan) => scans.push((step, all, none)),
                },
                Ask::Never | Ask::Absent | Ask::Optional { .. } => {}
            }
        }
        found.sort_by_cached_key(Found::len);
        let mut left = Remaining::default();
        for found in found {
            left.and(found)?;
        }
        for (step, all, none) in scans {
            let among = left.among(step.name, self.count);
            let found = self.matching(step, all, none, among.as_ref()).finish();
            left.and(found)?;
        }
        for step in &steps {
            self.exclude(step, &mut left)?;
        }
        Some(left.finish(self.count))
    }

    /// The steps for names that exist; `None` if a required name does not exist.
    fn steps<'a>(&'a self, groups: &'a [Group]) -> Option<Vec<Step<'a>>> {
        let mut steps = Vec::with_capacity(groups.len());
        for group in groups {
            match (&group.ask, self.dictionary.find_name(group.name.as_bytes())) {
                (Ask::Never, _) | (Ask::Present { .. }, None) => return None,
                (ask, Some(number)) => {
                    let name = &self.dictionary.names[number as usize];
                    steps.push(Step { number, name, ask });
                }
                (Ask::Absent | Ask::Optional { .. }, None) => {}
            }
        }
        Some(steps)
    }

    /// Removes the series that `step` excludes.
    fn exclude(&self, step: &Step<'_>, left: &mut Remaining) -> Option<()> {
        match step.ask {
            Ask::Never => None,
            Ask::Absent => left.and_not(self.present(step.name), self.count),
            Ask::Present { all, none } if all.is_empty() => self.exclude_any(step, none, left),
            Ask::Present { .. } => Some(()),
            Ask::Optional { all, none } if all.is_empty() => self.exclude_any(step, none, left),
            Ask::Optional { all, none } => {
                let among = left.among(step.name, self.count);
                let fits = self.matching(step, all, none, among.as_ref()).finish();
                left.and_not_but(self.present(step.name), fits, self.count)
            }
        }
    }

    /// Removes the series whose value matches any of `patterns`.
    fn exclude_any(
        &self,
        step: &Step<'_>,
        patterns: &[Pattern],
        left: &mut Remaining,
    ) -> Option<()> {
        for pattern in patterns {
            let among = match pattern.reach() {
                Reach::Literals(_) => None,
                Reach::Prefixes { .. } | Reach::Scan => left.among(step.name, self.count),
            };
            let one = std::slice::from_ref(pattern);
            let found = self.matching(step, one, &[], among.as_ref()).finish();
            left.and_not(found, self.count)?;
        }
        Some(())
    }

    /// The series that have `name`.
    fn present(&self, name: &Name) -> Found<'_> {
        let mut gather = Gather::new(self.count);
        gather.add(self.tails.parts(name.present));
        gather.finish()
    }

    /// The series whose value for the step's name matches all of `all` (not empty) and none of
    /// `none`. Series outside of `among` may be left out.
    fn matching(
        &self,
        step: &Step<'_>,
        all: &[Pattern],
        none: &[Pattern],
        among: Option<&Among<'_>>,
    ) -> Gather<'_> {
        let dictionary = &self.dictionary;
        let mut gather = Gather::new(self.count);
        let (first, others) = all.split_first().expect("a search for values has a pattern");
        let fits = |value: &[u8]| {
            others.iter().all(|p| p.is_match(value)) && !none.iter().any(|p| p.is_match(value))
        };
        let alone = others.is_empty() && none.is_empty();
        let mut scan = |number: u32, first_fits: bool| {
            let pair = dictionary.pair(number);
            if among.is_some_and(|among| among.surely_misses(pair.list)) {
                return;
            }
            if !(first_fits && alone) {
                let value = dictionary.bytes(pair.value);
                if !(first_fits || first.is_match(value)) || !fits(value) {
                    return;
                }
            }
            gather.add(self.tails.parts(pair.list));
        };
        match first.reach() {
            Reach::Literals(literals) => {
                for literal in literals {
                    if let Some(pair) = dictionary.find_pair(step.number, literal)
                        && fits(literal)
                    {
                        gather.add(self.tails.parts(pair.list));
                    }
                }
            }
            Reach::Prefixes { prefixes, enough } => {
                let text = |number| dictionary.value(number);
                step.name.order.borrow_mut().sort_some(text);
                let order = step.name.order.borrow();
                for prefix in prefixes {
                    order.with_prefix(prefix, text, |number| scan(number, enough));
                }
            }
            Reach::Scan => {
                step.name.order.borrow().pairs().iter().for_each(|&number| scan(number, false));
            }
        }
        gather
    }
}

impl Remaining {
    fn and(&mut self, found: Found<'_>) -> Option<()> {
        self.0 = Some(match self.0.take() {
            None => found.into_owned(),
            Some(left) => found.and(&left),
        });
        self.alive()
    }

    fn and_not(&mut self, found: Found<'_>, count: u32) -> Option<()> {
        found.take_from(self.0.get_or_insert_with(|| Postings::first(count).0));
        self.alive()
    }

    /// Removes what is in `found` but not in `fits`.
    fn and_not_but(&mut self, found: Found<'_>, fits: Found<'_>, count: u32) -> Option<()> {
        let left = self.0.get_or_insert_with(|| Postings::first(count).0);
        let kept = fits.and(left);
        found.take_from(left);
        *left |= kept;
        self.alive()
    }

    fn alive(&self) -> Option<()> {
        self.0.as_ref().is_none_or(|left| !left.is_empty()).then_some(())
    }

    /// The set for checking whether a value's series are still of interest, if that pays off for a
    /// scan of `name`.
    fn among(&self, name: &Name, count: u32) -> Option<Among<'_>> {
        let values = name.order.borrow().pairs().len();
        let left = self.0.as_ref()?;
        (values >= SCAN_FILTER_MIN && left.len() < u64::from(count))
            .then(|| Among::new(left, count))
    }

    fn finish(self, count: u32) -> Postings {
        self.0.map_or_else(|| Postings::first(count), Postings)
    }
}
