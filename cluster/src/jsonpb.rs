//! The JSON form of M3's protobuf messages, driven by a table of fields for each message.
//!
//! [`read`] checks a JSON value against a [`MessageSchema`] and returns its canonical form: every
//! field present and in order, lowerCamelCase, 64-bit integers as strings, enums by name, missing
//! messages as `null`. M3 answers in exactly this form, so a document is stored and shown as
//! [`read`] returns it. Input may use `snake_case`, numbers as strings, and enums as numbers.
//!
//! Always holds: reading the canonical form again changes nothing. A field that the message does
//! not have is an error that names both. No input causes a panic.

use serde_json::{Map, Number, Value};

use m3_metric::go_duration;
use m3_metric::quote::quote;

/// A message: its name for errors, and its fields in order of output.
#[derive(Debug)]
pub struct MessageSchema {
    /// M3's name for it, as in `unknown field "x" in <name>`.
    pub name: &'static str,
    /// Fields in order of output.
    pub fields: &'static [Field],
}

/// A field: its lowerCamelCase name and what it holds.
#[derive(Debug)]
pub struct Field {
    /// lowerCamelCase, as in output.
    pub name: &'static str,
    /// What the field holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug)]
pub enum Kind {
    /// `false` if missing.
    Bool,
    /// 0 if missing.
    Int32,
    /// 0 if missing.
    UInt32,
    /// A string of digits in output; "0" if missing.
    Int64,
    /// 0 if missing.
    Double,
    /// Empty if missing.
    Text,
    /// One of these names, the first if missing; input may give its position instead.
    Enum(&'static [&'static str]),
    /// A `google.protobuf.BoolValue`: a bare bool, `null` if missing.
    BoolValue,
    /// A `google.protobuf.DoubleValue`: a bare number, `null` if missing.
    DoubleValue,
    /// A `google.protobuf.UInt32Value`: a bare number, `null` if missing.
    UInt32Value,
    /// A message, `null` if missing.
    MessageSchema(&'static MessageSchema),
    /// A list of messages, empty if missing.
    List(&'static MessageSchema),
    /// A list of strings, empty if missing.
    Texts,
    /// A list of 32-bit numbers, empty if missing.
    UInt32s,
    /// A map from names to messages, empty if missing; sorted in output.
    MapOf(&'static MessageSchema),
    /// A map from names to strings, empty if missing; sorted in output.
    MapOfText,
    /// Any JSON, `null` if missing.
    Any,
}

/// A field of a message table.
#[must_use]
pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

/// What is wrong with a document, for the person who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDocument(pub String);

impl std::fmt::Display for BadDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadDocument {}

/// Parses `body` as JSON.
///
/// # Errors
/// Line and column of the first syntax error.
pub fn parse(body: &[u8]) -> Result<Value, BadDocument> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(BadDocument("the body is empty, expected a JSON object".to_string()));
    }
    serde_json::from_slice(body)
        .map_err(|error| BadDocument(format!("the body is not JSON: {error}")))
}

/// The canonical form of `value` as a `message`.
///
/// # Errors
/// The first field that is unknown, given twice or of the wrong kind.
pub fn read(value: &Value, message: &MessageSchema) -> Result<Map<String, Value>, BadDocument> {
    // As in protobuf's JSON, null is a message without fields.
    let no_fields = Map::new();
    let given = if value.is_null() { Some(&no_fields) } else { value.as_object() };
    let Some(given) = given else {
        return Err(BadDocument(format!(
            "{} is a JSON object, found {}",
            message.name,
            describe(value)
        )));
    };
    // Checked first, so that a misspelled field is reported before the errors that its absence
    // causes.
    for name in given.keys() {
        if !message.fields.iter().any(|field| is_name_of(name, field.name)) {
            return Err(BadDocument(format!("unknown field {} in {}", quote(name), message.name)));
        }
    }
    let mut canonical = Map::with_capacity(message.fields.len());
    for field in message.fields {
        let mut values = given.iter().filter(|(name, _)| is_name_of(name, field.name));
        let value = values.next().map_or(&Value::Null, |(_, value)| value);
        if let Some((again, _)) = values.next() {
            return Err(BadDocument(format!(
                "field {:?} is given twice in {}, the second time as {}",
                field.name,
                message.name,
                quote(again)
            )));
        }
        let value = read_kind(value, &field.kind).map_err(|problem| match problem {
            Problem::Deep(error) => error,
            Problem::Here(expected) => BadDocument(format!(
                "field {:?} in {}: expected {expected}, found {}",
                field.name,
                message.name,
                describe(value)
            )),
        })?;
        canonical.insert(field.name.to_string(), value);
    }
    Ok(canonical)
}

/// Why a value is not of its kind: the value itself, or something inside it with a text of its own.
enum Problem {
    Here(&'static str),
    Deep(BadDocument),
}

fn read_kind(value: &Value, kind: &Kind) -> Result<Value, Problem> {
    if value.is_null() {
        return Ok(absent(kind));
    }
    let here = Problem::Here;
    match kind {
        Kind::Bool | Kind::BoolValue => {
            value.as_bool().map(Value::Bool).ok_or(here("true or false"))
        }
        Kind::Int32 => integer(value)
            .and_then(|number| i32::try_from(number).ok())
            .map(Value::from)
            .ok_or(here("an integer of 32 bits")),
        Kind::UInt32 | Kind::UInt32Value => integer(value)
            .and_then(|number| u32::try_from(number).ok())
            .map(Value::from)
            .ok_or(here("an integer from 0 to 4294967295")),
        Kind::Int64 => integer(value)
            .map(|number| Value::String(number.to_string()))
            .ok_or(here("an integer of 64 bits, as a number or a string")),
        Kind::Double | Kind::DoubleValue => {
            double(value).map(Value::Number).ok_or(here("a number"))
        }
        Kind::Text => match value {
            Value::String(_) => Ok(value.clone()),
            _ => Err(here("a string")),
        },
        Kind::Enum(names) => enumerated(value, names)
            .map(Value::from)
            .ok_or(here("one of the names this field knows")),
        Kind::MessageSchema(message) => {
            read(value, message).map(Value::Object).map_err(Problem::Deep)
        }
        Kind::List(message) => {
            let items = value.as_array().ok_or(here("a list"))?;
            let items = items.iter().map(|item| read(item, message).map(Value::Object));
            items.collect::<Result<_, _>>().map(Value::Array).map_err(Problem::Deep)
        }
        Kind::Texts => {
            let items = value.as_array().ok_or(here("a list of strings"))?;
            if items.iter().all(Value::is_string) {
                Ok(value.clone())
            } else {
                Err(here("a list of strings"))
            }
        }
        Kind::UInt32s => {
            let items = value.as_array().ok_or(here("a list of integers"))?;
            let items =
                items.iter().map(|item| u32::try_from(integer(item)?).ok().map(Value::from));
            items.collect::<Option<_>>().map(Value::Array).ok_or(here("a list of integers"))
        }
        Kind::MapOf(message) => {
            let items = value.as_object().ok_or(here("an object"))?;
            let mut names: Vec<&String> = items.keys().collect();
            names.sort();
            let mut canonical = Map::with_capacity(names.len());
            for name in names {
                let item = read(&items[name], message).map_err(Problem::Deep)?;
                canonical.insert(name.clone(), Value::Object(item));
            }
            Ok(Value::Object(canonical))
        }
        Kind::MapOfText => {
            let items = value.as_object().ok_or(here("an object of strings"))?;
            if !items.values().all(Value::is_string) {
                return Err(here("an object of strings"));
            }
            Ok(sorted(value))
        }
        Kind::Any => Ok(value.clone()),
    }
}

/// The canonical value of a missing field.
fn absent(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::UInt32 | Kind::Double => Value::from(0),
        Kind::Int64 => Value::from("0"),
        Kind::Text => Value::from(""),
        Kind::Enum(names) => names.first().map_or(Value::Null, |name| Value::from(*name)),
        Kind::BoolValue
        | Kind::DoubleValue
        | Kind::UInt32Value
        | Kind::MessageSchema(_)
        | Kind::Any => Value::Null,
        Kind::List(_) | Kind::Texts | Kind::UInt32s => Value::Array(Vec::new()),
        Kind::MapOf(_) | Kind::MapOfText => Value::Object(Map::new()),
    }
}

/// An integer given as a number or as a string of digits.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| {
            // JSON does not distinguish `1e3` and `64.0` from integers. Beyond 2^53 a float is not
            // exact.
            let float = number.as_f64()?;
            let whole = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            whole.then_some(float as i64)
        }),
        _ => None,
    }
}

