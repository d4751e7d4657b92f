//! The admin routes: M3's documents and texts over the KV store.
//!
//! A request names a document. The document is loaded, changed by the pure rules of
//! [`crate::namespace`], [`crate::placement`] and [`crate::topic`], and written back by
//! compare-and-set. If another change came first, the change is repeated on the newer document.
//!
//! Always holds: a refused request changes nothing. A change is answered with a status 2xx only
//! when it is durable. Each environment and zone has its own keys.

mod namespaces;
mod placements;
mod store;
mod topics;

pub(crate) use store::{Scope, load_registry};

use std::fmt;

use serde_json::{Map, Value, json};

use crate::Error;
use crate::jsonpb::{self, BadDocument, MessageSchema};
use crate::kv::Kv;
use crate::namespace::BadNamespace;
use crate::placement::{BadPlacement, LOCAL_ID, PlacementKind};
use m3_metric::limits::ADMIN_BODY_BYTES_MAX;

/// JSON, the content type of most answers.
pub const JSON: &str = "application/json";
/// The content type that M3 gives to the JSON of its deletes.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// A service that has a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The database.
    M3db,
    /// The aggregator.
    M3aggregator,
    /// The coordinator.
    M3coordinator,
}

impl Service {
    /// The service's name in routes and keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::M3db => "m3db",
            Self::M3aggregator => "m3aggregator",
            Self::M3coordinator => "m3coordinator",
        }
    }

    const fn kind(self) -> PlacementKind {
        match self {
            Self::M3db => PlacementKind::Sharded,
            Self::M3aggregator => PlacementKind::Mirrored,
            Self::M3coordinator => PlacementKind::Stateless,
        }
    }
}

/// The routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdminRoute {
    /// `POST /api/v1/database/create`.
    DatabaseCreate,
    /// `GET .../namespace`; `debug=true` shows durations.
    NamespaceGet,
    /// `POST .../namespace`.
    NamespaceAdd,
    /// `PUT .../namespace`.
    NamespaceUpdate,
    /// `DELETE .../namespace/{id}`.
    NamespaceDelete,
    /// `POST .../namespace/ready`.
    NamespaceReady,
    /// `POST .../schema`.
    SchemaAdd,
    /// `DELETE .../schema`.
    SchemaDelete,
    /// `GET .../placement`; `version=N` shows an earlier one.
    PlacementGet(Service),
    /// `POST .../placement/init`.
    PlacementInit(Service),
    /// `POST .../placement`.
    PlacementAdd(Service),
    /// `POST .../placement/set`.
    PlacementSet(Service),
    /// `POST .../placement/remove`.
    PlacementRemove(Service),
    /// `POST .../placement/replace`.
    PlacementReplace(Service),
    /// `DELETE .../placement`.
    PlacementDeleteAll(Service),
    /// `DELETE .../placement/{id}`.
    PlacementDeleteOne(Service),
    /// `GET /api/v1/topic`.
    TopicGet,
    /// `POST /api/v1/topic/init`.
    TopicInit,
    /// `POST /api/v1/topic`.
    TopicAdd,
    /// `PUT /api/v1/topic`.
    TopicUpdate,
    /// `DELETE /api/v1/topic`.
    TopicDelete,
    /// `POST /api/v1/kvstore`.
    KvStore,
}

