//! Decoding a payload returns what was encoded.

use super::*;

#[test]
fn samples_and_series_come_back() {
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        127.0,
        128.0,
        40_000.0,
        1e9,
        3e9,
        1e14,
        1e15,
        1e300,
        0.5,
        0.1,
        f64::NAN,
        f64::INFINITY,
        f64::from_bits(0x7ff0_0000_0000_0002),
        5e-324,
        0.1,
    ];
    let times = [0, 1, 1_000_000, 1_700_000_000_000_000_000, i64::MIN, i64::MAX, -5];
    let mut wanted = Vec::new();
    let mut payload = Payload::default();
    payload.series(NamespaceId(3), 7, 21, ValueKind::Float, b"labels");
    let mut series = 5u32;
    for (i, value) in values.iter().enumerate() {
        for (j, ts_ns) in times.iter().enumerate() {
            series = if (i + j) % 3 == 0 {
                series.wrapping_mul(2654435761)
            } else {
                series.wrapping_add(1)
            };
            let sample = SeriesSample { series, ts_ns: *ts_ns, bits: value.to_bits() };
            payload.sample(sample);
            payload.sample(SeriesSample { series: series ^ 1, ..sample });
            wanted.push(sample);
            wanted.push(SeriesSample { series: series ^ 1, ..sample });
        }
    }
    payload.end_section(NamespaceId(3));
    payload.sample(SeriesSample { series: 0, ts_ns: 9, bits: 9 });
    payload.end_section(NamespaceId(4));
    let bytes = payload.take(Vec::new()).split_off(FRAME_HEADER_BYTES);
    let entries: Vec<_> = Entries(&bytes).map(Result::unwrap).collect();
    assert!(matches!(
        &entries[0],
        Entry::Series { namespace: NamespaceId(3), series: 7, shard: 21, labels: b"labels", .. }
    ));
    let mut entries = entries.into_iter().skip(1);
    let Some(Entry::Samples { namespace: NamespaceId(3), samples }) = entries.next() else {
        panic!()
    };
    assert_eq!(samples.map(Result::unwrap).collect::<Vec<_>>(), wanted);
    let Some(Entry::Samples { namespace: NamespaceId(4), samples }) = entries.next() else {
        panic!()
    };
    let last = samples.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(last, [SeriesSample { series: 0, ts_ns: 9, bits: 9 }]);
}

#[test]
fn every_cut_and_flip_ends_in_an_error_or_other_samples_never_in_a_panic() {
    let mut payload = Payload::default();
    payload.series(NamespaceId(0), 0, 0, ValueKind::Float, &[0x0a; 40]);
    for i in 0..20 {
        payload.sample(SeriesSample {
            series: i,
            ts_ns: 1_000_000 * i64::from(i),
            bits: (0.1 * f64::from(i)).to_bits(),
        });
    }
    payload.end_section(NamespaceId(0));
    let bytes = payload.take(Vec::new()).split_off(FRAME_HEADER_BYTES);
    let walk = |bytes: &[u8]| {
        let mut ok = true;
        for entry in Entries(bytes) {
            match entry {
                Ok(Entry::Samples { samples, .. }) => samples.for_each(|s| ok &= s.is_ok()),
                Ok(Entry::Series { .. }) => {}
                Err(_) => ok = false,
            }
        }
        ok
    };
    assert!(walk(&bytes));
    let series_only = 46;
    for cut in 1..bytes.len() {
        assert_eq!(walk(&bytes[..cut]), cut == series_only, "cut at {cut}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            walk(&bad);
        }
    }
}
