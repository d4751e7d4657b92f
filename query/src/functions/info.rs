//! `info(v, {...})`: adds labels of info series, such as `target_info`, to the series they
//! describe. They belong together if `instance` and `job` are equal.

use crate::error::QueryError;
use crate::matrix::{Data, Row, is_absent, merge_equal};
use crate::promql::LabelMatcher;
use crate::promql::pattern::{compile, matches_empty};
use crate::text::label_set;
use crate::work::{Context, Pieces};
use m3_metric::labels::METRIC_NAME;
use m3_metric::{Labels, MatchOp, Matcher};
use regex::Regex;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The labels by which Prometheus identifies targets.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The parameters of an `info` call.
#[derive(Clone, Debug)]
pub(crate) struct InfoCall {
    names: Vec<(Matcher, Option<Regex>)>,
    /// The labels to add; all if empty.
    wanted: Vec<String>,
    /// Whether a series without an info series is kept.
    keeps_unmatched: bool,
}

impl InfoCall {
    /// The call for the matchers of its second argument, and the matchers for its info series.
    pub(crate) fn new(matchers: &[LabelMatcher]) -> Result<(Self, Vec<Matcher>), QueryError> {
        let (names, data): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.name == *METRIC_NAME);
        let mut names: Vec<Matcher> = names.into_iter().map(LabelMatcher::to_matcher).collect();
        let positive = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::new(MatchOp::Equal, METRIC_NAME, "target_info"));
        } else if !names.iter().any(positive) {
            names.insert(0, Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info"));
        }
        let bad = QueryError::BadData;
        let compiled = names.iter().map(|m| {
            let is_regex = matches!(m.op, MatchOp::Regex | MatchOp::NotRegex);
            let regex = is_regex.then(|| compile(&m.value)).transpose().map_err(bad)?;
            Ok((m.clone(), regex))
        });
        let mut call = Self {
            names: compiled.collect::<Result<_, QueryError>>()?,
            wanted: Vec::new(),
            keeps_unmatched: true,
        };
        for label in data {
            let matcher = label.to_matcher();
            call.keeps_unmatched &= matches_empty(&matcher).map_err(bad)?;
            call.wanted.push(label.name.as_label().to_owned());
            names.push(matcher);
        }
        Ok((call, names))
    }

    /// Whether a series is itself an info series and therefore unchanged.
    fn is_info(&self, labels: &Labels) -> bool {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        self.names.iter().all(|(matcher, regex)| {
            let found = regex.as_ref().map_or(matcher.value == name, |r| r.is_match(name));
            found == matches!(matcher.op, MatchOp::Equal | MatchOp::Regex)
        })
    }
}

fn identity(labels: &Labels) -> Labels {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

/// Adds labels to one series after another.
pub(crate) struct InfoTask {
    call: InfoCall,
    rows: Vec<Row>,
    /// Info series; their values are the times of their samples, in seconds.
    infos: Vec<Row>,
    /// The info series by identity and name.
    by_identity: HashMap<Labels, BTreeMap<String, Vec<usize>>>,
    out: Vec<Row>,
}

impl InfoTask {
    pub(crate) fn new(call: InfoCall, rows: Vec<Row>, infos: Vec<Row>) -> Self {
        let identities: HashSet<Labels> = rows.iter().map(|r| identity(&r.labels)).collect();
        let mut by_identity: HashMap<Labels, BTreeMap<String, Vec<usize>>> = HashMap::new();
        for (i, info) in infos.iter().enumerate() {
            let identity = identity(&info.labels);
            if !identity.is_empty() && identities.contains(&identity) {
                let name = info.labels.get(METRIC_NAME).unwrap_or_default().to_owned();
                by_identity.entry(identity).or_default().entry(name).or_default().push(i);
            }
        }
        Self { call, rows, infos, by_identity, out: Vec::new() }
    }

    /// The newest info series of one name at a step.
    fn newest(&self, candidates: &[usize], step: usize) -> Result<Option<usize>, QueryError> {
        let mut best: Option<(f64, usize)> = None;
        for &info in candidates {
            let time = self.infos[info].at(step);
            if is_absent(time) {
                continue;
            }
            match best {
                Some((newest, other)) if newest.to_bits() == time.to_bits() => {
                    return Err(QueryError::Execution(format!(
                        "found duplicate series for info metric: existing {} @ {ms:.0}, new {} @ \
                         {ms:.0}",
                        label_set(&self.infos[other].labels),
                        label_set(&self.infos[info].labels),
                        ms = time * 1000.0,
                    )));
                }
                Some((newest, _)) if newest > time => {}
                _ => best = Some((time, info)),
            }
        }
        Ok(best.map(|(_, info)| info))
    }

    /// The labels of a series plus those from its info series.
    fn joined(&self, base: &Labels, infos: &[usize]) -> Result<Labels, QueryError> {
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for &info in infos {
            for (name, value) in self.infos[info].labels.iter() {
                let wanted =
                    self.call.wanted.is_empty() || self.call.wanted.iter().any(|w| w == name);
                if name == METRIC_NAME || !wanted {
                    continue;
                }
                if added.get(name).is_some_and(|v| *v != value) {
                    return Err(QueryError::Execution(format!("conflicting label: {name}")));
                }
                if base.get(name).is_none() {
                    added.insert(name, value);
                }
            }
        }
        let mut builder = base.to_builder();
        for (name, value) in added {
            builder.set(name, value);
        }
        Ok(builder.finish())
    }
}

impl Pieces for InfoTask {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        let row = std::mem::take(&mut self.rows[index]);
        let cost = row.values.len() * 4;
        if self.call.is_info(&row.labels) {
            self.out.push(row);
            return Ok(cost);
        }
        let none = BTreeMap::new();
        let names = self.by_identity.get(&identity(&row.labels)).unwrap_or(&none);
        let mut found: Vec<usize> = Vec::new();
        let mut current: Option<Vec<usize>> = None;
        let mut parts: Vec<Row> = Vec::new();
        for (step, value) in row.samples() {
            found.clear();
            for candidates in names.values() {
                found.extend(self.newest(candidates, step)?);
            }
            if found.is_empty() && !self.call.keeps_unmatched {
                continue;
            }
            if current.as_ref() != Some(&found) {
                parts.push(Row::new(self.joined(&row.labels, &found)?));
                current = Some(found.clone());
            }
            parts.last_mut().expect("just pushed").push(step, value);
        }
        self.out.extend(parts);
        Ok(cost)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        merge_equal(std::mem::take(&mut self.out)).map(Data::Matrix)
    }
}
