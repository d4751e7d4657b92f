//! `M3-Map-Tags-JSON`: a header with labels that are set on every series of a write.
//!
//! Only the operation `write` exists, as in M3.

use crate::api::{ApiError, ErrorKind};
use crate::message::Headers;
use m3_metric::{Labels, Record, WriteBatch};
use serde_json::Value as Json;

/// Labels that one header may set.
const MAPPERS_MAX: usize = 64;

/// M3's operations. Those with a name are not implemented in M3 either.
const OPERATIONS: [(&str, Option<&str>); 4] = [
    ("write", None),
    ("drop", Some("Drop")),
    ("dropWithValue", Some("DropWithValue")),
    ("replace", Some("Replace")),
];

/// Labels to set on every series of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMap(Vec<(String, String)>);

impl TagMap {
    /// Reads the header, if there is one.
    ///
    /// # Errors
    /// What is wrong with it, in M3's words where it has some.
    pub fn from_headers(headers: &Headers) -> Result<Option<Self>, ApiError> {
        let Some(text) = headers.filled("m3-map-tags-json") else { return Ok(None) };
        let bad = |why: &str| {
            ApiError::bad_data(format!(
                "invalid M3-Map-Tags-JSON header: {why}; expected \
                 {{\"tagMappers\":[{{\"write\":{{\"tag\":\"t\",\"value\":\"v\"}}}}]}}"
            ))
        };
        let json: Json = serde_json::from_str(text).map_err(|e| bad(&e.to_string()))?;
        let mappers = match json.get("tagMappers") {
            None | Some(Json::Null) if json.is_object() => return Ok(None),
            Some(Json::Array(mappers)) if mappers.len() <= MAPPERS_MAX => mappers,
            Some(Json::Array(_)) => return Err(bad("more than 64 tag mappers")),
            _ => return Err(bad("tagMappers is no list")),
        };
        let mut pairs = Vec::with_capacity(mappers.len());
        for mapper in mappers {
            let fields = mapper.as_object().ok_or_else(|| bad("a tag mapper is not an object"))?;
            let mut operations = OPERATIONS.iter().filter_map(|(name, words)| {
                fields.get(*name).filter(|body| !body.is_null()).map(|body| (words, body))
            });
            let (Some((words, body)), None) = (operations.next(), operations.next()) else {
                let count =
                    OPERATIONS.iter().filter(|(name, _)| fields.contains_key(*name)).count();
                return Err(ApiError::bad_data(format!(
                    "must specify one operation per tag mapper (got {count})"
                )));
            };
            if let Some(name) = words {
                let words = format!("{name} operation is not yet supported");
                return Err(ApiError::bad_data(words));
            }
            let field = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
            if field("tag").is_empty() || field("value").is_empty() {
                return Err(bad("tag and value of write must not be empty"));
            }
            pairs.push((field("tag").to_owned(), field("value").to_owned()));
        }
        Ok((!pairs.is_empty()).then_some(Self(pairs)))
    }

    /// The most bytes that [`TagMap::apply`] adds to `batch`.
    #[must_use]
    pub fn bytes_for(&self, batch: &WriteBatch) -> u64 {
        let own: usize = self.0.iter().map(|(name, value)| name.len() + value.len() + 12).sum();
        batch.records.iter().map(|record| u64::from(record.labels_len) + own as u64).sum()
    }

    /// Sets the labels on every record of `batch`. Records whose labels break the rules are left
    /// unchanged: the owner refuses them.
    ///
    /// # Errors
    /// The batch would need more than twice `bytes_max`.
    pub fn apply(&self, batch: &mut WriteBatch, bytes_max: usize) -> Result<(), ApiError> {
        // The samples of one series are adjacent, so it is enough to remember the last span.
        let mut last: Option<(Record, Record)> = None;
        for at in 0..batch.records.len() {
            let record = batch.records[at];
            let mapped = match last {
                Some((from, to)) if same_span(&from, &record) => to,
                _ => self.mapped(batch, &record, bytes_max)?,
            };
            last = Some((record, mapped));
            let slot = &mut batch.records[at];
            slot.labels_offset = mapped.labels_offset;
            slot.labels_len = mapped.labels_len;
        }
        Ok(())
    }

    fn mapped(
        &self,
        batch: &mut WriteBatch,
        record: &Record,
        bytes_max: usize,
    ) -> Result<Record, ApiError> {
        let Ok(labels) = Labels::parse(batch.labels_of(record)) else { return Ok(*record) };
        let mut builder = labels.to_builder();
        for (name, value) in &self.0 {
            builder.set(name, value);
        }
        let labels = builder.finish();
        let bytes = labels.as_bytes();
        let too_large = || {
            ApiError::new(
                ErrorKind::TooLarge,
                "M3-Map-Tags-JSON makes the request too large: send fewer series at once",
            )
        };
        if batch.buffer.len() + bytes.len() > bytes_max.saturating_mul(2) {
            return Err(too_large());
        }
        let labels_offset = u32::try_from(batch.buffer.len()).map_err(|_| too_large())?;
        let labels_len = u32::try_from(bytes.len()).map_err(|_| too_large())?;
        batch.buffer.extend_from_slice(bytes);
        Ok(Record { labels_offset, labels_len, ..*record })
    }
}

const fn same_span(a: &Record, b: &Record) -> bool {
    a.labels_offset == b.labels_offset && a.labels_len == b.labels_len
}

#[cfg(test)]
mod tests;
