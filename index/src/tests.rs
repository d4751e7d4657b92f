//! Compares the index with a list of label sets that is searched one by one.

mod measure;

use crate::{Index, Matchers, Postings};
use m3_metric::{Labels, MatchOp, Matcher, SeriesOrdinal};
use m3_testing::Random;
use std::collections::BTreeSet;

/// A generator for the test `test`. Its seed is fixed, unless `SEED` is set.
pub(crate) fn random(test: &str) -> Random {
    Random::or_seed(test, 7)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn index(series: &[Labels]) -> Index {
    let mut index = Index::new();
    for (ordinal, labels) in series.iter().enumerate() {
        index.insert(SeriesOrdinal(u32::try_from(ordinal).unwrap()), labels.as_bytes());
    }
    index
}

fn scan(series: &[Labels], matchers: &Matchers) -> Postings {
    let fits = |(_, labels): &(usize, &Labels)| matchers.matches(labels.as_bytes());
    series
        .iter()
        .enumerate()
        .filter(fits)
        .map(|(ordinal, _)| SeriesOrdinal(u32::try_from(ordinal).unwrap()))
        .collect()
}

const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

/// A random series: labels with few values, one that is sometimes absent, one that is nearly
/// unique.
fn random_series(random: &mut Random, number: usize) -> Labels {
    let mut pairs = vec![("u".to_owned(), format!("u{}-{number}", random.below(50)))];
    for (name, values, missing) in [("a", 3, 4), ("b", 20, 3), ("c", 400, 2), ("d", 1, 9)] {
        if random.below(10) >= missing {
            pairs.push((name.to_owned(), format!("v{}", random.below(values))));
        }
    }
    Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap()
}

fn random_matcher(random: &mut Random) -> Matcher {
    const VALUES: [&str; 28] = [
        "",
        "v0",
        "v1",
        "v2",
        "v17",
        "v399",
        "nothing",
        "u3-9",
        ".*",
        ".+",
        "v1|v2",
        "v0|",
        "|",
        "v1.*",
        "v.+",
        ".*7",
        ".*1.*",
        ".*-1.*|v1.*",
        "u1.*|u2.*|v3.*",
        "v[0-9]",
        "v1?[0-9]+",
        "(?i)V1",
        "u[0-4].*9",
        r"u\d+-\d*3",
        "(v1.*)?",
        "v(1|2)?",
        "x.*",
        r"v\d+|",
    ];
    let name = ["a", "b", "c", "d", "u", "missing"][random.below(6)];
    Matcher::new(OPS[random.below(4)], name, VALUES[random.below(VALUES.len())])
}

#[test]
fn searches_agree_with_a_scan_over_all_series() {
    let mut random = random("searches_agree_with_a_scan_over_all_series");
    for count in [0, 1, 5, 300, 5_000, 70_000] {
        let series: Vec<Labels> = (0..count).map(|n| random_series(&mut random, n)).collect();
        let index = index(&series);
        assert_eq!(index.series_count(), count as u64);
        for _ in 0..(if count > 1000 { 60 } else { 800 }) {
            let matchers: Vec<Matcher> =
                (0..random.below(5)).map(|_| random_matcher(&mut random)).collect();
            let compiled = Matchers::compile(&matchers).unwrap();
            let found = index.search(&compiled);
            assert_eq!(found, scan(&series, &compiled), "{count} series, {matchers:?}");
            if count <= 5_000 {
                check_listing(&index, &series, &found);
            }
        }
    }
}

/// Names and values listed for `found` must be those of its series.
fn check_listing(index: &Index, series: &[Labels], found: &Postings) {
    let mut names = BTreeSet::new();
    let mut values = BTreeSet::new();
    for ordinal in found.iter() {
        for (name, value) in series[ordinal.0 as usize].iter() {
            names.insert(name.to_owned());
            if name == "c" {
                values.insert(value.to_owned());
            }
        }
    }
    assert_eq!(index.label_names(Some(found)), Vec::from_iter(names));
    assert_eq!(index.label_values("c", Some(found)), Vec::from_iter(values));
}

#[test]
fn empty_and_absent_labels_by_table() {
    let series = [
        labels(&[("job", "x"), ("a", "1")]),
        labels(&[("job", "x")]),
        labels(&[("job", "y"), ("a", "2"), ("z", "1")]),
    ];
    let index = index(&series);
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    type Asked<'a> = &'a [(MatchOp, &'a str, &'a str)];
    let table: &[(Asked<'_>, &[u32])] = &[
        (&[], &[0, 1, 2]),
        (&[(Equal, "a", "")], &[1]),
        (&[(NotEqual, "a", "")], &[0, 2]),
        (&[(NotEqual, "a", "1")], &[1, 2]),
        (&[(Regex, "a", "1|")], &[0, 1]),
        (&[(NotRegex, "a", "1|")], &[2]),
        (&[(Regex, "a", ".*")], &[0, 1, 2]),
        (&[(Regex, "a", ".+")], &[0, 2]),
        (&[(NotRegex, "a", ".+")], &[1]),
        (&[(NotRegex, "a", ".*")], &[]),
        (&[(Equal, "nope", "")], &[0, 1, 2]),
        (&[(NotEqual, "nope", "")], &[]),
        (&[(NotEqual, "nope", "x")], &[0, 1, 2]),
        (&[(Regex, "nope", "x|")], &[0, 1, 2]),
        (&[(Regex, "nope", "x")], &[]),
        (&[(Equal, "a", "1"), (Equal, "a", "2")], &[]),
        (&[(NotEqual, "a", "1"), (NotEqual, "a", "2")], &[1]),
        (&[(NotEqual, "a", "1"), (NotEqual, "a", "")], &[2]),
        (&[(Regex, "a", "1|2"), (NotEqual, "a", "1")], &[2]),
        (&[(Regex, "a", "1|"), (Regex, "a", "2|")], &[1]),
        (&[(Equal, "a", ""), (NotEqual, "a", "")], &[]),
        (&[(Equal, "job", "x"), (Equal, "a", "")], &[1]),
        (&[(Equal, "job", "y"), (NotRegex, "z", "[1]")], &[]),
        // Every label has a name. Queries ask for one without where no label can have a text.
        (&[(Equal, "", "x")], &[]),
        (&[(NotEqual, "", "x")], &[0, 1, 2]),
        (&[(Equal, "job", "x"), (NotEqual, "", "x"), (Equal, "a", "1")], &[0]),
    ];
    for (matchers, expected) in table {
        let matchers: Vec<Matcher> =
            matchers.iter().map(|&(op, name, value)| Matcher::new(op, name, value)).collect();
        let compiled = Matchers::compile(&matchers).unwrap();
        let found: Vec<u32> = index.search(&compiled).iter().map(|ordinal| ordinal.0).collect();
        assert_eq!(found, *expected, "{matchers:?}");
        assert_eq!(scan(&series, &compiled).len(), expected.len() as u64, "{matchers:?}");
    }
}

#[test]
fn names_and_values_are_sorted_and_whole() {
    let series = [
        labels(&[("job", "b"), ("a", "10")]),
        labels(&[("job", "a"), ("\u{e9}", "1")]),
        labels(&[("job", "b\0"), ("a", "9")]),
    ];
    let index = index(&series);
    assert_eq!(index.label_names(None), ["a", "job", "\u{e9}"]);
    assert_eq!(index.label_values("job", None), ["a", "b", "b\0"]);
    assert_eq!(index.label_values("a", None), ["10", "9"]);
    assert!(index.label_values("missing", None).is_empty());
    let some: Postings = [SeriesOrdinal(1)].into_iter().collect();
    assert_eq!(index.label_names(Some(&some)), ["job", "\u{e9}"]);
    assert!(index.label_values("a", Some(&some)).is_empty());
    assert!(index.label_names(Some(&Postings::new())).is_empty());
}

/// Values that arrive between searches are found although earlier ones are sorted by then.
#[test]
fn prefixes_are_found_while_values_keep_coming() {
    let mut random = random("prefixes_are_found_while_values_keep_coming");
    let mut index = Index::new();
    let matchers =
        |value: &str| Matchers::compile(&[Matcher::new(MatchOp::Regex, "u", value)]).unwrap();
    let prefix = matchers("p3.*");
    let mut expected = 0;
    for number in 0..60_000_u32 {
        let value = format!("p{}-{number}", random.below(10));
        expected += u64::from(value.starts_with("p3"));
        index.insert(SeriesOrdinal(number), labels(&[("u", &value)]).as_bytes());
        if number % 1999 == 0 {
            assert_eq!(index.search(&prefix).len(), expected, "after {number}");
        }
    }
    let values = index.label_values("u", None);
    assert_eq!(values.len(), 60_000);
    assert!(values.is_sorted());
}

#[test]
fn long_literals_are_kept_whole() {
    let long = "x".repeat(m3_metric::limits::LABEL_LITERAL_BYTES_MAX);
    let series = [labels(&[("a", &long)]), labels(&[("a", &long[1..])]), labels(&[(&long, "1")])];
    let index = index(&series);
    let equal = Matchers::compile(&[Matcher::new(MatchOp::Equal, "a", long.clone())]).unwrap();
    assert_eq!(index.search(&equal), scan(&series, &equal));
    assert_eq!(index.label_values("a", None), [&long[1..], &long]);
}

#[test]
fn an_index_moves_between_threads_and_matchers_copy() {
    fn is_send<T: Send>() {}
    fn is_clone<T: Clone + Send>() {}
    is_send::<Index>();
    is_clone::<Matchers>();
    is_clone::<Postings>();
}

#[test]
#[should_panic(expected = "number of series before it")]
fn ordinals_must_be_dense() {
    Index::new().insert(SeriesOrdinal(1), labels(&[("a", "b")]).as_bytes());
}
