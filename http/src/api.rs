//! The types between the HTTP layer and the coordinator: what a request asks ([`Call`]), what the
//! node answers ([`Reply`]) and how it refuses ([`ApiError`]).
//!
//! [`route::Api::route`] turns a request into a [`Routed`]: a `Call` or an error, and the
//! [`crate::reply::ReplyFormat`] in which this route's answer is written. Parameters are parsed and
//! checked here. PromQL is passed on as text; the query crate parses it.
//!
//! Suggested reading order: [`call`], [`reply`], [`error`], [`route`].

pub mod build;
pub mod call;
pub mod duration;
pub mod error;
pub mod form;
pub mod inflate;
pub mod options;
pub mod reply;
pub mod route;
pub mod settings;
pub mod time;

pub use call::{
    AdminCall, AdminRoute, Call, EngineName, FetchLimits, MetadataCall, QueryCall, QueryOptions,
    QueryRangeCall, ReadQuery, RemoteReadCall, SearchCall, Selection, Service, TIME_MS_MAX,
    TIME_MS_MIN, WriteCall, WriteOptions, WriteSource,
};
pub use error::{ApiError, ErrorKind, NO_MEMORY_RETRY_S};
pub use reply::{
    HeldMemory, Notes, ReadResult, Readiness, ReadyNamespace, Reply, SERIES_LIMIT_APPLIED,
    WARNING_TRUNCATED,
};
pub use route::{Api, Listener, Routed};
pub use settings::ApiSettings;
