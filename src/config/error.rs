//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file, at a line from 1.
    File {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
    },
    /// On the command line, as this flag.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The command line cannot be read.
    Usage(String),
    /// A file cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// A file is not YAML.
    Yaml {
        /// Where.
        place: Place,
        /// What does not fit.
        reason: String,
    },
    /// A `${VARIABLE}` without a default is not set.
    Variable {
        /// Where.
        place: Place,
        /// Its name.
        name: String,
    },
    /// A key that nobody knows.
    UnknownKey {
        /// Where.
        place: Place,
        /// The key with the keys above it.
        key: String,
        /// A known key that may be meant.
        nearest: Option<String>,
    },
    /// A key that shows the file to be another program's.
    NotOurs {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What the file is, and what to do.
        words: &'static str,
    },
    /// A value that a key does not take.
    BadValue {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// Settings that do not go together.
    Contradiction(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(words) => write!(f, "{words}; m3ring --help shows what there is"),
            Self::Read { file, reason } => write!(f, "cannot read {}: {reason}", file.display()),
            Self::Yaml { place, reason } => write!(f, "{place}: not YAML: {reason}"),
            Self::Variable { place, name } => write!(
                f,
                "{place}: the variable {name} is not set; set it, or give a default as in \
                 ${{{name}:default}}"
            ),
            Self::UnknownKey { place, key, nearest } => {
                write!(f, "{place}: unknown key {key}")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => f.write_str("; m3ring config prints the keys there are"),
                }
            }
            Self::NotOurs { place, key, words } => {
                write!(f, "{place}: unknown key {key}; this is {words}")
            }
            Self::BadValue { place, key, value, expected } => {
                write!(f, "{place}: {key} is {value:?}, expected {expected}")
            }
            Self::Contradiction(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// The candidate that `given` is most likely a misspelling of.
pub(super) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    let allowed = (given.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&given, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be added, removed, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let differs = usize::from(left[i - 1] != right[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + differs);
            let is_swap =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if is_swap {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}
