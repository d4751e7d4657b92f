//! Encodes a model as requests. Labels are encoded once for a run of series and reused, so each
//! round encodes only values.

use super::model::{Labels, Model, ROUND_MS, SERIES_PER_TARGET};
use super::{Bodies, Body, Facts, check_memory};
use crate::client::Target;
use crate::options::Options;
use m3_metric::labels::{write_label, write_varint};

/// A series while its rounds are being encoded.
struct Series {
    fields: Vec<u8>,
    labels: u64,
    generation: u32,
    value: Option<f64>,
}

/// All requests of the model. Run `c` of `--batch` series uses connection `c` modulo the number of
/// connections.
pub(crate) fn all(model: &Model, options: &Options, target: &Target) -> Result<Bodies, String> {
    let rounds = options.warm + options.rounds;
    let chunks = model.series.div_ceil(options.batch);
    let chunk = |chunk: usize| {
        let first = chunk * options.batch;
        encode_chunk(model, first..model.series.min(first + options.batch), rounds, target)
    };
    let begun = chunk(0);
    let bytes: usize = begun.0.iter().map(|body| body.request.len()).sum();
    check_memory(bytes, options.batch.min(model.series) as f64 / model.series as f64, options)?;
    let mut encoded = vec![begun];
    encoded.extend(in_parallel(1..chunks, &chunk));

    let mut facts = Facts::default();
    let mut lanes: Vec<Vec<Body>> = Vec::new();
    lanes.resize_with(options.connections, Vec::new);
    let mut by_round: Vec<Vec<Body>> = Vec::new();
    by_round.resize_with(options.connections, Vec::new);
    for (at, (bodies, of_chunk)) in encoded.into_iter().enumerate() {
        facts.add(&of_chunk);
        by_round[at % options.connections].extend(bodies);
    }
    for (lane, mut bodies) in lanes.iter_mut().zip(by_round) {
        // A stable sort: within a round, runs stay in order.
        bodies.sort_by_key(|body| body.round);
        *lane = bodies;
    }
    Ok(Bodies {
        lanes,
        series: model.series,
        identities: model.identities(rounds),
        round_ms: ROUND_MS,
        start_ms: model.start_ms,
        end_ms: model.start_ms + ROUND_MS * rounds as i64,
        selectors: model.selectors(),
        names: model.names(),
        facts,
    })
}

/// Calls `work` for every number in `range` on all cpus; results are in order.
fn in_parallel<T: Send>(
    range: std::ops::Range<usize>,
    work: &(impl Fn(usize) -> T + Sync),
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut parts: Vec<std::vec::IntoIter<T>> = std::thread::scope(|scope| {
        let spawn = |thread: usize| {
            let mine = range.clone().skip(thread).step_by(threads);
            scope.spawn(move || mine.map(work).collect::<Vec<T>>())
        };
        let handles: Vec<_> = (0..threads).map(spawn).collect();
        let joined = handles.into_iter().map(|handle| handle.join().expect("encoding panicked"));
        joined.map(Vec::into_iter).collect()
    });
    range.zip((0..threads).cycle()).filter_map(|(_, thread)| parts[thread].next()).collect()
}

fn encode_chunk(
    model: &Model,
    indices: std::ops::Range<usize>,
    rounds: usize,
    target: &Target,
) -> (Vec<Body>, Facts) {
    let mut facts = Facts::default();
    let mut message = Vec::new();
    let mut series: Vec<_> = indices.clone().map(|index| fresh(model, index, 0)).collect();
    let mut bodies = Vec::with_capacity(rounds);
    for round in 0..rounds {
        message.clear();
        let mut generation = 0;
        for (at, (index, one)) in indices.clone().zip(&mut series).enumerate() {
            if at == 0 || index.is_multiple_of(SERIES_PER_TARGET) {
                generation = model.generation(index, round);
            }
            if generation != one.generation {
                *one = fresh(model, index, generation);
            }
            let value = model.value(index, round, one.value);
            facts.samples += 1;
            facts.labels += one.labels;
            facts.label_bytes += one.fields.len() as u64;
            facts.unchanged += u64::from(one.value.map(f64::to_bits) == Some(value.to_bits()));
            facts.histogram += u64::from(model.is_histogram(index));
            facts.late += u64::from(model.is_late(index, round));
            one.value = Some(value);
            push(&mut message, &[&one.fields], model.time_ms(index, round), value);
        }
        bodies.push(finish(&message, series.len(), round, target));
        facts.message_bytes += (bodies[round].request.len() - bodies[round].head) as u64;
    }
    (bodies, facts)
}

fn fresh(model: &Model, index: usize, generation: u32) -> Series {
    let labels = model.labels(index, generation);
    let fields = fields(&labels);
    Series { fields, labels: labels.len() as u64, generation, value: None }
}

/// Encodes labels as in a request.
pub(crate) fn fields(labels: &Labels) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in labels {
        write_label(&mut fields, name, value);
    }
    fields
}

/// Appends a series with one sample, as Prometheus encodes it: labels first, zeros omitted.
pub(crate) fn push(message: &mut Vec<u8>, fields: &[&[u8]], time_ms: i64, value: f64) {
    let mut sample = Vec::with_capacity(20);
    if value.to_bits() != 0 {
        sample.push(0x09);
        sample.extend_from_slice(&value.to_le_bytes());
    }
    if time_ms != 0 {
        sample.push(0x10);
        write_varint(&mut sample, time_ms.cast_unsigned());
    }
    let labels: usize = fields.iter().map(|part| part.len()).sum();
    message.push(0x0a);
    write_varint(message, (labels + 2 + sample.len()) as u64);
    for part in fields {
        message.extend_from_slice(part);
    }
    // A sample is shorter than 128 bytes, so its length takes one byte.
    message.extend_from_slice(&[0x12, sample.len() as u8]);
    message.extend_from_slice(&sample);
}

/// The request for a message.
pub(crate) fn finish(message: &[u8], samples: usize, round: usize, target: &Target) -> Body {
    let packed =
        snap::raw::Encoder::new().compress_vec(message).expect("messages stay below 4 GiB");
    let head = target.write_head(packed.len());
    let mut request = Vec::with_capacity(head.len() + packed.len());
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(&packed);
    Body { request, head: head.len(), samples: samples as u32, round: round as u32, before: 0 }
}
