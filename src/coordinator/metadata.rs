//! Label names, label values, series and M3's tag search: asked of every core, merged, sorted.

use super::{Coordinator, stopping};
use crate::message::{Message, MetadataAnswer, MetadataJob, MetadataWant};
use m3_http::api::{ApiError, FetchStats, MetadataCall, Notes, QueryOptions, Reply, SearchCall};
use m3_io::oneshot;
use m3_metric::limits::PATTERNS_COST_MAX;
use m3_metric::pattern::cost_of_all;
use m3_metric::{Labels, Matcher};
use m3_query::promql;
use std::collections::{BTreeMap, BTreeSet};

impl Coordinator {
    pub(super) async fn label_names(&self, call: MetadataCall) -> Result<Reply, ApiError> {
        let (answers, notes) = self.search_all(&call, MetadataWant::Names).await?;
        let strip = self.strip(&call.options);
        let names: BTreeSet<_> = names_of(answers).filter(|n| !strip.contains(n)).collect();
        Ok(names_reply(names, notes))
    }

    pub(super) async fn label_values(
        &self,
        name: String,
        call: MetadataCall,
    ) -> Result<Reply, ApiError> {
        let stripped = self.strip(&call.options).contains(&name);
        let (answers, notes) = self.search_all(&call, MetadataWant::Values(name)).await?;
        let values = if stripped { BTreeSet::new() } else { names_of(answers).collect() };
        Ok(names_reply(values, notes))
    }

    pub(super) async fn series(&self, call: MetadataCall) -> Result<Reply, ApiError> {
        let most = call.options.limits.series.unwrap_or(0);
        let most = if most == 0 { u64::MAX } else { most };
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
        count(&mut notes, tags.values().map(|v| v.len().max(1) as u64).sum());
        let tags = tags.into_iter().map(|(name, values)| (name, values.into_iter().collect()));
        Ok(Reply::Search { tags: tags.collect(), notes })
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
        let parsed = call.selectors.iter().map(|text| promql::parse_selector(text));
        let selectors: Result<Vec<_>, _> = parsed.collect();
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
        // Merged and sorted, then written as JSON.
        let held = self.held(2 * answers.iter().map(bytes_of).sum::<u64>())?;
        Ok((answers, Notes { fetched: Some(fetched), held, ..Notes::default() }))
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
