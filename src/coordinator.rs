//! Turns a [`Call`] from the door into messages to cores, and their answers into a [`Reply`].
//!
//! Every core has a coordinator; it serves the connections that the core accepted. What the own
//! core stores is reached directly, what others store by [`Message`].

mod admin;
mod metadata;
mod read;
mod router;
mod write;

use crate::catalog::Namespace;
use crate::config::LogLevel;
use crate::dbnode::DbNode;
use crate::log;
use crate::message::Message;
use crate::shared::Shared;
use crate::telemetry::{CallStats, CoreStats};
use m3_http::api::{
    Api, ApiError, Call, ErrorKind, QueryOptions, Readiness, ReadyNamespace, Reply,
    StorageRestriction, TagRestriction,
};
use m3_io::mesh::Port;
use m3_io::panics::Panicked;
use m3_io::time::{self, Monotonic};
use m3_io::{CoreId, Gone, ReplyTo, oneshot};
use m3_metric::{FingerprintKey, NamespaceId, Span, Timestamp};
use router::Router;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// One core's coordinator.
pub struct Coordinator {
    node: Rc<DbNode>,
    port: Rc<Port<Message>>,
    shared: Arc<Shared>,
    api: Rc<Api>,
    /// By namespace; with several cores only.
    routers: RefCell<BTreeMap<NamespaceId, Router>>,
    /// What the routers' fingerprints are taken with, and the door's.
    fingerprints: Arc<FingerprintKey>,
    stats: RefCell<CallStats>,
    stopping: Cell<bool>,
    half_stored: Cell<Option<HalfStored>>,
}

/// A write that panicked while it was stored.
#[derive(Debug)]
pub struct HalfStored {
    /// Why.
    pub panicked: Panicked,
    /// The request's body, where the request no longer has it.
    pub body: Vec<u8>,
}

impl Coordinator {
    /// The coordinator of the core that `port` belongs to.
    #[must_use]
    pub fn new(
        node: Rc<DbNode>,
        port: Rc<Port<Message>>,
        shared: Arc<Shared>,
        api: Rc<Api>,
        fingerprints: Arc<FingerprintKey>,
    ) -> Self {
        Self {
            node,
            port,
            shared,
            api,
            routers: RefCell::default(),
            fingerprints,
            stats: RefCell::new(CallStats::default()),
            stopping: Cell::new(false),
            half_stored: Cell::new(None),
        }
    }

    /// Answers a call. What is not a write is boxed: a connection holds room for the largest of its
    /// futures, also while it idles.
    ///
    /// # Errors
    /// The refusal the client gets.
    pub async fn handle(&self, call: Call) -> Result<Reply, ApiError> {
        match call {
            Call::Write(call) => self.write(call).await,
            Call::Query(call) => Box::pin(self.query(call)).await,
            Call::QueryRange(call) => Box::pin(self.query_range(call)).await,
            Call::Labels(call) => Box::pin(self.label_names(call)).await,
            Call::LabelValues { name, metadata } => {
                Box::pin(self.label_values(name, metadata)).await
            }
            Call::Series(call) => Box::pin(self.series(call)).await,
            Call::Search(call) => Box::pin(self.tag_search(call)).await,
            Call::RemoteRead(call) => Box::pin(self.remote_read(call)).await,
            Call::Health => Ok(Reply::Health {
                uptime: time::now().since(self.shared.started),
                now: Timestamp(time::wall_ns()),
            }),
            Call::Ready { reads, writes } => Ok(Reply::Ready(self.readiness(reads, writes))),
            Call::ReadyText => {
                if self.stopping.get() {
                    return Err(ApiError::unavailable("the node is stopping", 5));
                }
                Ok(Reply::Text("m3ring is Ready.\n".to_owned()))
            }
            Call::Metrics => Box::pin(self.metrics()).await,
            Call::LogLevel(wanted) => log_level(wanted.as_deref()),
            Call::Admin(call) => Box::pin(self.admin(*call)).await,
            Call::Answered(reply) => Ok(reply),
        }
    }

