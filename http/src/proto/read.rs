//! Remote read, version 1 with samples: decodes requests and encodes responses. The other direction
//! exists for clients and tests.
//!
//! Format: `prometheus.ReadRequest` (1 queries), `Query` (1 start, 2 end in milliseconds, 3
//! matchers), `LabelMatcher` (1 type: 0 `=`, 1 `!=`, 2 `=~`, 3 `!~`; 2 name, 3 value),
//! `ReadResponse` (1 results), `QueryResult` (1 timeseries), `TimeSeries` (1 labels, 2 samples).

use super::{ProtoError, Reader, Value, put_bytes, put_fixed64, put_varint};
use crate::api::{ReadQuery, Selection, TIME_MS_MAX, TIME_MS_MIN};
use crate::snappy::declared_len;
use m3_metric::labels::{varint_len, write_varint};
use m3_metric::value::Series;
use m3_metric::{Labels, MatchOp, Matcher};

/// Queries of one request.
pub const READ_QUERIES_MAX: usize = 1_000;
/// Matchers of one query.
pub const READ_MATCHERS_MAX: usize = 1_000;

/// Decodes a snappy-compressed request.
///
/// # Errors
/// What is wrong with the body.
pub fn decode_request(body: &[u8], limit: usize) -> Result<Vec<ReadQuery>, ProtoError> {
    let body = decompress(body, limit)?;
    let mut queries = Vec::new();
    let mut reader = Reader::new(&body);
    while let Some(field) = reader.next().map_err(ProtoError::Malformed)? {
        match (field.number, field.value) {
            (1, Value::Bytes(query)) => {
                if queries.len() == READ_QUERIES_MAX {
                    return Err(ProtoError::TooMany { what: "queries", limit: READ_QUERIES_MAX });
                }
                queries.push(decode_query(query)?);
            }
            (1, _) => return Err(ProtoError::Malformed("wrong wire type")),
            _ => {}
        }
    }
    Ok(queries)
}

fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, ProtoError> {
    let mut out = vec![0; declared_len(body, limit)?];
    match snap::raw::Decoder::new().decompress(body, &mut out) {
        Ok(written) if written == out.len() => Ok(out),
        _ => Err(ProtoError::Snappy),
    }
}

fn decode_query(bytes: &[u8]) -> Result<ReadQuery, ProtoError> {
    let (mut start_ms, mut end_ms) = (0, 0);
    let mut matchers = Vec::new();
    let mut reader = Reader::new(bytes);
    let hold = |varint: u64| varint.cast_signed().clamp(TIME_MS_MIN, TIME_MS_MAX);
    while let Some(field) = reader.next().map_err(ProtoError::Malformed)? {
        match (field.number, field.value) {
            (1, Value::Varint(varint)) => start_ms = hold(varint),
            (2, Value::Varint(varint)) => end_ms = hold(varint),
            (3, Value::Bytes(matcher)) => {
                if matchers.len() == READ_MATCHERS_MAX {
                    return Err(ProtoError::TooMany { what: "matchers", limit: READ_MATCHERS_MAX });
                }
                matchers.push(decode_matcher(matcher)?);
            }
            (1..=3, _) => return Err(ProtoError::Malformed("wrong wire type in a query")),
            _ => {}
        }
    }
    Ok(ReadQuery { start_ms, end_ms, selection: Selection::Matchers(matchers) })
}

fn decode_matcher(bytes: &[u8]) -> Result<Matcher, ProtoError> {
    let mut matcher = Matcher::new(MatchOp::Equal, "", "");
    let text = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| ProtoError::Malformed("a matcher is not UTF-8"))
    };
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next().map_err(ProtoError::Malformed)? {
        match (field.number, field.value) {
            (1, Value::Varint(0)) => matcher.op = MatchOp::Equal,
            (1, Value::Varint(1)) => matcher.op = MatchOp::NotEqual,
            (1, Value::Varint(2)) => matcher.op = MatchOp::Regex,
            (1, Value::Varint(3)) => matcher.op = MatchOp::NotRegex,
            (2, Value::Bytes(name)) => matcher.name = text(name)?,
            (3, Value::Bytes(value)) => matcher.value = text(value)?,
            (1, _) => return Err(ProtoError::Malformed("unknown matcher type")),
            (2 | 3, _) => return Err(ProtoError::Malformed("wrong wire type in a matcher")),
            _ => {}
        }
    }
    Ok(matcher)
}

