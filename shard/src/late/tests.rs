//! When late samples are folded: often while the series is short, rarely once it is long.

use super::{FOLD_COUNT, FOLD_COUNT_MAX, Late};

/// How many late samples a series that holds `held` bytes takes before they should be folded.
fn until_folded(held: usize) -> usize {
    let mut late = Late::default();
    (1..).find(|n| late.push(7, *n as i64, 0, || held)).expect("it is bounded")
}

#[test]
fn a_fold_is_worth_what_it_costs() {
    assert_eq!(until_folded(0), FOLD_COUNT);
    assert_eq!(until_folded(2_000), FOLD_COUNT);
    assert_eq!(until_folded(16 * 10 * FOLD_COUNT), 10 * FOLD_COUNT);
    assert_eq!(until_folded(1 << 30), FOLD_COUNT_MAX);
}
