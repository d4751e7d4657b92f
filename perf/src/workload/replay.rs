//! Requests from a capture of real exporters: real names, values and jitter.
//!
//! Each line of a capture is a JSON array, `[job, scrape time in unix ms, text exposition]`. The
//! file may be compressed with zstd; the program `zstd` decompresses it. The scrapes of a job
//! belong to one target. `--targets N` turns it into N targets, which differ in their label
//! `instance` and their scrape time within the interval. Times are shifted so that the last round
//! is at the end of the run. A target uses a single lane, because a capture's series come and go,
//! and so runs of series would shift.

use super::encode::{fields, finish, push};
use super::exposition;
use super::model::Labels;
use super::{Bodies, Body, Facts, check_memory};
use crate::client::Target;
use crate::options::Options;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// One scrape of one job: its time, and samples as (number of the series, value).
pub(crate) struct Scrape {
    job: usize,
    time_ms: i64,
    samples: Vec<(usize, f64)>,
}

/// A series of one job without its target: the label fields before and after `instance`.
#[derive(Default)]
struct Known {
    front: Vec<u8>,
    back: Vec<u8>,
    labels: u64,
    is_histogram: bool,
    last: Option<u64>,
}

/// A parsed capture.
#[derive(Default)]
pub(crate) struct Capture {
    jobs: Vec<String>,
    series: Vec<Known>,
    names: BTreeSet<String>,
    by_text: HashMap<(usize, String), usize>,
    /// Scrapes by round; each job occurs at most once in a round.
    pub(crate) rounds: Vec<Vec<Scrape>>,
}

/// All requests of the first rounds in the capture `file`.
pub(crate) fn encode(options: &Options, target: &Target, file: &Path) -> Result<Bodies, String> {
    let wanted = options.warm + options.rounds;
    let mut capture = Capture::default();
    let mut unpacked = Unpacked::open(file)?;
    for line in BufReader::new(&mut unpacked.bytes).lines() {
        let line = line.map_err(|e| format!("{}: {e}", file.display()))?;
        capture.add(&line).map_err(|e| format!("{}: {e}", file.display()))?;
        // The round after the last wanted one has begun, so the wanted one is complete.
        if capture.rounds.len() > wanted {
            break;
        }
    }
    capture.rounds.truncate(wanted);
    if capture.rounds.len() <= options.warm {
        let rounds = capture.rounds.len();
        return Err(format!("{}: {rounds} rounds, --warm leaves none", file.display()));
    }
    capture.encode(options, target)
}

impl Capture {
    /// Adds one line.
    pub(crate) fn add(&mut self, line: &str) -> Result<(), String> {
        let (job, time_ms, text): (String, i64, String) =
            serde_json::from_str(line).map_err(|e| format!("a line is no scrape: {e}"))?;
        let job = self.jobs.iter().position(|known| *known == job).unwrap_or_else(|| {
            self.jobs.push(job);
            self.jobs.len() - 1
        });
        let mut histograms = BTreeSet::new();
        let mut samples = Vec::new();
        for line in text.lines() {
            if let Some(of) =
                line.strip_prefix("# TYPE ").and_then(|l| l.strip_suffix(" histogram"))
            {
                histograms.insert(of);
                continue;
            }
            let Some((series, rest)) = exposition::cut(line) else { continue };
            let value = exposition::value(rest).ok_or_else(|| format!("no value in {line:?}"))?;
            samples.push((self.number(job, series, &histograms)?, value));
        }
        let stands = |round: &Vec<Scrape>| round.iter().any(|scrape| scrape.job == job);
        if self.rounds.last().is_none_or(stands) {
            self.rounds.push(Vec::new());
        }
        if let Some(round) = self.rounds.last_mut() {
            round.push(Scrape { job, time_ms, samples });
        }
        Ok(())
    }

    fn number(
        &mut self,
        job: usize,
        text: &str,
        histograms: &BTreeSet<&str>,
    ) -> Result<usize, String> {
        if let Some(number) = self.by_text.get(&(job, text.to_owned())) {
            return Ok(*number);
        }
        let labels = exposition::labels(text).ok_or_else(|| format!("not a series: {text:?}"))?;
        let mut sorted = BTreeMap::from([("job".to_owned(), self.jobs[job].clone())]);
        for (name, value) in labels {
            // A label with an empty value does not exist.
            if value.is_empty() {
                continue;
            }
            // The scraper's labels override those of the exporter.
            let is_taken = name == "job" || name == "instance";
            sorted.insert(if is_taken { format!("exported_{name}") } else { name }, value);
        }
        let name = sorted["__name__"].clone();
        self.names.insert(name.clone());
        let suffixes = ["_bucket", "_sum", "_count"];
        let is_of = |suffix| name.strip_suffix(suffix).is_some_and(|of| histograms.contains(of));
        let is_histogram = suffixes.into_iter().any(is_of);
        let (back, front): (Labels, Labels) =
            sorted.into_iter().partition(|(name, _)| name.as_str() > "instance");
        let labels = (front.len() + back.len() + 1) as u64;
        let (front, back) = (fields(&front), fields(&back));
        self.series.push(Known { front, back, labels, is_histogram, last: None });
        self.by_text.insert((job, text.to_owned()), self.series.len() - 1);
        Ok(self.series.len() - 1)
    }

