//! Routes: from a path and a method to a checked [`Call`].
//!
//! One table (`table`) lists every route with its methods; `/routes`, the 405's `Allow` and the
//! look-up all read it. The most frequent routes are at the front. The parameters of a route are
//! read in `calls` (queries), `write` and `admin`. Routes that need nothing from the node are
//! answered here.
//!
//! Always holds: a request is answered by exactly one route; GET implies HEAD.

use super::build::build_info;
use super::options::{self, LimitParam, query_options};
use super::{ApiError, ApiSettings, Call, EngineName, QueryOptions, Reply, form, inflate};
use crate::ingest::remote_write::{DecodeLimits, Decoder};
use crate::message::{Method, Request};
use crate::reply::ReplyFormat;
use backoff::Backoff;
use m3_metric::Timestamp;
use m3_metric::limits::{ADMIN_BODY_BYTES_MAX, FORM_BYTES_MAX, READ_REQUEST_BYTES_MAX};
use pool::SpareBatches;
use std::cell::RefCell;

mod admin;
mod backoff;
mod calls;
mod pool;
mod table;
mod write;

pub use table::routes;
use table::{Kind, Target};

/// The listener that received a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Port 7201: the API.
    Api,
    /// Port 7203: the node's own metrics.
    Metrics,
}

/// The routes of one core, with the decoders' reused memory.
#[derive(Debug)]
pub struct Api {
    settings: ApiSettings,
    decoder: RefCell<Decoder>,
    spare: SpareBatches,
    packed: Backoff,
}

/// A request that found its route.
#[derive(Debug)]
pub struct Routed {
    /// How the answer is to be written.
    pub shape: ReplyFormat,
    /// What is asked, or why the request is refused.
    pub call: Result<Call, ApiError>,
}

impl Api {
    /// The routes of one core.
    #[must_use]
    pub fn new(settings: ApiSettings) -> Self {
        let limits = DecodeLimits {
            decoded_bytes: settings.body_decoded_bytes_max,
            ..DecodeLimits::default()
        };
        Self {
            settings,
            decoder: RefCell::new(Decoder::new(limits)),
            spare: SpareBatches::default(),
            packed: Backoff::default(),
        }
    }

    /// Finds the route of `request` and reads its parameters. Takes the body out of the request
    /// only where the call carries it; otherwise its memory stays with the connection.
    pub fn route(&self, listener: Listener, request: &mut Request, now: Timestamp) -> Routed {
        let path = std::mem::take(&mut request.path);
        let routed = match table::find(listener, &path, request.method) {
            Ok((kind, target)) => {
                let mut shape = ReplyFormat::new(target.template, kind.family(), request);
                let call = self.call(kind, &target, request, now, &mut shape);
                Routed { shape, call }
            }
            Err(error) => Routed { shape: ReplyFormat::plain(request), call: Err(error) },
        };
        request.path = path;
        routed
    }

    /// Refuses a search without a range if the configuration requires one.
    fn check_range_given(&self, kind: Kind, request: &Request) -> Result<(), ApiError> {
        let needed = match kind {
            Kind::Labels => self.settings.labels_need_range,
            Kind::Series => self.settings.series_need_range,
            _ => false,
        };
        let missing = |name: &&str| request.query.filled(name).is_none();
        match ["start", "end"].iter().find(|name| needed && missing(name)) {
            Some(name) => {
                Err(ApiError::bad_parameter(name, "this node requires start and end on this route"))
            }
            None => Ok(()),
        }
    }

