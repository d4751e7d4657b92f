//! Quantiles and fractions of buckets.

use super::*;

fn buckets(list: &[(f64, f64)]) -> Vec<Bucket> {
    list.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
}

#[test]
fn a_quantile_interpolates_within_its_bucket() {
    let mut list = buckets(&[(1.0, 10.0), (2.0, 30.0), (f64::INFINITY, 40.0)]);
    assert_eq!(quantile(0.5, &mut list, 0).0, 1.5);
    assert_eq!(quantile(0.125, &mut list, 0).0, 0.5);
    assert_eq!(quantile(1.0, &mut list, 0).0, 2.0);
    assert!(quantile(0.5, &mut buckets(&[(1.0, 1.0)]), 0).0.is_nan());
    assert_eq!(quantile(0.1, &mut buckets(&[(-1.0, 1.0), (f64::INFINITY, 1.0)]), 0).0, -1.0);
}

#[test]
fn decreases_are_taken_back_and_reported_unless_they_are_noise() {
    let mut noise = buckets(&[(1.0, 1e6), (2.0, 1e6 - 1e-8), (f64::INFINITY, 2e6)]);
    assert_eq!(quantile(0.5, &mut noise, 0).1, None);
    let mut list = buckets(&[(1.0, 5.0), (2.0, 3.0), (f64::INFINITY, 5.0)]);
    let correction = quantile(0.5, &mut list, 7).1.unwrap();
    assert_eq!((correction.bucket_min, correction.difference_max), (2.0, 2.0));
}

#[test]
fn fractions() {
    let list = buckets(&[(1.0, 10.0), (2.0, 30.0), (f64::INFINITY, 40.0)]);
    assert_eq!(fraction(0.0, 1.0, &list), 0.25);
    assert_eq!(fraction(1.0, 1.5, &list), 0.25);
    assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &list), 1.0);
    assert_eq!(fraction(2.0, 1.0, &list), 0.0);
}
