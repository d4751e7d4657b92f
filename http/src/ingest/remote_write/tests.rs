//! Remote write decoding: the fast path compared with the strict one, and bad bodies.

use super::*;
use crate::ingest::{status_of, text_of};
use crate::proto::write::WriteRequestWriter;
use crate::proto::{put_bytes, put_fixed64, put_varint};
use m3_metric::Labels;
use m3_metric::labels::write_label;
use m3_testing::Random;

const TS: i64 = 1_700_000_000_123;

fn decode(message: &[u8], mode: Mode) -> Result<(WriteBatch, Contents), IngestError> {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut batch = WriteBatch::default();
    let body = snap::raw::Encoder::new().compress_vec(message).unwrap();
    let len = decoder.decompress(&body, &mut batch)?;
    assert_eq!(&batch.buffer[..len], message);
    let found = decoder.split(len, &mut batch, mode)?;
    Ok((batch, found))
}

/// What a batch means, wherever its labels stand.
fn meaning(batch: &WriteBatch) -> Vec<(Vec<u8>, i64, u64)> {
    let one = |r: &Record| (batch.labels_of(r).to_vec(), r.timestamp.0, r.value_bits);
    batch.records.iter().map(one).collect()
}

fn both(message: &[u8]) -> (WriteBatch, Contents) {
    let (fast, found) = decode(message, Mode::Fast).unwrap();
    let (strict, strict_found) = decode(message, Mode::Strict).unwrap();
    assert_eq!(meaning(&fast), meaning(&strict));
    assert_eq!(found, strict_found);
    packed(&snap::raw::Encoder::new().compress_vec(message).unwrap());
    (fast, found)
}

/// Whether a body can be read packed. If so, checks that the result equals that of the fast path.
fn packed(body: &[u8]) -> bool {
    let key = FingerprintKey::random();
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut batch = WriteBatch { records: vec![RECORD], ..WriteBatch::default() };
    if !decoder.read_packed(body, &key, &mut batch) {
        assert!(batch.records.is_empty() && batch.fingerprints.is_empty());
        return false;
    }
    let mut fast = WriteBatch::default();
    let len = decoder.decompress(body, &mut fast).expect("what is read packed is sound");
    let found = decoder.split(len, &mut fast, Mode::Fast).expect("what is read packed is sound");
    assert_eq!(found, Contents { samples: batch.records.len() as u64, ..Contents::default() });
    let of_fast = fast.records.iter().map(|r| (key.fingerprint(fast.labels_of(r)), r));
    let of_packed = batch.fingerprints.iter().map(|print| Some(*print)).zip(&batch.records);
    let meant = |(print, r): (_, &Record)| (print, r.labels_len, r.timestamp, r.value_bits);
    assert!(of_packed.map(meant).eq(of_fast.map(meant)));
    true
}

const RECORD: Record =
    Record { labels_offset: 0, labels_len: 0, timestamp: Timestamp(0), value_bits: 0 };

/// An ordinary request: `count` series with one sample each, with a hundred to thousands of label
/// bytes.
fn usual(count: usize) -> Vec<u8> {
    let mut writer = WriteRequestWriter::default();
    for n in 0..count {
        let (name, pod) = (format!("metric_{}", n / 7), format!("pod-{n:06x}"));
        let path = "/x".repeat(n * 13 % if n % 50 == 0 { 1900 } else { 150 });
        let value = if n % 3 == 0 { 0.0 } else { n as f64 * 1.7 };
        let pairs = [("__name__", name.as_str()), ("path", &path), ("pod", &pod)];
        writer.push(&pairs, &[(TS + n as i64 % 5, value)]);
    }
    writer.message().to_vec()
}

#[test]
fn bodies_larger_than_the_window_are_read_packed() {
    for count in [0, 1, 100, 2000, 5000] {
        let message = usual(count);
        assert!(packed(&snap::raw::Encoder::new().compress_vec(&message).unwrap()), "{count}");
    }
}

