//! Label names, label values, series and tags: collected from every core, merged and sorted.

use super::request::{
    FetchOptions, Limited, NamesOutput, Notes, SearchRequest, Selectors, SeriesOutput, TagsOutput,
};
use super::{Engine, EngineError};
use crate::message::{Message, MetadataAnswer, MetadataJob, MetadataWant};
use m3_io::{oneshot, time};
use m3_metric::fetch::FetchStats;
use m3_metric::limits::PATTERNS_COST_MAX;
use m3_metric::pattern::cost_of_all;
use m3_metric::{Labels, Matcher, Timestamp};
use m3_query::promql;
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// The names of labels.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn label_names(&self, request: SearchRequest) -> Result<NamesOutput, EngineError> {
        let (answers, mut notes) = self.search(&request, MetadataWant::Names).await?;
        let strip = self.strip(&request.fetch);
        let names: BTreeSet<_> = names_of(answers).filter(|n| !strip.contains(n)).collect();
        self.check_size(&request.fetch, names.len(), &mut notes)?;
        Ok(names_output(names, notes))
    }

    /// The values of one label.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn label_values(
        &self,
        name: String,
        request: SearchRequest,
    ) -> Result<NamesOutput, EngineError> {
        let stripped = self.strip(&request.fetch).contains(&name);
        let (answers, mut notes) = self.search(&request, MetadataWant::Values(name)).await?;
        let values: BTreeSet<_> =
            if stripped { BTreeSet::new() } else { names_of(answers).collect() };
        self.check_size(&request.fetch, values.len() + 1, &mut notes)?;
        Ok(names_output(values, notes))
    }

    /// The series that match.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn series(&self, request: SearchRequest) -> Result<SeriesOutput, EngineError> {
        let most = request.fetch.series_max.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        let (answers, mut notes) = self.search(&request, MetadataWant::Series(most)).await?;
        let strip = self.strip(&request.fetch);
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
        self.check_size(&request.fetch, series.len(), &mut notes)?;
        series.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        count(&mut notes, series.iter().map(|l| l.iter().count() as u64).sum());
        Ok(SeriesOutput { series, notes })
    }

    /// Labels with their values: those of `names`, or of all names if there are none.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn tags(
        &self,
        names: Vec<String>,
        names_only: bool,
        request: SearchRequest,
    ) -> Result<TagsOutput, EngineError> {
        let want = MetadataWant::Tags { names, names_only };
        let (answers, mut notes) = self.search(&request, want).await?;
        let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for answer in answers {
            if let MetadataAnswer::Tags(part) = answer {
                for (name, values) in part {
                    tags.entry(name).or_default().extend(values);
                }
            }
        }
        let strip = self.strip(&request.fetch);
        tags.retain(|name, _| !strip.contains(name));
        let size = tags.values().map(|values| values.len() + 1).sum();
        self.check_size(&request.fetch, size, &mut notes)?;
        count(&mut notes, tags.values().map(|v| v.len().max(1) as u64).sum());
        let tags = tags.into_iter().map(|(name, values)| (name, values.into_iter().collect()));
        Ok(TagsOutput { tags: tags.collect(), notes })
    }

    /// Does what M3 does if a request names a limit and at least as many are found: refuses the
    /// search, or notes that it is limited. Only series are really cut.
    fn check_size(
        &self,
        fetch: &FetchOptions,
        size: usize,
        notes: &mut Notes,
    ) -> Result<(), EngineError> {
        let asked = [fetch.series_max, fetch.docs_max];
        let limit = asked.into_iter().flatten().filter(|limit| *limit > 0).min();
        let Some(limit) = limit.filter(|limit| size as u64 >= *limit) else { return Ok(()) };
        if self.limits(fetch).exhaustive {
            return Err(EngineError::Invalid(format!(
                "query exceeded limit: require_exhaustive=true, limit={limit}, matched={size}: \
                 narrow the selector, raise M3-Limit-Max-Series or M3-Limit-Max-Docs, or accept a \
                 cut answer with M3-Limit-Require-Exhaustive: false"
            )));
        }
        notes.limited.push(Limited::Series);
        Ok(())
    }

    /// The labels that are removed from answers.
    fn strip(&self, fetch: &FetchOptions) -> Vec<String> {
        let restriction = self.restriction(fetch);
        restriction.map(|restriction| restriction.strip.clone()).unwrap_or_default()
    }

    /// The selectors of a request, with the restriction applied.
    fn selectors(&self, request: &SearchRequest) -> Result<Vec<Vec<Matcher>>, EngineError> {
        let mut selectors = match &request.selectors {
            Selectors::Matchers(matchers) => vec![matchers.clone()],
            Selectors::Texts(texts) => {
                // As in `run_until` of query.rs: a namespace that M3's routes created behaves as in
                // M3.
                let is_m3 = self.namespace(request.fetch.storage.as_ref())?.registered;
                let parse = if is_m3 { promql::parse_any_selector } else { promql::parse_selector };
                let parsed: Result<_, _> = texts.iter().map(|text| parse(text)).collect();
                parsed.map_err(|error| EngineError::Selector(error.to_string()))?
            }
        };
        if let Some(restriction) = self.restriction(&request.fetch) {
            if selectors.is_empty() {
                selectors.push(Vec::new());
            }
            for matchers in &mut selectors {
                matchers.extend(restriction.matchers.iter().cloned());
            }
        }
        Ok(selectors)
    }

    async fn search(
        &self,
        request: &SearchRequest,
        want: MetadataWant,
    ) -> Result<(Vec<MetadataAnswer>, Notes), EngineError> {
        let SearchRequest { mut start_ms, end_ms, .. } = *request;
        let fetch = &request.fetch;
        let selectors = self.selectors(request)?;
        self.shared.memory.admit_query()?;
        if cost_of_all(selectors.iter().flatten()) > PATTERNS_COST_MAX {
            let text =
                "the patterns of all selectors are too large together: send fewer or shorter ones";
            return Err(EngineError::Invalid(text.to_owned()));
        }
        let deadline = Self::deadline(fetch);
        let namespace = self.namespace(fetch.storage.as_ref())?;
        let mut notes = Notes::default();
        let latest_ms = end_ms.min(Timestamp(time::wall_ns()).to_ms());
        if let Some(most_ms) = self.range_limit(fetch, latest_ms.saturating_sub(start_ms))? {
            start_ms = latest_ms.saturating_sub(most_ms);
            notes.limited.push(Limited::Range);
        }
        let mut replies = Vec::new();
        for core in self.port.peers() {
            let (reply, answer) = oneshot();
            let (selectors, want) = (selectors.clone(), want.clone());
            let namespace = namespace.id;
            let job = MetadataJob { namespace, selectors, start_ms, end_ms, want, deadline, reply };
            self.port.send(core, Message::Metadata(job)).await?;
            replies.push(answer);
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            answers.push(reply.await??);
        }
        let responses = answers.len() as u64;
        let fetched =
            FetchStats { namespaces: vec![namespace.name], responses, ..FetchStats::default() };
        notes.fetched = Some(fetched);
        // Merged and sorted, then written as JSON.
        self.hold(&mut notes, 2 * answers.iter().map(bytes_of).sum::<u64>())?;
        Ok((answers, notes))
    }
}

/// Approximate bytes of an answer.
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

fn names_output(names: BTreeSet<String>, mut notes: Notes) -> NamesOutput {
    count(&mut notes, names.len() as u64);
    NamesOutput { names: names.into_iter().collect(), notes }
}

fn count(notes: &mut Notes, metadata: u64) {
    if let Some(fetched) = &mut notes.fetched {
        fetched.metadata = metadata;
    }
}