    /// The requests of all rounds.
    pub(crate) fn encode(&mut self, options: &Options, target: &Target) -> Result<Bodies, String> {
        let first_ms = self.rounds[0].iter().map(|s| s.time_ms).min().unwrap_or(0);
        let last_ms = self.rounds.iter().flatten().map(|s| s.time_ms).max().unwrap_or(0);
        let count = self.rounds.len();
        let round_ms = ((last_ms - first_ms) / (count as i64 - 1).max(1)).max(1);
        let end_ms = options.start_ms(0);
        let start_ms = end_ms - (last_ms - first_ms) - round_ms;
        let mut bodies = Bodies {
            lanes: (0..options.connections).map(|_| Vec::new()).collect(),
            series: self.rounds.iter().map(|r| samples_of(r) * options.targets).max().unwrap_or(0),
            identities: self.series.len() * options.targets,
            round_ms,
            start_ms,
            end_ms,
            selectors: self.jobs.iter().map(|job| format!("{{job=\"{job}\"}}")).collect(),
            names: self.names.iter().cloned().collect(),
            facts: Facts::default(),
        };
        let instances: Vec<_> = (0..options.targets).map(instance).collect();
        let mut bytes = 0;
        for (number, round) in std::mem::take(&mut self.rounds).iter().enumerate() {
            let mut lanes: Vec<Lane> = Vec::new();
            lanes.resize_with(options.connections, Lane::default);
            for scrape in round {
                self.count(&mut bodies.facts, scrape, &instances);
                for (copy, instance) in instances.iter().enumerate() {
                    let offset = round_ms * copy as i64 / options.targets as i64;
                    let time_ms = scrape.time_ms - first_ms + start_ms + offset;
                    // A target uses the same lane in every round.
                    let lane = (copy * self.jobs.len() + scrape.job) % options.connections;
                    let lane = &mut lanes[lane];
                    for &(series, value) in &scrape.samples {
                        let known = &self.series[series];
                        push(
                            &mut lane.message,
                            &[&known.front, instance, &known.back],
                            time_ms,
                            value,
                        );
                        lane.samples += 1;
                        if lane.samples == options.batch {
                            lane.finish(number, target);
                        }
                    }
                }
            }
            for (to, mut lane) in bodies.lanes.iter_mut().zip(lanes) {
                lane.finish(number, target);
                bytes += lane.done.iter().map(|body| body.request.len()).sum::<usize>();
                let packed = lane.done.iter().map(|body| body.message().len() as u64);
                bodies.facts.message_bytes += packed.sum::<u64>();
                to.append(&mut lane.done);
            }
            check_memory(bytes, (number + 1) as f64 / count as f64, options)?;
        }
        Ok(bodies)
    }

    /// Counts a scrape for all targets, which have the same values.
    fn count(&mut self, facts: &mut Facts, scrape: &Scrape, instances: &[Vec<u8>]) {
        let targets = instances.len() as u64;
        let instance_bytes: u64 = instances.iter().map(|fields| fields.len() as u64).sum();
        for &(series, value) in &scrape.samples {
            let known = &mut self.series[series];
            facts.samples += targets;
            facts.labels += targets * known.labels;
            facts.label_bytes += targets * (known.front.len() + known.back.len()) as u64;
            facts.label_bytes += instance_bytes;
            facts.histogram += targets * u64::from(known.is_histogram);
            let is_unchanged = known.last.replace(value.to_bits()) == Some(value.to_bits());
            facts.unchanged += targets * u64::from(is_unchanged);
        }
    }
}

/// The request of a lane in one round, while it is being filled.
#[derive(Default)]
struct Lane {
    message: Vec<u8>,
    samples: usize,
    done: Vec<Body>,
}

impl Lane {
    fn finish(&mut self, round: usize, target: &Target) {
        if self.samples > 0 {
            self.done.push(finish(&self.message, self.samples, round, target));
            self.message.clear();
            self.samples = 0;
        }
    }
}

fn samples_of(round: &[Scrape]) -> usize {
    round.iter().map(|scrape| scrape.samples.len()).sum()
}

/// The encoded label `instance` of target `copy`.
fn instance(copy: usize) -> Vec<u8> {
    let address = format!("10.{}.{}.{}:9100", copy / 65536, copy / 256 % 256, copy % 256);
    fields(&vec![("instance".to_owned(), address)])
}

/// A file's bytes, decompressed by `zstd` if its name says so.
struct Unpacked {
    bytes: Box<dyn Read>,
    zstd: Option<Child>,
}

impl Unpacked {
    fn open(file: &Path) -> Result<Self, String> {
        let said = |e: std::io::Error| format!("{}: {e}", file.display());
        let opened = std::fs::File::open(file).map_err(said)?;
        if file.extension().is_none_or(|extension| extension != "zst") {
            return Ok(Self { bytes: Box::new(opened), zstd: None });
        }
        let mut zstd = Command::new("zstd");
        // Captures are compressed with a window of 128 MiB.
        zstd.args(["-dcq", "--long=27"]).stdin(opened).stdout(Stdio::piped());
        let mut zstd = zstd.spawn().map_err(|e| format!("the program zstd: {e}"))?;
        let bytes = zstd.stdout.take().ok_or("zstd has no output")?;
        Ok(Self { bytes: Box::new(bytes), zstd: Some(zstd) })
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // It may still be decompressing what is not needed any more.
        if let Some(zstd) = &mut self.zstd {
            let _ = zstd.kill();
            let _ = zstd.wait();
        }
    }
}