#[test]
fn what_is_not_the_usual_is_not_read_packed() {
    let up = labels(&[("__name__", "up"), ("job", "a")]);
    let frame = |parts: &[(u64, &[u8])]| {
        let mut frame = up.clone();
        parts.iter().for_each(|(number, bytes)| put_bytes(&mut frame, *number, bytes));
        frame
    };
    let one = sample(TS, 1.5);
    let usual = frame(&[(2, &one)]);
    let is_packed =
        |message: &[u8]| packed(&snap::raw::Encoder::new().compress_vec(message).unwrap());
    assert!(is_packed(&request(&[usual.clone(), usual.clone()])));
    for odd in [
        frame(&[]),
        frame(&[(2, &one), (3, b"")]),
        frame(&[(4, b"")]),
        frame(&[(2, &sample(-1, 1.0))]),
        [labels(&[("a", &"x".repeat(5000))]), frame(&[(2, &one)])[up.len()..].to_vec()].concat(),
        [labels(&[("a", &"x".repeat(70_000))]), frame(&[(2, &one)])[up.len()..].to_vec()].concat(),
    ] {
        assert!(!is_packed(&request(&[usual.clone(), odd, usual.clone()])));
    }
    let mut metadata = request(std::slice::from_ref(&usual));
    put_bytes(&mut metadata, 3, b"");
    assert!(!is_packed(&metadata));
    assert!(!is_packed(&request(&[usual])[..20]), "cut");
}

#[test]
fn every_kind_of_snappy_element_is_read_or_left_to_others() {
    let message = usual(2);
    let varint = |len: usize| {
        let mut out = Vec::new();
        m3_metric::labels::write_varint(&mut out, len as u64);
        out
    };
    // A body that begins with the message's first bytes and goes on with `elements`.
    let with = |len: usize, elements: &[&[u8]]| [&varint(len), &elements.concat()[..]].concat();
    let literal = |bytes: &[u8]| match bytes.len() - 1 {
        short @ ..60 => [&[(short as u8) << 2], bytes].concat(),
        long => [&[61 << 2], &(long as u16).to_le_bytes()[..], bytes].concat(),
    };
    let all = literal(&message);
    assert!(packed(&with(message.len(), &[&all])));
    // The same message again, as copies of 64 bytes and one of the rest.
    let far = (message.len() as u16).to_le_bytes();
    let copy = |len: usize| [&[(len as u8 - 1) << 2 | 2], &far[..]].concat();
    let mut copies = vec![copy(64); message.len() / 64];
    copies.push(copy(message.len() % 64));
    let copies = copies.concat();
    assert!(packed(&with(message.len() * 2, &[&all, &copies])));
    // A label value that repeats one letter is a copy that overlaps its own output.
    let mut writer = WriteRequestWriter::default();
    for near in 1..20 {
        let text: String = ('a'..='s').take(near).collect::<String>().repeat(40);
        writer.push(&[("__name__", "up"), ("x", &text)], &[(TS, 1.0)]);
    }
    assert!(packed(&snap::raw::Encoder::new().compress_vec(writer.message()).unwrap()));
    for (what, len, elements) in [
        ("a copy before the beginning", message.len() + 4, vec![&all[..], &[0xe1, 0xff]]),
        ("a copy from nowhere", message.len() + 4, vec![&all, &[0x01, 0]]),
        ("a wide copy", message.len() * 2, vec![&all, &[0xff, 1, 0, 0, 0]]),
        ("an element without its end", message.len() + 4, vec![&all, &[0x02, 1]]),
        ("a literal without its end", message.len(), vec![&all[..all.len() - 1]]),
        ("more than declared", message.len() - 1, vec![&all]),
        ("less than declared", message.len() + 1, vec![&all]),
        ("a literal of 4 GiB", message.len(), vec![&[63 << 2, 0xff, 0xff, 0xff, 0xff], &all]),
        ("nothing", 5, vec![]),
    ] {
        assert!(!packed(&with(len, &elements)), "{what}");
    }
    assert!(!packed(&[]) && !packed(&[0xff; 9]));
}

