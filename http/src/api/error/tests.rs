//! Kinds of errors and their texts.

use super::*;

#[test]
fn kinds_have_the_codes_of_both_houses() {
    for (kind, status, name) in [
        (ErrorKind::BadData, 400, "bad_data"),
        (ErrorKind::Execution, 400, "execution"),
        (ErrorKind::Canceled, 499, "canceled"),
        (ErrorKind::Timeout, 504, "timeout"),
        (ErrorKind::Internal, 500, "internal"),
        (ErrorKind::NotFound, 404, "not_found"),
        (ErrorKind::Exhausted, 429, "too_many_requests"),
        (ErrorKind::Unavailable, 503, "unavailable"),
    ] {
        assert_eq!((kind.status(), kind.name()), (status, name));
    }
    let error = ApiError::bad_parameter("step", "is odd");
    assert_eq!(error.to_string(), "invalid parameter \"step\": is odd (bad_data)");
}
