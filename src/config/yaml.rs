//! YAML with its variables replaced, as a tree that knows where each part stands.
//!
//! `${VAR}`, `${VAR:default}` and `${VAR:"default"}` are replaced in the text before it is parsed,
//! as M3 does, so that a default in quotes is a YAML string; `$${` stands for `${` itself.

use std::fmt;
use std::path::Path;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{ConfigError, FILE_BYTES_MAX, Place};

/// A part of a configuration and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    file: Rc<Path>,
    line: u64,
    pub(super) node: Node,
}

/// What a part is. Scalars are kept as text: the setting knows what it wants to read.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Scalar(String),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

/// A key and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    line: u64,
    pub(super) value: Tree,
}

impl Tree {
    /// Where the part stands.
    pub(super) fn place(&self) -> Place {
        Place::File { file: self.file.to_path_buf(), line: self.line }
    }

    /// What the part is, for an error.
    pub(super) fn describe(&self) -> String {
        match &self.node {
            Node::Null => "nothing".to_string(),
            Node::Scalar(text) => text.clone(),
            Node::List(_) => "a list".to_string(),
            Node::Map(_) => "keys".to_string(),
        }
    }
}

impl Entry {
    /// Where the key stands.
    pub(super) fn place(&self) -> Place {
        Place::File { file: self.value.file.to_path_buf(), line: self.line }
    }
}

/// The tree of a file's text.
pub(super) fn parse(
    file: &Path,
    text: &str,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Tree, ConfigError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(ConfigError::Yaml {
            place: Place::File { file: file.to_path_buf(), line: 1 },
            reason: format!("{} bytes, the limit is {FILE_BYTES_MAX}", text.len()),
        });
    }
    let text = replace_variables(file, text, env)?;
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed: Spanned<Raw> =
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            let words = error.to_string();
            let reason = match words.lines().next().unwrap_or_default() {
                // The parser goes on to name its own functions.
                many if many.contains("multiple YAML documents") => {
                    "a second document begins here, and a configuration is one; give each in a \
                     file of its own"
                }
                other => other,
            };
            let place = Place::File { file: file.to_path_buf(), line };
            ConfigError::Yaml { place, reason: reason.to_string() }
        })?;
    Ok(located(&Rc::from(file), parsed))
}

fn located(file: &Rc<Path>, part: Spanned<Raw>) -> Tree {
    let line = part.referenced.line();
    let node = match part.value {
        Raw::Null => Node::Null,
        Raw::Scalar(text) => Node::Scalar(text),
        Raw::List(items) => Node::List(items.into_iter().map(|item| located(file, item)).collect()),
        Raw::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    line: key.referenced.line(),
                    key: key.value,
                    value: located(file, value),
                })
                .collect(),
        ),
    };
    Tree { file: Rc::clone(file), line, node }
}

/// Any YAML.
enum Raw {
    Null,
    Scalar(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys, a list or a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// The text with its variables replaced. A variable in a comment is left alone.
fn replace_variables(
    file: &Path,
    text: &str,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<String, ConfigError> {
    let mut replaced = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let place = || Place::File { file: file.to_path_buf(), line: index as u64 + 1 };
        let mut rest = line;
        while let Some(start) = rest.find("${") {
            let (before, after) = rest.split_at(start);
            if is_comment(line, line.len() - after.len()) {
                break;
            }
            if let Some(before) = before.strip_suffix('$') {
                replaced.push_str(before);
                replaced.push_str("${");
                rest = &after[2..];
                continue;
            }
            let Some(end) = after.find('}') else {
                let reason = "a variable starts with ${ and has no }".to_string();
                return Err(ConfigError::Yaml { place: place(), reason });
            };
            replaced.push_str(before);
            let (name, default) = match after[2..end].split_once(':') {
                Some((name, default)) => (name, Some(default)),
                None => (&after[2..end], None),
            };
            match env(name).or_else(|| default.map(str::to_string)) {
                Some(value) => replaced.push_str(&value),
                None => {
                    return Err(ConfigError::Variable { place: place(), name: name.to_string() });
                }
            }
            rest = &after[end + 1..];
        }
        replaced.push_str(rest);
    }
    Ok(replaced)
}

/// Whether byte `at` of the line is behind a `#` that begins a comment.
fn is_comment(line: &str, at: usize) -> bool {
    let mut quote = None;
    let mut before = ' ';
    for character in line[..at].chars() {
        match (quote, character) {
            (None, '#') if before.is_whitespace() => return true,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
        before = character;
    }
    false
}