#[test]
fn damaged_bodies_are_read_packed_only_where_they_are_sound() {
    let mut random = Random::or_seed("damaged_bodies", 11);
    let bodies =
        [3, 40, 1500].map(|count| snap::raw::Encoder::new().compress_vec(&usual(count)).unwrap());
    let mut read = 0;
    for round in 0..3000 {
        let mut body = bodies[if round % 100 == 0 { 2 } else { round % 2 }].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(body.len());
            match random.below(3) {
                0 => body[at] ^= 1 << random.below(8),
                1 => body[at] = random.next() as u8,
                _ => body.truncate(at.max(1)),
            }
        }
        read += usize::from(packed(&body));
    }
    println!("{read} of 3000 were read");
    assert!(read > 100 && read < 2900);
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

fn request(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|frame| put_bytes(&mut out, 1, frame));
    out
}

#[test]
fn a_sender_s_body_is_split_without_decoding_labels() {
    let mut writer = WriteRequestWriter::default();
    let up = [("__name__", "up"), ("job", "a")];
    writer.push(&up, &[(TS, 1.5)]).push(&up, &[(TS, 0.0)]).push(&up, &[(TS + 1, -0.0)]);
    writer.push(&up, &[(TS, f64::from_bits(m3_metric::STALE_NAN_BITS))]);
    let (batch, found) = both(writer.message());
    assert_eq!(found, Contents { samples: 4, ..Contents::default() });
    let bits: Vec<_> = batch.records.iter().map(|r| r.value_bits).collect();
    let wanted = [1.5f64.to_bits(), 0, (-0.0f64).to_bits(), m3_metric::STALE_NAN_BITS];
    assert_eq!(bits, wanted);
    assert_eq!(batch.buffer.len(), writer.message().len(), "nothing was copied");
    for record in &batch.records {
        assert_eq!(batch.labels_of(record), labels(&up));
    }
    assert_eq!(batch.records[2].timestamp.0, (TS + 1) * 1_000_000);
}

#[test]
fn odd_shapes_mean_the_same() {
    let up = labels(&[("__name__", "up"), ("job", "a")]);
    let with = |parts: &[(u64, &[u8])]| {
        let mut frame = Vec::new();
        parts.iter().for_each(|(number, bytes)| put_bytes(&mut frame, *number, bytes));
        frame
    };
    let one = &up[2..usize::from(up[1]) + 2];
    let two = &up[usize::from(up[1]) + 4..];
    let s = sample(TS, 2.0);
    // Samples first, labels that are not contiguous, samples between labels.
    let split = with(&[(1, one), (2, &s), (1, two)]);
    let first = with(&[(2, &s), (1, one), (1, two)]);
    let (batch, found) = both(&request(&[split, first]));
    assert_eq!(found.samples, 2);
    assert!(batch.records.iter().all(|record| batch.labels_of(record) == up));
    // Several samples, exemplars, M3's own fields, an unknown one, early and negative times.
    let mut frame = up.clone();
    for ms in [1, -5, TS] {
        put_bytes(&mut frame, 2, &sample(ms, 3.0));
    }
    put_bytes(&mut frame, 3, b"\x09\x00\x00\x00\x00\x00\x00\x00\x00");
    put_varint(&mut frame, 101, 2);
    put_varint(&mut frame, 102, 1);
    put_varint(&mut frame, 1001, 3);
    put_bytes(&mut frame, 77, b"whatever");
    let mut message = request(&[frame]);
    put_bytes(&mut message, 3, b"\x12\x02up");
    let (batch, found) = both(&message);
    assert_eq!(found, Contents { samples: 3, exemplars: 1, metadata: 1, ..Contents::default() });
    let times: Vec<_> = batch.records.iter().map(|r| r.timestamp.to_ms()).collect();
    assert_eq!(times, [1, -5, TS]);
    // An empty sample is zero at the epoch; a series without labels is refused by the owner.
    let (batch, _) = both(&request(&[with(&[(2, b"")])]));
    assert_eq!((batch.records[0].labels_len, batch.records[0].timestamp.0), (0, 0));
    // A start timestamp (field 3 of a sample) is ignored.
    let mut started = sample(TS, 7.0);
    put_varint(&mut started, 3, 5);
    let mut frame = up.clone();
    put_bytes(&mut frame, 2, &started);
    assert_eq!(both(&request(&[frame])).0.records[0].value_bits, 7f64.to_bits());
}

