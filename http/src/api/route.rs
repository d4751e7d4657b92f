//! Routes: from a path and a method to a checked [`Call`].
//!
//! One table lists every route with its methods; `/routes`, the 405's `Allow` and the look-up all
//! read it. The hot routes stand first. Routes that need nothing from the node are answered here.
//!
//! Always holds: a request is answered by exactly one route; GET implies HEAD.

use super::build::build_info;
use super::options::{LimitParam, query_options, write_options};
use super::{
    AdminCall, AdminRoute, ApiError, Call, Engine, ErrorKind, QueryOptions, Reply, Service,
    WriteCall, WriteSource,
};
use crate::ingest::remote_write::{self, Contents, DecodeLimits, Decoder, Mode};
use crate::ingest::{json_write, tag_map::TagMap};
use crate::message::{Method, Request};
use crate::reply::{Family, Shape};
use m3_io::budget::{Budget, Promise};
use m3_metric::limits::{
    ADMIN_BODY_BYTES_MAX, BODY_DECODED_BYTES_MAX, FORM_BYTES_MAX, READ_REQUEST_BYTES_MAX,
};
use m3_metric::{FingerprintKey, Record, Timestamp, WriteBatch, WriteOutcome};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

mod calls;
mod table;

pub use table::routes;
use table::{Kind, Target};

/// Batches that wait for their next use, per core.
const SPARE_BATCHES: usize = 8;
/// Bytes of a batch's buffer that are worth keeping; a larger one is freed after use.
const SPARE_BATCH_BYTES: usize = 8 << 20;

/// Bytes of the smallest series with a sample in a remote write.
const SAMPLE_BYTES_MIN: usize = 16;
/// Bytes of a remote write whose records are not counted: what a sender sends at once.
const BATCH_BYTES_SURE: usize = 256 << 10;

/// Which listener a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Port 7201: the API.
    Api,
    /// Port 7203: the node's own metrics.
    Metrics,
}

/// What the door must know of the node.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// How long a query may take when it does not say; M3's 30 s.
    pub query_timeout: Duration,
    /// Bytes of a body after decompression.
    pub body_decoded_bytes_max: usize,
    /// What memory bodies may take while they are unpacked.
    pub budget: Arc<Budget>,
    /// For a node that knows series by their fingerprints: what those are taken with.
    pub fingerprints: Option<Arc<FingerprintKey>>,
    /// Whether `/labels` must name its range.
    pub labels_need_range: bool,
    /// Whether `/series` must name its range.
    pub series_need_range: bool,
    /// The node's own version, for `/api/v1/status/buildinfo`.
    pub version: &'static str,
    /// The commit it was built from; may be empty.
    pub revision: &'static str,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(30),
            body_decoded_bytes_max: BODY_DECODED_BYTES_MAX,
            budget: Budget::new(0),
            fingerprints: None,
            labels_need_range: false,
            series_need_range: false,
            version: env!("CARGO_PKG_VERSION"),
            revision: "",
        }
    }
}

/// The routes of one core, with the decoders' reused memory.
#[derive(Debug)]
pub struct Api {
    settings: ApiSettings,
    decoder: RefCell<Decoder>,
    spare: RefCell<Vec<WriteBatch>>,
    packed: Backoff,
}

/// Whether it is worth while to read bodies by fingerprints: not for a sender whose series are all
/// new or whose bodies are unusual, for then everything is read twice.
#[derive(Debug, Default)]
struct Backoff {
    /// Bodies that are decoded at once before the next attempt.
    left: Cell<u32>,
    /// How many there were the last time.
    last: Cell<u32>,
}

/// Bodies between two attempts at most.
const BACKOFF_MAX: u32 = 16;

impl Backoff {
    fn may_try(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }

    fn failed(&self) {
        let next = (self.last.get() * 2).clamp(1, BACKOFF_MAX);
        self.last.set(next);
        self.left.set(next);
    }

    fn succeeded(&self) {
        self.last.set(0);
    }
}