    /// What the call that was handled last has left half stored: the node must end.
    #[must_use]
    pub fn take_half_stored(&self) -> Option<HalfStored> {
        self.half_stored.take()
    }

    /// The file that holds this body, which ended the node before.
    #[must_use]
    pub fn find_in_quarantine(&self, body: &[u8]) -> Option<&Path> {
        self.shared.quarantine.find(body)
    }

    /// Keeps a body that the node is about to end for.
    pub async fn quarantine(&self, body: Vec<u8>, panicked: &Panicked) {
        self.shared.quarantine.keep(body, panicked).await;
    }

    /// What the coordinator has counted.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        self.stats.borrow().clone()
    }

    /// From here on the node says that it is stopping.
    pub fn set_stopping(&self) {
        self.stopping.set(true);
    }

    /// The namespace that a request means.
    fn namespace(&self, storage: Option<&StorageRestriction>) -> Result<Namespace, ApiError> {
        let catalog = self.node.catalog();
        match storage {
            None | Some(StorageRestriction::Unaggregated) => Ok(catalog.unaggregated().clone()),
            Some(StorageRestriction::Aggregated(policy)) => catalog
                .aggregated(Span(policy.resolution_ns), Span(policy.retention_ns))
                .cloned()
                .ok_or_else(|| ApiError::no_such_policy(policy)),
        }
    }

    fn readiness(&self, reads: bool, writes: bool) -> Readiness {
        let catalog = self.node.catalog();
        let registered = catalog.namespaces.iter().filter(|n| n.registered);
        let list: Vec<_> = registered
            .map(|n| ReadyNamespace {
                id: n.name.clone(),
                retention_ns: n.options.retention.0,
                resolution_ns: n.resolution.map_or(0, |span| span.0),
            })
            .collect();
        let mut readiness = Readiness::default();
        if reads {
            readiness.ready_reads.clone_from(&list);
        }
        if writes {
            readiness.ready_writes = list;
        }
        readiness
    }

    async fn metrics(&self) -> Result<Reply, ApiError> {
        let mut all = Vec::new();
        for core in self.port.peers() {
            all.push(*self.ask(core, Message::Stats).await?);
        }
        let mut text = Vec::new();
        crate::telemetry::render(&mut text, &self.shared, &self.node.catalog(), &all);
        Ok(Reply::Metrics(text))
    }

    /// Sends `core` a message and waits for the answer.
    async fn ask<T: Send>(
        &self,
        core: CoreId,
        message: impl FnOnce(ReplyTo<T>) -> Message,
    ) -> Result<T, ApiError> {
        let (reply_to, reply) = oneshot();
        self.port.send(core, message(reply_to)).await.map_err(|_| stopping())?;
        reply.await.map_err(|Gone| stopping())
    }

    /// Which series the request may see: as it says, or else as configured.
    fn tags<'a>(&'a self, options: &'a QueryOptions) -> Option<&'a TagRestriction> {
        options.tags.as_ref().or(self.shared.query.restrict.as_ref())
    }

    /// When a query with these options must have ended.
    fn deadline(options: &QueryOptions) -> Monotonic {
        time::now().plus(options.timeout)
    }

    /// The core's counters.
    #[must_use]
    pub fn core_stats(&self) -> CoreStats {
        CoreStats::gather(&self.node, self.stats())
    }
}

/// The node ends while a request is under way.
fn stopping() -> ApiError {
    ApiError::unavailable("the node is stopping", 5)
}

/// What a timeout says, in Prometheus' words.
fn timed_out() -> ApiError {
    ApiError::new(ErrorKind::Timeout, "query timed out in expression evaluation")
}

/// Changes the level of the log, if one is wanted, and says which is in force.
fn log_level(wanted: Option<&str>) -> Result<Reply, ApiError> {
    if let Some(name) = wanted {
        let level = LogLevel::named(name).ok_or_else(|| {
            let words =
                format!("{name:?} is no level; take one of error, warn, info, debug, trace");
            ApiError::bad_parameter("level", &words)
        })?;
        log::set_level(level);
    }
    let level = log::level().map_or("none", LogLevel::name);
    Ok(Reply::Data(format!("{{\"level\":\"{level}\"}}")))
}
