//! Remote read: requests and responses are read, written and read again. `data` is used as a snappy
//! block, and as a message that is compressed here.

use m3_http::api::{Selection, TIME_MS_MAX, TIME_MS_MIN};
use m3_http::proto::ProtoError;
use m3_http::proto::read::{
    READ_MATCHERS_MAX, READ_QUERIES_MAX, decode_request, decode_response, encode_request,
    encode_response,
};
use m3_metric::labels;
use m3_metric::value::Series;

/// Bytes of a message; small, so that a fuzzer reaches the bound.
const LIMIT: usize = 1 << 16;

/// Reads `data` both ways.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    body(data);
    let compressed = snap::raw::Encoder::new().compress_vec(data);
    body(&compressed.expect("inputs are far below 4 GiB"));
}

fn body(body: &[u8]) {
    request(body);
    response(body);
}

fn request(body: &[u8]) {
    let Ok(queries) = decode_request(body, LIMIT) else { return };
    assert!(queries.len() <= READ_QUERIES_MAX);
    for query in &queries {
        let times = TIME_MS_MIN..=TIME_MS_MAX;
        assert!(times.contains(&query.start_ms) && times.contains(&query.end_ms));
        let Selection::Matchers(matchers) = &query.selection else {
            panic!("a protobuf holds matchers");
        };
        assert!(matchers.len() <= READ_MATCHERS_MAX);
    }
    // The written form contains every field, so it may be longer than the original.
    let again = decode_request(&encode_request(&queries), 64 * LIMIT);
    assert_eq!(again, Ok(queries));
}

fn response(body: &[u8]) {
    let results = match decode_response(body, LIMIT) {
        Ok(results) => results,
        Err(ProtoError::TooLarge { bytes, limit }) => return assert!(bytes > limit),
        Err(_) => return,
    };
    for series in results.iter().flatten() {
        let bytes = series.labels.as_bytes();
        assert!(bytes.is_empty() || labels::is_canonical(bytes));
    }
    let written = write(&results);
    let again = decode_response(&written, 64 * LIMIT).expect("what was written can be read");
    assert_eq!(write(&again), written, "values come back bit for bit");
}

fn write(results: &[Vec<Series>]) -> Vec<u8> {
    encode_response(results.iter().map(Vec::as_slice))
}
