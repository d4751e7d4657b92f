//! Outcomes of writes as status and text.

use super::{status_of, text_of};
use m3_metric::WriteOutcome;

#[test]
fn outcomes_have_m3_s_status_and_text() {
    let mut outcome = WriteOutcome { accepted: 5, ..WriteOutcome::default() };
    assert_eq!((status_of(&outcome), outcome.is_whole()), (200, true));
    outcome.bad.add(1, "no tags");
    outcome.bad.add(1, "datapoint too far in past");
    assert_eq!(status_of(&outcome), 400);
    assert_eq!(text_of(&outcome), "bad_request_errors: count=2, last=datapoint too far in past");
    outcome.retryable.add(1, "disk full");
    assert_eq!(status_of(&outcome), 500);
    assert_eq!(
        text_of(&outcome),
        "retryable_errors: count=1, last=disk full, \
         bad_request_errors: count=2, last=datapoint too far in past"
    );
    outcome.exhausted.add(1, "too many new series");
    assert_eq!(status_of(&outcome), 429);
    assert!(text_of(&outcome).starts_with("retryable_errors: count=2, last=too many new series"));
    assert_eq!(outcome.accepted, 5);
}