#[test]
fn histograms_are_reported_as_not_stored() {
    let mut frame = labels(&[("__name__", "h")]);
    put_bytes(&mut frame, 4, b"\x08\x01");
    let (batch, found) = both(&request(&[frame]));
    assert!(batch.records.is_empty());
    let outcome = found.outcome();
    assert_eq!((status_of(&outcome), outcome.bad.count), (400, 1));
    assert!(text_of(&outcome).contains("native histograms are not supported yet"), "{outcome:?}");
}

#[test]
fn a_false_split_is_found_out() {
    // The value of the last label ends in bytes that look like a sample; the real sample precedes
    // it. The fast path cannot know, but its span is not label fields, which reveals it.
    let mut tail = vec![0x12, 0x10];
    tail.extend_from_slice(&sample(TS, 9.0));
    let mut frame = Vec::new();
    put_bytes(&mut frame, 1, b"\x0a\x01a\x12\x01b");
    put_bytes(&mut frame, 2, &sample(TS, 1.0));
    put_bytes(&mut frame, 77, &tail);
    let message = request(&[frame]);
    let (fast, _) = decode(&message, Mode::Fast).unwrap();
    assert_eq!(fast.records[0].value_bits, 9f64.to_bits());
    assert!(!is_label_fields(fast.labels_of(&fast.records[0])));
    let (strict, _) = decode(&message, Mode::Strict).unwrap();
    assert_eq!(strict.records[0].value_bits, 1f64.to_bits());
    assert_eq!(strict.labels_of(&strict.records[0]), labels(&[("a", "b")]));
}

#[test]
fn hostile_bodies_are_refused_before_memory_is_taken() {
    let mut decoder = Decoder::new(DecodeLimits { decoded_bytes: 1 << 20, samples: 100 });
    let mut batch = WriteBatch::default();
    let mut refuse = |body: &[u8]| {
        let error = decoder.decompress(body, &mut batch).unwrap_err();
        assert!(batch.buffer.capacity() <= 1 << 20);
        error
    };
    assert_eq!(refuse(b""), IngestError::Snappy);
    assert_eq!(refuse(b"hello world"), IngestError::Snappy);
    // Declares 4 GiB - 1, then 1 MiB out of nothing, then more than a varint.
    let huge = IngestError::TooLarge { bytes: u32::MAX as usize, limit: 1 << 20 };
    assert_eq!(refuse(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]), huge);
    assert_eq!(refuse(&[0x80, 0x80, 0x40, 0]), IngestError::Snappy);
    assert_eq!(refuse(&[0xff; 12]), IngestError::Snappy);
    let over = snap::raw::Encoder::new().compress_vec(&vec![0; (1 << 20) + 1]).unwrap();
    assert!(matches!(refuse(&over), IngestError::TooLarge { .. }));
    // The records of many tiny samples would need more memory than the request.
    let mut frame = labels(&[("a", "b")]);
    (0..101).for_each(|_| put_bytes(&mut frame, 2, b""));
    let message = request(&[frame]);
    let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    let len = decoder.decompress(&body, &mut batch).unwrap();
    let error = decoder.split(len, &mut batch, Mode::Fast).unwrap_err();
    assert_eq!(error, IngestError::TooManySamples { limit: 100 });
}

