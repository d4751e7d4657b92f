//! One sample as a JSON document, M3's `/api/v1/json/write`:
//! `{"tags":{"__name__":"up"},"timestamp":"1534952005.5","value":1}`.
//!
//! The timestamp is text, in unix seconds or RFC 3339; a number is accepted too.
//!
//! Always holds: labels are checked in the order of their names, as M3 checks them.
#![warn(clippy::arithmetic_side_effects)]

use crate::api::time;
use m3_metric::{Labels, Record, WriteBatch};
use serde_json::{Map, Value as Json};

/// Bytes of one document. It holds a single sample.
pub const JSON_WRITE_BYTES_MAX: usize = 1 << 20;

/// Decodes `body` and adds its sample to `batch`.
///
/// # Errors
/// What is wrong, in M3's words where it has some.
pub fn decode(body: &[u8], batch: &mut WriteBatch) -> Result<(), String> {
    if body.len() > JSON_WRITE_BYTES_MAX {
        return Err(format!(
            "JSON document too large: {} bytes, at most {JSON_WRITE_BYTES_MAX}; it holds one sample",
            body.len()
        ));
    }
    if body.is_empty() {
        return Err("unexpected end of JSON input".to_owned());
    }
    let json: Json = serde_json::from_slice(body).map_err(|e| format!("invalid JSON: {e}"))?;
    let Json::Object(fields) = &json else {
        return Err(expected("an object with tags, timestamp and value", &json));
    };
    let timestamp = match field(fields, "timestamp") {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Number(number)) => number.to_string(),
        None | Some(Json::Null) => String::new(),
        Some(other) => return Err(expected("a timestamp", other)),
    };
    let timestamp = time::parse_exact(&timestamp)
        .ok_or_else(|| format!("invalid timestamp for {timestamp}"))?;
    let labels = labels_of(field(fields, "tags"))?;
    let value = match field(fields, "value") {
        Some(Json::Number(number)) => number.as_f64().ok_or("value out of range")?,
        None | Some(Json::Null) => return Err("missing value: a number is expected".to_owned()),
        Some(other) => return Err(expected("a number as value", other)),
    };
    let narrow = |n: usize| u32::try_from(n).map_err(|_| "too many labels".to_owned());
    let record = Record {
        labels_offset: narrow(batch.buffer.len())?,
        labels_len: narrow(labels.as_bytes().len())?,
        timestamp,
        value_bits: value.to_bits(),
    };
    batch.buffer.extend_from_slice(labels.as_bytes());
    batch.records.push(record);
    Ok(())
}

/// Finds a field by its name in lower case, or else in any case: Go, and so M3, accepts both.
fn field<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    fields.get(name).or_else(|| {
        fields.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

fn labels_of(tags: Option<&Json>) -> Result<Labels, String> {
    let pairs = match tags {
        None | Some(Json::Null) => return Err("no tags".to_owned()),
        Some(Json::Object(pairs)) => pairs,
        Some(other) => return Err(expected("an object of texts as tags", other)),
    };
    let mut texts = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let value = match value {
            Json::String(value) => value.as_str(),
            Json::Null => "",
            _ => return Err(expected(&format!("a text as value of tag {name:?}"), value)),
        };
        texts.push((name.as_str(), value));
    }
    texts.sort_unstable();
    Labels::from_pairs(texts).map_err(|e| e.to_string())
}

fn expected(what: &str, found: &Json) -> String {
    let kind = match found {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    format!("invalid JSON document: expected {what}, found {kind}")
}

#[cfg(test)]
mod tests;
