//! JSON writes: a document gives one sample or none, and the sample can be written and read again.

use m3_http::ingest::json_write::{JSON_WRITE_BYTES_MAX, decode};
use m3_metric::time::NS_PER_S;
use m3_metric::{Labels, WriteBatch, labels};
use serde_json::{Map, Value, json};

/// Reads `data` as a document.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    let mut batch = WriteBatch::default();
    let read = decode(data, &mut batch);
    if let Err(why) = &read {
        assert!(batch.records.is_empty() && batch.buffer.is_empty(), "nothing of it is kept");
        assert!(!why.is_empty() && why.len() <= 2 * data.len() + 1000, "{} bytes", why.len());
        return;
    }
    assert!(data.len() <= JSON_WRITE_BYTES_MAX && batch.records.len() == 1);
    let record = batch.records[0];
    let block = batch.labels_of(&record);
    assert!(block.len() == batch.buffer.len() && labels::is_canonical(block));
    let value = f64::from_bits(record.value_bits);
    assert!(value.is_finite(), "JSON has no other numbers");
    let Some(timestamp) = seconds(record.timestamp.0) else { return };
    let tags: Map<String, Value> = labels::iter_canonical(block)
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let document = json!({ "tags": tags, "timestamp": timestamp, "value": value }).to_string();
    let mut again = WriteBatch::default();
    decode(document.as_bytes(), &mut again).expect("what was written can be read");
    assert_eq!(again.records, batch.records, "{document}");
    assert_eq!(Labels::parse(&again.buffer), Labels::parse(&batch.buffer));
}

/// Unix seconds with all digits; `None` for the one time that cannot be negated.
fn seconds(ns: i64) -> Option<String> {
    let amount = ns.checked_abs()?;
    let sign = if ns < 0 { "-" } else { "" };
    Some(format!("{sign}{}.{:09}", amount / NS_PER_S, amount % NS_PER_S))
}
