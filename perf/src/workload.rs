//! The workload: requests of remote write 1.0, with head and body encoded beforehand.
//!
//! A round is one sample of every series; rounds are one scrape interval apart. Series come from a
//! model (`workload/model.rs`) or from a capture of real exporters (`workload/replay.rs`). A series
//! always uses the same connection, and requests on a connection are in order, like those of a
//! sender with shards. The requests of a connection are called a lane.
//!
//! The same options, seed and start give the same bytes. Memory is that of the finished requests
//! and little else; what would go over `--memory` is refused after the first part is encoded.

pub(crate) mod catalog;
pub(crate) mod encode;
pub(crate) mod exposition;
pub(crate) mod model;
pub(crate) mod replay;
#[cfg(test)]
mod tests;

use crate::client::Target;
use crate::options::Options;
use model::Model;

/// Requests by lane, and what they contain.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    pub(crate) lanes: Vec<Vec<Body>>,
    /// Series with a sample in a round; the maximum over all rounds.
    pub(crate) series: usize,
    /// Different series over all rounds: more if there is churn.
    pub(crate) identities: usize,
    /// Milliseconds between two rounds.
    pub(crate) round_ms: i64,
    /// The time of the first round, and a time after all samples.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Selectors that together cover all series, each once. The same by metric name, for functions
    /// that drop the name.
    pub(crate) selectors: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) facts: Facts,
}

/// One request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// Head and body.
    pub(crate) request: Vec<u8>,
    /// Bytes of the head.
    pub(crate) head: usize,
    pub(crate) samples: u32,
    pub(crate) round: u32,
    /// Samples of all requests before it, in the order of all lanes.
    pub(crate) before: u64,
}

impl Body {
    /// The snappy block.
    pub(crate) fn message(&self) -> &[u8] {
        &self.request[self.head..]
    }
}

/// Sums over all samples, for the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) samples: u64,
    pub(crate) labels: u64,
    pub(crate) label_bytes: u64,
    /// Samples with the same value as the previous one of their series.
    pub(crate) unchanged: u64,
    /// Samples of histograms: buckets, sums and counts.
    pub(crate) histogram: u64,
    /// Samples that are older than the previous one of their series.
    pub(crate) late: u64,
    pub(crate) message_bytes: u64,
}

impl Facts {
    fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.labels += other.labels;
        self.label_bytes += other.label_bytes;
        self.unchanged += other.unchanged;
        self.histogram += other.histogram;
        self.late += other.late;
        self.message_bytes += other.message_bytes;
    }

    /// `part` as a mean per sample.
    pub(crate) fn mean(&self, part: u64) -> f64 {
        part as f64 / self.samples.max(1) as f64
    }
}

impl Bodies {
    /// Encodes the workload of the options for `target`.
    pub(crate) fn encode(options: &Options, target: &Target) -> Result<Self, String> {
        let mut bodies = match &options.replay {
            Some(file) => replay::encode(options, target, file)?,
            None => encode::all(&Model::new(options), options, target)?,
        };
        bodies.count_before();
        Ok(bodies)
    }

    /// Samples of all rounds before `round`.
    pub(crate) fn samples_before(&self, round: usize) -> u64 {
        let bodies = self.lanes.iter().flatten();
        bodies.filter(|b| (b.round as usize) < round).map(|b| u64::from(b.samples)).sum()
    }

    /// All requests in order of rounds; within a round one request per lane in turn.
    pub(crate) fn in_order(&self) -> Vec<&Body> {
        let mut all: Vec<_> = self.lanes.iter().flatten().collect();
        all.sort_by_key(|body| body.before);
        all
    }

    fn count_before(&mut self) {
        let mut all: Vec<(u32, usize, usize)> = Vec::new();
        for (lane, bodies) in self.lanes.iter().enumerate() {
            all.extend(bodies.iter().enumerate().map(|(at, body)| (body.round, at, lane)));
        }
        all.sort_unstable();
        let mut before = 0;
        for (_, at, lane) in all {
            let body = &mut self.lanes[lane][at];
            body.before = before;
            before += u64::from(body.samples);
        }
    }
}

/// Fails if the workload would need more memory than allowed. `bytes` is the size of the share
/// `part` of all requests.
pub(crate) fn check_memory(bytes: usize, part: f64, options: &Options) -> Result<(), String> {
    let mib = bytes as f64 / part.max(1e-9) / f64::from(1 << 20);
    let rounds = options.warm + options.rounds;
    if mib > options.memory_mib as f64 {
        return Err(format!(
            "the requests of {rounds} rounds need about {mib:.0} MiB and --memory allows {}: \
             fewer --rounds or --series, or more --memory",
            options.memory_mib
        ));
    }
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let free_kib: Option<f64> = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    // A server on the same machine needs memory, too.
    if let Some(free_mib) = free_kib.map(|kib| kib / 1024.0)
        && mib > free_mib * 0.8
    {
        return Err(format!(
            "the requests of {rounds} rounds need about {mib:.0} MiB, of {free_mib:.0} available"
        ));
    }
    Ok(())
}
