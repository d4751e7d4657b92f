//! Queries: parse, plan, fan the fragments out to the cores, put the results together.
//!
//! Selector, range function and aggregation run on the core that owns the series; only partial
//! results travel. Every core works on every fragment at once.

use super::{Coordinator, stopping, timed_out};
use crate::catalog::Namespace;
use crate::message::{FetchError, FragmentAnswer, FragmentJob, Message, ReadError, ReadJob};
use m3_http::api::{
    ApiError, FetchStats, Held, MetricStats, Notes, QueryCall, QueryOptions, QueryRangeCall,
    ReadQuery, ReadResult, RemoteReadCall, Reply, SERIES_LIMIT_APPLIED, Selection,
    WARNING_NOT_EXHAUSTIVE, WARNING_TRUNCATED,
};
use m3_io::failpoint;
use m3_io::oneshot;
use m3_io::time::{self, Monotonic};
use m3_metric::Span;
use m3_metric::value::Value;
use m3_query::promql;
use m3_query::{Evaluation, Plan, QueryError, QueryParams, Step, plan};
use std::collections::BTreeMap;

/// The step of subqueries that name none: Prometheus' default evaluation interval.
const DEFAULT_STEP_MS: i64 = 60_000;

/// Bytes that a sample takes in the text of an answer, about: a time, a value, brackets.
const ANSWER_SAMPLE_BYTES: u64 = 32;

/// Limits of one query, defaults filled in; `u64::MAX` is none.
pub(super) struct Limits {
    pub(super) series: u64,
    pub(super) docs: u64,
    pub(super) exhaustive: bool,
}

/// The `M3-Results-Limited` entry where the limit of the range left its earlier part out.
pub(super) const RANGE_LIMIT_APPLIED: &str = "max_fetch_range_limit_applied";

/// What a query needs from here on.
struct Running {
    namespace: Namespace,
    limits: Limits,
    deadline: Monotonic,
    notes: Notes,
}

impl Coordinator {
    pub(super) async fn query(&self, call: QueryCall) -> Result<Reply, ApiError> {
        let params = self.params(call.time_ms, call.time_ms, DEFAULT_STEP_MS, true, &call.options);
        self.run(&call.text, params, &call.options).await
    }

    pub(super) async fn query_range(&self, call: QueryRangeCall) -> Result<Reply, ApiError> {
        let (start, end) = (call.start_ms, call.end_ms);
        let params = self.params(start, end, call.step_ms, false, &call.options);
        self.run(&call.text, params, &call.options).await
    }

    fn params(
        &self,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        instant: bool,
        options: &QueryOptions,
    ) -> QueryParams {
        let lookback_ms = options.lookback_ms.unwrap_or(self.shared.query.lookback_ms);
        let samples_max = self.shared.query.samples_max;
        let default_step_ms = DEFAULT_STEP_MS;
        QueryParams {
            start_ms,
            end_ms,
            step_ms,
            instant,
            lookback_ms,
            samples_max,
            default_step_ms,
            closed_windows: false,
        }
    }

    async fn run(
        &self,
        text: &str,
        params: QueryParams,
        options: &QueryOptions,
    ) -> Result<Reply, ApiError> {
        let begun = time::now();
        self.shared.memory.admit_query()?;
        let deadline = Self::deadline(options);
        let work = self.run_until(text, params, options, deadline);
        let result = match time::timeout(options.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(timed_out()),
        };
        self.stats.borrow_mut().query(result.is_ok(), time::now().since(begun));
        result
    }

    async fn run_until(
        &self,
        text: &str,
        params: QueryParams,
        options: &QueryOptions,
        deadline: Monotonic,
    ) -> Result<Reply, ApiError> {
        let namespace = self.namespace(options.storage.as_ref())?;
        let params = QueryParams { closed_windows: namespace.registered, ..params };
        // A namespace that was created by M3's routes answers as M3's engine does, which is that
        // of Prometheus 2: other edges, and no annotations. The implicit namespace answers as
        // Prometheus 3 does.
        let is_annotated = !namespace.registered;
        let expr = promql::parse(text).map_err(|e| refuse(e.into()))?;
        let mut plan = plan(expr, params).map_err(refuse)?.with_text(text);
        if let Some(tags) = self.tags(options) {
            plan.restrict(&tags.matchers, &tags.strip);
        }
        let notes = self.limit_range(&mut plan, options)?;
        let mut limits = self.limits(options);
        let mut shown_max = options.truncate.filter(|limit| *limit > 0);
        if namespace.registered {
            // M3 has one limit, that of the fetch, and its header goes before the parameter.
            if options.limits.series.is_none() && options.truncate.is_some() {
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
                Step::Done(output) => break output.map_err(refuse)?,
            }
        };
        drop(turn);
        let mut notes = running.notes;
        if shown_max.is_some_and(|most| cut(&mut output.value, most)) {
            notes.warnings.push(WARNING_TRUNCATED.to_owned());
        }
        notes.held = self.held(ANSWER_SAMPLE_BYTES * samples(&output.value))?;
        if is_annotated {
            notes.warnings.extend(output.warnings);
            notes.infos.extend(output.infos);
        }
        Ok(Reply::Value { value: output.value, notes })
    }

