//! Folding on several cores gives what folding on one gives.

use super::*;

fn row(host: &str, part: &str, values: &[f64]) -> Row {
    let labels = Labels::from_pairs([("host", host), ("part", part), ("__name__", "m")]).unwrap();
    let mut row = Row::new(labels);
    values.iter().enumerate().for_each(|(step, value)| row.push(step + 1, *value));
    row
}

#[test]
fn parts_merge_to_the_whole() {
    let rows = [
        row("a", "1", &[1e100, 2.0, f64::MAX]),
        row("a", "2", &[1.0, f64::NAN, f64::MAX]),
        row("b", "1", &[7.0]),
        row("a", "3", &[-1e100, -0.0]),
    ];
    for op in [
        AggregateOp::Sum,
        AggregateOp::Avg,
        AggregateOp::Min,
        AggregateOp::Max,
        AggregateOp::Count,
        AggregateOp::Group,
    ] {
        let grouping = Grouping::new(&["host".to_owned()], false);
        let mut whole = Fold::new(op, grouping.clone());
        rows.iter().for_each(|r| whole.add(r));
        let mut parts = [Fold::new(op, grouping.clone()), Fold::new(op, grouping.clone())];
        rows.iter().enumerate().for_each(|(i, r)| parts[i % 2].add(r));
        let [mut first, second] = parts;
        first.merge(second);
        let bits = |rows: Vec<Row>| -> Vec<(Labels, Vec<u64>)> {
            let bits = |r: &Row| r.values.iter().map(|v| v.to_bits()).collect();
            let mut all: Vec<_> = rows.iter().map(|r| (r.labels.clone(), bits(r))).collect();
            all.sort();
            all
        };
        assert_eq!(bits(first.finish()), bits(whole.finish()), "{op:?}");
    }
}

#[test]
fn without_drops_the_name_too() {
    let grouping = Grouping::new(&["part".to_owned()], true);
    let labels = grouping.group(&row("a", "1", &[]).labels);
    assert_eq!(labels, Labels::from_pairs([("host", "a")]).unwrap());
}
