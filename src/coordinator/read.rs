//! Queries, searches and reads: a call becomes the engine's request, its output a reply.

use super::Coordinator;
use super::error::refuse;
use crate::engine::request::{
    FetchOptions, Limited, Notes, QueryRequest, ReadRequest, SearchRequest, Selection, Selectors,
};
use m3_http::api::{
    self, ApiError, HeldMemory, MetadataCall, QueryCall, QueryOptions, QueryRangeCall, ReadResult,
    RemoteReadCall, Reply, SERIES_LIMIT_APPLIED, SearchCall,
};

/// The `M3-Results-Limited` entry if the limit of the range left the earlier part out.
const RANGE_LIMIT_APPLIED: &str = "max_fetch_range_limit_applied";

impl Coordinator {
    pub(super) async fn query(&self, call: QueryCall) -> Result<Reply, ApiError> {
        self.run(QueryRequest {
            text: call.text,
            start_ms: call.time_ms,
            end_ms: call.time_ms,
            step_ms: None,
            series_shown_max: call.options.truncate,
            fetch: fetch_of(call.options),
        })
        .await
    }

    pub(super) async fn query_range(&self, call: QueryRangeCall) -> Result<Reply, ApiError> {
        self.run(QueryRequest {
            text: call.text,
            start_ms: call.start_ms,
            end_ms: call.end_ms,
            step_ms: Some(call.step_ms),
            series_shown_max: call.options.truncate,
            fetch: fetch_of(call.options),
        })
        .await
    }

    async fn run(&self, request: QueryRequest) -> Result<Reply, ApiError> {
        let output = self.engine.query(&request).await.map_err(refuse)?;
        Ok(Reply::Value { value: output.value, notes: notes_of(output.notes) })
    }

    pub(super) async fn label_names(&self, call: MetadataCall) -> Result<Reply, ApiError> {
        let output = self.engine.label_names(search_of(call)).await.map_err(refuse)?;
        Ok(Reply::Names { names: output.names, notes: notes_of(output.notes) })
    }

    pub(super) async fn label_values(
        &self,
        name: String,
        call: MetadataCall,
    ) -> Result<Reply, ApiError> {
        let output = self.engine.label_values(name, search_of(call)).await.map_err(refuse)?;
        Ok(Reply::Names { names: output.names, notes: notes_of(output.notes) })
    }

    pub(super) async fn series(&self, call: MetadataCall) -> Result<Reply, ApiError> {
        let output = self.engine.series(search_of(call)).await.map_err(refuse)?;
        Ok(Reply::Series { series: output.series, notes: notes_of(output.notes) })
    }

    pub(super) async fn tag_search(&self, call: SearchCall) -> Result<Reply, ApiError> {
        let request = SearchRequest {
            selectors: Selectors::Matchers(call.matchers),
            start_ms: call.start_ms,
            end_ms: call.end_ms,
            fetch: fetch_of(call.options),
        };
        let output = self.engine.tags(call.names, call.names_only, request).await;
        let output = output.map_err(refuse)?;
        Ok(Reply::Search { tags: output.tags, notes: notes_of(output.notes) })
    }

    pub(super) async fn remote_read(&self, call: RemoteReadCall) -> Result<Reply, ApiError> {
        let requests: Vec<_> = call
            .queries
            .into_iter()
            .map(|query| ReadRequest {
                selection: match query.selection {
                    api::Selection::Matchers(matchers) => Selection::Matchers(matchers),
                    api::Selection::Text(text) => Selection::Text(text),
                },
                start_ms: query.start_ms,
                end_ms: query.end_ms,
            })
            .collect();
        let read = self.engine.read(&requests, &fetch_of(call.options)).await;
        let (outputs, notes) = read.map_err(refuse)?;
        let results = requests.iter().zip(outputs).map(|(request, output)| ReadResult {
            matchers: output.matchers,
            start_ms: request.start_ms,
            end_ms: request.end_ms,
            series: output.series,
        });
        Ok(Reply::RemoteRead { results: results.collect(), notes: notes_of(notes) })
    }
}

fn search_of(call: MetadataCall) -> SearchRequest {
    SearchRequest {
        selectors: Selectors::Texts(call.selectors),
        start_ms: call.start_ms,
        end_ms: call.end_ms,
        fetch: fetch_of(call.options),
    }
}

fn fetch_of(options: QueryOptions) -> FetchOptions {
    let limits = options.limits;
    FetchOptions {
        storage: options.storage,
        timeout: options.timeout,
        lookback_ms: options.lookback_ms,
        restriction: options.tags,
        series_max: limits.series,
        docs_max: limits.docs,
        range_max_ms: limits.range_ms,
        require_exhaustive: limits.require_exhaustive,
    }
}

fn notes_of(notes: Notes) -> api::Notes {
    let limited = notes.limited.iter().map(|limited| match limited {
        Limited::Series => SERIES_LIMIT_APPLIED.to_owned(),
        Limited::Range => RANGE_LIMIT_APPLIED.to_owned(),
    });
    api::Notes {
        warnings: notes.warnings,
        infos: notes.infos,
        limited: limited.collect(),
        fetched: notes.fetched,
        held: HeldMemory(notes.held),
    }
}
