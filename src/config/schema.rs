//! Which keys there are, and applying a file by them.
//!
//! A key is a knob, a key of M3's that means nothing here, a key that asks for what this version
//! does not do, or the beginning of one of those. Everything else is refused.
//!
//! M3 has three kinds of files, and the keys at the top tell which one it is. A node's file has the
//! sections `db` and `coordinator`. The file of a coordinator or a query service has no section
//! around its keys: `lookbackDuration` there is our `coordinator.lookbackDuration`. So has an
//! aggregator's. Our own keys may stand in any of them.

use super::error::nearest;
use super::foreign::{IDLE, LATER, NOT_OURS};
use super::yaml::{Entry, Node, Tree};
use super::{Config, ConfigError, KNOBS, Knob, RestrictMatcher, RestrictTags};

/// Restriction of every query; has a shape of its own.
const RESTRICT: &str = "coordinator.query.restrictTags";

/// Sections of a node's file. Where one of them is, no key of another kind of file may be.
const NODE_SECTIONS: &[&str] = &["coordinator", "db", "m3aggregator"];
/// Keys that only an aggregator's file has at its top.
const AGGREGATOR_KEYS: &[&str] = &["aggregator", "kvClient", "m3msg", "rawtcp", "runtimeOptions"];

/// Every known key.
fn keys() -> impl Iterator<Item = &'static str> {
    let knobs = KNOBS.iter().flat_map(|knob| knob.names.iter());
    knobs.chain(IDLE).chain(LATER).copied().chain([RESTRICT])
}

