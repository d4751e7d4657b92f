//! Natural order and date parts.

use super::labels::natural;
use super::*;
use std::cmp::Ordering;

#[test]
fn natural_order_counts_digits_as_numbers() {
    let mut names = ["node10", "node9", "", "node", "a1b", "a01b", "node9x"];
    names.sort_by(|a, b| natural(a, b));
    assert_eq!(names, ["", "a01b", "a1b", "node", "node9", "node9x", "node10"]);
    assert_eq!(natural("x1", "x1"), Ordering::Equal);
}

#[test]
fn date_parts() {
    assert_eq!(DatePart::DayOfWeek.of(0), 4.0);
    assert_eq!(DatePart::Minute.of(3_599), 59.0);
    assert_eq!(DatePart::Year.of(-1), 1969.0);
    assert_eq!(DatePart::DaysInMonth.of(1_709_164_800), 29.0);
}
