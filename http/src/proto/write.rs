//! Remote write requests as a sender makes them: for clients and tests.

use super::{put_bytes, put_fixed64, put_varint};
use m3_metric::labels::write_label;

/// Collects series and encodes them as Prometheus does: labels first, samples last, zero values
/// left out.
#[derive(Clone, Debug, Default)]
pub struct WriteRequestWriter {
    message: Vec<u8>,
    frame: Vec<u8>,
}

impl WriteRequestWriter {
    /// Adds a series with its labels in the given order and samples of (milliseconds, value).
    pub fn push(&mut self, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> &mut Self {
        self.frame.clear();
        for (name, value) in labels {
            write_label(&mut self.frame, name, value);
        }
        let mut inner = Vec::with_capacity(20);
        for &(ms, value) in samples {
            inner.clear();
            if value.to_bits() != 0 {
                put_fixed64(&mut inner, 1, value.to_bits());
            }
            if ms != 0 {
                put_varint(&mut inner, 2, ms.cast_unsigned());
            }
            put_bytes(&mut self.frame, 2, &inner);
        }
        put_bytes(&mut self.message, 1, &self.frame);
        self
    }

    /// The message, not compressed.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The body of a request: the message as a snappy block.
    ///
    /// # Panics
    /// If the message is over 4 GiB.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(&self.message).expect("messages stay below 4 GiB")
    }
}