fn double(value: &Value) -> Option<Number> {
    let float = match value {
        Value::Number(number) => return Some(number.clone()),
        Value::String(text) => text.parse::<f64>().ok()?,
        _ => return None,
    };
    Number::from_f64(float)
}

fn enumerated(value: &Value, names: &'static [&'static str]) -> Option<&'static str> {
    match value {
        Value::String(text) => names.iter().find(|name| *name == text).copied(),
        _ => names.get(usize::try_from(integer(value)?).ok()?).copied(),
    }
}

/// Whether `given` is `name` in lowerCamelCase or in `snake_case`.
fn is_name_of(given: &str, name: &str) -> bool {
    if given == name {
        return true;
    }
    given.contains('_') && camel(given) == name
}

/// Converts `snake_case` to lowerCamelCase.
fn camel(snake: &str) -> String {
    let mut name = String::with_capacity(snake.len());
    let mut upper = false;
    for character in snake.chars() {
        if character == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            name.push(character.to_ascii_uppercase());
        } else {
            name.push(character);
        }
    }
    name
}

/// Describes a value in an error text; long values are cut.
fn describe(value: &Value) -> String {
    const SHOWN_CHARS_MAX: usize = 64;
    match value {
        Value::Object(_) => "an object".to_string(),
        Value::Array(_) => "a list".to_string(),
        _ => {
            let text = value.to_string();
            let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            shown
        }
    }
}

