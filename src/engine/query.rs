//! Queries: parse, plan, send the fragments to the cores, combine the results.
//!
//! Selector, range function and aggregation run on the core that owns the series; only partial
//! results travel. Every core works on every fragment at once.

use super::request::{FetchOptions, Limited, Notes, QueryOutput, QueryRequest};
use super::{Engine, EngineError, Limits};
use crate::catalog::Namespace;
use crate::message::{FragmentAnswer, FragmentJob, Message};
use m3_io::failpoint;
use m3_io::oneshot;
use m3_io::time::{self, Monotonic};
use m3_metric::fetch::{FetchStats, MetricStats};
use m3_metric::value::Value;
use m3_query::promql;
use m3_query::{Evaluation, Plan, QueryError, QueryParams, Step, plan};
use std::collections::BTreeMap;

/// The step of subqueries that name none: Prometheus' default evaluation interval.
const DEFAULT_STEP_MS: i64 = 60_000;

/// Approximate bytes of a sample in the text of an answer: a time, a value, brackets.
const ANSWER_SAMPLE_BYTES: u64 = 32;

/// Prometheus' warning if its `limit` left results out.
const WARNING_TRUNCATED: &str = "results truncated due to limit";
/// M3's warning if a fetch limit left series out.
const WARNING_NOT_EXHAUSTIVE: &str = "m3db exceeded query limit: results not exhaustive";

/// The state of a query that is being fetched.
struct Running {
    namespace: Namespace,
    limits: Limits,
    deadline: Monotonic,
    notes: Notes,
}

impl Engine {
    /// Evaluates a query.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn query(&self, request: &QueryRequest) -> Result<QueryOutput, EngineError> {
        let begun = time::now();
        self.shared.memory.admit_query()?;
        let work = self.run_until(request, Self::deadline(&request.fetch));
        let timed = time::timeout(request.fetch.timeout, work).await;
        let result = timed.unwrap_or(Err(EngineError::Timeout));
        self.stats.borrow_mut().query(result.is_ok(), time::now().since(begun));
        result
    }

    fn params(&self, request: &QueryRequest, namespace: &Namespace) -> QueryParams {
        let settings = &self.shared.query;
        QueryParams {
            start_ms: request.start_ms,
            end_ms: request.end_ms,
            step_ms: request.step_ms.unwrap_or(DEFAULT_STEP_MS),
            instant: request.step_ms.is_none(),
            lookback_ms: request.fetch.lookback_ms.unwrap_or(settings.lookback_ms()),
            samples_max: settings.samples_max,
            default_step_ms: DEFAULT_STEP_MS,
            closed_windows: namespace.registered,
        }
    }

    async fn run_until(
        &self,
        request: &QueryRequest,
        deadline: Monotonic,
    ) -> Result<QueryOutput, EngineError> {
        let QueryRequest { text, fetch, .. } = request;
        let namespace = self.namespace(fetch.storage.as_ref())?;
        // A namespace that M3's routes created answers as M3's engine does, which is that of
        // Prometheus 2: other interval bounds, and no annotations. The implicit namespace answers
        // as Prometheus 3 does.
        let is_annotated = !namespace.registered;
        let expr = promql::parse(text).map_err(QueryError::from)?;
        let mut plan = plan(expr, self.params(request, &namespace))?.with_text(text);
        if let Some(restriction) = self.restriction(fetch) {
            plan.restrict(&restriction.matchers, &restriction.strip);
        }
        let notes = self.limit_range(&mut plan, fetch)?;
        let mut limits = self.limits(fetch);
        let mut shown_max = request.series_shown_max.filter(|limit| *limit > 0);
        if namespace.registered {
            // M3 has only the limit of the fetch, and its header takes precedence over the
            // parameter.
            if fetch.series_max.is_none() && request.series_shown_max.is_some() {
                limits.series = shown_max.unwrap_or(u64::MAX);
            }
            shown_max = None;
        }
        let mut running = Running { namespace, limits, deadline, notes };
        let partials = self.fetch(&plan, &mut running).await?;
        let mut turn = self.node.turns().begin().await;
        let mut evaluation = Evaluation::new(plan, partials);
        let mut output = loop {
            failpoint("evaluate", b"");
            match evaluation.step() {
                Step::Yield => {
                    self.shared.memory.admit_query()?;
                    if turn.is_over() {
                        turn.next().await;
                    }
                }
                Step::Done(output) => break output?,
            }
        };
        drop(turn);
        let mut notes = running.notes;
        if shown_max.is_some_and(|most| cut(&mut output.value, most)) {
            notes.warnings.push(WARNING_TRUNCATED.to_owned());
        }
        self.hold(&mut notes, ANSWER_SAMPLE_BYTES.saturating_mul(samples(&output.value)))?;
        if is_annotated {
            notes.warnings.extend(output.warnings);
            notes.infos.extend(output.infos);
        }
        Ok(QueryOutput { value: output.value, notes })
    }

    /// Refuses a plan that fetches too long a range, or cuts the range to its latest part.
    fn limit_range(&self, plan: &mut Plan, fetch: &FetchOptions) -> Result<Notes, EngineError> {
        let mut notes = Notes::default();
        let Some((start, end)) = plan.fetch_range_ms() else { return Ok(notes) };
        if let Some(most_ms) = self.range_limit(fetch, end.saturating_sub(start))? {
            plan.cut_range(most_ms);
            notes.limited.push(Limited::Range);
        }
        Ok(notes)
    }

    /// The partial results of every fragment from all cores, in the order of the cores.
    async fn fetch(
        &self,
        plan: &Plan,
        running: &mut Running,
    ) -> Result<Vec<Vec<m3_query::Partial>>, EngineError> {
        if plan.fragments().is_empty() {
            return Ok(Vec::new());
        }
        let cores = self.port.peers().len();
        let everything = vec![running.limits.series; cores];
        let mut pending = Vec::new();
        for fragment in 0..plan.fragments().len() {
            pending.push(self.send_fragment(plan, fragment, running, &everything, false).await?);
        }
        let mut partials = Vec::new();
        let mut metrics = BTreeMap::new();
        let mut stats = FetchStats {
            namespaces: vec![running.namespace.name.clone()],
            ..FetchStats::default()
        };
        for (fragment, replies) in pending.into_iter().enumerate() {
            let mut answers = Vec::with_capacity(cores);
            for reply in replies {
                answers.push(reply.await?);
            }
            if let Some(quotas) = over_limit(&answers, running)? {
                let replies = self.send_fragment(plan, fragment, running, &quotas, true).await?;
                answers.clear();
                for reply in replies {
                    answers.push(reply.await?);
                }
            }
            for answer in &answers {
                add_stats(&mut stats, &mut metrics, answer, running.namespace.resolution.is_some());
            }
            let of_cores: Result<Vec<_>, _> = answers.into_iter().map(|a| a.partial).collect();
            partials.push(of_cores?);
        }
        stats.metrics = metrics.into_iter().collect();
        running.notes.fetched = Some(stats);
        Ok(partials)
    }

    async fn send_fragment(
        &self,
        plan: &Plan,
        fragment: usize,
        running: &Running,
        quotas: &[u64],
        cut: bool,
    ) -> Result<Vec<m3_io::PendingReply<FragmentAnswer>>, EngineError> {
        let mut replies = Vec::with_capacity(quotas.len());
        for (core, quota) in self.port.peers().zip(quotas) {
            let (reply, answer) = oneshot();
            let job = FragmentJob {
                namespace: running.namespace.id,
                fragment: plan.fragments()[fragment].clone(),
                series_max: *quota,
                cut,
                deadline: running.deadline,
                reply,
            };
            self.port.send(core, Message::Fragment(Box::new(job))).await?;
            replies.push(answer);
        }
        Ok(replies)
    }
}

