//! Rows keep bits and gaps.

use super::*;

fn labelled(name: &str, samples: &[(usize, f64)]) -> Row {
    let mut row = Row::new(Labels::from_pairs([("a", name)]).unwrap());
    samples.iter().for_each(|(step, value)| row.push(*step, *value));
    row
}

#[test]
fn a_row_keeps_nan_payloads_and_gaps() {
    let payload = f64::from_bits(0x7ff8_0000_0000_beef);
    let row = labelled("x", &[(3, payload), (6, -0.0)]);
    assert_eq!(row.values.len(), 4);
    assert_eq!(row.at(3).to_bits(), payload.to_bits());
    assert_eq!(row.at(6).to_bits(), (-0.0f64).to_bits());
    assert!(is_absent(row.at(4)) && is_absent(row.at(0)) && is_absent(row.at(99)));
    assert_eq!(row.len(), 2);
}

#[test]
fn a_computed_value_is_never_taken_for_a_gap() {
    let row = labelled("x", &[(0, f64::from_bits(STALE_NAN_BITS))]);
    assert_eq!(row.len(), 1);
}

#[test]
fn equal_rows_merge_unless_they_overlap() {
    let merged = merge_equal(vec![
        labelled("x", &[(4, 1.0)]),
        labelled("y", &[]),
        labelled("x", &[(1, 2.0)]),
    ]);
    let merged = merged.unwrap();
    assert_eq!(merged.len(), 2);
    assert_eq!(merged[0].samples().collect::<Vec<_>>(), [(1, 2.0), (4, 1.0)]);
    let clash = merge_equal(vec![labelled("x", &[(1, 1.0)]), labelled("x", &[(1, 1.0)])]);
    assert_eq!(clash, Err(QueryError::same_labelset()));
}

#[test]
fn grids_do_not_overflow() {
    let grid = Grid::new(i64::MIN, i64::MAX, 1);
    assert_eq!(grid.earlier(i64::MAX).start_ms, i64::MIN);
    assert_eq!(Grid::new(0, -1, 1).count, 0);
    assert_eq!(Grid::new(0, 10, 3).end_ms(), 9);
    grid.time(usize::MAX);
}