    /// Memory for an answer of about `bytes`.
    pub(super) fn held(&self, bytes: u64) -> Result<Held, ApiError> {
        self.shared.memory.admit_answer(bytes).map(|promise| Held(Some(promise)))
    }

    pub(super) fn refuse_fetch(&self, error: &FetchError) -> ApiError {
        match error {
            FetchError::Query(error) => refuse(error.clone()),
            FetchError::Matcher(text) => ApiError::bad_data(text.clone()),
            FetchError::Timeout => timed_out(),
            FetchError::Memory => self.shared.memory.refuse_query(),
            FetchError::TooManySeries => {
                ApiError::bad_data("query exceeded limit: too many series")
            }
            FetchError::Broken => ApiError::internal("a stream in memory does not decode"),
            FetchError::Panicked(panicked) => ApiError::internal(panicked.to_string()),
            FetchError::Ending => stopping(),
        }
    }

    pub(super) fn limits(&self, options: &QueryOptions) -> Limits {
        let unless_zero = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        let defaults = &self.shared.query;
        Limits {
            series: unless_zero(options.limits.series.unwrap_or(defaults.series_max)),
            docs: unless_zero(options.limits.docs.unwrap_or(defaults.docs_max)),
            exhaustive: options.limits.require_exhaustive.unwrap_or(defaults.require_exhaustive),
        }
    }

    /// Refuses a plan that fetches too long a range, or cuts it to its latest part.
    fn limit_range(&self, plan: &mut Plan, options: &QueryOptions) -> Result<Notes, ApiError> {
        let mut notes = Notes::default();
        let Some((start, end)) = plan.fetch_range_ms() else { return Ok(notes) };
        if let Some(most_ms) = self.range_limit(options, end.saturating_sub(start))? {
            plan.cut_range(most_ms);
            notes.limited.push(RANGE_LIMIT_APPLIED.to_owned());
        }
        Ok(notes)
    }

    /// To what a range of `matched` milliseconds is to be cut; `None`: it may stay.
    pub(super) fn range_limit(
        &self,
        options: &QueryOptions,
        matched: i64,
    ) -> Result<Option<i64>, ApiError> {
        let limit_ms = options.limits.range_ms.unwrap_or(self.shared.query.range_max_ms);
        if limit_ms == 0 || matched <= limit_ms {
            return Ok(None);
        }
        if !self.limits(options).exhaustive {
            return Ok(Some(limit_ms));
        }
        Err(ApiError::bad_data(format!(
            "query exceeded limit: require_exhaustive=true, range_limit={}, range_matched={}: ask \
             for a shorter range, raise M3-Limit-Max-Range, or accept the latest part of it with \
             M3-Limit-Require-Exhaustive: false",
            Span::from_ms(limit_ms),
            Span::from_ms(matched)
        )))
    }