/// A request that found its route.
#[derive(Debug)]
pub struct Routed {
    /// How the answer is to be written.
    pub shape: Shape,
    /// What is asked, or why it is refused.
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
            spare: RefCell::default(),
            packed: Backoff::default(),
        }
    }

    /// Finds the route of `request` and reads its parameters. Takes the body out of the request
    /// only where the call carries it; otherwise its memory stays with the connection.
    pub fn route(&self, listener: Listener, request: &mut Request, now: Timestamp) -> Routed {
        let path = std::mem::take(&mut request.path);
        let routed = match table::find(listener, &path, request.method) {
            Ok((kind, target)) => {
                let mut shape = Shape::new(target.template, kind.family(), request);
                let call = self.call(kind, &target, request, now, &mut shape);
                Routed { shape, call }
            }
            Err(error) => Routed { shape: Shape::plain(request), call: Err(error) },
        };
        request.path = path;
        routed
    }

    /// Refuses a search without a range where the configuration asks for one.
    fn check_range_given(&self, kind: Kind, request: &Request) -> Result<(), ApiError> {
        let needed = match kind {
            Kind::Labels => self.settings.labels_need_range,
            Kind::Series => self.settings.series_need_range,
            _ => false,
        };
        let missing = |name: &&str| request.query.filled(name).is_none();
        match ["start", "end"].iter().find(|name| needed && missing(name)) {
            Some(name) => {
                Err(ApiError::bad_parameter(name, "this node asks for start and end here"))
            }
            None => Ok(()),
        }
    }

    /// Gives a batch back so that a later write can use its memory.
    pub fn recycle(&self, mut batch: WriteBatch) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_BATCHES && batch.buffer.capacity() <= SPARE_BATCH_BYTES {
            // The buffer keeps its bytes: the next body overwrites them, clearing would cost a
            // pass over memory when it grows again.
            batch.clear_records();
            spare.push(batch);
        }
    }

    /// Decodes a remote write of which only fingerprints were read, because not all are known.
    ///
    /// # Errors
    /// The body is malformed, or there is no memory for it; none of it must be stored.
    pub fn decode(&self, call: &mut WriteCall) -> Result<(), ApiError> {
        if call.source != WriteSource::RemoteWritePacked {
            return Ok(());
        }
        self.packed.failed();
        let limit = self.settings.body_decoded_bytes_max;
        let declared = remote_write::declared_len(&call.body, limit)?;
        let _promise = self.promise(declared, &call.batch)?;
        let (body_len, contents) = self.unpack(&call.body, &mut call.batch, Mode::Fast)?;
        call.outcome = contents.outcome();
        call.source = WriteSource::RemoteWriteFast { body_len };
        Ok(())
    }

    /// Notes that all series of a body were known by their fingerprints, and gives its batch back.
    pub fn recycle_known(&self, batch: WriteBatch) {
        self.packed.succeeded();
        self.recycle(batch);
    }

    /// Decompresses a body and splits it; gives the length decompressed.
    fn unpack(
        &self,
        body: &[u8],
        batch: &mut WriteBatch,
        mode: Mode,
    ) -> Result<(usize, Contents), ApiError> {
        let mut decoder = self.decoder.borrow_mut();
        let body_len = decoder.decompress(body, batch)?;
        Ok((body_len, decoder.split(body_len, batch, mode)?))
    }

    /// Decodes a remote write again, strictly: for the owner that met a record of the fast path
    /// whose span is no label fields. The batch then holds the samples that the body really has.
    ///
    /// # Errors
    /// The body is malformed; none of it must be stored.
    pub fn decode_strictly(&self, call: &mut WriteCall) -> Result<(), ApiError> {
        let WriteSource::RemoteWriteFast { body_len } = call.source else { return Ok(()) };
        call.batch.buffer.truncate(body_len);
        call.batch.records.clear();
        let contents = self.decoder.borrow_mut().split(body_len, &mut call.batch, Mode::Strict)?;
        call.outcome = contents.outcome();
        call.source = WriteSource::RemoteWriteStrict { body_len };
        Ok(())
    }

    fn call(
        &self,
        kind: Kind,
        target: &Target<'_>,
        request: &mut Request,
        now: Timestamp,
        shape: &mut Shape,
    ) -> Result<Call, ApiError> {
        super::options::check_json_headers(request)?;
        match kind {
            Kind::RemoteWrite => self.remote_write(request),
            Kind::JsonWrite => self.json_write(request),
            Kind::Query | Kind::QueryRange => {
                let pinned = target.engine;
                if pinned.is_none() {
                    shape.echo_engine(super::options::engine(request));
                }
                let options = self.query_options(request, pinned, LimitParam::Answer)?;
                shape.follow(&options);
                if kind == Kind::Query {
                    return calls::query(request, now, options).map(Call::Query);
                }
                let call = calls::query_range(request, now, options)?;
                if call.options.engine == Engine::M3Query {
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
                // The body is protobuf whatever its content type says: curl says it is a form.
                let limit = READ_REQUEST_BYTES_MAX.min(self.settings.body_decoded_bytes_max);
                self.inflate(request, limit)?;
                let timeout = self.settings.query_timeout;
                let options = query_options(request, None, timeout, LimitParam::Fetch)?;
                shape.follow(&options);
                calls::remote_read(request, now, options, limit).map(Call::RemoteRead)
            }
            Kind::LogLevel => self.log_level(request).map(Call::LogLevel),
            Kind::Admin(route) => self.admin(route, target, request),
            Kind::Ready => ready(request),
            _ => Ok(self.plain(kind)),
        }
    }

    /// Inflates and reads the form, then the options.
    fn query_options(
        &self,
        request: &mut Request,
        pinned: Option<Engine>,
        limit: LimitParam,
    ) -> Result<QueryOptions, ApiError> {
        self.inflate(request, FORM_BYTES_MAX)?;
        if request.method != Method::Get {
            request.merge_form().map_err(ApiError::bad_data)?;
        }
        query_options(request, pinned, self.settings.query_timeout, limit)
    }

    /// The level that the log is to have; none is asked for by a GET.
    fn log_level(&self, request: &mut Request) -> Result<Option<String>, ApiError> {
        if request.method == Method::Get {
            return Ok(None);
        }
        self.inflate(request, FORM_BYTES_MAX)?;
        request.merge_form().map_err(ApiError::bad_data)?;
        match request.query.filled("level") {
            Some(level) => Ok(Some(level.to_owned())),
            None => Err(ApiError::bad_parameter("level", "name one, as in level=debug")),
        }
    }

    /// Takes the gzip off a body; `limit` is what the route can mean, so that a bomb ends there.
    fn inflate(&self, request: &mut Request, limit: usize) -> Result<(), ApiError> {
        let limit = limit.min(self.settings.body_decoded_bytes_max);
        crate::server::gzip::inflate_request(request, limit)
    }

    /// Memory for what a remote write of `declared` bytes is unpacked into beside what `batch` has:
    /// the bytes, and records, which are larger than the smallest samples.
    fn promise(&self, declared: usize, batch: &WriteBatch) -> Result<Promise, ApiError> {
        let mut promise = self.settings.budget.nothing();
        let bytes = declared.saturating_sub(batch.buffer.capacity());
        let records = (declared / SAMPLE_BYTES_MIN).min(remote_write::SAMPLES_PER_REQUEST_MAX);
        let records =
            if declared < BATCH_BYTES_SURE { 0 } else { records * 2 * size_of::<Record>() };
        let wanted = (bytes + records) as u64;
        if wanted == 0 || promise.extend(wanted) {
            return Ok(promise);
        }
        Err(self.no_memory(declared))
    }

    fn no_memory(&self, unpacked: usize) -> ApiError {
        let what = format!("a body of {} KiB, unpacked, is refused for now", unpacked >> 10);
        ApiError::no_memory(&what, &self.settings.budget)
    }

    fn remote_write(&self, request: &mut Request) -> Result<Call, ApiError> {
        remote_write::negotiate(&request.headers)?;
        let options = write_options(request)?;
        let map = TagMap::from_headers(&request.headers)?;
        let mode = if map.is_some() { Mode::Strict } else { Mode::Fast };
        let limit = self.settings.body_decoded_bytes_max;
        let declared = remote_write::declared_len(&request.body, limit)?;
        let mut batch = self.spare.borrow_mut().pop().unwrap_or_default();
        let mut promise = match self.promise(declared, &batch) {
            Ok(promise) => promise,
            Err(error) => {
                self.recycle(batch);
                return Err(error);
            }
        };
        if mode == Mode::Fast && self.read_packed(&request.body, &mut batch) {
            let (source, outcome) = (WriteSource::RemoteWritePacked, WriteOutcome::default());
            let body = std::mem::take(&mut request.body);
            return Ok(Call::Write(Box::new(WriteCall { batch, source, outcome, options, body })));
        }
        let (body_len, contents) = match self.unpack(&request.body, &mut batch, mode) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.recycle(batch);
                return Err(error);
            }
        };
        let source = match mode {
            Mode::Fast => WriteSource::RemoteWriteFast { body_len },
            Mode::Strict => WriteSource::RemoteWriteStrict { body_len },
        };
        if let Some(map) = map {
            if !promise.extend(map.bytes_for(&batch).min(2 * limit as u64)) {
                return Err(self.no_memory(declared));
            }
            map.apply(&mut batch, limit)?;
        }
        let (outcome, body) = (contents.outcome(), Vec::new());
        Ok(Call::Write(Box::new(WriteCall { batch, source, outcome, options, body })))
    }

    fn read_packed(&self, body: &[u8], batch: &mut WriteBatch) -> bool {
        let Some(key) = &self.settings.fingerprints else { return false };
        if !self.packed.may_try() {
            return false;
        }
        let is_read = self.decoder.borrow_mut().read_packed(body, key, batch);
        if !is_read {
            self.packed.failed();
        }
        is_read
    }

    fn json_write(&self, request: &mut Request) -> Result<Call, ApiError> {
        self.inflate(request, json_write::JSON_WRITE_BYTES_MAX)?;
        let options = write_options(request)?;
        let map = TagMap::from_headers(&request.headers)?;
        let mut batch = self.spare.borrow_mut().pop().unwrap_or_default();
        batch.clear();
        json_write::decode(&request.body, &mut batch).map_err(ApiError::bad_data)?;
        if let Some(map) = map {
            map.apply(&mut batch, self.settings.body_decoded_bytes_max)?;
        }
        Ok(Call::Write(Box::new(WriteCall {
            batch,
            source: WriteSource::Json,
            outcome: WriteOutcome::default(),
            options,
            body: Vec::new(),
        })))
    }

    fn admin(
        &self,
        route: AdminRoute,
        target: &Target<'_>,
        request: &mut Request,
    ) -> Result<Call, ApiError> {
        self.inflate(request, ADMIN_BODY_BYTES_MAX)?;
        let id = target.id.map(str::to_owned);
        let text =
            |name: &str, default: &str| request.headers.filled(name).unwrap_or(default).to_owned();
        let truth = |value: Option<&str>| value.is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let environment = text("cluster-environment-name", "default_env");
        let zone = text("cluster-zone-name", "embedded");
        let dry_run = truth(request.headers.get("dry-run"));
        let force = truth(request.headers.get("force")) || truth(request.query.get("force"));
        Ok(Call::Admin(Box::new(AdminCall {
            route,
            method: request.method,
            id,
            params: std::mem::take(&mut request.query),
            environment,
            zone,
            dry_run,
            force,
            body: std::mem::take(&mut request.body),
        })))
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

impl Kind {
    fn family(self) -> Family {
        match self {
            Self::RemoteWrite => Family::Write,
            Self::JsonWrite => Family::JsonWrite,
            Self::Query | Self::QueryRange => Family::Query,
            Self::RemoteRead => Family::RemoteRead,
            Self::Admin(_) => Family::Admin,
            _ => Family::Metadata,
        }
    }
}

/// Reads which of reads and writes the node is to be ready for: both, unless told otherwise.
fn ready(request: &Request) -> Result<Call, ApiError> {
    let asked = |name| match request.query.filled(name) {
        None => Ok(true),
        Some(text) => super::options::parse_bool(text).map_err(ApiError::bad_data),
    };
    Ok(Call::Ready { reads: asked("reads")?, writes: asked("writes")? })
}

/// A refusal of a path that is no route.
fn no_route(path: &str) -> ApiError {
    let shown: String = path.chars().take(200).collect();
    ApiError::new(
        ErrorKind::NotFound,
        format!("no such route: {shown}; GET /routes lists what there is"),
    )
}

/// The services that have placements, in the order of `/routes`.
const SERVICES: [Service; 3] = [Service::M3db, Service::M3aggregator, Service::M3coordinator];

#[cfg(test)]
mod tests;
