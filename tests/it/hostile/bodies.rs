//! Bodies that are not what they claim: bombs, wrong lengths, garbage, and oversized labels.

use super::{Arena, Bounds, get, post, scaled, shoot};
use crate::harness::{now_ms, write_body};
use flate2::Compression;
use flate2::write::GzEncoder;
use m3_http::proto::write::WriteRequestWriter;
use std::io::Write;

const WRITE: &str = "/api/v1/prom/remote/write";

fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

fn remote(body: &[u8]) -> Vec<u8> {
    let headers = [("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
    post(WRITE, &headers, body)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 127 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A field of bytes.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, name), field(2, value)].concat())
}

/// A series of these label fields with one sample of now.
fn series(labels: &[u8]) -> Vec<u8> {
    let sample = [b"\x09\0\0\0\0\0\0\xf0\x3f\x10".to_vec(), varint(now_ms() as u64)].concat();
    field(1, &[labels.to_vec(), field(2, &sample)].concat())
}

fn gzip(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    (0..times).for_each(|_| encoder.write_all(bytes).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn compressed_lies() {
    let arena = Arena::start("");
    let count = scaled(4, 1000);
    let four_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    arena.shots(
        "snappy: 4 GiB declared",
        count,
        &[413],
        "decompressed body too large",
        &remote(&four_gib),
    );
    let mut lie = varint(64 << 20);
    lie.extend_from_slice(&[0; 64]);
    arena.shots("snappy: 64 MiB declared by 64 bytes", count, &[400], "snappy", &remote(&lie));
    let zeros = snappy(&vec![0; (64 << 20) + 1]);
    let text = "decompressed body too large";
    arena.shots("snappy: 64 MiB + 1 of zeros", count, &[413], text, &remote(&zeros));
    let zeros = snappy(&vec![0; 64 << 20]);
    let text = "malformed remote write request";
    arena.shots("snappy: 64 MiB of zeros", count, &[400], text, &remote(&zeros));
    let whole = snappy(&series(&label(b"__name__", b"cut")).repeat(1000));
    arena.shots("snappy: truncated", count, &[400], "snappy", &remote(&whole[..whole.len() / 2]));
    let mut noise = varint(100_000);
    noise.extend((0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    arena.shots("snappy: noise", count, &[400], "snappy", &remote(&noise));

    // A thousand bytes for one.
    let bomb = gzip(&[b' '; 1 << 20], 256);
    let encoded = [("Content-Encoding", "gzip")];
    let json = post("/api/v1/json/write", &encoded, &bomb);
    arena.shots("gzip: 256 MiB as a JSON write", count, &[413], text_of_bomb(), &json);
    let form =
        [("Content-Encoding", "gzip"), ("Content-Type", "application/x-www-form-urlencoded")];
    let form = post("/api/v1/query", &form, &bomb);
    arena.shots("gzip: 256 MiB as a form", count, &[413], text_of_bomb(), &form);
    let admin = post("/api/v1/services/m3db/namespace", &encoded, &bomb);
    arena.shots("gzip: 256 MiB to an admin route", count, &[413], text_of_bomb(), &admin);
    let twice = post("/api/v1/json/write", &encoded, &gzip(&gzip(&[0; 1 << 20], 64), 1));
    arena.shots("gzip in gzip", count, &[400], "invalid JSON", &twice);
    let zstd = post(WRITE, &[("Content-Encoding", "zstd")], b"x");
    arena.shots("an encoding that is unknown", count, &[415], "only snappy is understood", &zstd);
}

const fn text_of_bomb() -> &'static str {
    "decompressed body too large"
}

#[test]
fn protobuf_garbage() {
    let arena = Arena::start("");
    let count = scaled(4, 1000);
    let malformed = "malformed remote write request";
    let one = |name: &str, message: &[u8]| {
        arena.shots(name, count, &[400], malformed, &remote(&snappy(message)));
    };
    one("protobuf: noise", &(0..50_000u32).map(|n| ((n * n) >> 3) as u8).collect::<Vec<_>>());
    one("protobuf: a length of 2^31", &[&[0x0a][..], &varint(1 << 31)].concat());
    one("protobuf: a length of 2^63", &[&[0x0a][..], &varint(1 << 63)].concat());
    one("protobuf: a varint of eleven bytes", &[&[0x08][..], &[0xff; 11]].concat());
    one("protobuf: field number 0", &[0x02, 0x01, 0x00]);
    one("protobuf: a group", &[0x0b, 0x0c]);
    one("protobuf: 100,000 nested groups", &[0x1b; 100_000]);
    one("protobuf: a series of the wrong type", &[0x08, 0x01]);
    let mut deep = Vec::new();
    for _ in 0..2_000 {
        deep = field(1, &deep);
    }
    // Labels without a sample, whose name is a deep message: nothing is stored.
    arena.shots("protobuf: 2,000 deep", count, &[200], "", &remote(&snappy(&deep)));
    let unknown: Vec<u8> = (0..500_000).flat_map(|_| [0x78, 0x01]).collect();
    arena.shots("protobuf: 500,000 unknown fields", 4, &[200], "", &remote(&snappy(&unknown)));
    let queries = field(1, &[]).repeat(1001);
    let read =
        post("/api/v1/prom/remote/read", &[("Content-Encoding", "snappy")], &snappy(&queries));
    arena.shots("remote read: 1,001 queries", count, &[400], "too many queries", &read);
}

#[test]
fn labels_beyond_measure() {
    let arena = Arena::start("");
    let count = scaled(4, 500);
    let one = |name: &str, part: &str, labels: &[u8]| {
        arena.shots(name, count, &[400], part, &remote(&snappy(&series(labels))));
    };
    let named = label(b"__name__", b"m");
    let many: Vec<u8> =
        (0..1_000_000).flat_map(|n| label(format!("l{n:06}").as_bytes(), b"v")).collect();
    one("labels: a million", "labels too long: bytes=", &many);
    let few: Vec<u8> = (0..129).flat_map(|n| label(format!("l{n:03}").as_bytes(), b"v")).collect();
    one("labels: 129", "too many labels: count=129, max=128", &few);
    one("labels: a value of 16 MiB", "labels too long", &label(b"__name__", &vec![b'v'; 16 << 20]));
    let long = [named.clone(), label(b"a", &vec![b'v'; 65_536])].concat();
    one("labels: a value of 64 KiB", "label literal is too long", &long);
    let long = [named.clone(), label(&vec![b'n'; 65_536], b"v")].concat();
    one("labels: a name of 64 KiB", "label literal is too long", &long);
    one("labels: an empty name", "tag name empty", &[named.clone(), label(b"", b"v")].concat());
    one("labels: an empty value", "tag value empty", &[named.clone(), label(b"a", b"")].concat());
    // A reader may read too far where the labels' bytes end.
    for (what, inner) in
        [("nothing", &b""[..]), ("a name", b"\x0a\x01a"), ("a value", b"\x12\x01v")]
    {
        let last = [named.clone(), field(1, inner)].concat();
        one(&format!("labels: the last is {what}"), " empty: index=", &last);
        one(&format!("labels: the only one is {what}"), " empty: index=", &field(1, inner));
    }
    let twice = [named.clone(), label(b"a", b"1"), label(b"a", b"2")].concat();
    one("labels: one name twice", "appears more than once", &twice);
    let latin = [named.clone(), label(b"a", b"\xff\xfe")].concat();
    one("labels: no UTF-8", "must be UTF-8", &latin);
    one("labels: none", "no tags", b"");
    let json = format!("{{\"tags\":{{{}}}}}", "\"a\":\"b\",".repeat(100_000));
    let json = post("/api/v1/json/write", &[], json.as_bytes());
    arena.shots("labels: 100,000 in JSON", count, &[400], "invalid JSON", &json);

    let mut writer = WriteRequestWriter::default();
    let now = now_ms();
    let samples: Vec<_> = (0..200_000).map(|n| (now - n, n as f64)).collect();
    writer.push(&[("__name__", "backwards")], &samples);
    let bounds = Bounds { stays_mib: 100, ..Bounds::default() };
    arena.case("200,000 samples of one series, backwards", bounds, |arena| {
        shoot(arena.addr(), &remote(&writer.body())).expect("backwards", &[200], "")
    });
    let time = now as f64 / 1e3;
    let path = format!("/api/v1/query?query=count_over_time(backwards[1h])&time={time}");
    shoot(arena.addr(), &get(&path)).expect("all are there", &[200], "\"200000\"");
    let body = write_body(&[(&[("__name__", "m")], &[(i64::MAX, 1.0)])]);
    arena.shots("a time of 2^63 - 1", count, &[400], "timestamp out of range", &remote(&body));
}

#[test]
fn json_and_forms() {
    let arena = Arena::start("");
    let count = scaled(4, 1000);
    let write = |body: &str| post("/api/v1/json/write", &[], body.as_bytes());
    let deep = "[".repeat(1_000_000);
    arena.shots("JSON: a million [", count, &[400], "invalid JSON", &write(&deep));
    let big = format!(
        "{{\"tags\":{{\"a\":\"b\"}},\"timestamp\":\"1\",\"value\":{}}}",
        "9".repeat(900_000)
    );
    arena.shots("JSON: a number of 900,000 digits", count, &[400], "", &write(&big));
    let big = "{\"tags\":{\"a\":\"b\"},\"timestamp\":\"1\",\"value\":1e999999999}";
    arena.shots("JSON: 1e999999999", count, &[400], "", &write(big));
    let long = format!("\"{}\"", "\\u0041".repeat(200_000));
    arena.shots("JSON: a text of 1.2 MB", count, &[400, 413], "too large", &write(&long));
    let route = "/api/v1/services/m3db/namespace";
    let deep = post(route, &[], "{\"a\":".repeat(200_000).as_bytes());
    arena.shots("admin JSON: 200,000 deep", count, &[400], "", &deep);
    let wide = format!("[{}0]", "0,".repeat(8 << 20));
    let wide = post(route, &[], wide.as_bytes());
    let bounds = Bounds { peak_mib: 128, ..Bounds::default() };
    arena.case("admin JSON: 8 million numbers", bounds, |arena| {
        shoot(arena.addr(), &wide).expect("wide", &[413], "too large")
    });
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let many = post("/api/v1/query", &form, "a=1&".repeat(1_000_000).as_bytes());
    arena.shots("a form of a million parameters", count, &[400, 413], "", &many);
    let long = post("/api/v1/query", &form, format!("query={}", "a".repeat(16 << 20)).as_bytes());
    arena.shots("a form of 16 MiB", count, &[400, 413], "", &long);
    let mapped = format!("{{\"tagMappers\":{}1{}}}", "[".repeat(3000), "]".repeat(3000));
    let headers = [("M3-Map-Tags-JSON", mapped.as_str())];
    let mapped = post("/api/v1/json/write", &headers, b"{}");
    arena.shots("M3-Map-Tags-JSON: 3,000 deep", count, &[400], "invalid M3-Map-Tags-JSON", &mapped);
}