    /// The partial results of every fragment, of all cores in their order.
    async fn fetch(
        &self,
        plan: &Plan,
        running: &mut Running,
    ) -> Result<Vec<Vec<m3_query::Partial>>, ApiError> {
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
                answers.push(reply.await.map_err(|_| stopping())?);
            }
            if let Some(quotas) = over_limit(&answers, running)? {
                let replies = self.send_fragment(plan, fragment, running, &quotas, true).await?;
                answers.clear();
                for reply in replies {
                    answers.push(reply.await.map_err(|_| stopping())?);
                }
            }
            for answer in &answers {
                add_stats(&mut stats, &mut metrics, answer, running.namespace.resolution.is_some());
            }
            let of_cores: Result<Vec<_>, _> = answers.into_iter().map(|a| a.partial).collect();
            partials.push(of_cores.map_err(|e| self.refuse_fetch(&e))?);
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
    ) -> Result<Vec<m3_io::Reply<FragmentAnswer>>, ApiError> {
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
            self.port.send(core, Message::Fragment(Box::new(job))).await.map_err(|_| stopping())?;
            replies.push(answer);
        }
        Ok(replies)
    }

    pub(super) async fn remote_read(&self, call: RemoteReadCall) -> Result<Reply, ApiError> {
        self.shared.memory.admit_query()?;
        let deadline = Self::deadline(&call.options);
        let work = self.read_all(&call, deadline);
        match time::timeout(call.options.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(timed_out()),
        }
    }

    async fn read_all(
        &self,
        call: &RemoteReadCall,
        deadline: Monotonic,
    ) -> Result<Reply, ApiError> {
        let namespace = self.namespace(call.options.storage.as_ref())?;
        let limits = self.limits(&call.options);
        let mut results = Vec::new();
        let mut is_cut = false;
        let mut stats =
            FetchStats { namespaces: vec![namespace.name.clone()], ..FetchStats::default() };
        for query in &call.queries {
            let result = self.read_one(query, call, &namespace, &limits, deadline).await?;
            stats.responses += 1;
            stats.series_with_samples += result.series.len() as u64;
            let bytes =
                |s: &m3_metric::value::Series| s.labels.as_bytes().len() + 16 * s.points.len();
            stats.bytes += result.series.iter().map(bytes).sum::<usize>() as u64;
            is_cut |= result.series.len() as u64 >= limits.series;
            results.push(result);
        }
        // Raw samples take about what they took here; the JSON form takes more.
        let held = self.held(2 * stats.bytes)?;
        let limited = if is_cut { vec![SERIES_LIMIT_APPLIED.to_owned()] } else { Vec::new() };
        let notes = Notes { fetched: Some(stats), limited, held, ..Notes::default() };
        Ok(Reply::RemoteRead { results, notes })
    }

    async fn read_one(
        &self,
        query: &ReadQuery,
        call: &RemoteReadCall,
        namespace: &Namespace,
        limits: &Limits,
        deadline: Monotonic,
    ) -> Result<ReadResult, ApiError> {
        let asked = match &query.selection {
            Selection::Matchers(matchers) => matchers.clone(),
            Selection::Text(text) => promql::parse_selector(text).map_err(|e| refuse(e.into()))?,
        };
        let mut matchers = asked.clone();
        let tags = self.tags(&call.options);
        matchers.extend(tags.into_iter().flat_map(|t| t.matchers.iter().cloned()));
        let mut replies = Vec::new();
        for core in self.port.peers() {
            let (reply, answer) = oneshot();
            let job = ReadJob {
                namespace: namespace.id,
                matchers: matchers.clone(),
                start_ms: query.start_ms,
                end_ms: query.end_ms,
                series_max: limits.series,
                cut: !limits.exhaustive,
                samples_max: self.shared.query.samples_max,
                deadline,
                reply,
            };
            self.port.send(core, Message::Read(job)).await.map_err(|_| stopping())?;
            replies.push(answer);
        }
        let mut series = Vec::new();
        for reply in replies {
            match reply.await.map_err(|_| stopping())? {
                Ok(mut part) => series.append(&mut part),
                Err(ReadError::TooMuch(text)) => return Err(ApiError::bad_data(text)),
                Err(ReadError::Fetch(error)) => return Err(self.refuse_fetch(&error)),
            }
        }
        if let Some(tags) = tags {
            for one in &mut series {
                one.labels = one.labels.filtered(|name| !tags.strip.iter().any(|s| s == name));
            }
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        if series.len() as u64 >= limits.series {
            if limits.exhaustive {
                return Err(ApiError::bad_data(format!(
                    "remote read matches {} series, the limit is {}: narrow the matchers, raise \
                     M3-Limit-Max-Series, or accept a cut answer with \
                     M3-Limit-Require-Exhaustive: false",
                    series.len(),
                    limits.series
                )));
            }
            series.truncate(usize::try_from(limits.series).unwrap_or(usize::MAX));
        }
        let (start_ms, end_ms) = (query.start_ms, query.end_ms);
        Ok(ReadResult { matchers: asked, start_ms, end_ms, series })
    }
}

/// What each core may fetch, if all together found more than allowed and the answer may be cut.
fn over_limit(
    answers: &[FragmentAnswer],
    running: &mut Running,
) -> Result<Option<Vec<u64>>, ApiError> {
    let matched: u64 = answers.iter().map(|a| a.matched).sum();
    let docs: u64 = answers.iter().map(|a| a.docs).sum();
    let limits = &running.limits;
    // As in M3, a limit is reached by as many as it names; without one it is out of reach.
    if matched < limits.series && docs < limits.docs {
        return Ok(None);
    }
    if limits.exhaustive {
        let shown = |limit: u64| if limit == u64::MAX { 0 } else { limit };
        return Err(ApiError::bad_data(format!(
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
    if !running.notes.limited.iter().any(|l| l == SERIES_LIMIT_APPLIED) {
        running.notes.limited.push(SERIES_LIMIT_APPLIED.to_owned());
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

/// A query's failure as the door says it.
fn refuse(error: QueryError) -> ApiError {
    match error {
        QueryError::Parse(_) | QueryError::BadData(_) => {
            ApiError::bad_parameter("query", &error.to_string())
        }
        QueryError::Execution(_) | QueryError::TooManySamples => {
            ApiError::execution(error.to_string())
        }
    }
}

/// Leaves the first `most` series of a result and says whether there were more. A scalar or a
/// string is no list and stays, as in Prometheus.
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

/// Samples of a value.
fn samples(value: &Value) -> u64 {
    match value {
        Value::Scalar { .. } | Value::String { .. } => 1,
        Value::Vector(elements) => elements.len() as u64,
        Value::Matrix(series) => series.iter().map(|one| one.points.len() as u64).sum(),
    }
}
