//! The k largest or smallest samples of each group at each step.
//!
//! The same selection runs on each core, which drops samples that cannot be among the k, and at the
//! root. Ties go to the series whose labels sort first, so the number of cores does not change the
//! answer.

use crate::fold::{Grouping, Groups};
use crate::matrix::{Row, sort_key};
use crate::number::nan_first;
use m3_metric::Labels;
use std::cmp::Ordering;

/// The candidates of one group: up to `k` for each step, best first.
#[derive(Clone, Debug, Default)]
struct Candidates {
    /// The step of `steps[0]`. A group of short-lived series holds no more than their span.
    first: usize,
    steps: Vec<Vec<(f64, u32)>>,
}

impl Candidates {
    fn at(&mut self, step: usize) -> &mut Vec<(f64, u32)> {
        if self.steps.is_empty() {
            self.first = step;
        }
        if step < self.first {
            let missing = self.first - step;
            self.steps.splice(0..0, std::iter::repeat_n(Vec::new(), missing));
            self.first = step;
        }
        if step - self.first >= self.steps.len() {
            self.steps.resize(step - self.first + 1, Vec::new());
        }
        &mut self.steps[step - self.first]
    }
}

/// Keeps the best samples of rows that are added one by one.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    largest: bool,
    k: usize,
    steps: usize,
    grouping: Grouping,
    groups: Groups,
    candidates: Vec<Candidates>,
    /// The candidate series, with their sort keys.
    series: Vec<(Labels, Vec<u8>)>,
    held: u64,
}

impl Ranking {
    pub(crate) fn new(largest: bool, k: usize, steps: usize, grouping: Grouping) -> Self {
        Self {
            largest,
            k,
            steps,
            grouping,
            groups: Groups::default(),
            candidates: Vec::new(),
            series: Vec::new(),
            held: 0,
        }
    }

    /// Adds a row as a candidate.
    pub(crate) fn add(&mut self, row: &Row) {
        if self.k == 0 {
            return;
        }
        let group = self.groups.number(self.grouping.group(&row.labels));
        if group == self.candidates.len() {
            self.candidates.push(Candidates::default());
        }
        let id = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.series.push((row.labels.clone(), sort_key(&row.labels)));
        let mut entered = false;
        for (step, value) in row.samples() {
            let list = self.candidates[group].at(step);
            let (series, largest) = (&self.series, self.largest);
            let key = &series[id as usize].1;
            let is_before = |(v, s): &(f64, u32)| {
                let order = prefer(largest, *v, value);
                order.then_with(|| series[*s as usize].1.cmp(key)) == Ordering::Less
            };
            // Most samples rank below the worst candidate.
            if list.len() == self.k && list.last().is_some_and(is_before) {
                continue;
            }
            let at = list.partition_point(is_before);
            if list.len() == self.k {
                list.pop();
                self.held -= 1;
            }
            list.insert(at, (value, id));
            self.held += 1;
            entered = true;
        }
        if !entered {
            self.series.pop();
        }
    }

    /// The number of samples held.
    pub(crate) const fn samples(&self) -> u64 {
        self.held
    }

    /// The selected samples: for a single step in order of rank, group by group; otherwise in order
    /// of arrival.
    pub(crate) fn finish(self) -> Vec<Row> {
        if self.steps == 1 {
            let lists = self.candidates.iter().filter_map(|c| c.steps.first()).flatten();
            return lists
                .map(|(value, id)| {
                    let mut row = Row::new(self.series[*id as usize].0.clone());
                    row.push(0, *value);
                    row
                })
                .collect();
        }
        let mut rows: Vec<Row> =
            self.series.into_iter().map(|(labels, _)| Row::new(labels)).collect();
        for group in &self.candidates {
            for (step, list) in group.steps.iter().enumerate() {
                for (value, id) in list {
                    rows[*id as usize].push(group.first + step, *value);
                }
            }
        }
        rows.retain(|row| !row.values.is_empty());
        rows
    }
}

/// `Less` if `a` ranks before `b`; NaN ranks last.
pub(crate) fn prefer(largest: bool, a: f64, b: f64) -> Ordering {
    if largest || a.is_nan() || b.is_nan() { nan_first(b, a) } else { nan_first(a, b) }
}
