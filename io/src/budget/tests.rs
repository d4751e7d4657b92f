//! Promises count until they are settled or dropped. A limit of 0 means no limit.

use super::Budget;

#[test]
fn promises_are_within_the_limit_all_together() {
    let budget = Budget::reading(1000, || 400);
    let mut first = budget.promise(500).expect("900 of 1000");
    assert!(budget.promise(200).is_none(), "1100 of 1000");
    assert_eq!(budget.used(), 900, "what is refused is not counted");
    assert!(first.extend(100) && !first.extend(1));
    assert!(budget.is_full());
    first.settle(300);
    assert!(!budget.is_full());
    let second = budget.promise(300);
    assert!(second.is_some() && !budget.has_room(1));
    drop((first, second));
    assert_eq!(budget.used(), 400);
}

#[test]
fn more_than_the_limit_is_full_and_no_limit_never() {
    let budget = Budget::reading(1000, || 2000);
    assert!(budget.is_full() && budget.promise(0).is_none());
    let none = Budget::reading(0, || 2000);
    assert!(!none.is_full() && none.has_room(u64::MAX));
    let mut promise = none.promise(1 << 40).expect("there is no limit");
    promise.settle(u64::MAX);
}

#[test]
fn the_own_process_is_read() {
    let budget = Budget::new(1 << 50);
    assert!(budget.used() > 100_000, "a process takes more than that");
    assert!(!budget.is_full());
}
