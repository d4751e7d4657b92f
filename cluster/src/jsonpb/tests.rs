//! Documents as clients write them and as M3 writes them.

use serde_json::{Value, json};

use super::{Kind, MessageSchema, durations_to_nanos, field, nanos_to_durations, parse, read};

const INNER: MessageSchema = MessageSchema {
    name: "test.Inner",
    fields: &[field("stepNanos", Kind::Int64), field("all", Kind::Bool)],
};

const OUTER: MessageSchema = MessageSchema {
    name: "test.Outer",
    fields: &[
        field("numShards", Kind::Int32),
        field("portNumber", Kind::UInt32),
        field("sizeBytes", Kind::Int64),
        field("ratio", Kind::Double),
        field("state", Kind::Enum(&["UNKNOWN", "READY"])),
        field("flag", Kind::BoolValue),
        field("inner", Kind::MessageSchema(&INNER)),
        field("list", Kind::List(&INNER)),
        field("byName", Kind::MapOf(&INNER)),
        field("names", Kind::Texts),
    ],
};

fn canonical(value: &Value) -> Result<Value, String> {
    read(value, &OUTER).map(Value::Object).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_is_shown() {
    let want = json!({ "numShards": 0, "portNumber": 0, "sizeBytes": "0", "ratio": 0,
        "state": "UNKNOWN", "flag": null, "inner": null, "list": [], "byName": {}, "names": [] });
    assert_eq!(canonical(&json!({})).unwrap(), want);
    assert_eq!(canonical(&want).unwrap().to_string(), want.to_string(), "in this order");
}

#[test]
fn every_spelling_is_read() {
    let want = json!({ "numShards": 64, "portNumber": 9000, "sizeBytes": "9223372036854775807",
        "ratio": 0.5, "state": "READY", "flag": false,
        "inner": { "stepNanos": "-5", "all": true }, "list": [{ "stepNanos": "0", "all": false }],
        "byName": { "a": { "stepNanos": "0", "all": false }, "b": { "stepNanos": "1", "all": false } },
        "names": ["x"] });
    let camel = json!({ "numShards": "64", "portNumber": 9000.0, "sizeBytes": i64::MAX,
        "ratio": "0.5", "state": 1, "flag": false, "inner": { "stepNanos": -5, "all": true },
        "list": [{}], "byName": { "b": { "stepNanos": 1 }, "a": {} }, "names": ["x"] });
    let snake = json!({ "num_shards": 64, "port_number": "9000",
        "size_bytes": "9223372036854775807", "ratio": 0.5, "state": "READY", "flag": false,
        "inner": { "step_nanos": "-5", "all": true }, "list": [{}],
        "by_name": { "b": { "step_nanos": "1" }, "a": {} }, "names": ["x"] });
    for given in [camel, snake] {
        let read = canonical(&given).unwrap();
        assert_eq!(read, want);
        assert_eq!(canonical(&read).unwrap().to_string(), read.to_string());
    }
}

#[test]
fn refusals_name_field_and_message() {
    let cases = [
        (json!({ "numShard": 1 }), "unknown field \"numShard\" in test.Outer"),
        (json!({ "inner": { "x": 1 } }), "unknown field \"x\" in test.Inner"),
        (json!({ "list": [{}, { "x": 1 }] }), "unknown field \"x\" in test.Inner"),
        (
            json!({ "numShards": 2_147_483_648_u32 }),
            "field \"numShards\" in test.Outer: expected an integer of 32 bits, found 2147483648",
        ),
        (
            json!({ "portNumber": -1 }),
            "field \"portNumber\" in test.Outer: expected an integer from 0 to 4294967295, found -1",
        ),
        (
            json!({ "sizeBytes": 1.5 }),
            "field \"sizeBytes\" in test.Outer: expected an integer of 64 bits, as a number or a \
             string, found 1.5",
        ),
        (
            json!({ "flag": "yes" }),
            "field \"flag\" in test.Outer: expected true or false, found \"yes\"",
        ),
        (
            json!({ "num_shards": 1, "numShards": 2 }),
            "field \"numShards\" is given twice in test.Outer, the second time as \"numShards\"",
        ),
        (json!([]), "test.Outer is a JSON object, found a list"),
        (json!({ "inner": [] }), "test.Inner is a JSON object, found a list"),
    ];
    for (given, words) in cases {
        assert_eq!(canonical(&given).unwrap_err(), words);
    }
    assert!(parse(b"").unwrap_err().to_string().contains("empty"));
    assert!(parse(b"{\n  x").unwrap_err().to_string().contains("line 2 column 3"));
}

#[test]
fn durations_come_and_go() {
    let given =
        json!({ "stepDuration": "1m", "step_duration": "48h", "list": [{ "aDuration": 5 }] });
    let nanos = durations_to_nanos(given).unwrap();
    assert_eq!(
        nanos,
        json!({ "stepNanos": 60_000_000_000_i64, "step_nanos": 172_800_000_000_000_i64,
            "list": [{ "aNanos": 5 }] })
    );
    let error = durations_to_nanos(json!({ "a": { "bDuration": "2x" } })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error converting duration to nanos: time: unknown unit \"x\" in duration \"2x\""
    );
    let shown =
        nanos_to_durations(&json!({ "z": [{ "bNanos": "60000000000", "a": null }], "c": 1 }));
    assert_eq!(shown.to_string(), r#"{"c":1,"z":[{"a":null,"bDuration":"1m0s"}]}"#);
}