/// A request to an admin route.
#[derive(Clone, Debug)]
pub struct AdminRequest {
    /// The route.
    pub route: AdminRoute,
    /// The last part of the path, where the route has one.
    pub id: Option<String>,
    /// Parameters of the URL, decoded.
    pub params: Vec<(String, String)>,
    /// `Cluster-Environment-Name`.
    pub environment: String,
    /// `Cluster-Zone-Name`.
    pub zone: String,
    /// `Topic-Name`.
    pub topic: String,
    /// `Dry-Run: true`: answer as usual, but change no placement.
    pub dry_run: bool,
    /// `Force: true`.
    pub force: bool,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl AdminRequest {
    /// A request without id, parameters or body, and with M3's defaults for the headers.
    #[must_use]
    pub fn new(route: AdminRoute) -> Self {
        let scope = Scope::default();
        Self {
            route,
            id: None,
            params: Vec::new(),
            environment: scope.environment,
            zone: scope.zone,
            topic: crate::topic::TOPIC_DEFAULT.to_string(),
            dry_run: false,
            force: false,
            body: Vec::new(),
        }
    }

    /// Applies these headers; names are in lower case, unknown ones are ignored.
    #[must_use]
    pub fn with_headers<'a>(
        mut self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        for (name, value) in headers {
            let value = value.trim();
            match name {
                _ if value.is_empty() => {}
                "cluster-environment-name" => self.environment = value.to_string(),
                "cluster-zone-name" => self.zone = value.to_string(),
                "topic-name" => self.topic = value.to_string(),
                "dry-run" => self.dry_run = value.eq_ignore_ascii_case("true"),
                "force" => self.force = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        self
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn is_set(&self, param: &str) -> bool {
        self.param(param) == Some("true")
    }

    fn id(&self) -> Result<&str, AdminError> {
        self.id
            .as_deref()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| AdminError::bad_request("the path must end with an id"))
    }

    /// The body as a canonical `message`.
    fn read(&self, message: &MessageSchema) -> Result<Map<String, Value>, AdminError> {
        let document = jsonpb::parse(&self.body)?;
        Ok(jsonpb::read(&document, message)?)
    }

    /// As [`Self::read`], for routes that accept durations.
    fn read_durations(&self, message: &MessageSchema) -> Result<Map<String, Value>, AdminError> {
        let document = jsonpb::durations_to_nanos(jsonpb::parse(&self.body)?)?;
        Ok(jsonpb::read(&document, message)?)
    }
}

/// The answer of an admin route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminReply {
    /// The HTTP status.
    pub status: u16,
    /// The content type; empty where there is no body.
    pub content_type: &'static str,
    /// JSON and a newline, or nothing.
    pub body: String,
    /// Whether the default environment's namespaces have changed: the node then loads
    /// [`crate::Registry`] again and applies it.
    pub changed: bool,
}

impl AdminReply {
    fn json(document: &Value) -> Self {
        Self { status: 200, content_type: JSON, body: format!("{document}\n"), changed: false }
    }

    /// The answer to a request that failed behind the routes.
    #[must_use]
    pub fn failed(words: &str) -> Self {
        let document = json!({ "status": "error", "error": words });
        Self { status: 500, ..Self::json(&document) }
    }

    fn deleted() -> Self {
        Self { content_type: TEXT, ..Self::json(&json!({ "deleted": true })) }
    }

    fn empty() -> Self {
        Self { status: 200, content_type: "", body: String::new(), changed: false }
    }

    fn changed(self, changed: bool) -> Self {
        Self { changed, ..self }
    }
}

/// A refusal: status and text.
#[derive(Debug)]
struct AdminError {
    status: u16,
    words: String,
}

impl AdminError {
    fn new(status: u16, words: impl fmt::Display) -> Self {
        Self { status, words: words.to_string() }
    }

    fn bad_request(words: impl fmt::Display) -> Self {
        Self::new(400, words)
    }
}

impl From<BadDocument> for AdminError {
    fn from(error: BadDocument) -> Self {
        Self::bad_request(error)
    }
}

impl From<BadPlacement> for AdminError {
    fn from(error: BadPlacement) -> Self {
        Self::bad_request(error)
    }
}

impl From<BadNamespace> for AdminError {
    fn from(error: BadNamespace) -> Self {
        let status = match error {
            BadNamespace::Exists => 409,
            BadNamespace::Missing => 404,
            BadNamespace::Metadata(_) | BadNamespace::Other(_) => 400,
        };
        Self::new(status, error)
    }
}

impl From<Error> for AdminError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Conflict { .. } => 409,
            Error::BadKey { .. } | Error::TooLarge { .. } => 400,
            Error::Damaged { .. } | Error::Io { .. } | Error::BadDocument { .. } => 500,
        };
        Self::new(status, error)
    }
}

