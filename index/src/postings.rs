//! A set of series.

use m3_metric::SeriesOrdinal;
use roaring::RoaringBitmap;

/// A compressed set of series ordinals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postings(pub(crate) RoaringBitmap);

impl Postings {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first `count` series, which are all series of an index with that many.
    #[must_use]
    pub fn first(count: u32) -> Self {
        let mut bitmap = RoaringBitmap::new();
        bitmap.insert_range(0..count);
        Self(bitmap)
    }

    /// The ordinals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = SeriesOrdinal> + '_ {
        self.0.iter().map(SeriesOrdinal)
    }

    /// The number of series.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `ordinal` is in the set.
    #[must_use]
    pub fn contains(&self, ordinal: SeriesOrdinal) -> bool {
        self.0.contains(ordinal.0)
    }

    /// The series that are in both sets.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// The series that are in either set.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// The series that are in this set but not in `other`.
    #[must_use]
    pub fn and_not(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }
}

impl FromIterator<SeriesOrdinal> for Postings {
    fn from_iter<I: IntoIterator<Item = SeriesOrdinal>>(ordinals: I) -> Self {
        Self(ordinals.into_iter().map(|ordinal| ordinal.0).collect())
    }
}

impl Extend<SeriesOrdinal> for Postings {
    fn extend<I: IntoIterator<Item = SeriesOrdinal>>(&mut self, ordinals: I) {
        self.0.extend(ordinals.into_iter().map(|ordinal| ordinal.0));
    }
}
