//! Compares decoded samples with those that were encoded.

use super::*;
use m3_testing::Random;

fn round_trip(samples: &[(i64, u64)], unit: Unit) {
    let (first, rest) = samples.split_first().unwrap();
    let mut stream = Vec::new();
    let (mut last_ts, mut last_step, mut last_bits) = (first.0, 0u32, first.1);
    for &(ts, bits) in rest {
        let step = (ts - last_ts) / unit.ns();
        stream.extend_from_slice(encode(last_step, step, last_bits, bits).as_slice());
        last_step = u32::try_from(step).unwrap_or(0);
        (last_ts, last_bits) = (ts, bits);
    }
    let mut seen = Vec::new();
    let start = Start { ts_ns: first.0, bits: first.1, unit };
    decode(start, &stream, |ts, bits| seen.push((ts, bits))).unwrap();
    assert_eq!(seen, samples);
}

#[test]
fn every_bit_pattern_comes_back() {
    let odd = [
        0.0f64.to_bits(),
        (-0.0f64).to_bits(),
        f64::NAN.to_bits(),
        0x7ff0_0000_0000_0002,
        0xfff8_dead_beef_0001,
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        5e-324f64.to_bits(),
        1.79e308f64.to_bits(),
        123_456_789_012_345_680.0f64.to_bits(),
        9_007_199_254_740_991.0f64.to_bits(),
        (-9_007_199_254_740_991.0f64).to_bits(),
        9_007_199_254_740_993.0f64.to_bits(),
        0.1f64.to_bits(),
        1.0f64.to_bits(),
    ];
    let mut samples = Vec::new();
    for (i, a) in odd.iter().enumerate() {
        for (j, b) in odd.iter().enumerate() {
            let at = (i * 100 + j) as i64 * 2_000_000;
            samples.push((at, *a));
            samples.push((at + 1_000_000, *b));
        }
    }
    round_trip(&samples, Unit::Millisecond);
}

#[test]
fn random_walks_come_back() {
    let mut random = Random::or_seed("random_walks_come_back", 0x5eed);
    for round in 0..200 {
        let unit = if round % 2 == 0 { Unit::Millisecond } else { Unit::Nanosecond };
        let mut ts = 1_700_000_000_000i64 * 1_000_000;
        let mut value = 0f64;
        let mut samples = Vec::new();
        for _ in 0..300 {
            let width = random.below(62_u64);
            let step = (random.next() >> (63 - width.min(50))) as i64 + 1;
            ts += step.min(i64::MAX / 1000 / unit.ns()) * unit.ns();
            if ts > i64::MAX / 4 {
                break;
            }
            value = match random.below(5) {
                0 => value,
                1 => value + f64::from(random.below(1000)),
                2 => f64::from_bits(random.next()),
                3 => (random.next() >> random.below(64_u64)) as f64,
                _ => -(value.trunc()),
            };
            samples.push((ts, value.to_bits()));
        }
        round_trip(&samples, unit);
    }
}

#[test]
fn runs_repeat_step_and_value() {
    let mut stream = encode(0, 5000, 7, 7).as_slice().to_vec();
    for count in [1u16, 30, 31, 65535] {
        stream.extend_from_slice(encode_run(count).as_slice());
    }
    let mut times = Vec::new();
    let start = Start { ts_ns: 0, bits: 7, unit: Unit::Millisecond };
    decode(start, &stream, |ts, bits| {
        assert_eq!(bits, 7);
        times.push(ts);
    })
    .unwrap();
    assert_eq!(times.len(), 2 + 1 + 30 + 31 + 65535);
    assert!(times.windows(2).all(|w| w[1] - w[0] == 5_000_000_000));
}

#[test]
fn broken_streams_are_errors() {
    let start = Start { ts_ns: 0, bits: 0, unit: Unit::Millisecond };
    for bytes in [&[4u8, 1, 2][..], &[5], &[0xff], &[16 << 3], &[7 << 3]] {
        assert_eq!(decode(start, bytes, |_, _| {}), Err(BrokenStream), "{bytes:?}");
    }
}
