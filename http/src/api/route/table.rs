//! The table of routes and the look-up in it.

use super::Listener;
use crate::api::{AdminRoute, ApiError, EngineName, ErrorKind, Service};
use crate::message::Method;
use crate::reply::Family;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    RemoteWrite,
    JsonWrite,
    Query,
    QueryRange,
    Labels,
    LabelValues,
    Series,
    Search,
    RemoteRead,
    Health,
    Ready,
    Alive,
    ReadyText,
    Routes,
    Metrics,
    LogLevel,
    BuildInfo,
    Exemplars,
    Metadata,
    Rules,
    Alerts,
    Admin(AdminRoute),
}

impl Kind {
    /// The kind of route, for the reply.
    pub(super) fn family(self) -> Family {
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

/// The methods of a route, as `Allow` lists them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Methods(&'static str);

const GET: Methods = Methods("GET, HEAD, OPTIONS");
const POST: Methods = Methods("POST, OPTIONS");
const GET_POST: Methods = Methods("GET, HEAD, POST, OPTIONS");
const POST_DELETE: Methods = Methods("POST, DELETE, OPTIONS");
const DELETE: Methods = Methods("DELETE, OPTIONS");
const GET_POST_DELETE: Methods = Methods("GET, HEAD, POST, DELETE, OPTIONS");
const GET_POST_PUT: Methods = Methods("GET, HEAD, POST, PUT, OPTIONS");

impl Methods {
    fn take(self, method: Method) -> bool {
        self.0.split(", ").any(|name| name == method.name())
    }
}

struct Entry {
    path: &'static str,
    methods: Methods,
    kind: Kind,
    /// Whether the route also exists below `/prometheus` and `/m3query`.
    prefixed: bool,
}

const fn entry(path: &'static str, methods: Methods, kind: Kind) -> Entry {
    Entry { path, methods, kind, prefixed: false }
}

const fn read(path: &'static str, methods: Methods, kind: Kind) -> Entry {
    Entry { path, methods, kind, prefixed: true }
}

const fn admin(path: &'static str, methods: Methods, route: AdminRoute) -> Entry {
    entry(path, methods, Kind::Admin(route))
}

/// A name in braces stands for one part of the path. Literal paths come before such paths.
static TABLE: &[Entry] = &[
    entry("/api/v1/prom/remote/write", POST, Kind::RemoteWrite),
    entry("/api/v1/write", POST, Kind::RemoteWrite),
    read("/api/v1/query", GET_POST, Kind::Query),
    read("/api/v1/query_range", GET_POST, Kind::QueryRange),
    read("/api/v1/labels", GET_POST, Kind::Labels),
    read("/api/v1/series", GET_POST, Kind::Series),
    entry("/api/v1/json/write", POST, Kind::JsonWrite),
    read("/api/v1/search", GET_POST, Kind::Search),
    entry("/api/v1/prom/remote/read", GET_POST, Kind::RemoteRead),
    read("/api/v1/read", GET_POST, Kind::RemoteRead),
    read("/api/v1/query_exemplars", GET_POST, Kind::Exemplars),
    read("/api/v1/metadata", GET, Kind::Metadata),
    read("/api/v1/rules", GET, Kind::Rules),
    read("/api/v1/alerts", GET, Kind::Alerts),
    read("/api/v1/status/buildinfo", GET, Kind::BuildInfo),
    entry("/health", GET, Kind::Health),
    entry("/ready", GET, Kind::Ready),
    entry("/-/healthy", GET, Kind::Alive),
    entry("/-/ready", GET, Kind::ReadyText),
    entry("/routes", GET, Kind::Routes),
    entry("/debug/log/level", GET_POST_PUT, Kind::LogLevel),
    admin("/api/v1/database/create", POST, AdminRoute::DatabaseCreate),
    admin("/api/v1/database/namespace/create", POST, AdminRoute::DatabaseCreate),
    admin("/api/v1/services/m3db/namespace", GET_POST_PUT, AdminRoute::Namespace),
    admin("/api/v1/services/m3db/namespace/ready", POST, AdminRoute::NamespaceReady),
    admin("/api/v1/services/m3db/schema", POST_DELETE, AdminRoute::Schema),
    admin("/api/v1/namespace", GET_POST_PUT, AdminRoute::Namespace),
    read("/api/v1/label/{name}/values", GET_POST, Kind::LabelValues),
    admin("/api/v1/services/m3db/namespace/{id}", DELETE, AdminRoute::NamespaceNamed),
    admin("/api/v1/namespace/{id}", DELETE, AdminRoute::NamespaceNamed),
];

/// The services that have placements, in the order of `/routes`.
const SERVICES: [Service; 3] = [Service::M3db, Service::M3aggregator, Service::M3coordinator];

/// The routes below a service's placement path; each service has the same set.
type PlacementRoute = (&'static str, [&'static str; 3], Methods, fn(Service) -> AdminRoute);

const PLACEMENTS: &[PlacementRoute] = &[
    (
        "",
        [
            "/api/v1/services/m3db/placement",
            "/api/v1/services/m3aggregator/placement",
            "/api/v1/services/m3coordinator/placement",
        ],
        GET_POST_DELETE,
        AdminRoute::Placement,
    ),
    (
        "/init",
        [
            "/api/v1/services/m3db/placement/init",
            "/api/v1/services/m3aggregator/placement/init",
            "/api/v1/services/m3coordinator/placement/init",
        ],
        POST,
        AdminRoute::PlacementInit,
    ),
    (
        "/remove",
        [
            "/api/v1/services/m3db/placement/remove",
            "/api/v1/services/m3aggregator/placement/remove",
            "/api/v1/services/m3coordinator/placement/remove",
        ],
        POST,
        AdminRoute::PlacementRemove,
    ),
    (
        "/replace",
        [
            "/api/v1/services/m3db/placement/replace",
            "/api/v1/services/m3aggregator/placement/replace",
            "/api/v1/services/m3coordinator/placement/replace",
        ],
        POST,
        AdminRoute::PlacementReplace,
    ),
    (
        "/set",
        [
            "/api/v1/services/m3db/placement/set",
            "/api/v1/services/m3aggregator/placement/set",
            "/api/v1/services/m3coordinator/placement/set",
        ],
        POST,
        AdminRoute::PlacementSet,
    ),
    (
        "/{id}",
        [
            "/api/v1/services/m3db/placement/{id}",
            "/api/v1/services/m3aggregator/placement/{id}",
            "/api/v1/services/m3coordinator/placement/{id}",
        ],
        DELETE,
        AdminRoute::PlacementInstance,
    ),
];

static METRICS_TABLE: &[Entry] = &[
    entry("/metrics", GET_POST, Kind::Metrics),
    entry("/health", GET, Kind::Health),
    entry("/-/healthy", GET, Kind::Alive),
    entry("/-/ready", GET, Kind::ReadyText),
];

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The route's path, with a name in braces for the variable part.
    pub(super) template: &'static str,
    /// The text at the braces.
    pub(super) id: Option<&'a str>,
    /// The engine that a prefix pins.
    pub(super) engine: Option<EngineName>,
}

