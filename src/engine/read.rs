//! Raw samples of whole series, for remote read.

use super::request::{FetchOptions, Limited, Notes, ReadOutput, ReadRequest, Selection};
use super::{Engine, EngineError, Limits};
use crate::catalog::Namespace;
use crate::message::{Message, ReadJob};
use m3_io::oneshot;
use m3_io::time::{self, Monotonic};
use m3_metric::fetch::FetchStats;
use m3_metric::value::Series;
use m3_query::{QueryError, promql};

impl Engine {
    /// Reads the series of each request; the outputs have the same order.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn read(
        &self,
        requests: &[ReadRequest],
        fetch: &FetchOptions,
    ) -> Result<(Vec<ReadOutput>, Notes), EngineError> {
        self.shared.memory.admit_query()?;
        let work = self.read_all(requests, fetch, Self::deadline(fetch));
        time::timeout(fetch.timeout, work).await.unwrap_or(Err(EngineError::Timeout))
    }

    async fn read_all(
        &self,
        requests: &[ReadRequest],
        fetch: &FetchOptions,
        deadline: Monotonic,
    ) -> Result<(Vec<ReadOutput>, Notes), EngineError> {
        let namespace = self.namespace(fetch.storage.as_ref())?;
        let limits = self.limits(fetch);
        let mut outputs = Vec::new();
        let mut is_cut = false;
        let mut stats =
            FetchStats { namespaces: vec![namespace.name.clone()], ..FetchStats::default() };
        for request in requests {
            let output = self.read_one(request, fetch, &namespace, &limits, deadline).await?;
            stats.responses += 1;
            stats.series_with_samples += output.series.len() as u64;
            let bytes = |s: &Series| s.labels.as_bytes().len() + 16 * s.points.len();
            stats.bytes += output.series.iter().map(bytes).sum::<usize>() as u64;
            is_cut |= output.series.len() as u64 >= limits.series;
            outputs.push(output);
        }
        let mut notes = Notes::default();
        // In the protobuf form samples take about as much memory as here; the JSON form takes more.
        self.hold(&mut notes, 2 * stats.bytes)?;
        if is_cut {
            notes.limited.push(Limited::Series);
        }
        notes.fetched = Some(stats);
        Ok((outputs, notes))
    }

    async fn read_one(
        &self,
        request: &ReadRequest,
        fetch: &FetchOptions,
        namespace: &Namespace,
        limits: &Limits,
        deadline: Monotonic,
    ) -> Result<ReadOutput, EngineError> {
        let asked = match &request.selection {
            Selection::Matchers(matchers) => matchers.clone(),
            Selection::Text(text) => promql::parse_selector(text).map_err(QueryError::from)?,
        };
        let mut matchers = asked.clone();
        let restriction = self.restriction(fetch);
        matchers.extend(restriction.into_iter().flat_map(|t| t.matchers.iter().cloned()));
        let mut replies = Vec::new();
        for core in self.port.peers() {
            let (reply, answer) = oneshot();
            let job = ReadJob {
                namespace: namespace.id,
                matchers: matchers.clone(),
                start_ms: request.start_ms,
                end_ms: request.end_ms,
                series_max: limits.series,
                cut: !limits.exhaustive,
                samples_max: self.shared.query.samples_max,
                deadline,
                reply,
            };
            self.port.send(core, Message::Read(job)).await?;
            replies.push(answer);
        }
        let mut series = Vec::new();
        for reply in replies {
            series.append(&mut reply.await??);
        }
        if let Some(restriction) = restriction {
            for one in &mut series {
                one.labels =
                    one.labels.filtered(|name| !restriction.strip.iter().any(|s| s == name));
            }
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        if series.len() as u64 >= limits.series {
            if limits.exhaustive {
                return Err(EngineError::Invalid(format!(
                    "remote read matches {} series, the limit is {}: narrow the matchers, raise \
                     M3-Limit-Max-Series, or accept a cut answer with \
                     M3-Limit-Require-Exhaustive: false",
                    series.len(),
                    limits.series
                )));
            }
            series.truncate(usize::try_from(limits.series).unwrap_or(usize::MAX));
        }
        Ok(ReadOutput { matchers: asked, series })
    }
}
