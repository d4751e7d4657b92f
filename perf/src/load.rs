//! Sends the bodies and measures: closed loop over some connections, or open loop at a fixed rate.
//!
//! In the open loop a request's latency counts from when it was due, not from when it was sent, so
//! a stall counts for every request that it delays. Each connection is a thread with its own
//! histogram. The only thing they share while requests run is the time of the newest round, which
//! queries need.

use crate::client::{Connection, Target};
use crate::options::{Options, Shape};
use crate::process::{self, Machine, Usage};
use crate::queries::{self, Asked};
use crate::record::Record;
use crate::server::Server;
use crate::workload::{Bodies, Body};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// A request sent this much after it was due is late.
const LATE: Duration = Duration::from_millis(1);

/// The measurements of the connections.
pub(crate) struct Totals {
    pub(crate) samples: u64,
    requests: u64,
    pub(crate) errors: u64,
    late: u64,
    pub(crate) unsent: u64,
    pub(crate) first_error: Option<String>,
    /// Microseconds since a request was due, or since it was sent.
    latency_us: Histogram<u64>,
    service_us: Histogram<u64>,
    cpu_s: f64,
}

impl Totals {
    pub(crate) fn new() -> Result<Self, String> {
        let histogram = || Histogram::new(3).map_err(|e| e.to_string());
        Ok(Self {
            samples: 0,
            requests: 0,
            errors: 0,
            late: 0,
            unsent: 0,
            first_error: None,
            latency_us: histogram()?,
            service_us: histogram()?,
            cpu_s: 0.0,
        })
    }

    pub(crate) fn add(&mut self, other: Self) -> Result<(), String> {
        self.samples += other.samples;
        self.requests += other.requests;
        self.errors += other.errors;
        self.late += other.late;
        self.unsent += other.unsent;
        self.cpu_s += other.cpu_s;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latency_us.add(other.latency_us).map_err(|e| e.to_string())?;
        self.service_us.add(other.service_us).map_err(|e| e.to_string())
    }
}

/// When requests are due.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begun: Instant,
    deadline: Instant,
    /// Samples per second; 0 means as fast as answers come.
    rate: f64,
    /// Samples of all earlier requests.
    base: u64,
}

impl Schedule {
    fn due(&self, body: &Body) -> Option<Instant> {
        let after = || Duration::from_secs_f64((body.before - self.base) as f64 / self.rate);
        (self.rate > 0.0).then(|| self.begun + after())
    }
}

/// Runs the load and returns the record.
pub(crate) fn run(
    options: &Options,
    target: &Target,
    bodies: &Bodies,
    server: Option<&Server>,
) -> Result<Record, String> {
    let pid = options.pid.or(server.map(Server::pid));
    let usage = || pid.map(Usage::of).transpose();
    let newest_ms = AtomicI64::new(bodies.start_ms);
    let mut connections = connect(options, target)?;
    let warmed = send_rounds(options, bodies, &mut connections, 0..options.warm, 0.0, &newest_ms)?;
    if options.queries > 0 && warmed.samples > 0 {
        // Some servers find new series only seconds later, and timing an empty answer is pointless.
        queries::stored(options, target, bodies, warmed.samples)?;
    }
    let before = usage()?;
    let machine = Machine::now();
    let begun = Instant::now();
    let last = options.warm + options.rounds;
    let is_done = AtomicBool::new(false);
    let (totals, asked) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| queries::ask(options, target, &newest_ms, &is_done));
        let rounds = options.warm..last;
        let sent = send_rounds(options, bodies, &mut connections, rounds, options.rate, &newest_ms);
        is_done.store(true, Ordering::Relaxed);
        (sent, asking.join().map_err(|_| "asking panicked".to_owned()))
    });
    let wall_s = begun.elapsed().as_secs_f64();
    let (totals, asked) = (totals?, asked??);
    let shares = Machine::now().since(&machine);
    let after = usage()?;

    let mut record = Record::default();
    begin_record(&mut record, options, bodies);
    record_load(&mut record, options, &totals, wall_s);
    record.count("warm_errors", warmed.errors);
    record_machine(&mut record, &totals, wall_s, shares);
    if let Some((before, after)) = before.zip(after) {
        let samples = totals.samples;
        record_server(&mut record, &before, &after, samples, wall_s, bodies.identities);
    }
    record_asked(&mut record, options, &asked, wall_s);
    if options.verify {
        let expected = warmed.samples + totals.samples;
        let stored = queries::stored(options, target, bodies, expected)?;
        record.count("acknowledged", expected).count("stored", stored);
    }
    if let Some(dir) = &options.data_dir {
        record.count("disk_bytes", process::disk_bytes(dir));
    }
    let errors = [&warmed.first_error, &totals.first_error, &asked.first_error];
    if let Some(error) = errors.into_iter().flatten().next() {
        eprintln!("m3-perf: {}: first error: {error}", options.name);
        record.text("first_error", error);
    }
    Ok(record)
}