/// Whether a key is known, or begins known ones.
fn is_known(key: &str) -> bool {
    keys().any(|known| {
        known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Applies a file.
pub(super) fn apply(config: &mut Config, tree: &Tree) -> Result<(), ConfigError> {
    Section { home: home(tree), prefix: String::new() }.apply(config, tree)
}

/// Below which section the keys belong that stand at the top of a file and are not ours.
fn home(tree: &Tree) -> &'static str {
    let Node::Map(entries) = &tree.node else { return "" };
    let has = |keys: &[&str]| entries.iter().any(|entry| keys.contains(&entry.key.as_str()));
    if has(NODE_SECTIONS) {
        ""
    } else if has(AGGREGATOR_KEYS) {
        "m3aggregator."
    } else {
        "coordinator."
    }
}

/// A place in a file: the top, or the inside of a key.
struct Section {
    /// What is put before keys of the file that are not known as they stand.
    home: &'static str,
    /// The keys around, as they stand in the file, each with a dot behind it.
    prefix: String,
}

impl Section {
    fn apply(&self, config: &mut Config, tree: &Tree) -> Result<(), ConfigError> {
        let entries = match &tree.node {
            Node::Map(entries) => entries,
            Node::Null => return Ok(()),
            Node::Scalar(_) | Node::List(_) => {
                let key = self.prefix.trim_end_matches('.');
                let key = if key.is_empty() { "the file" } else { key };
                let expected = format!("keys such as {}", self.children().join(", "));
                return Err(bad_value(tree, key, &expected));
            }
        };
        entries.iter().try_for_each(|entry| self.apply_entry(config, entry))
    }

    fn apply_entry(&self, config: &mut Config, entry: &Entry) -> Result<(), ConfigError> {
        let written = format!("{}{}", self.prefix, entry.key);
        let at_home = format!("{}{written}", self.home);
        let Some(key) = [&written, &at_home].into_iter().find(|key| is_known(key)) else {
            return Err(self.unknown(entry, written));
        };
        if let Some(knob) = Knob::of_key(key) {
            return apply_knob(config, knob, &written, &entry.value);
        }
        if key == RESTRICT {
            return read_restriction(&mut config.query.restrict, &written, &entry.value);
        }
        for (kind, named) in [(IDLE, &mut config.idle), (LATER, &mut config.later)] {
            if kind.contains(&key.as_str()) {
                if !named.contains(key) {
                    named.push(key.clone());
                }
                return Ok(());
            }
        }
        let inside = Section { home: self.home, prefix: format!("{written}.") };
        inside.apply(config, &entry.value)
    }

    fn unknown(&self, entry: &Entry, key: String) -> ConfigError {
        let place = entry.place();
        match NOT_OURS.iter().find(|(known, _)| *known == key) {
            Some((_, words)) => ConfigError::NotOurs { place, key, words },
            None => ConfigError::UnknownKey { place, nearest: self.suggest(&entry.key), key },
        }
    }

    /// The keys that may stand directly in this section.
    fn children(&self) -> Vec<&'static str> {
        let at_home = format!("{}{}", self.home, self.prefix);
        let below = |known: &'static str| {
            [&self.prefix, &at_home].map(|prefix| known.strip_prefix(prefix.as_str()))
        };
        let mut names: Vec<&str> =
            keys().flat_map(below).flatten().filter_map(|rest| rest.split('.').next()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A known key that may be meant by `name`: a neighbour that is spelt alike, or one of the same
    /// name elsewhere, such as a coordinator's key at the top of a node's file.
    fn suggest(&self, name: &str) -> Option<String> {
        if let Some(name) = nearest(name, self.children()) {
            return Some(format!("{}{name}", self.prefix));
        }
        keys().find_map(|known| {
            let mut end = 0;
            for part in known.split('.') {
                end += part.len();
                if part.eq_ignore_ascii_case(name) {
                    return Some(known[..end].to_string());
                }
                end += 1;
            }
            None
        })
    }
}

fn apply_knob(
    config: &mut Config,
    knob: &Knob,
    key: &str,
    value: &Tree,
) -> Result<(), ConfigError> {
    let text = match &value.node {
        Node::Null => return Ok(()),
        Node::Scalar(text) => text.clone(),
        // `cores: [0, 1]` reads as well as `cores: 0,1`.
        Node::List(items) if key == "io.cores" => {
            let items: Vec<String> = items.iter().map(Tree::describe).collect();
            items.join(",")
        }
        Node::List(_) | Node::Map(_) => {
            return Err(bad_value(value, key, &knob.expected()));
        }
    };
    match knob.set(config, &text, &value.place()) {
        // Named as it was written, not by the name we prefer.
        Err(ConfigError::BadValue { place, value, expected, .. }) => {
            Err(ConfigError::BadValue { place, key: key.to_string(), value, expected })
        }
        other => other,
    }
}

fn bad_value(tree: &Tree, key: &str, expected: &str) -> ConfigError {
    ConfigError::BadValue {
        place: tree.place(),
        key: key.to_string(),
        value: tree.describe(),
        expected: expected.to_string(),
    }
}

const MATCHER_KINDS: [&str; 6] =
    ["EQUAL", "NOTEQUAL", "REGEXP", "NOTREGEXP", "EXISTS", "NOTEXISTS"];

/// Reads a restriction over the one that files before it gave.
fn read_restriction(
    restriction: &mut Option<RestrictTags>,
    key: &str,
    tree: &Tree,
) -> Result<(), ConfigError> {
    let entries = match &tree.node {
        Node::Null => return Ok(()),
        Node::Map(entries) => entries,
        _ => return Err(bad_value(tree, key, "the keys match and strip")),
    };
    let restriction = restriction.get_or_insert_default();
    for entry in entries {
        match (entry.key.as_str(), &entry.value.node) {
            ("match", Node::List(items)) => {
                let key = format!("{key}.match");
                restriction.matchers =
                    items.iter().map(|item| read_matcher(&key, item)).collect::<Result<_, _>>()?;
            }
            ("strip", Node::List(items)) => {
                restriction.strip = Some(items.iter().map(Tree::describe).collect());
            }
            ("match" | "strip", Node::Null) => {}
            ("match" | "strip", _) => {
                let key = format!("{key}.{}", entry.key);
                return Err(bad_value(&entry.value, &key, "a list"));
            }
            _ => return Err(unknown_in(key, entry, &["match", "strip"])),
        }
    }
    Ok(())
}

fn read_matcher(key: &str, tree: &Tree) -> Result<RestrictMatcher, ConfigError> {
    let expected = "a matcher with name, type and value";
    let Node::Map(entries) = &tree.node else { return Err(bad_value(tree, key, expected)) };
    let mut matcher = RestrictMatcher {
        name: String::new(),
        kind: MATCHER_KINDS[0].to_string(),
        value: String::new(),
    };
    for entry in entries {
        let Node::Scalar(text) = &entry.value.node else {
            return Err(bad_value(&entry.value, &format!("{key}.{}", entry.key), "a text"));
        };
        match entry.key.as_str() {
            "name" => matcher.name.clone_from(text),
            "value" => matcher.value.clone_from(text),
            "type" if MATCHER_KINDS.contains(&text.to_ascii_uppercase().as_str()) => {
                matcher.kind = text.to_ascii_uppercase();
            }
            "type" => {
                let words = format!("one of {}", MATCHER_KINDS.join(", "));
                return Err(bad_value(&entry.value, &format!("{key}.type"), &words));
            }
            _ => return Err(unknown_in(key, entry, &["name", "type", "value"])),
        }
    }
    if matcher.name.is_empty() {
        return Err(bad_value(tree, key, expected));
    }
    Ok(matcher)
}

fn unknown_in(section: &str, entry: &Entry, known: &[&'static str]) -> ConfigError {
    ConfigError::UnknownKey {
        place: entry.place(),
        key: format!("{section}.{}", entry.key),
        nearest: nearest(&entry.key, known.iter().copied()).map(|name| format!("{section}.{name}")),
    }
}
