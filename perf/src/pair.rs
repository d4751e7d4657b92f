//! Compares two servers side by side: the same rounds go to one and then to the other, in turns of
//! a second or less. If the machine is slow for a minute, it is slow for both. So their ratio can
//! be trusted, where two separate runs cannot be compared.

use crate::client::{Connection, Target};
use crate::load::{self, Totals};
use crate::options::Options;
use crate::process::{self, Machine, Usage};
use crate::queries;
use crate::record::Record;
use crate::report::median;
use crate::server::Server;
use crate::workload::Bodies;
use std::ops::Range;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

/// One of the two servers, and the sums over its turns.
struct Side {
    options: Options,
    target: Target,
    server: Server,
    connections: Vec<Connection>,
    newest_ms: AtomicI64,
    warmed: Totals,
    totals: Totals,
    wall_s: f64,
    /// Usage after warming. It includes what the server does during the other's turns, since that
    /// is work left over from its own.
    began: Usage,
    /// Seconds during which the machine was idle, or waited for the disk.
    idle_s: f64,
    waiting_s: f64,
    /// CPU seconds per sample in each turn.
    turns: Vec<f64>,
}

impl Side {
    fn start(options: &Options, bodies: &Bodies) -> Result<Self, String> {
        let target = Target::parse(&options.url)?;
        let log = options.server_log.as_deref();
        let mut server = Server::start(&options.command, &target, log)?;
        server.wait_ready(&target, &options.ready)?;
        let mut connections = load::connect(options, &target)?;
        let newest_ms = AtomicI64::new(bodies.start_ms);
        let warm = 0..options.warm;
        let warmed = load::send_rounds(options, bodies, &mut connections, warm, 0.0, &newest_ms)?;
        let began = Usage::of(server.pid())?;
        Ok(Self {
            options: options.clone(),
            target,
            server,
            connections,
            newest_ms,
            warmed,
            totals: Totals::new()?,
            wall_s: 0.0,
            began,
            idle_s: 0.0,
            waiting_s: 0.0,
            turns: Vec::new(),
        })
    }

    fn turn(&mut self, bodies: &Bodies, rounds: Range<usize>) -> Result<(), String> {
        let (before, machine) = (Usage::of(self.server.pid())?, Machine::now());
        let begun = Instant::now();
        let Self { options, connections, newest_ms, .. } = self;
        process::pin(options.cpu);
        let sent = load::send_rounds(options, bodies, connections, rounds, 0.0, newest_ms)?;
        let wall_s = begun.elapsed().as_secs_f64();
        let (idle, waiting) = Machine::now().since(&machine);
        let after = Usage::of(self.server.pid())?;
        self.turns.push((after.cpu_s() - before.cpu_s()) / sent.samples as f64);
        self.wall_s += wall_s;
        self.idle_s += idle * wall_s;
        self.waiting_s += waiting * wall_s;
        self.totals.add(sent)
    }

    fn record(&self, bodies: &Bodies) -> Result<Record, String> {
        let Self { options, totals, wall_s, .. } = self;
        let mut record = Record::default();
        load::begin_record(&mut record, options, bodies);
        load::record_load(&mut record, options, totals, *wall_s);
        record.count("warm_errors", self.warmed.errors).count("turns", self.turns.len() as u64);
        let shares = (self.idle_s / wall_s, self.waiting_s / wall_s);
        load::record_machine(&mut record, totals, *wall_s, shares);
        let (ended, series) = (Usage::of(self.server.pid())?, bodies.identities);
        load::record_server(&mut record, &self.began, &ended, totals.samples, *wall_s, series);
        if options.verify {
            let expected = self.warmed.samples + totals.samples;
            let stored = queries::stored(options, &self.target, bodies, expected)?;
            record.count("acknowledged", expected).count("stored", stored);
        }
        if let Some(error) = self.warmed.first_error.as_ref().or(totals.first_error.as_ref()) {
            eprintln!("m3-perf: {}: first error: {error}", options.name);
            record.text("first_error", error);
        }
        Ok(record)
    }
}

/// Runs both servers in turns and returns a record for each. The second has the ratio of CPU per
/// sample to the first: the median of all turns, and the quartiles.
pub(crate) fn run(options: &Options, bodies: &Bodies) -> Result<[Record; 2], String> {
    let mut first = Side::start(options, bodies)?;
    let mut second = Side::start(&options.other(), bodies)?;
    let last = options.warm + options.rounds;
    for (turn, begin) in (options.warm..last).step_by(options.turn).enumerate() {
        let rounds = begin..last.min(begin + options.turn);
        // Work left over by the first falls into the turn of the second, so they take turns at
        // being first.
        if turn % 2 == 0 {
            first.turn(bodies, rounds.clone())?;
            second.turn(bodies, rounds)?;
        } else {
            second.turn(bodies, rounds.clone())?;
            first.turn(bodies, rounds)?;
        }
    }
    let mut ratios: Vec<_> = second.turns.iter().zip(&first.turns).map(|(b, a)| b / a).collect();
    ratios.sort_by(f64::total_cmp);
    let quartile = |of: usize| ratios[(ratios.len() - 1) * of / 4];
    let mut records = [first.record(bodies)?, second.record(bodies)?];
    records[1]
        .text("beside", &options.name)
        .number("cpu_of_first", median(&ratios).unwrap_or(f64::NAN), 4)
        .number("cpu_of_first_p25", quartile(1), 4)
        .number("cpu_of_first_p75", quartile(3), 4);
    first.server.stop();
    second.server.stop();
    Ok(records)
}
