//! A pool of batches: a core decodes each write into the memory of an earlier one.

use m3_metric::WriteBatch;
use std::cell::RefCell;

/// Most batches in the pool of a core.
const SPARE_BATCHES: usize = 8;
/// Largest buffer of a batch that the pool keeps; a larger one is freed after use.
const SPARE_BATCH_BYTES: usize = 8 << 20;

/// Batches that wait for reuse.
#[derive(Debug, Default)]
pub(super) struct SpareBatches(RefCell<Vec<WriteBatch>>);

impl SpareBatches {
    /// A batch for the next write; its buffer may still hold bytes of an earlier one.
    pub(super) fn take(&self) -> WriteBatch {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a batch back so that a later write can use its memory.
    pub(super) fn give(&self, mut batch: WriteBatch) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < SPARE_BATCHES && batch.buffer.capacity() <= SPARE_BATCH_BYTES {
            // The buffer keeps its bytes. The next body overwrites them; clearing would cost a pass
            // over the memory when the buffer grows again.
            batch.clear_records();
            spare.push(batch);
        }
    }
}