    fn call(
        &self,
        kind: Kind,
        target: &Target<'_>,
        request: &mut Request,
        now: Timestamp,
        shape: &mut ReplyFormat,
    ) -> Result<Call, ApiError> {
        options::check_json_headers(request)?;
        match kind {
            Kind::RemoteWrite => self.remote_write(request),
            Kind::JsonWrite => self.json_write(request),
            Kind::Query | Kind::QueryRange => {
                let pinned = target.engine;
                if pinned.is_none() {
                    shape.echo_engine(options::engine(request));
                }
                let options = self.query_options(request, pinned, LimitParam::Answer)?;
                shape.follow(&options);
                if kind == Kind::Query {
                    return calls::query(request, now, options).map(Call::Query);
                }
                let call = calls::query_range(request, now, options)?;
                if call.options.engine == EngineName::M3Query {
                    shape.step_size_ms = Some(call.step_ms);
                }
                if pinned.is_none() {
                    shape.echo_engine(call.options.engine);
                }
                Ok(Call::QueryRange(call))
            }
            Kind::Labels | Kind::LabelValues | Kind::Series => {
                let options = self.query_options(request, None, LimitParam::Answer)?;
                shape.follow(&options);
                self.check_range_given(kind, request)?;
                let metadata = calls::metadata(request, now, options)?;
                match kind {
                    Kind::Labels => Ok(Call::Labels(metadata)),
                    Kind::Series => calls::require_selector(metadata).map(Call::Series),
                    _ => Ok(Call::LabelValues {
                        name: calls::unescape_name(target.id.unwrap_or_default()),
                        metadata,
                    }),
                }
            }
            Kind::Search => {
                let options = self.query_options(request, None, LimitParam::Fetch)?;
                shape.follow(&options);
                let call = calls::search(request, now, options)?;
                shape.names_only = call.names_only;
                Ok(Call::Search(call))
            }
            Kind::RemoteRead => {
                // The body is protobuf whatever the content type: curl declares it as a form.
                let limit = READ_REQUEST_BYTES_MAX.min(self.settings.body_decoded_bytes_max);
                self.inflate(request, limit)?;
                let options = self.fetch_options(request, None, LimitParam::Fetch)?;
                shape.follow(&options);
                calls::remote_read(request, now, options, limit).map(Call::RemoteRead)
            }
            Kind::LogLevel => self.log_level(request).map(Call::LogLevel),
            Kind::Admin(route) => {
                self.inflate(request, ADMIN_BODY_BYTES_MAX)?;
                Ok(Call::Admin(Box::new(admin::admin(route, target.id, request))))
            }
            Kind::Ready => calls::ready(request),
            _ => Ok(self.plain(kind)),
        }
    }

    /// Inflates and reads the form, then reads the options.
    fn query_options(
        &self,
        request: &mut Request,
        pinned: Option<EngineName>,
        limit: LimitParam,
    ) -> Result<QueryOptions, ApiError> {
        self.inflate(request, FORM_BYTES_MAX)?;
        if request.method != Method::Get {
            form::merge(request).map_err(ApiError::bad_data)?;
        }
        self.fetch_options(request, pinned, limit)
    }

    /// The options of a request, with the node's defaults where it has none.
    fn fetch_options(
        &self,
        request: &Request,
        pinned: Option<EngineName>,
        limit: LimitParam,
    ) -> Result<QueryOptions, ApiError> {
        let mut options = query_options(request, pinned, self.settings.query_timeout, limit)?;
        options.limits.metric_stats.get_or_insert(self.settings.metric_stats_max);
        Ok(options)
    }

    /// The log level that a request sets; a GET sets none.
    fn log_level(&self, request: &mut Request) -> Result<Option<String>, ApiError> {
        if request.method == Method::Get {
            return Ok(None);
        }
        self.inflate(request, FORM_BYTES_MAX)?;
        form::merge(request).map_err(ApiError::bad_data)?;
        match request.query.filled("level") {
            Some(level) => Ok(Some(level.to_owned())),
            None => Err(ApiError::bad_parameter("level", "name one, as in level=debug")),
        }
    }

    /// Inflates a gzip-encoded body of at most `limit` bytes, the most that the route can use, so
    /// that a decompression bomb is stopped there.
    fn inflate(&self, request: &mut Request, limit: usize) -> Result<(), ApiError> {
        let limit = limit.min(self.settings.body_decoded_bytes_max);
        inflate::inflate_request(request, limit)
    }

    fn plain(&self, kind: Kind) -> Call {
        let data = |json: &str| Call::Answered(Reply::Data(json.to_owned()));
        match kind {
            Kind::Health => Call::Health,
            Kind::Alive => Call::Answered(Reply::Text("m3ring is healthy.\n".to_owned())),
            Kind::ReadyText => Call::ReadyText,
            Kind::Metrics => Call::Metrics,
            Kind::Routes => Call::Answered(Reply::Routes(routes())),
            Kind::BuildInfo => data(&build_info(self.settings.version, self.settings.revision)),
            Kind::Metadata => data("{}"),
            Kind::Rules => data("{\"groups\":[]}"),
            Kind::Alerts => data("{\"alerts\":[]}"),
            _ => data("[]"),
        }
    }
}

#[cfg(test)]
mod tests;
