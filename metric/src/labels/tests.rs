//! Labels: canonical form, the rules of a write, M3's texts.

use super::*;

fn wire(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        write_label(&mut out, name, value);
    }
    out
}

#[test]
fn sorted_wire_bytes_are_canonical_as_they_are() {
    let bytes = wire(&[("__name__", "up"), ("instance", "a:1"), ("job", "x")]);
    let labels = Labels::parse(&bytes).unwrap();
    assert_eq!(labels.as_bytes(), bytes);
    assert_eq!(labels.get("instance"), Some("a:1"));
    assert_eq!(labels.quoted_id(), r#"{__name__="up",instance="a:1",job="x"}"#);
}

#[test]
fn any_order_gives_the_same_identity() {
    let a = Labels::parse(&wire(&[("b", "2"), ("a", "1"), ("__name__", "m")])).unwrap();
    let b = Labels::from_pairs([("__name__", "m"), ("a", "1"), ("b", "2")]).unwrap();
    assert_eq!(a, b);
}

#[test]
fn refusals_are_m3s() {
    let refused = |pairs: &[(&str, &str)]| Labels::parse(&wire(pairs)).unwrap_err().to_string();
    assert_eq!(refused(&[("a", "1"), ("", "x")]), "tag name empty: index=0");
    assert_eq!(refused(&[("a", "")]), "tag value empty: index=0, name=a");
    assert_eq!(
        refused(&[("a", "1"), ("b", "2"), ("a", "3")]),
        "tags duplicate: 'a' appears more than once in 'a: 1, a: 3, b: 2'"
    );
    let long = "x".repeat(LABEL_LITERAL_BYTES_MAX + 1);
    assert!(refused(&[("a", &long)]).starts_with("label literal is too long: nameLength=1"));
    assert_eq!(Labels::parse(&[]).unwrap_err().to_string(), "no tags");
}

#[test]
fn malformed_bytes_are_refused_at_every_cut() {
    let bytes = wire(&[("__name__", "up"), ("job", "x")]);
    for cut in 1..bytes.len() {
        let part = &bytes[..cut];
        let whole_first = cut == wire(&[("__name__", "up")]).len();
        assert_eq!(Labels::parse(part).is_ok(), whole_first, "cut at {cut}");
    }
    assert!(Labels::parse(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}

#[test]
fn order_is_prometheus_order() {
    let set = |pairs: &[(&str, &str)]| Labels::parse(&wire(pairs)).unwrap();
    assert!(set(&[("a", "1")]) < set(&[("a", "1"), ("b", "1")]));
    assert!(set(&[("a", "10")]) < set(&[("a", "9")]));
    assert!(set(&[("a", "zz")]) < set(&[("aa", "b")]));
}

#[test]
fn filtered_keeps_bytes() {
    let labels = Labels::from_pairs([("__name__", "m"), ("a", "1"), ("b", "2")]).unwrap();
    let kept = labels.filtered(|name| name != "__name__");
    assert_eq!(kept, Labels::from_pairs([("a", "1"), ("b", "2")]).unwrap());
}

fn agree(bytes: &[u8]) {
    let parsed = Labels::parse(bytes).is_ok_and(|labels| labels.as_bytes() == bytes);
    assert_eq!(is_canonical(bytes), parsed, "{bytes:?}");
}

/// All blocks of up to seven bytes that have a meaning for a reader.
#[test]
fn canonical_is_what_parse_would_give_for_all_short_blocks() {
    const BYTES: &[u8] = &[0x0a, 0x12, 0, 1, 2, 5, 0x81, b'a'];
    for len in 0..=7 {
        for number in 0..BYTES.len().pow(len) {
            let digit = |at| BYTES[number / BYTES.len().pow(at) % BYTES.len()];
            agree(&(0..len).map(digit).collect::<Vec<u8>>());
        }
    }
}

#[test]
fn canonical_is_what_parse_would_give() {
    let good = wire(&[("__name__", "up"), ("instance", "a:1"), ("job", "x")]);
    agree(&good);
    agree(&[]);
    agree(&wire(&[("b", "1"), ("a", "1")]));
    agree(&wire(&[("a", "1"), ("a", "1")]));
    agree(&wire(&[("a", "")]));
    // The value before the name, and a length with a needless byte.
    agree(&[0x0a, 6, 0x12, 1, b'v', 0x0a, 1, b'n']);
    agree(&[0x0a, 0x86, 0x00, 0x0a, 1, b'n', 0x12, 1, b'v']);
    agree(&[0x0a, 7, 0x0a, 0x81, 0x00, b'n', 0x12, 1, b'v']);
    // Each byte changed.
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            agree(&bad);
        }
    }
}
