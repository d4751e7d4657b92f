//! JSON writes: one sample, or M3's text for what is wrong.

use super::*;

fn run(body: &str) -> Result<(String, i64, f64), String> {
    let mut batch = WriteBatch::default();
    decode(body.as_bytes(), &mut batch)?;
    let [record] = batch.records[..] else { panic!("one sample") };
    let labels = Labels::from_canonical(batch.labels_of(&record));
    Ok((labels.quoted_id(), record.timestamp.0, f64::from_bits(record.value_bits)))
}

#[test]
fn a_document_is_one_sample() {
    let id = "{__name__=\"t\",room=\"k\u{fc}che\"}".to_owned();
    let body = |ts: &str, value: &str| {
        format!(
            "{{\"tags\":{{\"room\":\"k\u{fc}che\",\"__name__\":\"t\"}},\"timestamp\":{ts},\"value\":{value}}}"
        )
    };
    let want = Ok((id, 1_534_952_005_500_000_000, -21.5e-3));
    assert_eq!(run(&body("\"1534952005.5\"", "-21.5e-3")), want);
    assert_eq!(run(&body("1534952005.5", "-21.5e-3")), want);
    assert_eq!(run(&body("\"2018-08-22T15:33:25.5Z\"", "-21.5e-3")), want);
    assert_eq!(run(&body("1534952005", "-0.0")).unwrap().2.to_bits(), (-0.0f64).to_bits());
}

#[test]
fn a_value_is_the_double_nearest_to_its_digits() {
    let long = format!("3348{}7.26", "8".repeat(103));
    for value in [long.as_str(), "9007199254740993.1", "1.7976931348623157e308", "5e-324"] {
        let body = format!("{{\"tags\":{{\"a\":\"b\"}},\"timestamp\":\"1\",\"value\":{value}}}");
        let wanted: f64 = value.parse().unwrap();
        assert_eq!(run(&body).unwrap().2.to_bits(), wanted.to_bits(), "{value}");
    }
}

#[test]
fn refusals_have_m3_s_words() {
    for (body, want) in [
        (
            r#"{"tags":{"__name__":"emptyv","a":""},"timestamp":"1","value":1}"#,
            "tag value empty: index=1, name=a",
        ),
        (
            r#"{"tags":{"__name__":"emptyn","":"x"},"timestamp":"1","value":1}"#,
            "tag name empty: index=0",
        ),
        (r#"{"tags":{},"timestamp":"1","value":1}"#, "no tags"),
        (r#"{"timestamp":"1","value":1}"#, "no tags"),
        (r#"{}"#, "invalid timestamp for "),
        (
            r#"{"tags":{"__name__":"n","a":null},"timestamp":"1"}"#,
            "tag value empty: index=1, name=a",
        ),
        (r#"{"tags":{"__name__":"a"},"value":1}"#, "invalid timestamp for "),
        (
            r#"{"tags":{"__name__":"a"},"timestamp":"tomorrow","value":1}"#,
            "invalid timestamp for tomorrow",
        ),
        (
            r#"{"tags":{"__name__":"a"},"timestamp":"99999999999","value":1}"#,
            "invalid timestamp for 99999999999",
        ),
        ("", "unexpected end of JSON input"),
    ] {
        assert_eq!(run(body).unwrap_err(), want, "{body}");
    }
    for (body, part) in [
        ("zzz", "invalid JSON"),
        ("[]", "found a list"),
        (
            r#"{"tags":{"__name__":"a"},"timestamp":"1","value":"x"}"#,
            "a number as value, found a text",
        ),
        (r#"{"tags":{"__name__":"a"},"timestamp":"1"}"#, "missing value"),
        (
            r#"{"tags":{"__name__":1},"timestamp":"1","value":1}"#,
            "tag \"__name__\", found a number",
        ),
        (r#"{"tags":[],"timestamp":"1","value":1}"#, "found a list"),
        (r#"{"tags":{"a":"b"},"timestamp":true,"value":1}"#, "found a truth value"),
        (r#"{"tags":{"a":"b"},"timestamp":"1","value":1e999}"#, "invalid JSON"),
    ] {
        let error = run(body).unwrap_err();
        assert!(error.contains(part), "{body}: {error}");
    }
    assert!(run(&"[".repeat(10_000)).is_err());
    assert!(run(&" ".repeat(JSON_WRITE_BYTES_MAX + 1)).unwrap_err().contains("too large"));
}
