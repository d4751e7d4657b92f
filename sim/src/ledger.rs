//! The ledger: what was sent and what was acknowledged. It judges what is read.
//!
//! There are three promises: what was acknowledged can be read, what can be read was sent, and the
//! last write of a timestamp wins. A write without an answer may or may not be stored; both are
//! right, until a later write of the same timestamp is acknowledged.

use std::collections::BTreeMap;

/// A series and a time in milliseconds.
pub type Place = (u32, i64);

/// The state of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It is in flight.
    Sent,
    /// The node has acknowledged it.
    Acked,
    /// It got no answer.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    value: u64,
    word: Word,
}

/// All writes of one place, in order.
#[derive(Clone, Debug, Default)]
struct Writes {
    attempts: Vec<Attempt>,
    /// The life of the node in which a write got no answer. It may still take effect in that life.
    unsettled: Option<u64>,
}

impl Writes {
    /// The first write that may be the stored one; `None` if it is possible that nothing is stored.
    fn floor(&self) -> Option<usize> {
        self.attempts.iter().rposition(|attempt| attempt.word == Word::Acked)
    }
}

/// The writes of one incarnation of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    places: BTreeMap<Place, Writes>,
    /// Acknowledged samples.
    pub acked: u64,
}

/// What was acknowledged when a read was sent; the read is judged by it.
#[derive(Clone, Debug)]
pub struct Before(BTreeMap<Place, Option<usize>>);

impl Ledger {
    /// Records that `value` is sent for `place` in `life`. Returns false and records nothing if an
    /// earlier write of the place may still take effect, since their order would be unknown.
    pub fn send(&mut self, place: Place, value: u64, life: u64) -> bool {
        let writes = self.places.entry(place).or_default();
        let is_open = writes.attempts.iter().any(|attempt| attempt.word == Word::Sent);
        if is_open || writes.unsettled == Some(life) {
            return false;
        }
        writes.attempts.push(Attempt { value, word: Word::Sent });
        true
    }

    /// Records that `value`, which may or may not be stored, is sent for `place` again. Returns
    /// false and records nothing if another value was sent since.
    pub fn repeat(&mut self, place: Place, value: u64) -> bool {
        let Some(writes) = self.places.get_mut(&place) else { return false };
        let last = writes.attempts.last();
        let may = last.is_some_and(|last| last.value == value && last.word == Word::Unknown);
        if may {
            writes.attempts.push(Attempt { value, word: Word::Sent });
        }
        may
    }

    fn settle(&mut self, place: Place, word: Word) -> Option<&mut Writes> {
        let writes = self.places.get_mut(&place)?;
        let open = writes.attempts.iter_mut().find(|attempt| attempt.word == Word::Sent)?;
        open.word = word;
        Some(writes)
    }

    /// The write of `place` was acknowledged.
    pub fn acked(&mut self, place: Place) {
        self.acked += 1;
        self.settle(place, Word::Acked);
    }

    /// The write of `place` got no answer in `life`.
    pub fn unknown(&mut self, place: Place, life: u64) {
        if let Some(writes) = self.settle(place, Word::Unknown) {
            writes.unsettled = Some(life);
        }
    }

    /// The write of `place` was refused, so it must never be read.
    pub fn refused(&mut self, place: Place) {
        if let Some(writes) = self.places.get_mut(&place) {
            writes.attempts.retain(|attempt| attempt.word != Word::Sent);
        }
    }

    /// What a read that is sent now must find.
    #[must_use]
    pub fn before(&self) -> Before {
        Before(self.places.iter().map(|(place, writes)| (*place, writes.floor())).collect())
    }

    /// Judges what a read found, for every series of the namespace that `covers`. Returns the
    /// number of compared samples.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(
        &self,
        before: &Before,
        found: &BTreeMap<Place, u64>,
        covers: impl Fn(u32) -> bool,
    ) -> Result<u64, String> {
        for (place, value) in found {
            let (series, ms) = place;
            let Some(writes) = self.places.get(place) else {
                return Err(format!("series {series} at {ms}: {value} was never sent"));
            };
            let floor = before.0.get(place).copied().flatten().unwrap_or(0);
            let may_be = &writes.attempts[floor.min(writes.attempts.len())..];
            if !may_be.iter().any(|attempt| attempt.value == *value) {
                return Err(format!(
                    "series {series} at {ms}: {value} is read, of the writes {:?}, of which number \
                     {floor} was acknowledged before the read",
                    writes.attempts
                ));
            }
        }
        for (place, floor) in before.0.iter().filter(|(place, _)| covers(place.0)) {
            if floor.is_some() && !found.contains_key(place) {
                let (series, ms) = place;
                return Err(format!(
                    "series {series} at {ms} was acknowledged and is lost: {:?}",
                    self.places.get(place).map(|writes| &writes.attempts)
                ));
            }
        }
        Ok(found.len() as u64)
    }
}
