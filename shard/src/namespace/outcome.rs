//! The outcome of a write.

use m3_metric::{CoreId, WriteOutcome};

/// The outcome of a request's records, for the sender's core.
#[derive(Debug, Default)]
pub struct StoreOutcome {
    /// The count of samples.
    pub counts: WriteOutcome,
    /// Records whose label bytes are invalid; they are included in `counts.bad`.
    pub malformed: u64,
    /// Positions of records that belong to another core, with that core; they are not counted.
    pub misrouted: Vec<(u32, CoreId)>,
    /// Records whose series other cores may refer to by ordinal from now on.
    pub known: Vec<KnownRecord>,
}

/// The series of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRecord {
    /// The position of the record.
    pub position: u32,
    /// The ordinal of the series.
    pub series: u32,
}

impl StoreOutcome {
    /// Adds what became of the records from position `begin` on.
    pub fn absorb(&mut self, part: Self, begin: usize) {
        let begin = u32::try_from(begin).expect("records of a request are bounded");
        self.counts += part.counts;
        self.malformed += part.malformed;
        self.misrouted.extend(part.misrouted.iter().map(|(at, core)| (begin + at, *core)));
        let shift =
            |known: &KnownRecord| KnownRecord { position: begin + known.position, ..*known };
        self.known.extend(part.known.iter().map(shift));
    }

    /// Counts a record whose label bytes are no label fields.
    pub(super) fn refuse_labels(&mut self, why: String) {
        self.malformed += 1;
        self.counts.bad.add(1, why);
    }
}