/// Encodes a request and compresses it.
///
/// # Panics
/// If a selection is a text, which has no protobuf form.
#[must_use]
pub fn encode_request(queries: &[ReadQuery]) -> Vec<u8> {
    let mut out = Vec::new();
    for query in queries {
        let Selection::Matchers(matchers) = &query.selection else {
            panic!("a remote read request holds matchers");
        };
        let mut message = Vec::new();
        put_varint(&mut message, 1, query.start_ms.cast_unsigned());
        put_varint(&mut message, 2, query.end_ms.cast_unsigned());
        for matcher in matchers {
            let mut inner = Vec::new();
            let code = match matcher.op {
                MatchOp::Equal => 0,
                MatchOp::NotEqual => 1,
                MatchOp::Regex => 2,
                MatchOp::NotRegex => 3,
            };
            put_varint(&mut inner, 1, code);
            put_bytes(&mut inner, 2, matcher.name.as_bytes());
            put_bytes(&mut inner, 3, matcher.value.as_bytes());
            put_bytes(&mut message, 3, &inner);
        }
        put_bytes(&mut out, 1, &message);
    }
    compress(&out)
}

/// Encodes a response, one list of series for each query, and compresses it.
#[must_use]
pub fn encode_response<'a>(results: impl IntoIterator<Item = &'a [Series]>) -> Vec<u8> {
    let mut out = Vec::new();
    for series in results {
        // A length precedes what it measures. So sizes are summed up first, and nothing is moved.
        let sizes: Vec<usize> = series.iter().map(series_len).collect();
        let total: usize = sizes.iter().map(|size| 1 + varint_len(*size) + size).sum();
        out.reserve(total + 12);
        out.push(0x0a);
        write_varint(&mut out, total as u64);
        for (one, size) in series.iter().zip(sizes) {
            out.push(0x0a);
            write_varint(&mut out, size as u64);
            out.extend_from_slice(one.labels.as_bytes());
            for &(ms, value) in &one.points {
                out.push(0x12);
                write_varint(&mut out, sample_len(ms) as u64);
                put_fixed64(&mut out, 1, value.to_bits());
                put_varint(&mut out, 2, ms.cast_unsigned());
            }
        }
    }
    compress(&out)
}

fn series_len(series: &Series) -> usize {
    let samples = series.points.iter().map(|&(ms, _)| 2 + sample_len(ms));
    series.labels.as_bytes().len() + samples.sum::<usize>()
}

fn sample_len(ms: i64) -> usize {
    10 + usize::try_from(ms).map_or(10, varint_len)
}

/// Decodes a compressed response: one list of series for each query.
///
/// # Errors
/// What is wrong with the body.
pub fn decode_response(body: &[u8], limit: usize) -> Result<Vec<Vec<Series>>, ProtoError> {
    let body = decompress(body, limit)?;
    let mut results = Vec::new();
    let mut reader = Reader::new(&body);
    while let Some(field) = reader.next().map_err(ProtoError::Malformed)? {
        let (1, Value::Bytes(result)) = (field.number, field.value) else { continue };
        let mut list = Vec::new();
        let mut inner = Reader::new(result);
        while let Some(field) = inner.next().map_err(ProtoError::Malformed)? {
            if let (1, Value::Bytes(series)) = (field.number, field.value) {
                list.push(decode_series(series)?);
            }
        }
        results.push(list);
    }
    Ok(results)
}

fn decode_series(bytes: &[u8]) -> Result<Series, ProtoError> {
    let mut labels = Vec::new();
    let mut points = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next().map_err(ProtoError::Malformed)? {
        match (field.number, field.value) {
            (1, Value::Bytes(label)) => put_bytes(&mut labels, 1, label),
            (2, Value::Bytes(sample)) => {
                let (mut ms, mut value) = (0, 0.0);
                let mut inner = Reader::new(sample);
                while let Some(field) = inner.next().map_err(ProtoError::Malformed)? {
                    match (field.number, field.value) {
                        (1, Value::Fixed64(bits)) => value = f64::from_bits(bits),
                        (2, Value::Varint(varint)) => ms = varint.cast_signed(),
                        _ => {}
                    }
                }
                points.push((ms, value));
            }
            _ => {}
        }
    }
    let labels = if labels.is_empty() {
        Labels::default()
    } else {
        Labels::parse(&labels).map_err(|_| ProtoError::Malformed("labels"))?
    };
    Ok(Series { labels, points })
}

fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("a message is far below 4 GiB")
}
