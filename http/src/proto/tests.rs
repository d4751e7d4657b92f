//! Protobuf read and written, and bytes that are not protobuf.

use super::read::{decode_request, decode_response, encode_request, encode_response};
use super::*;
use crate::api::{ReadQuery, Selection};
use m3_metric::value::Series;
use m3_metric::{Labels, MatchOp, Matcher};

fn queries() -> Vec<ReadQuery> {
    let matchers = vec![
        Matcher::new(MatchOp::Equal, "__name__", "up"),
        Matcher::new(MatchOp::NotEqual, "a", ""),
        Matcher::new(MatchOp::Regex, "b", "x|y"),
        Matcher::new(MatchOp::NotRegex, "c", ".*"),
    ];
    vec![
        ReadQuery {
            start_ms: -5,
            end_ms: 1_700_000_000_000,
            selection: Selection::Matchers(matchers),
        },
        ReadQuery { start_ms: 0, end_ms: 0, selection: Selection::Matchers(vec![]) },
    ]
}

#[test]
fn read_requests_come_back() {
    let body = encode_request(&queries());
    assert_eq!(decode_request(&body, 1000), Ok(queries()));
    assert_eq!(decode_request(b"", 1000), Err(ProtoError::Snappy));
    assert!(matches!(decode_request(&body, 10), Err(ProtoError::TooLarge { .. })));
}

#[test]
fn read_responses_come_back_bit_for_bit() {
    let series = vec![
        Series {
            labels: Labels::from_pairs([("__name__", "up"), ("z", "1")]).unwrap(),
            points: vec![(-1, f64::NEG_INFINITY), (0, -0.0), (1_700_000_000_000, 1.5)],
        },
        Series { labels: Labels::default(), points: vec![] },
    ];
    let body = encode_response([series.as_slice(), &[]]);
    assert_eq!(decode_response(&body, 1000), Ok(vec![series, vec![]]));
}

#[test]
fn damaged_messages_never_panic() {
    let message = snap::raw::Decoder::new().decompress_vec(&encode_request(&queries())).unwrap();
    for at in 0..message.len() {
        for byte in 0..=255 {
            let mut damaged = message.clone();
            damaged[at] = byte;
            let body = snap::raw::Encoder::new().compress_vec(&damaged).unwrap();
            let _ = decode_request(&body, 1000);
            let _ = decode_response(&body, 1000);
        }
    }
    let many = snap::raw::Encoder::new().compress_vec(&b"\x0a\x00".repeat(1001)).unwrap();
    assert!(matches!(decode_request(&many, 10_000), Err(ProtoError::TooMany { .. })));
}

#[test]
fn fields_are_read_as_written() {
    let mut out = Vec::new();
    put_varint(&mut out, 1, u64::MAX);
    put_fixed64(&mut out, 2, 7);
    put_bytes(&mut out, 300, b"xy");
    out.extend_from_slice(&[5 << 3 | 5, 1, 0, 0, 0]);
    let mut reader = Reader::new(&out);
    let mut fields = Vec::new();
    while let Some(field) = reader.next().unwrap() {
        fields.push((field.number, field.value));
    }
    let wanted = [
        (1, Value::Varint(u64::MAX)),
        (2, Value::Fixed64(7)),
        (300, Value::Bytes(b"xy")),
        (5, Value::Fixed32(1)),
    ];
    assert_eq!(fields, wanted);
    assert_eq!(Reader::new(&[0x1b]).next(), Err("illegal wire type"));
    assert_eq!(Reader::new(&[0x09, 1]).next(), Err("field past the end"));
}
