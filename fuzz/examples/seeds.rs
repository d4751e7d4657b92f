//! Writes corpus files that an editor cannot: `cargo run -p m3-fuzz --example seeds`.
//!
//! They replace files of the same names in `corpus/`; other files there are not touched.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a tool of the corpus, run by hand"
)]

use m3_http::proto::write::WriteRequestWriter;
use m3_http::proto::{put_bytes, put_fixed64, put_varint};
use m3_metric::labels::{QUOTED_ID_VERSION, write_label};
use m3_metric::{Labels, NamespaceId, ValueKind};
use m3_shard::SeriesSample;
use m3_shard::commitlog::entry::Payload;
use m3_shard::commitlog::frame::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FrameKind, SegmentHeader, SegmentId, encode_header,
};
use std::fs;
use std::path::Path;

const TS: i64 = 1_700_000_000_123;

fn main() {
    remote_writes();
    remote_reads();
    segments();
    programs();
}

fn put(target: &str, name: &str, bytes: &[u8]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(name), bytes).unwrap();
    println!("{target}/{name}: {} bytes", bytes.len());
}

fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(number, bytes)| put_bytes(&mut out, *number, bytes));
    out
}

fn labels(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    pairs.iter().for_each(|(name, value)| write_label(&mut out, name, value));
    out
}

fn sample(ms: i64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    put_fixed64(&mut out, 1, value.to_bits());
    put_varint(&mut out, 2, ms.cast_unsigned());
    out
}

fn series(labels: &[u8], rest: &[(u64, &[u8])]) -> Vec<u8> {
    let mut frame = labels.to_vec();
    frame.extend(message(rest));
    message(&[(1, &frame)])
}

fn remote_writes() {
    let put = |name: &str, bytes: &[u8]| put("remote_write", name, bytes);
    let up = labels(&[("__name__", "up"), ("job", "a")]);
    let one = sample(TS, 1.5);
    let mut writer = WriteRequestWriter::default();
    let pairs = [("__name__", "up"), ("job", "a")];
    writer.push(&pairs, &[(TS, 1.5)]).push(&pairs, &[(TS, 0.0)]).push(&pairs, &[(TS + 1, -0.0)]);
    put("typical_snappy", &writer.body());
    put("typical", writer.message());
    put("several_samples", &series(&up, &[(2, &one), (2, &sample(TS + 1, 2.0))]));
    put("sample_first", &message(&[(1, &[message(&[(2, &one)]), up.clone()].concat())]));
    put("unsorted", &series(&labels(&[("job", "a"), ("__name__", "up")]), &[(2, &one)]));
    put("label_twice", &series(&labels(&[("a", "b"), ("a", "c")]), &[(2, &one)]));
    put("label_empty", &series(&labels(&[("a", "")]), &[(2, &one)]));
    put("no_labels", &series(&[], &[(2, &one)]));
    put("no_samples", &series(&up, &[]));
    put("histogram_and_exemplar", &series(&up, &[(4, b""), (3, b"x"), (2, &one)]));
    put("metadata", &[message(&[(3, b"m")]), writer.message().to_vec()].concat());
    put("unknown_field", &series(&up, &[(101, b"m3"), (2, &one)]));
    // Label bytes whose end looks like a sample, so the fast path's assumption is wrong.
    let mut tail = b"v".to_vec();
    tail.extend(message(&[(2, &one)]));
    let mut inner = message(&[(1, b"n")]);
    put_bytes(&mut inner, 2, &tail);
    put("label_that_ends_as_a_sample", &message(&[(1, &message(&[(1, &inner)]))]));
    let both = [writer.message().to_vec(), message(&[(1, &message(&[(1, &inner)]))])].concat();
    put("true_and_false_claims", &both);
    put("label_not_a_message", &series(&[0x0a, 1, 0xff], &[(2, &one)]));
    put("label_tag_long", &series(&[0x8a, 0x00, 2, 0x0a, 0x00], &[(2, &one)]));
    put("labels_apart", &series(&up, &[(2, &one), (1, &message(&[(1, b"z"), (2, b"y")]))]));
    put("time_out_of_range", &series(&up, &[(2, &sample(i64::MAX, 1.0))]));
    put("time_far_ahead", &series(&up, &[(2, &sample(4_000_000_000_000, 1.0))]));
    put("nan_payload", &series(&up, &[(2, &sample(TS, f64::from_bits(0x7ff0_0000_0000_0002)))]));
    put("group", &[0x0b, 0x0c]);
    put("length_past_the_end", &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let many: Vec<u8> =
        (0..65).flat_map(|_| series(&labels(&[("a", "b")]), &[(2, &one)])).collect();
    put("too_many_samples_snappy", &snappy(&many));
    put("declares_4_gib_snappy", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]);
    put("declares_more_than_it_is_snappy", &[0x80, 0x80, 0x02, 0x00, 0x61]);
    put("zeros_snappy", &snappy(&[0; 60_000]));
}