/// Replaces every key `xDuration` by `xNanos` with the value in nanoseconds, at any depth. Strings
/// are parsed as durations; numbers are nanoseconds already.
///
/// # Errors
/// The first string that is not a duration.
pub fn durations_to_nanos(value: Value) -> Result<Value, BadDocument> {
    match value {
        Value::Object(fields) => {
            let mut rewritten = Map::with_capacity(fields.len());
            for (name, value) in fields {
                let (name, value) = duration_to_nanos(name, value)?;
                rewritten.insert(name, value);
            }
            Ok(Value::Object(rewritten))
        }
        Value::Array(items) => {
            items.into_iter().map(durations_to_nanos).collect::<Result<_, _>>().map(Value::Array)
        }
        other => Ok(other),
    }
}

fn duration_to_nanos(name: String, value: Value) -> Result<(String, Value), BadDocument> {
    let stem = name
        .strip_suffix("Duration")
        .map(|stem| format!("{stem}Nanos"))
        .or_else(|| name.strip_suffix("_duration").map(|stem| format!("{stem}_nanos")));
    let Some(nanos_name) = stem else {
        return Ok((name, durations_to_nanos(value)?));
    };
    let nanos = match value {
        Value::String(text) => {
            let ns = go_duration::parse(&text).map_err(|error| {
                BadDocument(format!("error converting duration to nanos: {error}"))
            })?;
            Value::from(ns)
        }
        Value::Number(_) | Value::Null => value,
        _ => {
            let words = "error converting duration to nanos: invalid duration type";
            return Err(BadDocument(words.to_string()));
        }
    };
    Ok((nanos_name, nanos))
}

/// Replaces every key `xNanos` by `xDuration` with the value as Go prints it, and sorts the keys.
/// This is what `?debug=true` shows.
#[must_use]
pub fn nanos_to_durations(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut rewritten: Vec<(String, Value)> = fields
                .iter()
                .map(|(name, value)| match (name.strip_suffix("Nanos"), integer(value)) {
                    (Some(stem), Some(ns)) => {
                        (format!("{stem}Duration"), Value::from(go_duration::format(ns)))
                    }
                    _ => (name.clone(), nanos_to_durations(value)),
                })
                .collect();
            rewritten.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(rewritten.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(nanos_to_durations).collect()),
        other => other.clone(),
    }
}

/// The value with the keys of its outermost object in order.
fn sorted(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let mut fields: Vec<_> = fields.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    fields.sort_by(|left, right| left.0.cmp(&right.0));
    Value::Object(fields.into_iter().collect())
}

/// Reads fields of a canonical object. A missing field is the zero of its kind.
pub(crate) trait Canonical {
    /// A string.
    fn text(&self, name: &str) -> &str;
    /// A bool.
    fn flag(&self, name: &str) -> bool;
    /// An integer of any width.
    fn int(&self, name: &str) -> i64;
    /// An unsigned 32-bit integer.
    fn uint(&self, name: &str) -> u32;
    /// A message, if it was given.
    fn object(&self, name: &str) -> Option<&Map<String, Value>>;
    /// The messages of a list.
    fn objects(&self, name: &str) -> impl Iterator<Item = &Map<String, Value>>;
    /// The strings of a list.
    fn texts(&self, name: &str) -> Vec<String>;
}

impl Canonical for Map<String, Value> {
    fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or("")
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn int(&self, name: &str) -> i64 {
        self.get(name).and_then(integer).unwrap_or(0)
    }

    fn uint(&self, name: &str) -> u32 {
        u32::try_from(self.int(name)).unwrap_or(0)
    }

    fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.get(name).and_then(Value::as_object)
    }

    fn objects(&self, name: &str) -> impl Iterator<Item = &Map<String, Value>> {
        let items = self.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(Value::as_object)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let items = self.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(Value::as_str).map(str::to_string).collect()
    }
}

#[cfg(test)]
mod tests;