/// How many series each core may fetch, if all together found more than the limit and the answer
/// may be cut.
fn over_limit(
    answers: &[FragmentAnswer],
    running: &mut Running,
) -> Result<Option<Vec<u64>>, EngineError> {
    let matched: u64 = answers.iter().map(|a| a.matched).sum();
    let docs: u64 = answers.iter().map(|a| a.docs).sum();
    let limits = &running.limits;
    // As in M3, a limit counts as exceeded when it is reached exactly.
    if matched < limits.series && docs < limits.docs {
        return Ok(None);
    }
    if limits.exhaustive {
        let shown = |limit: u64| if limit == u64::MAX { 0 } else { limit };
        return Err(EngineError::Invalid(format!(
            "query exceeded limit: require_exhaustive=true, series_limit={}, series_matched={matched}, \
             docs_limit={}, docs_matched={docs}: narrow the selector, raise M3-Limit-Max-Series or \
             M3-Limit-Max-Docs, or accept a cut answer with M3-Limit-Require-Exhaustive: false",
            shown(limits.series),
            shown(limits.docs)
        )));
    }
    let per_doc = docs.div_ceil(matched.max(1)).max(1);
    let mut left = limits.series.min(limits.docs / per_doc);
    let mut take = |answer: &FragmentAnswer| {
        let quota = answer.matched.min(left);
        left -= quota;
        quota
    };
    let quotas = answers.iter().map(&mut take).collect();
    if !running.notes.limited.contains(&Limited::Series) {
        running.notes.limited.push(Limited::Series);
        running.notes.warnings.push(WARNING_NOT_EXHAUSTIVE.to_owned());
    }
    Ok(Some(quotas))
}

fn add_stats(
    stats: &mut FetchStats,
    metrics: &mut BTreeMap<String, MetricStats>,
    answer: &FragmentAnswer,
    aggregated: bool,
) {
    stats.responses += 1;
    stats.bytes += answer.bytes;
    stats.series_with_samples += answer.with_samples;
    let fetched: u64 = answer.metrics.iter().map(|(_, with, without)| with + without).sum();
    stats.series_no_samples += fetched.saturating_sub(answer.with_samples);
    if aggregated {
        stats.series_aggregated += answer.with_samples;
    }
    for (name, with, without) in &answer.metrics {
        let metric = metrics.entry(name.clone()).or_default();
        metric.with_samples += with;
        metric.no_samples += without;
        let kind = if aggregated { &mut metric.aggregated } else { &mut metric.unaggregated };
        *kind += with + without;
    }
}

/// Cuts a result to its first `most` series and returns whether there were more. A scalar or a
/// string is not a list and stays, as in Prometheus.
fn cut(value: &mut Value, most: u64) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let len = match value {
        Value::Scalar { .. } | Value::String { .. } => return false,
        Value::Vector(elements) => {
            let len = elements.len();
            elements.truncate(most);
            len
        }
        Value::Matrix(series) => {
            let len = series.len();
            series.truncate(most);
            len
        }
    };
    len > most
}

/// The number of samples in a value.
fn samples(value: &Value) -> u64 {
    match value {
        Value::Scalar { .. } | Value::String { .. } => 1,
        Value::Vector(elements) => elements.len() as u64,
        Value::Matrix(series) => series.iter().map(|one| one.points.len() as u64).sum(),
    }
}