/// What the routes need to know about the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The node's name in placements. Its shards become available as soon as they are assigned.
    pub host_id: String,
    /// The port that a local placement shows.
    pub port: u16,
}

impl Default for Admin {
    /// M3's default: `m3db_local` on 9000.
    fn default() -> Self {
        Self { host_id: LOCAL_ID.to_string(), port: 9000 }
    }
}

impl Admin {
    /// Answers `request`; `now_ns` is the time in Unix nanoseconds.
    pub async fn handle(&self, kv: &dyn Kv, request: AdminRequest, now_ns: i64) -> AdminReply {
        let route = request.route;
        match self.answer(kv, &request).await {
            Ok(reply) => {
                if reply.changed {
                    tracing::info!(?route, now_ns, "the namespaces have changed");
                }
                reply
            }
            Err(error) => {
                tracing::debug!(?route, status = error.status, error = %error.words, "admin request refused");
                let document = json!({ "status": "error", "error": error.words });
                AdminReply { status: error.status, ..AdminReply::json(&document) }
            }
        }
    }

    async fn answer(&self, kv: &dyn Kv, request: &AdminRequest) -> Result<AdminReply, AdminError> {
        if request.body.len() > ADMIN_BODY_BYTES_MAX {
            let words = format!(
                "the body has {} bytes, the limit is {ADMIN_BODY_BYTES_MAX}",
                request.body.len()
            );
            return Err(AdminError::new(413, words));
        }
        let scope = Scope::of(request)?;
        let scope = &scope;
        match request.route {
            AdminRoute::DatabaseCreate => self.create_database(kv, request, scope).await,
            AdminRoute::NamespaceGet => namespaces::show(kv, request, scope).await,
            AdminRoute::NamespaceAdd => namespaces::add(kv, request, scope).await,
            AdminRoute::NamespaceUpdate => namespaces::update(kv, request, scope).await,
            AdminRoute::NamespaceDelete => namespaces::delete(kv, request, scope).await,
            AdminRoute::NamespaceReady => namespaces::ready(kv, request, scope).await,
            AdminRoute::SchemaAdd => namespaces::add_schema(),
            AdminRoute::SchemaDelete => namespaces::delete_schema(kv, request, scope).await,
            AdminRoute::PlacementGet(service) => {
                placements::show(kv, request, scope, service).await
            }
            AdminRoute::PlacementInit(service) => {
                self.init_placement(kv, request, scope, service).await
            }
            AdminRoute::PlacementSet(service) => {
                self.set_placement(kv, request, scope, service).await
            }
            AdminRoute::PlacementAdd(service) => placements::add(kv, request, scope, service).await,
            AdminRoute::PlacementRemove(service) => {
                placements::remove(kv, request, scope, service).await
            }
            AdminRoute::PlacementReplace(service) => {
                placements::replace(kv, request, scope, service).await
            }
            AdminRoute::PlacementDeleteAll(service) => {
                placements::delete_all(kv, request, scope, service).await
            }
            AdminRoute::PlacementDeleteOne(service) => {
                placements::delete_one(kv, request, scope, service).await
            }
            AdminRoute::TopicGet => topics::show(kv, request, scope).await,
            AdminRoute::TopicInit => topics::init(kv, request, scope).await,
            AdminRoute::TopicAdd => topics::add(kv, request, scope).await,
            AdminRoute::TopicUpdate => topics::update(kv, request, scope).await,
            AdminRoute::TopicDelete => topics::delete(kv, request, scope).await,
            AdminRoute::KvStore => topics::write_setting(kv, request, scope).await,
        }
    }
}

/// Answers `request` as a node with M3's default name and port; see [`Admin::handle`].
pub async fn handle(kv: &dyn Kv, request: AdminRequest, now_ns: i64) -> AdminReply {
    Admin::default().handle(kv, request, now_ns).await
}

#[cfg(test)]
mod tests;
