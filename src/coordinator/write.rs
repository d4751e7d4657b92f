//! Writes: decoded samples go to the engine, and come back for more decoding if that is needed.

use super::error::refuse;
use super::{Coordinator, HalfStored};
use m3_http::api::{ApiError, Reply, WriteCall, WriteSource};
use m3_io::time;
use m3_metric::{NamespaceId, WriteBatch};

use crate::engine::Appended;

impl Coordinator {
    pub(super) async fn write(&self, mut call: Box<WriteCall>) -> Result<Reply, ApiError> {
        let begun = time::now();
        let namespace = self.engine.admit_write(call.options.storage.as_ref()).map_err(refuse)?;
        if call.options.aggregate_only {
            return Err(ApiError::bad_data(
                "M3-Write-Type: aggregate writes to aggregated namespaces only, and no downsampler \
                 is configured; leave the header out to store the samples as they are",
            ));
        }
        let mut appended = self.append(namespace, &mut call).await?;
        if appended.malformed > 0 && matches!(call.source, WriteSource::RemoteWriteFast { .. }) {
            // The fast split takes a series' last bytes for its sample. If the rest is not labels,
            // the guess was wrong, and the body is parsed field by field. Samples that were stored
            // already are stored again, which changes nothing.
            self.api.decode_strictly(&mut call)?;
            appended = self.append_batch(namespace, &mut call.batch).await;
        }
        if let Some(panicked) = appended.panicked {
            // The HTTP layer ends the node after this.
            let error = ApiError::internal(panicked.to_string());
            self.half_stored.set(Some(HalfStored { panicked, body: call.body }));
            return Err(error);
        }
        let mut outcome = std::mem::take(&mut call.outcome);
        outcome += appended.counts;
        // The batch's memory goes to the next request, unless it was given back already.
        if call.batch.buffer.capacity() > 0 {
            self.api.recycle(call.batch);
        }
        self.engine.note_write(&outcome, time::now().since(begun));
        Ok(Reply::Write(outcome))
    }

    async fn append(
        &self,
        namespace: NamespaceId,
        call: &mut WriteCall,
    ) -> Result<Appended, ApiError> {
        if call.source == WriteSource::RemoteWritePacked {
            if let Some(parts) = self.engine.known_parts(namespace, &call.batch) {
                self.api.recycle_known(std::mem::take(&mut call.batch));
                return Ok(self.engine.append_known(namespace, parts).await);
            }
            self.api.decode(call)?;
        }
        Ok(self.append_batch(namespace, &mut call.batch).await)
    }

    async fn append_batch(&self, namespace: NamespaceId, batch: &mut WriteBatch) -> Appended {
        self.engine.append(namespace, batch, |batch| self.api.recycle(batch)).await
    }
}
