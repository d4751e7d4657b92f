//! The state of an embedded store: the values of each key, current and earlier. Pure.
//!
//! A change creates a new table, which shares its values with the old one. The store switches to it
//! when it is durable, so a reader never sees a change that a crash could undo.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::Versioned;
use crate::Error;
use crate::limits::{
    HISTORY_BYTES_PER_KEY_MAX, KEY_BYTES_MAX, KEYS_MAX, VALUE_BYTES_MAX, VERSIONS_PER_KEY_MAX,
};

/// All keys with their kept versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// The revision of the latest change.
    pub(super) revision: u64,
    /// The versions of each key, oldest first; never empty.
    pub(super) keys: BTreeMap<Rc<str>, VecDeque<Versioned>>,
}

/// A change to the table.
pub(super) enum Change {
    /// Set a key; if `expected` is given, only at that version.
    Set { key: String, value: Vec<u8>, expected: Option<u64> },
    /// Delete a key.
    Delete { key: String },
}

impl Table {
    /// The current value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Versioned> {
        self.keys.get(key).and_then(VecDeque::back)
    }

    /// The value that `key` had at `version`, if it is still kept.
    pub(super) fn get_version(&self, key: &str, version: u64) -> Option<&Versioned> {
        self.keys.get(key)?.iter().find(|kept| kept.version == version)
    }

    /// Keys that start with `prefix`, in order.
    pub(super) fn list(&self, prefix: &str) -> Vec<(String, Versioned)> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        self.keys
            .range::<str, _>(from)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(key, versions)| Some((key.to_string(), versions.back()?.clone())))
            .collect()
    }

    /// The table after `change`, and the version of the changed key in it (0 after a delete).
    pub(super) fn with(&self, change: Change) -> Result<(Self, u64), Error> {
        let mut next = self.clone();
        next.revision += 1;
        match change {
            Change::Set { key, value, expected } => {
                check_key(&key)?;
                check("bytes of the value", value.len(), VALUE_BYTES_MAX)?;
                let found = self.get(&key).map_or(0, |current| current.version);
                if let Some(expected) = expected
                    && expected != found
                {
                    return Err(Error::Conflict { key, expected, found });
                }
                let versions = next.keys.entry(Rc::from(key)).or_default();
                versions.push_back(Versioned {
                    value: Rc::from(value),
                    version: found + 1,
                    revision: next.revision,
                });
                forget_oldest(versions);
                check("keys in the store", next.keys.len(), KEYS_MAX)?;
                Ok((next, found + 1))
            }
            Change::Delete { key } => {
                next.keys.remove(key.as_str());
                Ok((next, 0))
            }
        }
    }
}

/// Drops the oldest versions until both bounds are met; the current one stays.
fn forget_oldest(versions: &mut VecDeque<Versioned>) {
    let earlier = versions.len().saturating_sub(1);
    let mut bytes: usize = versions.iter().take(earlier).map(|kept| kept.value.len()).sum();
    while versions.len() > 1
        && (versions.len() > VERSIONS_PER_KEY_MAX || bytes > HISTORY_BYTES_PER_KEY_MAX)
    {
        if let Some(oldest) = versions.pop_front() {
            bytes -= oldest.value.len();
        }
    }
}

/// Refuses keys that are not allowed.
pub(super) fn check_key(key: &str) -> Result<(), Error> {
    let reason = if key.is_empty() {
        "a key has at least one byte"
    } else if key.chars().any(char::is_control) {
        "a key has no control characters"
    } else {
        return check("bytes of the key", key.len(), KEY_BYTES_MAX);
    };
    Err(Error::BadKey { key: key.to_string(), reason })
}

/// Refuses sizes above their bound.
pub(super) fn check(what: &'static str, size: usize, max: usize) -> Result<(), Error> {
    if size > max { Err(Error::TooLarge { what, size, max }) } else { Ok(()) }
}