fn remote_reads() {
    let put = |name: &str, bytes: &[u8]| put("remote_read", name, bytes);
    let matcher = |kind: u64, name: &str, value: &str| {
        let mut out = Vec::new();
        put_varint(&mut out, 1, kind);
        put_bytes(&mut out, 2, name.as_bytes());
        put_bytes(&mut out, 3, value.as_bytes());
        out
    };
    let mut query = Vec::new();
    put_varint(&mut query, 1, TS.cast_unsigned());
    put_varint(&mut query, 2, (TS + 1000).cast_unsigned());
    let all = [("=", 0), ("!=", 1), ("=~", 2), ("!~", 3)];
    for (name, kind) in all {
        put_bytes(&mut query, 3, &matcher(kind, name, "a|b"));
    }
    put("request_typical", &message(&[(1, &query)]));
    put("request_typical_snappy", &snappy(&message(&[(1, &query), (1, &query)])));
    put("request_empty_query", &message(&[(1, b"")]));
    put("request_unknown_type", &message(&[(1, &message(&[(3, &matcher(9, "a", "b"))]))]));
    let mut ends = Vec::new();
    put_varint(&mut ends, 1, i64::MIN.cast_unsigned());
    put_varint(&mut ends, 2, i64::MAX.cast_unsigned());
    put("request_all_time", &message(&[(1, &ends)]));
    put("request_wrong_wire_type", &message(&[(1, &message(&[(1, b"x")]))]));
    let up = labels(&[("__name__", "up"), ("job", "a")]);
    let points = [sample(TS, 1.5), sample(-1, f64::NAN)];
    let one = series(&up, &[(2, &points[0]), (2, &points[1])]);
    put("response_typical", &message(&[(1, &one), (1, b"")]));
    put("response_unsorted", &message(&[(1, &series(&labels(&[("b", "a"), ("a", "b")]), &[]))]));
    put("response_label_twice", &message(&[(1, &series(&labels(&[("b", "a"), ("b", "b")]), &[]))]));
}

/// A segment as the writer creates it: one frame after another.
struct Segment {
    id: SegmentId,
    number: u64,
    bytes: Vec<u8>,
}

impl Segment {
    fn new() -> Self {
        let id = SegmentId { epoch: 1, core: 0, seq: 0 };
        let header = SegmentHeader {
            id,
            core_count: 1,
            num_shards: 4,
            hash_seed: 0,
            first_frame: 0,
            id_version: QUOTED_ID_VERSION,
        };
        Self { id, number: 0, bytes: header.encode().to_vec() }
    }

    fn frame(&mut self, kind: FrameKind, payload: &[u8]) -> &mut Self {
        self.bytes.extend(encode_header(self.id, self.number, kind, payload));
        self.bytes.extend(payload);
        self.bytes.resize(self.bytes.len().next_multiple_of(FRAME_ALIGN), 0);
        self.number += 1;
        self
    }
}

