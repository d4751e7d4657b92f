//! Writes: split a batch by owner, store, answer when every part is durable.
//!
//! With one core a batch goes straight into the store. With several, the router knows each record's
//! owner. The core's own part is stored directly, and every other owner gets one message. Series
//! whose ordinals are known are sent as ordinals; the other records share the batch's buffer. With
//! several cores, samples known by ordinal are stored before records: if a batch repeats a series
//! and timestamp, either value may win.

use super::Engine;
use super::error::EngineError;
use super::router::{OwnerShare, Router};
use crate::catalog::Catalog;
use crate::dbnode::Samples;
use crate::message::{Message, WriteAnswer, WriteJob};
use m3_io::oneshot;
use m3_io::panics::Panicked;
use m3_metric::fetch::StorageRestriction;
use m3_metric::{NamespaceId, WriteBatch, WriteOutcome};
use std::sync::Arc;
use std::time::Duration;

/// The error for a part whose core accepts no more messages.
const STOPPING: &str = "the node is stopping";

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct Appended {
    /// The count of its samples; accepted samples are acknowledged by the log.
    pub counts: WriteOutcome,
    /// Records whose label bytes are not label fields; they are counted as bad too.
    pub malformed: u64,
    /// Storing it panicked half-way: the store must not be used any more, and the node must end.
    pub panicked: Option<Panicked>,
}

/// The samples of a batch whose series are all known, by owner.
pub struct KnownParts(Vec<OwnerShare>);

impl Engine {
    /// Admits a write and returns the namespace that it goes to.
    ///
    /// # Errors
    /// There is no memory, or there is no such namespace.
    pub fn admit_write(
        &self,
        storage: Option<&StorageRestriction>,
    ) -> Result<NamespaceId, EngineError> {
        self.shared.memory.admit_write()?;
        Ok(self.namespace(storage)?.id)
    }

    /// The samples of a batch with only fingerprints, if all its series are known.
    pub fn known_parts(&self, namespace: NamespaceId, batch: &WriteBatch) -> Option<KnownParts> {
        self.route(namespace, |router| router.split_known(batch)).map(KnownParts)
    }

    /// Stores samples of known series.
    pub async fn append_known(&self, namespace: NamespaceId, parts: KnownParts) -> Appended {
        self.store_parts(namespace, &Arc::default(), parts.0).await
    }

    /// Stores a batch. It is handed to `spare` as soon as it is no longer needed, while its memory
    /// is still in the caches. If label bytes are malformed, it stays with the caller.
    pub async fn append(
        &self,
        namespace: NamespaceId,
        batch: &mut WriteBatch,
        spare: impl Fn(WriteBatch),
    ) -> Appended {
        if self.port.peers().len() > 1 {
            return self.append_spread(namespace, batch, spare).await;
        }
        let samples =
            Samples { buffer: &batch.buffer, records: &batch.records, ..Samples::default() };
        let mut answer = self.node.append_samples(namespace, samples).await;
        if answer.malformed == 0 {
            spare(std::mem::take(batch));
        }
        self.node.acknowledged(&mut answer).await;
        let WriteAnswer { counts, malformed, panicked, .. } = answer;
        Appended { counts, malformed, panicked }
    }

    async fn append_spread(
        &self,
        namespace: NamespaceId,
        batch: &mut WriteBatch,
        spare: impl Fn(WriteBatch),
    ) -> Appended {
        let buffer = Arc::new(std::mem::take(&mut batch.buffer));
        let parts = self.route(namespace, |router| router.split(&buffer, &batch.records));
        if parts.iter().all(|part| part.records.is_empty()) {
            batch.buffer = Arc::into_inner(buffer).expect("nobody else has it yet");
            spare(std::mem::take(batch));
            return self.store_parts(namespace, &Arc::default(), parts).await;
        }
        let appended = self.store_parts(namespace, &buffer, parts).await;
        if let Ok(buffer) = Arc::try_unwrap(buffer) {
            batch.buffer = buffer;
        }
        appended
    }

    /// Counts a write that took `span`.
    pub fn note_write(&self, outcome: &WriteOutcome, span: Duration) {
        self.stats.borrow_mut().write(outcome, span);
    }

    /// Forgets the routes of namespaces that were deleted. A deleted namespace's number is never
    /// used again.
    pub fn forget_deleted(&self, catalog: &Catalog) {
        let is_there = |id: &NamespaceId| catalog.namespaces.iter().any(|n| n.id == *id);
        self.routers.borrow_mut().retain(|id, _| is_there(id));
    }

    /// Forgets all routes, because routing a request panicked and may have left them inconsistent.
    pub fn forget_routes(&self) {
        self.routers.borrow_mut().clear();
    }

    /// Calls `ask` with the router of a namespace.
    fn route<T>(&self, namespace: NamespaceId, ask: impl FnOnce(&mut Router) -> T) -> T {
        let mut routers = self.routers.borrow_mut();
        let new = || Router::new(self.shared.shards, Arc::clone(&self.fingerprints));
        ask(routers.entry(namespace).or_insert_with(new))
    }

    /// Sends each owner its part and adds up the answers.
    async fn store_parts(
        &self,
        namespace: NamespaceId,
        buffer: &Arc<Vec<u8>>,
        parts: Vec<OwnerShare>,
    ) -> Appended {
        let mut total = Appended::default();
        let mut replies = Vec::new();
        let mut here = OwnerShare::default();
        for (core, mut part) in self.port.peers().zip(parts) {
            if part.is_empty() {
                continue;
            }
            if core == self.port.core() {
                here = part;
                continue;
            }
            let (reply, answer) = oneshot();
            let job = WriteJob {
                namespace,
                // Only records need the buffer, and it cannot be reused as long as another core
                // holds it.
                buffer: if part.records.is_empty() { Arc::default() } else { Arc::clone(buffer) },
                records: part.records.clone(),
                known: std::mem::take(&mut part.known),
                reply,
            };
            match self.port.send(core, Message::Write(job)).await {
                Ok(()) => replies.push((part, answer)),
                Err(_) => total.counts.fail(STOPPING),
            }
        }
        let mut take = |part: &OwnerShare, answer: WriteAnswer| {
            if !answer.known.is_empty() {
                self.route(namespace, |router| router.learn(buffer, part, &answer.known));
            }
            total.counts += answer.counts;
            total.malformed += answer.malformed;
            total.panicked = total.panicked.take().or(answer.panicked);
        };
        if !here.is_empty() {
            let OwnerShare { known, records, .. } = &here;
            let samples = Samples { known, buffer, records };
            let mut answer = self.node.append_samples(namespace, samples).await;
            self.node.acknowledged(&mut answer).await;
            let is_broken = answer.panicked.is_some();
            take(&here, answer);
            if is_broken {
                return total;
            }
        }
        for (part, reply) in replies {
            let answer = reply.await.unwrap_or_else(|_| {
                let mut answer = WriteAnswer::default();
                answer.counts.fail(STOPPING);
                answer
            });
            take(&part, answer);
        }
        total
    }
}
