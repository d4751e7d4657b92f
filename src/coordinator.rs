//! Turns a [`Call`] of the HTTP layer into a request to the engine, and its output into a
//! [`Reply`].
//!
//! Every core has a coordinator, which serves the connections that the core accepted. The layer
//! below, the [`Engine`], knows nothing of HTTP, its routes and status codes.

mod admin;
mod error;
mod read;
mod write;

use crate::config::LogLevel;
use crate::engine::Engine;
use crate::log;
use crate::message::Message;
use crate::shared::Shared;
use error::refuse;
use m3_http::api::{Api, ApiError, Call, Readiness, ReadyNamespace, Reply};
use m3_io::panics::Panicked;
use m3_io::time;
use m3_metric::Timestamp;
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// One core's coordinator.
pub struct Coordinator {
    engine: Rc<Engine>,
    shared: Arc<Shared>,
    api: Rc<Api>,
    stopping: Cell<bool>,
    half_stored: Cell<Option<HalfStored>>,
}

/// A write that panicked while it was stored.
#[derive(Debug)]
pub struct HalfStored {
    /// The panic.
    pub panicked: Panicked,
    /// The request's body, if the request no longer has it.
    pub body: Vec<u8>,
}

impl Coordinator {
    /// A coordinator that asks `engine`; `api` decodes bodies that the HTTP layer left encoded.
    #[must_use]
    pub fn new(engine: Rc<Engine>, shared: Arc<Shared>, api: Rc<Api>) -> Self {
        let (stopping, half_stored) = Default::default();
        Self { engine, shared, api, stopping, half_stored }
    }

    /// Answers a call. The futures of all calls but writes are boxed, because a connection has room
    /// for its largest future even while it is idle.
    ///
    /// # Errors
    /// The refusal that the client gets.
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
                    return Err(refuse(crate::engine::EngineError::Stopping));
                }
                Ok(Reply::Text("m3ring is Ready.\n".to_owned()))
            }
            Call::Metrics => Box::pin(self.metrics()).await,
            Call::LogLevel(wanted) => log_level(wanted.as_deref()),
            Call::Admin(call) => Box::pin(self.admin(*call)).await,
            Call::Answered(reply) => Ok(reply),
        }
    }

    /// From now on the node answers that it is stopping.
    pub fn set_stopping(&self) {
        self.stopping.set(true);
    }

    /// Forgets what the engine remembers of senders' series, after the routing of a request
    /// panicked.
    pub fn forget_routes(&self) {
        self.engine.forget_routes();
    }

    /// The write that the last call left half stored; if there is one, the node must end.
    #[must_use]
    pub fn take_half_stored(&self) -> Option<HalfStored> {
        self.half_stored.take()
    }

    /// The file with this body, if the body ended the node before.
    #[must_use]
    pub fn find_in_quarantine(&self, body: &[u8]) -> Option<&Path> {
        self.shared.quarantine.find(body)
    }

    /// Saves a body for which the node is about to end.
    pub async fn quarantine(&self, body: Vec<u8>, panicked: &Panicked) {
        self.shared.quarantine.keep(body, panicked).await;
    }

    fn readiness(&self, reads: bool, writes: bool) -> Readiness {
        let catalog = self.engine.catalog();
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
        for core in self.engine.cores() {
            all.push(*self.engine.ask(core, Message::Stats).await.map_err(refuse)?);
        }
        let mut text = Vec::new();
        crate::telemetry::render(&mut text, &self.shared, &self.engine.catalog(), &all);
        Ok(Reply::Metrics(text))
    }
}

/// Changes the log level, if one is wanted, and returns the one in force.
fn log_level(wanted: Option<&str>) -> Result<Reply, ApiError> {
    if let Some(name) = wanted {
        let level = LogLevel::named(name).ok_or_else(|| {
            let words =
                format!("{name:?} is not a log level; use one of error, warn, info, debug, trace");
            ApiError::bad_parameter("level", &words)
        })?;
        log::set_level(level);
    }
    let level = log::level().map_or("none", LogLevel::name);
    Ok(Reply::Data(format!("{{\"level\":\"{level}\"}}")))
}
