//! Outcomes of writes as status and text.

use super::*;

#[test]
fn outcomes_have_m3_s_status_and_text() {
    let mut outcome = WriteOutcome { accepted: 5, ..WriteOutcome::default() };
    assert_eq!((outcome.status(), outcome.is_whole()), (200, true));
    outcome.refuse("no tags");
    outcome.refuse("datapoint too far in past");
    assert_eq!(outcome.status(), 400);
    assert_eq!(outcome.text(), "bad_request_errors: count=2, last=datapoint too far in past");
    let mut other = WriteOutcome::default();
    other.fail("disk full");
    outcome.add(other);
    assert_eq!(outcome.status(), 500);
    assert_eq!(
        outcome.text(),
        "retryable_errors: count=1, last=disk full, \
         bad_request_errors: count=2, last=datapoint too far in past"
    );
    outcome.exhaust("too many new series");
    assert_eq!(outcome.status(), 429);
    assert!(outcome.text().starts_with("retryable_errors: count=2, last=too many new series"));
    assert_eq!(outcome.accepted, 5);
}
