//! Writes: split a batch by owner, store, answer when every part is durable.
//!
//! With one core a batch goes straight into the store. With several, the router knows each record's
//! owner; the own part is stored directly, every other owner gets one message. What the owner has
//! told goes as ordinals, the rest shares the request's buffer. A body whose series all go as
//! ordinals was never decompressed as a whole: the door reads fingerprints, and only a body with
//! something new in it is decoded. So where a request has several
//! values for one series and time, any of them may be the last with several cores.

use super::router::{Part, Router};
use super::{Coordinator, HalfStored};
use crate::catalog::Catalog;
use crate::dbnode::Samples;
use crate::message::{Message, WriteAnswer, WriteJob};
use m3_http::api::{ApiError, Reply, WriteCall, WriteSource};
use m3_io::oneshot;
use m3_io::panics::Panicked;
use m3_io::time;
use m3_metric::NamespaceId;
use std::sync::Arc;

/// What became of a part whose core no longer takes messages.
const STOPPING: &str = "the node is stopping";

impl Coordinator {
    pub(super) async fn write(&self, mut call: Box<WriteCall>) -> Result<Reply, ApiError> {
        let begun = time::now();
        self.shared.memory.admit_write()?;
        let namespace = self.namespace(call.options.storage.as_ref())?.id;
        if call.options.aggregate_only {
            return Err(ApiError::bad_data(
                "M3-Write-Type: aggregate writes to aggregated namespaces only, and no downsampler \
                 is configured; leave the header out to store the samples as they are",
            ));
        }
        let mut answer = match self.known_parts(namespace, &mut call) {
            Some(parts) => self.store_parts(namespace, &Arc::default(), parts).await,
            None => {
                self.api.decode(&mut call)?;
                self.store(namespace, &mut call).await
            }
        };
        if answer.malformed > 0 && matches!(call.source, WriteSource::RemoteWriteFast { .. }) {
            // The fast split takes a series' last bytes for its sample. Where the rest is not
            // labels the guess was wrong, and the body is parsed field by field. What was stored
            // already is stored again, which changes nothing.
            self.api.decode_strictly(&mut call)?;
            answer = self.store(namespace, &mut call).await;
        }
        if let Some(panicked) = answer.panicked {
            return Err(self.end_with(panicked, call));
        }
        let mut outcome = std::mem::take(&mut call.outcome);
        outcome += answer.counts;
        self.recycle(&mut call);
        self.stats.borrow_mut().write(&outcome, time::now().since(begun));
        Ok(Reply::Write(outcome))
    }

    /// Notes that a store is half changed by this call, which the door ends the node for.
    fn end_with(&self, panicked: Panicked, call: Box<WriteCall>) -> ApiError {
        let error = ApiError::internal(panicked.to_string());
        self.half_stored.set(Some(HalfStored { panicked, body: call.body }));
        error
    }

    /// Gives the batch's memory to the next request, if that was not done yet: as early as nobody
    /// needs it, for then it is still in the caches.
    fn recycle(&self, call: &mut WriteCall) {
        if call.batch.buffer.capacity() > 0 {
            self.api.recycle(std::mem::take(&mut call.batch));
        }
    }

    /// The parts of a write of which only fingerprints were read, if all of them are known.
    fn known_parts(&self, namespace: NamespaceId, call: &mut WriteCall) -> Option<Vec<Part>> {
        if call.source != WriteSource::RemoteWritePacked {
            return None;
        }
        let parts = self.route(namespace, |router| router.split_known(&call.batch))?;
        self.api.recycle_known(std::mem::take(&mut call.batch));
        Some(parts)
    }

    async fn store(&self, namespace: NamespaceId, call: &mut WriteCall) -> WriteAnswer {
        if self.port.peers().len() == 1 {
            let batch = &call.batch;
            let samples =
                Samples { buffer: &batch.buffer, records: &batch.records, ..Samples::default() };
            let mut answer = self.node.append_samples(namespace, samples).await;
            if answer.malformed == 0 {
                self.recycle(call);
            }
            self.node.acknowledged(&mut answer).await;
            return answer;
        }
        self.store_spread(namespace, call).await
    }

    async fn store_spread(&self, namespace: NamespaceId, call: &mut WriteCall) -> WriteAnswer {
        let buffer = Arc::new(std::mem::take(&mut call.batch.buffer));
        let records = &call.batch.records;
        let parts = self.route(namespace, |router| router.split(&buffer, records));
        if parts.iter().all(|part| part.records.is_empty()) {
            call.batch.buffer = Arc::into_inner(buffer).expect("nobody else has it yet");
            self.recycle(call);
            return self.store_parts(namespace, &Arc::default(), parts).await;
        }
        let answer = self.store_parts(namespace, &buffer, parts).await;
        if let Ok(buffer) = Arc::try_unwrap(buffer) {
            call.batch.buffer = buffer;
        }
        answer
    }

    /// Forgets the routes of namespaces that are no more; what is deleted does not come back under
    /// its number.
    pub fn forget_deleted(&self, catalog: &Catalog) {
        let is_there = |id: &NamespaceId| catalog.namespaces.iter().any(|n| n.id == *id);
        self.routers.borrow_mut().retain(|id, _| is_there(id));
    }

    /// Forgets all routes: routing a request panicked, and what it left is not known.
    pub fn forget_routes(&self) {
        self.routers.borrow_mut().clear();
    }

    /// Asks the router of a namespace.
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
        parts: Vec<Part>,
    ) -> WriteAnswer {
        let mut total = WriteAnswer::default();
        let mut replies = Vec::new();
        let mut here = Part::default();
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
                // Only records point into it, and who holds it keeps it from being used again.
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
        let mut take = |part: &Part, answer: WriteAnswer| {
            if !answer.known.is_empty() {
                self.route(namespace, |router| router.learn(buffer, part, &answer.known));
            }
            total.counts += answer.counts;
            total.malformed += answer.malformed;
            total.panicked = total.panicked.take().or(answer.panicked);
        };
        if !here.is_empty() {
            let Part { known, records, .. } = &here;
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
