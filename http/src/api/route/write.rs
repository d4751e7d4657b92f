//! Writes: from a request to a [`WriteCall`]. Each core reuses its decoder and batches, and memory
//! is reserved before a body is unpacked.

use super::Api;
use crate::api::options::write_options;
use crate::api::{ApiError, Call, WriteCall, WriteSource};
use crate::ingest::remote_write::{self, Contents, Mode};
use crate::ingest::{json_write, tag_map::TagMap};
use crate::message::Request;
use m3_io::budget::Promise;
use m3_metric::{Record, WriteBatch, WriteOutcome};

/// Bytes of the smallest series with one sample in a remote write.
const SAMPLE_BYTES_MIN: usize = 16;
/// Size of a remote write up to which no memory is reserved for its records: an ordinary request.
const BATCH_BYTES_SURE: usize = 256 << 10;

impl Api {
    /// Returns a batch so that a later write can use its memory.
    pub fn recycle(&self, batch: WriteBatch) {
        self.spare.give(batch);
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

    /// Records that all series of a body were known by their fingerprints, and returns its batch.
    pub fn recycle_known(&self, batch: WriteBatch) {
        self.packed.succeeded();
        self.recycle(batch);
    }

    /// Decompresses a body and splits it; returns the decompressed length.
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

    /// Decodes a remote write again, strictly, after the owner of a record of the fast path found
    /// that its span is not label fields. The batch then holds the samples that the body really
    /// has.
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

    /// Reserves the memory to unpack a remote write of `declared` bytes beyond what `batch` has
    /// already: for the bytes, and for the records, which are larger than the smallest samples.
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
        let what = format!("a body of {} KiB after unpacking is refused for now", unpacked >> 10);
        ApiError::no_memory(&what, &self.settings.budget)
    }

    pub(super) fn remote_write(&self, request: &mut Request) -> Result<Call, ApiError> {
        remote_write::negotiate(&request.headers)?;
        let options = write_options(request)?;
        let map = TagMap::from_headers(&request.headers)?;
        let mode = if map.is_some() { Mode::Strict } else { Mode::Fast };
        let limit = self.settings.body_decoded_bytes_max;
        let declared = remote_write::declared_len(&request.body, limit)?;
        let mut batch = self.spare.take();
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

    pub(super) fn json_write(&self, request: &mut Request) -> Result<Call, ApiError> {
        self.inflate(request, json_write::JSON_WRITE_BYTES_MAX)?;
        let options = write_options(request)?;
        let map = TagMap::from_headers(&request.headers)?;
        let mut batch = self.spare.take();
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
}
