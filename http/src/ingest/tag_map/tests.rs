//! `M3-Map-Tags-JSON`: what it changes in a batch.

use super::*;
use m3_metric::Timestamp;

fn map(text: &str) -> Result<Option<TagMap>, String> {
    let mut headers = Headers::default();
    headers.push("M3-Map-Tags-JSON", text.as_bytes());
    TagMap::from_headers(&headers).map_err(|e| e.message)
}

#[test]
fn every_series_gets_the_label() {
    let map = map(r#"{"tagMappers":[{"write":{"tag":"env","value":"prod"}}]}"#).unwrap().unwrap();
    let mut batch = WriteBatch::default();
    for (name, count) in [("a", 3), ("b", 1)] {
        let labels = Labels::from_pairs([("__name__", name), ("env", "old")]).unwrap();
        let labels_offset = u32::try_from(batch.buffer.len()).unwrap();
        let labels_len = u32::try_from(labels.as_bytes().len()).unwrap();
        batch.buffer.extend_from_slice(labels.as_bytes());
        for n in 0..count {
            let timestamp = Timestamp(n);
            batch.records.push(Record { labels_offset, labels_len, timestamp, value_bits: 7 });
        }
    }
    map.apply(&mut batch, 1000).unwrap();
    let ids: Vec<_> = batch
        .records
        .iter()
        .map(|r| Labels::from_canonical(batch.labels_of(r)).quoted_id())
        .collect();
    let a = "{__name__=\"a\",env=\"prod\"}";
    assert_eq!(ids, [a, a, a, "{__name__=\"b\",env=\"prod\"}"]);
    assert_eq!(batch.records[0].labels_offset, batch.records[2].labels_offset);
    assert_eq!(batch.records[2].timestamp, Timestamp(2));
    assert_eq!(map.apply(&mut batch, 40).unwrap_err().kind, ErrorKind::TooLarge);
}

#[test]
fn other_operations_are_refused() {
    assert_eq!(TagMap::from_headers(&Headers::default()).unwrap(), None);
    assert_eq!(map(r#"{"tagMappers":[]}"#), Ok(None));
    assert_eq!(map("{}"), Ok(None));
    for (text, part) in [
        (r#"{"tagMappers":[{"drop":{"tag":"a"}}]}"#, "Drop operation is not yet supported"),
        (r#"{"tagMappers":[{}]}"#, "must specify one operation per tag mapper (got 0)"),
        (r#"{"tagMappers":[{"write":{"tag":"a"}}]}"#, "must not be empty"),
        ("{", "invalid M3-Map-Tags-JSON header"),
        ("[]", "tagMappers is no list"),
    ] {
        let error = map(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}
