//! The engine of one core: queries, searches and writes, independent of any protocol.
//!
//! Today HTTP requests use it; whatever else reads or writes (rules, aggregation, other protocols,
//! other nodes) uses the same calls. Its types are queries, samples and namespaces. Every core has
//! one. It reaches the core's own data directly, and that of other cores by [`Message`].
//!
//! Suggested reading order: [`request`] (what can be asked), [`write`], `router` (which core owns a
//! series), [`query`], [`metadata`], [`error`].

pub mod error;
mod metadata;
mod query;
mod read;
pub mod request;
mod router;
mod write;

use crate::catalog::{Catalog, Namespace};
use crate::dbnode::DbNode;
use crate::memory::Memory;
use crate::message::Message;
use crate::shared::Shared;
use crate::telemetry::CallStats;
use m3_io::mesh::Port;
use m3_io::time::{self, Monotonic};
use m3_io::{CoreId, ReplyTo, oneshot};
use m3_metric::fetch::{StorageRestriction, TagRestriction};
use m3_metric::{FingerprintKey, NamespaceId, Span};
use router::Router;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub use error::EngineError;
use request::{FetchOptions, Notes};
pub use write::Appended;

/// One core's engine.
pub struct Engine {
    node: Rc<DbNode>,
    port: Rc<Port<Message>>,
    shared: Arc<Shared>,
    /// One for each namespace; used only with several cores.
    routers: RefCell<BTreeMap<NamespaceId, Router>>,
    /// The key of the fingerprints, for the routers and a decoder.
    fingerprints: Arc<FingerprintKey>,
    stats: RefCell<CallStats>,
}

/// Limits of one fetch with the defaults applied; `u64::MAX` means none.
struct Limits {
    series: u64,
    docs: u64,
    exhaustive: bool,
}

impl Engine {
    /// The engine of the core that `port` belongs to.
    #[must_use]
    pub fn new(
        node: Rc<DbNode>,
        port: Rc<Port<Message>>,
        shared: Arc<Shared>,
        fingerprints: Arc<FingerprintKey>,
    ) -> Self {
        let (routers, stats) = Default::default();
        Self { node, port, shared, routers, fingerprints, stats }
    }

    /// The namespaces as this core knows them.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.node.catalog()
    }

    /// The memory budget.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.shared.memory
    }

    /// The counters of the calls.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        self.stats.borrow().clone()
    }

    /// Sends `core` a message and waits for the answer.
    ///
    /// # Errors
    /// [`EngineError::Stopping`] if the core has closed.
    pub async fn ask<T: Send>(
        &self,
        core: CoreId,
        message: impl FnOnce(ReplyTo<T>) -> Message,
    ) -> Result<T, EngineError> {
        let (reply_to, reply) = oneshot();
        self.port.send(core, message(reply_to)).await?;
        Ok(reply.await?)
    }

    /// Every core of the node.
    pub fn cores(&self) -> impl ExactSizeIterator<Item = CoreId> + use<> {
        self.port.peers()
    }

    /// The namespace that a request names.
    fn namespace(&self, storage: Option<&StorageRestriction>) -> Result<Namespace, EngineError> {
        let catalog = self.node.catalog();
        match storage {
            None | Some(StorageRestriction::Unaggregated) => Ok(catalog.unaggregated().clone()),
            Some(StorageRestriction::Aggregated(policy)) => catalog
                .aggregated(Span(policy.resolution_ns), Span(policy.retention_ns))
                .cloned()
                .ok_or_else(|| EngineError::NoSuchPolicy(policy.clone())),
        }
    }

    /// The restriction of the series that a request may see: its own, or else the configured one.
    fn restriction<'a>(&'a self, fetch: &'a FetchOptions) -> Option<&'a TagRestriction> {
        fetch.restriction.as_ref().or(self.shared.restriction.as_ref())
    }

    /// When a request with these options must end.
    fn deadline(fetch: &FetchOptions) -> Monotonic {
        time::now().plus(fetch.timeout)
    }

    fn limits(&self, fetch: &FetchOptions) -> Limits {
        let unless_zero = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        let defaults = &self.shared.query;
        Limits {
            series: unless_zero(fetch.series_max.unwrap_or(defaults.series_max)),
            docs: unless_zero(fetch.docs_max.unwrap_or(defaults.docs_max)),
            exhaustive: fetch.require_exhaustive.unwrap_or(defaults.require_exhaustive),
        }
    }

    /// The length to which a range of `matched` milliseconds must be cut; `None` if it is within
    /// the limit.
    fn range_limit(&self, fetch: &FetchOptions, matched: i64) -> Result<Option<i64>, EngineError> {
        let limit_ms = fetch.range_max_ms.unwrap_or(self.shared.query.range_max_ms());
        if limit_ms == 0 || matched <= limit_ms {
            return Ok(None);
        }
        if !self.limits(fetch).exhaustive {
            return Ok(Some(limit_ms));
        }
        Err(EngineError::Invalid(format!(
            "query exceeded limit: require_exhaustive=true, range_limit={}, range_matched={}: ask \
             for a shorter range, raise M3-Limit-Max-Range, or accept the latest part of it with \
             M3-Limit-Require-Exhaustive: false",
            Span::from_ms(limit_ms),
            Span::from_ms(matched)
        )))
    }

    /// Reserves memory for an answer of about `bytes` until `notes` is dropped.
    fn hold(&self, notes: &mut Notes, bytes: u64) -> Result<(), EngineError> {
        notes.held = Some(self.shared.memory.admit_answer(bytes)?);
        Ok(())
    }
}
