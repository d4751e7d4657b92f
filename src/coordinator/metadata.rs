//! Label names, label values, series and M3's tag search: asked of every core, merged, sorted.

use super::read::RANGE_LIMIT_APPLIED;
use super::{Coordinator, stopping};
use crate::message::{Message, MetadataAnswer, MetadataJob, MetadataWant};
use m3_http::api::{
    ApiError, FetchStats, MetadataCall, Notes, QueryOptions, Reply, SERIES_LIMIT_APPLIED,
    SearchCall,
};
use m3_io::{oneshot, time};
use m3_metric::limits::PATTERNS_COST_MAX;
use m3_metric::pattern::cost_of_all;
use m3_metric::{Labels, Matcher, Timestamp};
use m3_query::promql;
use std::collections::{BTreeMap, BTreeSet};

impl Coordinator {
    pub(super) async fn label_names(&self, call: MetadataCall) -> Result<Reply, ApiError> {
        let (answers, mut notes) = self.search_all(&call, MetadataWant::Names).await?;
        let strip = self.strip(&call.options);
        let names: BTreeSet<_> = names_of(answers).filter(|n| !strip.contains(n)).collect();
        self.check_size(&call.options, names.len(), &mut notes)?;
        Ok(names_reply(names, notes))
    }

    pub(super) async fn label_values(
        &self,
        name: String,
        call: MetadataCall,
    ) -> Result<Reply, ApiError> {
        let stripped = self.strip(&call.options).contains(&name);
        let (answers, mut notes) = self.search_all(&call, MetadataWant::Values(name)).await?;
        let values: BTreeSet<_> =
            if stripped { BTreeSet::new() } else { names_of(answers).collect() };
        self.check_size(&call.options, values.len() + 1, &mut notes)?;
        Ok(names_reply(values, notes))
    }

    pub(super) async fn series(&self, call: MetadataCall) -> Result<Reply, ApiError> {
        let most = call.options.limits.series.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        let (answers, mut notes) = self.search_all(&call, MetadataWant::Series(most)).await?;
        let strip = self.strip(&call.options);
        let mut series: Vec<Labels> = Vec::new();
        for answer in answers {
            if let MetadataAnswer::Series(part) = answer {
                series.extend(part);
            }
        }
        if !strip.is_empty() {
            for labels in &mut series {
                *labels = labels.filtered(|name| !strip.iter().any(|s| s == name));
            }
        }
        series.sort();
        series.dedup();
        self.check_size(&call.options, series.len(), &mut notes)?;
        series.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        count(&mut notes, series.iter().map(|l| l.iter().count() as u64).sum());
        Ok(Reply::Series { series, notes })
    }

    pub(super) async fn tag_search(&self, call: SearchCall) -> Result<Reply, ApiError> {
        let want = MetadataWant::Tags { names: call.names, names_only: call.names_only };
        let (start_ms, end_ms) = (call.start_ms, call.end_ms);
        let selectors = vec![call.matchers];
        let (answers, mut notes) =
            self.search_selectors(selectors, start_ms, end_ms, &call.options, want).await?;
        let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for answer in answers {
            if let MetadataAnswer::Tags(part) = answer {
                for (name, values) in part {
                    tags.entry(name).or_default().extend(values);
                }
            }
        }
        let strip = self.strip(&call.options);
        tags.retain(|name, _| !strip.contains(name));
        let size = tags.values().map(|values| values.len() + 1).sum();
        self.check_size(&call.options, size, &mut notes)?;
        count(&mut notes, tags.values().map(|v| v.len().max(1) as u64).sum());
        let tags = tags.into_iter().map(|(name, values)| (name, values.into_iter().collect()));
        Ok(Reply::Search { tags: tags.collect(), notes })
    }

    /// What M3 does where a request names a limit and as much is found: it refuses the search, or
    /// tells that it is cut. Nothing but series is cut here.
    fn check_size(
        &self,
        options: &QueryOptions,
        size: usize,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let asked = [options.limits.series, options.limits.docs];
        let limit = asked.into_iter().flatten().filter(|limit| *limit > 0).min();
        let Some(limit) = limit.filter(|limit| size as u64 >= *limit) else { return Ok(()) };
        if self.limits(options).exhaustive {
            return Err(ApiError::bad_data(format!(
                "query exceeded limit: require_exhaustive=true, limit={limit}, matched={size}: \
                 narrow the selector, raise M3-Limit-Max-Series or M3-Limit-Max-Docs, or accept a \
                 cut answer with M3-Limit-Require-Exhaustive: false"
            )));
        }
        notes.limited.push(SERIES_LIMIT_APPLIED.to_owned());
        Ok(())
    }