/// Finds the route of `path` and checks the method.
///
/// # Errors
/// There is no such route, or it does not take this method.
pub(super) fn find(
    listener: Listener,
    path: &str,
    method: Method,
) -> Result<(Kind, Target<'_>), ApiError> {
    let table = match listener {
        Listener::Api => TABLE,
        Listener::Metrics => METRICS_TABLE,
    };
    let (engine, rest) = split_prefix(path);
    for entry in table.iter().filter(|entry| engine.is_none() || entry.prefixed) {
        let Some(id) = match_path(entry.path, rest) else { continue };
        check_method(entry.methods, method, path)?;
        return Ok((entry.kind, Target { template: entry.path, id, engine }));
    }
    if listener == Listener::Api && engine.is_none() {
        return find_placement(path, method);
    }
    Err(no_route(path))
}

fn find_placement(path: &str, method: Method) -> Result<(Kind, Target<'_>), ApiError> {
    // M3's older releases had the placement of the database here.
    const OLD: &str = "/api/v1/placement";
    for (suffix, templates, methods, make) in PLACEMENTS {
        let of_service = SERVICES.into_iter().zip(templates).find_map(|(service, template)| {
            Some((service, *template, match_path(template, path)?))
        });
        let found = of_service.or_else(|| {
            let id = match_path(suffix, path.strip_prefix(OLD)?)?;
            Some((Service::M3db, templates[0], id))
        });
        if let Some((service, template, id)) = found {
            check_method(*methods, method, path)?;
            return Ok((Kind::Admin(make(service)), Target { template, id, engine: None }));
        }
    }
    Err(no_route(path))
}

/// The refusal of a path that is not a route.
fn no_route(path: &str) -> ApiError {
    let shown: String = path.chars().take(200).collect();
    ApiError::new(
        ErrorKind::NotFound,
        format!("no such route: {shown}; GET /routes lists all routes"),
    )
}

fn check_method(methods: Methods, method: Method, path: &str) -> Result<(), ApiError> {
    if methods.take(method) {
        return Ok(());
    }
    Err(ApiError {
        allow: Some(methods.0),
        ..ApiError::new(
            ErrorKind::Method,
            format!("method {} is not allowed for {path}: it takes {}", method.name(), methods.0),
        )
    })
}

fn split_prefix(path: &str) -> (Option<EngineName>, &str) {
    for (prefix, engine) in
        [("/prometheus", EngineName::Prometheus), ("/m3query", EngineName::M3Query)]
    {
        if let Some(rest) = path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) {
            return (Some(engine), rest);
        }
    }
    (None, path)
}

/// Matches `path` with `template`. The outer `None` means no match; the inner value is the part at
/// the braces.
fn match_path<'a>(template: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, rest)) = template.split_once('{') else {
        return (template == path).then_some(None);
    };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    // Only a label's name may contain a slash, because it stands between two fixed parts.
    let plausible = !id.is_empty() && (!after.is_empty() || !id.contains('/'));
    plausible.then_some(Some(id))
}

/// All paths, for `/routes`.
#[must_use]
pub fn routes() -> Vec<&'static str> {
    let mut paths: Vec<_> = TABLE.iter().map(|entry| entry.path).collect();
    paths.extend(PLACEMENTS.iter().flat_map(|(_, templates, _, _)| templates));
    paths.extend([
        "/prometheus/api/v1/query",
        "/prometheus/api/v1/query_range",
        "/m3query/api/v1/query",
        "/m3query/api/v1/query_range",
    ]);
    paths
}