/// Only sends queries, about the time at the end of the options' rounds.
pub(crate) fn ask_only(
    options: &Options,
    target: &Target,
    server: Option<&Server>,
) -> Result<Record, String> {
    let pid = options.pid.or(server.map(Server::pid));
    let usage = || pid.map(Usage::of).transpose();
    let before = usage()?;
    let (newest_ms, is_done) = (AtomicI64::new(options.end_ms), AtomicBool::new(false));
    let begun = Instant::now();
    let asked = queries::ask(options, target, &newest_ms, &is_done)?;
    let wall_s = begun.elapsed().as_secs_f64();
    let mut record = Record::default();
    record.text("section", &options.section).text("name", &options.name);
    record.text("url", &options.url).number("wall_s", wall_s, 3);
    if let Some((before, after)) = before.zip(usage()?) {
        record_server(&mut record, &before, &after, 0, wall_s, 0);
    }
    record_asked(&mut record, options, &asked, wall_s);
    if let Some(error) = &asked.first_error {
        eprintln!("m3-perf: {}: first error: {error}", options.name);
        record.text("first_error", error);
    }
    Ok(record)
}

pub(crate) fn connect(options: &Options, target: &Target) -> Result<Vec<Connection>, String> {
    (0..options.connections).map(|_| Connection::open(target)).collect()
}

/// Sends all requests of `rounds`: those of lane `n` over connection `n`, one at a time.
pub(crate) fn send_rounds(
    options: &Options,
    bodies: &Bodies,
    connections: &mut [Connection],
    rounds: std::ops::Range<usize>,
    rate: f64,
    newest_ms: &AtomicI64,
) -> Result<Totals, String> {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(options.seconds);
    let schedule = Schedule { begun, deadline, rate, base: bodies.samples_before(rounds.start) };
    let newest = |body: &Body| {
        let time_ms = bodies.start_ms + bodies.round_ms * (i64::from(body.round) + 1);
        newest_ms.fetch_max(time_ms, Ordering::Relaxed);
    };
    let mut totals = Totals::new()?;
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (connection, lane) in connections.iter_mut().zip(&bodies.lanes) {
            let first = lane.partition_point(|body| (body.round as usize) < rounds.start);
            let last = lane.partition_point(|body| (body.round as usize) < rounds.end);
            let lane = &lane[first..last];
            threads.push(scope.spawn(|| send(connection, lane, schedule, newest)));
        }
        for thread in threads {
            totals.add(thread.join().map_err(|_| "a sender panicked".to_owned())??)?;
        }
        Ok::<_, String>(())
    })?;
    Ok(totals)
}

