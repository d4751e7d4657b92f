//! What a write tells of its records.

use m3_metric::{CoreId, WriteOutcome};

/// What became of a request's records, and what the sender's core learns from it.
#[derive(Debug, Default)]
pub struct Written {
    /// The count of samples.
    pub counts: WriteOutcome,
    /// Records whose label bytes are no label fields; they are among `counts.bad`.
    pub malformed: u64,
    /// Records that belong to another core, by position, and to which; they are not counted.
    pub misrouted: Vec<(u32, CoreId)>,
    /// Records whose series other cores may from now on call by its ordinal.
    pub known: Vec<KnownRecord>,
}

/// Which series a record was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRecord {
    /// The record's position.
    pub position: u32,
    /// The series' ordinal.
    pub series: u32,
}

impl Written {
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
