//! What is missing fails where it is required, and only there.

use super::{have, peer};

#[test]
fn what_is_there_is_had_everywhere() {
    for is_required in [false, true] {
        assert_eq!(have(Some(1), || unreachable!(), is_required), Some(1));
    }
    assert!(peer("sh").is_some_and(|path| path.ends_with("sh")));
}

#[test]
fn what_is_missing_is_skipped_where_it_is_not_required() {
    assert_eq!(have(None::<u8>, || "answers.jsonl is not there".to_owned(), false), None);
}

#[test]
#[should_panic(expected = "answers.jsonl is not there")]
fn what_is_missing_fails_by_its_name_where_it_is_required() {
    have(None::<u8>, || "answers.jsonl is not there".to_owned(), true);
}