fn payload(first: u32, times: &[i64]) -> Vec<u8> {
    let mut payload = Payload::default();
    let namespace = NamespaceId(0);
    for series in first..first + 2 {
        let name = format!("s{series}");
        let labels = Labels::from_pairs([("__name__", name.as_str())]).unwrap();
        payload.series(namespace, series, 0, ValueKind::default(), labels.as_bytes());
    }
    for (at, ms) in times.iter().enumerate() {
        let bits = [0, 1.0_f64.to_bits(), (-300.5_f64).to_bits(), f64::NAN.to_bits()][at % 4];
        payload.sample(SeriesSample {
            series: first + (at as u32 & 1),
            ts_ns: ms * 1_000_000,
            bits,
        });
    }
    payload.end_section(namespace);
    payload.take(Vec::new()).split_off(FRAME_HEADER_BYTES)
}

fn segments() {
    let put = |name: &str, bytes: &[u8]| put("commitlog", name, bytes);
    // The clock of the target, an hour ago.
    let now = 1_800_000_000_000 - 3_600_000;
    let times: Vec<i64> = (0..6).map(|k| now + k * 1000).collect();
    let mut segment = Segment::new();
    put("segment_header_only", &segment.bytes);
    segment.frame(FrameKind::Data, &payload(0, &times));
    put("segment_one_frame", &segment.bytes);
    segment.frame(FrameKind::Data, &payload(2, &times[2..]));
    put("segment_torn", &segment.bytes[..segment.bytes.len() - 9]);
    segment.frame(FrameKind::Seal, &[]);
    put("segment_sealed", &segment.bytes);
    let mut flipped = segment.bytes.clone();
    flipped[64 + FRAME_HEADER_BYTES + 3] ^= 1;
    put("segment_damaged", &flipped);
    let mut version = segment.bytes.clone();
    version[8] = 2;
    put("segment_version_unknown", &version);
    let mut strange = Segment::new();
    strange.frame(FrameKind::Data, &[2, 0, 255, 255, 255, 255, 15, 0]);
    strange.frame(FrameKind::Data, &[1, 0, 255, 255, 255, 255, 15, 0, 0, 0]);
    put("segment_strange_payloads", &strange.bytes);
}

fn programs() {
    let put = |name: &str, steps: &[&[u8]]| put("commitlog", name, &steps.concat());
    // The instructions of src/commitlog/program.rs.
    let series: &[u8] = &[0, 0, 0, 1, 0, 2];
    let samples: &[u8] = &[2, 0, 10, 4, 2, 1, 0, 5, 2, 2, 10, 6, 2, 0, 10, 7];
    let late: &[u8] = &[2, 0, 200, 9, 2, 0, 0, 8];
    let (frame, seal, restart): (&[u8], &[u8], &[u8]) = (&[6], &[8], &[15]);
    put("program_plain", &[series, samples, frame, samples, late, frame]);
    put("program_two_segments", &[series, samples, seal, samples, frame]);
    put("program_sealed", &[series, samples, seal]);
    put("program_two_logs", &[series, samples, restart, series, samples, frame]);
    put("program_other_shards", &[&[14, 7], restart, series, samples, frame]);
    let namespace = |number: u8| [7, number];
    let all: Vec<Vec<u8>> = (0..4).map(|n| [&namespace(n)[..], series, samples].concat()).collect();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    put("program_all_namespaces", &all);
    put(
        "program_flip_middle",
        &[series, samples, frame, samples, &[10, 100, 0, 1], samples, frame],
    );
    put("program_flip_last", &[series, samples, frame, samples, &[10, 170, 0, 1]]);
    put("program_flip_header", &[series, samples, frame, &[10, 9, 0, 1]]);
    put("program_copy", &[series, samples, frame, samples, &[11, 0], samples, frame]);
    put("program_truncated", &[series, samples, frame, samples, &[12, 150, 0]]);
    put("program_truncated_then_sealed", &[series, samples, &[12, 70, 0], seal, samples]);
    put("program_rubbish_behind", &[series, samples, frame, &[13, 8], b"M3RF\xff\xff\xff\xff"]);
    put("program_strange_payload", &[series, samples, &[9, 4, 2, 0, 1, 0], samples, frame]);
}
