//! What a write tells of its records.

use m3_metric::CoreId;

/// What became of a request's records.
#[derive(Debug, Default)]
pub struct WriteOutcome {
    /// Samples stored (or stored already, bit for bit).
    pub accepted: u64,
    /// Samples refused because of their time.
    pub refused: u64,
    /// Why the last of them was.
    pub last_refusal: Option<String>,
    /// Records whose label bytes are no labels, by position, and why the last is not.
    pub malformed: Vec<u32>,
    /// Why the last malformed one is.
    pub last_malformed: Option<String>,
    /// Samples of new series that the limit of series has no room for.
    pub exhausted: u64,
    /// Records that belong to another core, by position, and to which.
    pub misrouted: Vec<(u32, CoreId)>,
    /// Records whose series other cores may from now on call by its ordinal.
    pub found: Vec<Found>,
}

/// Which series a record was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The record's position.
    pub position: u32,
    /// The series' ordinal.
    pub series: u32,
}

impl WriteOutcome {
    /// Adds the outcome of the records from position `begin` on.
    pub fn absorb(&mut self, part: Self, begin: usize) {
        let begin = u32::try_from(begin).expect("records of a request are bounded");
        self.accepted += part.accepted;
        self.refused += part.refused;
        self.last_refusal = part.last_refusal.or(self.last_refusal.take());
        self.malformed.extend(part.malformed.iter().map(|at| begin + at));
        self.last_malformed = part.last_malformed.or(self.last_malformed.take());
        self.exhausted += part.exhausted;
        self.misrouted.extend(part.misrouted.iter().map(|(at, core)| (begin + at, *core)));
        let shift = |found: &Found| Found { position: begin + found.position, ..*found };
        self.found.extend(part.found.iter().map(shift));
    }
}