    /// The labels that answers lose.
    fn strip(&self, options: &QueryOptions) -> Vec<String> {
        self.tags(options).map(|tags| tags.strip.clone()).unwrap_or_default()
    }

    async fn search_all(
        &self,
        call: &MetadataCall,
        want: MetadataWant,
    ) -> Result<(Vec<MetadataAnswer>, Notes), ApiError> {
        // As `run_until` in read.rs: M3's own manners in a namespace of M3's making.
        let is_m3 = self.namespace(call.options.storage.as_ref())?.registered;
        let parse = if is_m3 { promql::parse_any_selector } else { promql::parse_selector };
        let selectors: Result<Vec<_>, _> = call.selectors.iter().map(|text| parse(text)).collect();
        let selectors =
            selectors.map_err(|e| ApiError::bad_parameter("match[]", &e.to_string()))?;
        self.search_selectors(selectors, call.start_ms, call.end_ms, &call.options, want).await
    }

    async fn search_selectors(
        &self,
        mut selectors: Vec<Vec<Matcher>>,
        start_ms: i64,
        end_ms: i64,
        options: &QueryOptions,
        want: MetadataWant,
    ) -> Result<(Vec<MetadataAnswer>, Notes), ApiError> {
        if let Some(tags) = self.tags(options) {
            if selectors.is_empty() {
                selectors.push(Vec::new());
            }
            for matchers in &mut selectors {
                matchers.extend(tags.matchers.iter().cloned());
            }
        }
        self.shared.memory.admit_query()?;
        if cost_of_all(selectors.iter().flatten()) > PATTERNS_COST_MAX {
            return Err(ApiError::bad_data("the patterns of all selectors are too large together"));
        }
        let deadline = Self::deadline(options);
        let namespace = self.namespace(options.storage.as_ref())?;
        let mut notes = Notes::default();
        let mut start_ms = start_ms;
        let latest_ms = end_ms.min(Timestamp(time::wall_ns()).to_ms());
        if let Some(most_ms) = self.range_limit(options, latest_ms.saturating_sub(start_ms))? {
            start_ms = latest_ms.saturating_sub(most_ms);
            notes.limited.push(RANGE_LIMIT_APPLIED.to_owned());
        }
        let mut replies = Vec::new();
        for core in self.port.peers() {
            let (reply, answer) = oneshot();
            let (selectors, want) = (selectors.clone(), want.clone());
            let namespace = namespace.id;
            let job = MetadataJob { namespace, selectors, start_ms, end_ms, want, deadline, reply };
            self.port.send(core, Message::Metadata(job)).await.map_err(|_| stopping())?;
            replies.push(answer);
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            let answer = reply.await.map_err(|_| stopping())?;
            answers.push(answer.map_err(|error| self.refuse_fetch(&error))?);
        }
        let responses = answers.len() as u64;
        let fetched =
            FetchStats { namespaces: vec![namespace.name], responses, ..FetchStats::default() };
        notes.fetched = Some(fetched);
        // Merged and sorted, then written as JSON.
        notes.held = self.held(2 * answers.iter().map(bytes_of).sum::<u64>())?;
        Ok((answers, notes))
    }
}

/// Bytes that an answer takes, about.
fn bytes_of(answer: &MetadataAnswer) -> u64 {
    let texts = |texts: &[String]| texts.iter().map(|text| text.len() as u64 + 32).sum::<u64>();
    match answer {
        MetadataAnswer::Names(names) => texts(names),
        MetadataAnswer::Series(series) => {
            series.iter().map(|labels| labels.as_bytes().len() as u64 + 64).sum()
        }
        MetadataAnswer::Tags(tags) => tags.iter().map(|(_, values)| 64 + texts(values)).sum(),
    }
}

fn names_of(answers: Vec<MetadataAnswer>) -> impl Iterator<Item = String> {
    answers.into_iter().flat_map(|answer| match answer {
        MetadataAnswer::Names(names) => names,
        MetadataAnswer::Series(_) | MetadataAnswer::Tags(_) => Vec::new(),
    })
}

fn names_reply(names: BTreeSet<String>, mut notes: Notes) -> Reply {
    count(&mut notes, names.len() as u64);
    Reply::Names { names: names.into_iter().collect(), notes }
}

fn count(notes: &mut Notes, metadata: u64) {
    if let Some(fetched) = &mut notes.fetched {
        fetched.metadata = metadata;
    }
}