fn send(
    connection: &mut Connection,
    lane: &[Body],
    schedule: Schedule,
    newest: impl Fn(&Body),
) -> Result<Totals, String> {
    process::sleep_exactly();
    let cpu_s = process::thread_cpu_s();
    let mut totals = Totals::new()?;
    for (at, body) in lane.iter().enumerate() {
        let due = schedule.due(body);
        if let Some(due) = due {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let sent = Instant::now();
        if sent > schedule.deadline {
            totals.unsent = (lane.len() - at) as u64;
            break;
        }
        let due = due.unwrap_or(sent);
        totals.late += u64::from(sent.saturating_duration_since(due) > LATE);
        totals.requests += 1;
        let answer = connection.exchange(&body.request);
        let error = match answer {
            Ok(200..300) => None,
            Ok(status) => {
                let text = String::from_utf8_lossy(connection.body());
                Some((format!("{status}: {}", text.trim()), true))
            }
            Err(text) => Some((text, false)),
        };
        record_us(&mut totals.latency_us, due.elapsed())?;
        record_us(&mut totals.service_us, sent.elapsed())?;
        match error {
            None => {
                totals.samples += u64::from(body.samples);
                newest(body);
            }
            Some((text, can_go_on)) => {
                totals.errors += 1;
                totals.first_error.get_or_insert(text);
                if !can_go_on {
                    totals.unsent = (lane.len() - at - 1) as u64;
                    break;
                }
            }
        }
    }
    totals.cpu_s = process::thread_cpu_s() - cpu_s;
    Ok(totals)
}

pub(crate) fn record_us(histogram: &mut Histogram<u64>, took: Duration) -> Result<(), String> {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    histogram.record(us.max(1)).map_err(|e| e.to_string())
}

/// Records the task and its parameters.
pub(crate) fn begin_record(record: &mut Record, options: &Options, bodies: &Bodies) {
    let facts = &bodies.facts;
    let replay = options.replay.as_ref().map(|file| file.display().to_string());
    let shape = match options.shape {
        _ if replay.is_some() => "replay",
        Shape::Cluster => "cluster",
        Shape::Plain => "plain",
    };
    let requests: usize = bodies.lanes.iter().flatten().map(|body| body.request.len()).sum();
    record
        .text("section", &options.section)
        .text("name", &options.name)
        .text("durability", &options.durability)
        .text("url", &options.url)
        .text("command", &options.command.join(" "))
        .text("shape", shape)
        .text("replay", &replay.unwrap_or_default())
        .count("targets", options.targets as u64)
        .count("seed", options.seed)
        .count("series", bodies.series as u64)
        .count("identities", bodies.identities as u64)
        .count("batch", options.batch as u64)
        .count("warm", options.warm as u64)
        .count("rounds", options.rounds as u64)
        .count("connections", options.connections as u64)
        .number("churn", options.churn, 3)
        .number("late", options.late, 3)
        .number("labels_mean", facts.mean(facts.labels), 2)
        .number("label_bytes_mean", facts.mean(facts.label_bytes), 1)
        .number("histogram_share", facts.mean(facts.histogram), 3)
        .number("unchanged_share", facts.mean(facts.unchanged), 3)
        .number("late_share", facts.mean(facts.late), 4)
        .number("body_bytes_per_sample", facts.mean(facts.message_bytes), 2)
        .count("requests_mib", requests as u64 >> 20);
}

pub(crate) fn record_load(record: &mut Record, options: &Options, totals: &Totals, wall_s: f64) {
    let samples = totals.samples as f64;
    let ms = |histogram: &Histogram<u64>, q| histogram.value_at_quantile(q) as f64 / 1000.0;
    record
        .text("loop", if options.rate > 0.0 { "open" } else { "closed" })
        .number("rate", options.rate, 0)
        .count("samples", totals.samples)
        .count("requests", totals.requests)
        .count("errors", totals.errors)
        .count("unsent", totals.unsent)
        .count("sent_late", totals.late)
        .number("wall_s", wall_s, 3)
        .number("samples_per_s", samples / wall_s, 0)
        .number("p50_ms", ms(&totals.latency_us, 0.5), 3)
        .number("p99_ms", ms(&totals.latency_us, 0.99), 3)
        .number("p999_ms", ms(&totals.latency_us, 0.999), 3)
        .number("max_ms", totals.latency_us.max() as f64 / 1000.0, 3)
        .number("service_p50_ms", ms(&totals.service_us, 0.5), 3)
        .number("service_p99_ms", ms(&totals.service_us, 0.99), 3)
        .number("generator_cpu_s", totals.cpu_s, 3)
        .number("generator_us_per_sample", totals.cpu_s * 1e6 / samples, 4)
        .number("generator_cpus", totals.cpu_s / wall_s, 3);
}

/// The whole machine: shares of idle time, and busy time other than the generator's. That is the
/// server, including what the kernel does for it in threads of its own.
pub(crate) fn record_machine(
    record: &mut Record,
    totals: &Totals,
    wall_s: f64,
    (idle, waiting): (f64, f64),
) {
    let cpus = Machine::now().cpus() as f64;
    let others_s = (1.0 - idle - waiting) * cpus * wall_s - totals.cpu_s;
    record.number("machine_idle", idle, 3).number("machine_waiting", waiting, 3).number(
        "machine_us_per_sample",
        others_s * 1e6 / totals.samples as f64,
        4,
    );
}

/// The server's usage between `before` and `after`; `series` is the number of series sent to it.
pub(crate) fn record_server(
    record: &mut Record,
    before: &Usage,
    after: &Usage,
    samples: u64,
    wall_s: f64,
    series: usize,
) {
    let cpu_s = after.cpu_s() - before.cpu_s();
    record
        .number("cpu_s", cpu_s, 2)
        .number("cpu_user_s", after.user_s - before.user_s, 2)
        .number("cpu_system_s", after.system_s - before.system_s, 2)
        .number("cpus", cpu_s / wall_s, 3)
        .number("cpu_us_per_sample", cpu_s * 1e6 / samples as f64, 4)
        .number("samples_per_cpu_s", samples as f64 / cpu_s, 0)
        .number("resident_mib", mib(after.resident), 1)
        .number("anonymous_mib", mib(after.anonymous), 1)
        .number("peak_mib", mib(after.peak), 1)
        .number("bytes_per_series", after.resident as f64 / series as f64, 0)
        .count("threads", after.threads);
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn record_asked(record: &mut Record, options: &Options, asked: &Asked, wall_s: f64) {
    if options.queries == 0 {
        return;
    }
    let ms = |q| asked.latency_us.value_at_quantile(q) as f64 / 1000.0;
    record
        .count("queries", asked.count)
        .count("query_connections", options.queries as u64)
        .number("query_rate", options.query_rate, 3)
        .count("query_errors", asked.errors)
        .count("query_empty", asked.empty)
        .number("queries_per_s", asked.count as f64 / wall_s, 1)
        .number("query_p50_ms", ms(0.5), 3)
        .number("query_p99_ms", ms(0.99), 3)
        .number("query_max_ms", asked.latency_us.max() as f64 / 1000.0, 3)
        .number("query_generator_cpu_s", asked.cpu_s, 3)
        .raw("by_query", &asked.by_query());
}