#[test]
fn malformed_messages_are_refused() {
    for (message, what) in [
        (&b"\x0a\x05ab"[..], "length past the end"),
        (b"\x0b", "illegal wire type"),
        (b"\x00\x00", "illegal field number"),
        (b"\x08\x01", "wrong wire type"),
        (b"\x0a\x02\x08\x01", "wrong wire type"),
        (b"\x0a\x03\x0a\x01\xff", "a label is no label message"),
        (b"\x0a\x04\x12\x02\x08\x01", "wrong wire type in a sample"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "varint over 64 bits"),
        (b"\x0a\xff", "unterminated varint"),
    ] {
        let error = decode(message, Mode::Fast).unwrap_err();
        assert!(error.to_string().contains(what), "{message:?}: {error}");
    }
}

#[test]
fn a_time_that_cannot_be_said_in_nanoseconds_costs_its_own_sample_only() {
    for ms in [i64::MIN, -9_223_372_036_855, 9_223_372_036_855, TS * 1000, i64::MAX] {
        let series = |name: &str, times: &[i64]| {
            let mut frame = labels(&[("__name__", "up"), ("i", name)]);
            times.iter().for_each(|ms| put_bytes(&mut frame, 2, &sample(*ms, 1.0)));
            frame
        };
        let frames = [series("1", &[TS]), series("2", &[ms]), series("3", &[TS])];
        let (batch, contents) = both(&request(&frames));
        assert_eq!((batch.records.len(), contents.refused.count), (2, 1), "{ms}");
        let outcome = contents.outcome();
        assert_eq!((status_of(&outcome), outcome.bad.count), (400, 1));
        let wanted = format!("id={{__name__=\"up\",i=\"2\"}}, timestamp_unix_millis={ms}");
        assert!(text_of(&outcome).contains(&wanted), "{}", text_of(&outcome));
        // The same among other samples of the series.
        let message = request(&[series("2", &[TS, ms, TS + 1])]);
        let (batch, contents) = decode(&message, Mode::Strict).unwrap();
        assert_eq!((batch.records.len(), contents.refused.count), (2, 1), "{ms}");
    }
    // The extreme times of nanoseconds become records; the namespace decides about them.
    let mut frame = labels(&[("a", "b")]);
    for ms in [-9_223_372_036_854, 9_223_372_036_854] {
        put_bytes(&mut frame, 2, &sample(ms, 1.0));
    }
    assert_eq!(both(&request(&[frame])).0.records.len(), 2);
}

#[test]
fn refused_samples_count_against_the_limit_of_samples() {
    let mut frame = labels(&[("a", "b")]);
    (0..5).for_each(|_| put_bytes(&mut frame, 2, &sample(i64::MAX, 1.0)));
    let message = request(&[frame]);
    let mut decoder = Decoder::new(DecodeLimits { decoded_bytes: 1 << 20, samples: 4 });
    let mut batch = WriteBatch { buffer: message.clone(), ..WriteBatch::default() };
    let refused = decoder.split(message.len(), &mut batch, Mode::Fast);
    assert_eq!(refused, Err(IngestError::TooManySamples { limit: 4 }));
}

fn random_frame(random: &mut Random) -> Vec<u8> {
    let mut fields: Vec<(u64, Vec<u8>)> = Vec::new();
    for index in 0..random.below(5) {
        let name = format!("n{index}");
        let value = "v".repeat(random.below(30));
        let label = labels(&[(&name, &value)]);
        fields.push((1, label[2..].to_vec()));
    }
    for _ in 0..[1, 1, 1, 1, 0, 2, 3][random.below(7)] {
        let value = if random.below(4) == 0 { 0.0 } else { f64::from_bits(random.next()) };
        let mut bytes = Vec::new();
        if value.to_bits() != 0 || random.below(8) == 0 {
            put_fixed64(&mut bytes, 1, value.to_bits());
        }
        put_varint(&mut bytes, 2, TS.cast_unsigned() + random.next() % 1000);
        fields.push((2, bytes));
    }
    if random.below(6) == 0 {
        fields.push(([3, 4, 77][random.below(3)], sample(TS, 4.0)));
    }
    if random.below(5) == 0 && fields.len() > 1 {
        let (a, b) = (random.below(fields.len()), random.below(fields.len()));
        fields.swap(a, b);
    }
    let mut frame = Vec::new();
    fields.iter().for_each(|(number, bytes)| put_bytes(&mut frame, *number, bytes));
    frame
}

