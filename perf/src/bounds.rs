//! Two lower bounds: the cost of decoding and finding the series without storing anything.
//!
//! Both decompress and split the same bodies. One then hashes each series' bytes and looks them up.
//! The other follows the remembered successor and compares bytes, as the node does.

use crate::load;
use crate::options::Options;
use crate::record::Record as Line;
use crate::workload::Bodies;
use m3_http::ingest::remote_write::{DecodeLimits, Decoder, Mode};
use m3_metric::batch::labels_in;
use m3_metric::{Record, ShardId, ValueKind, WriteBatch};
use m3_shard::series::NO_SUCCESSOR;
use m3_shard::table::SeriesTable;
use std::time::Instant;

/// Passes over all bodies; the best one counts.
const PASSES: usize = 3;

/// Measures both over all rounds and returns the record.
pub(crate) fn measure(options: &Options, bodies: &Bodies) -> Line {
    let mut bench = Bench {
        decoder: Decoder::new(DecodeLimits::default()),
        batch: WriteBatch::default(),
        table: SeriesTable::default(),
    };
    let hash = bench.best_us(bodies, look_up);
    let successor = bench.best_us(bodies, follow);
    let decode = bench.best_us(bodies, |_, _, _| {});
    let mut record = Line::default();
    load::begin_record(&mut record, options, bodies);
    record.number("decode_us", decode, 4).number("hash_bound_us", hash, 4).number(
        "successor_bound_us",
        successor,
        4,
    );
    record
}

struct Bench {
    decoder: Decoder,
    batch: WriteBatch,
    table: SeriesTable,
}

impl Bench {
    /// Microseconds per sample in the best pass.
    fn best_us(
        &mut self,
        bodies: &Bodies,
        find: impl Fn(&mut SeriesTable, &[u8], &[Record]),
    ) -> f64 {
        let mut best = f64::INFINITY;
        for _ in 0..PASSES {
            let begun = Instant::now();
            let mut samples = 0;
            for body in bodies.in_order() {
                let batch = &mut self.batch;
                let len = self.decoder.decompress(body.message(), batch).expect("our own bodies");
                self.decoder.split(len, batch, Mode::Fast).expect("our own bodies");
                find(&mut self.table, &batch.buffer, &batch.records);
                samples += batch.records.len();
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1e6 / samples as f64);
        }
        best
    }
}

fn look_up(table: &mut SeriesTable, buffer: &[u8], records: &[Record]) {
    for record in records {
        let bytes = labels_in(buffer, record);
        if table.find(bytes).is_none() {
            table.insert(bytes, ShardId(0), ValueKind::Float);
        }
    }
}

fn follow(table: &mut SeriesTable, buffer: &[u8], records: &[Record]) {
    let mut previous = NO_SUCCESSOR;
    for record in records {
        let bytes = labels_in(buffer, record);
        let series = match table.follow(previous, bytes) {
            Some(series) => series,
            None => table.find(bytes).expect("the first bound has filled the table"),
        };
        table.remember(previous, series);
        previous = series;
    }
}
