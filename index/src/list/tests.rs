//! Lists of series: plain, compressed, growing.

use super::{List, Tails};
use crate::tests::random;

/// Appends to many lists at once, as inserting does, and reads them back.
#[test]
fn lists_give_back_what_was_appended() {
    let mut random = random("lists_give_back_what_was_appended");
    for spread in [1, 2, 3, 40, 3_000, 300_000] {
        let mut tails = Tails::default();
        let mut ordinals: Vec<u32> = Vec::new();
        let mut next = u32::try_from(random.below(100)).unwrap();
        let mut list = List::one(next);
        ordinals.push(next);
        for _ in 0..12_000 {
            let long = random.below(100) == 0 && spread > 1;
            next += 1 + u32::try_from(random.below(spread)).unwrap();
            let length = if long { 1 + u32::try_from(random.below(200)).unwrap() } else { 1 };
            for ordinal in next..next + length {
                tails.append(&mut list, ordinal);
                ordinals.push(ordinal);
            }
            next += length - 1;
        }
        let parts = tails.parts(list);
        let mut all: Vec<u32> = parts.bitmap.iter().flat_map(|bitmap| bitmap.iter()).collect();
        all.extend(parts.runs.flatten());
        assert_eq!(all, ordinals, "spread {spread}");
        assert!(tails.memory_bytes() < 64 + ordinals.len() * 12 + 80_000, "spread {spread}");
    }
}

#[test]
fn a_list_of_one_run_has_no_tail() {
    let mut tails = Tails::default();
    let mut list = List::before(7);
    (7..1000).for_each(|ordinal| tails.append(&mut list, ordinal));
    assert_eq!(list.single_run(), Some(7..1000));
    tails.append(&mut list, 1001);
    assert_eq!(list.single_run(), None);
}