#[test]
fn fast_and_strict_agree_on_random_and_mutated_bodies() {
    let mut random = Random::or_seed("fast_and_strict_agree", 0x9e37_79b9_7f4a_7c15);
    let (mut agreed, mut refused, mut found_out) = (0, 0, 0);
    for round in 0..20_000 {
        let frames: Vec<_> = (0..1 + random.below(4)).map(|_| random_frame(&mut random)).collect();
        let mut message = request(&frames);
        if round % 2 == 1 {
            for _ in 0..1 + random.below(3) {
                let at = random.below(message.len());
                match random.below(3) {
                    0 => message[at] ^= 1 << random.below(8),
                    1 => message.truncate(at.max(1)),
                    _ => message.insert(at, 0x12),
                }
            }
        }
        let fast = decode(&message, Mode::Fast);
        let strict = decode(&message, Mode::Strict);
        if let Ok((batch, _)) = &strict {
            for record in &batch.records {
                assert!(is_label_fields(batch.labels_of(record)), "{message:?}");
            }
        }
        match (fast, strict) {
            (Err(_), Err(_)) => refused += 1,
            (Ok((fast, found)), strict) => {
                // The owner's rule: a record whose span is whole label fields is true.
                if !fast.records.iter().all(|r| is_label_fields(fast.labels_of(r))) {
                    found_out += 1;
                    continue;
                }
                let (strict, strict_found) = strict.unwrap_or_else(|e| panic!("{e}: {message:?}"));
                assert_eq!(meaning(&fast), meaning(&strict), "{message:?}");
                assert_eq!(found, strict_found);
                agreed += 1;
            }
            // The fast path may report malformed bytes only if the strict one does.
            (Err(error), Ok(_)) => panic!("{error}: {message:?}"),
        }
    }
    println!("agreed {agreed}, refused {refused}, found out {found_out}");
    assert!(agreed > 5_000 && refused > 100 && found_out > 10);
}

#[test]
fn memory_is_reused() {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut batch = WriteBatch::default();
    let mut writer = WriteRequestWriter::default();
    for n in 0..500 {
        writer.push(&[("__name__", "up"), ("n", &n.to_string())], &[(TS, f64::from(n))]);
    }
    let body = writer.body();
    let mut run = |batch: &mut WriteBatch| {
        let len = decoder.decompress(&body, batch).unwrap();
        assert_eq!(decoder.split(len, batch, Mode::Fast).unwrap().samples, 500);
        (batch.buffer.as_ptr(), batch.records.as_ptr())
    };
    let first = run(&mut batch);
    assert_eq!(run(&mut batch), first);
    let parsed = Labels::parse(batch.labels_of(&batch.records[7])).unwrap();
    assert_eq!(parsed.get("n"), Some("7"));
}

#[test]
fn content_is_negotiated() {
    let check = |name: &str, value: &str| {
        let mut headers = Headers::default();
        headers.push(name, value.as_bytes());
        negotiate(&headers).map_err(|e| e.kind.status())
    };
    assert_eq!(negotiate(&Headers::default()), Ok(()));
    assert_eq!(check("Content-Encoding", "snappy"), Ok(()));
    assert_eq!(check("Content-Encoding", "zstd"), Err(415));
    assert_eq!(check("Content-Encoding", "gzip"), Err(415));
    assert_eq!(check("Content-Type", "application/x-protobuf"), Ok(()));
    assert_eq!(
        check("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest"),
        Ok(())
    );
    assert_eq!(
        check("Content-Type", "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\""),
        Err(415)
    );
    assert_eq!(check("Content-Type", "application/x-www-form-urlencoded"), Ok(()));
}
