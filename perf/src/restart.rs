//! Measures how long a killed server takes to be ready again.
//!
//! The server is loaded, killed with `kill -9` under load, and started again by the same command.
//! Times count from the start of the second process. The machine does not fail, so writes in the
//! page cache survive.

use crate::client::Target;
use crate::load;
use crate::options::Options;
use crate::process::{self, Usage};
use crate::queries;
use crate::record::Record;
use crate::server::{READY_MAX, Server, wait_free};
use crate::workload::Bodies;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A server that is ready but has not found all series after this time has lost some.
const FOUND_MAX: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(5);

/// Loads, kills and starts the server, and returns the record.
pub(crate) fn run(options: &Options, target: &Target, bodies: &Bodies) -> Result<Record, String> {
    let log = options.server_log.as_deref();
    let mut server = Server::start(&options.command, target, log)?;
    server.wait_ready(target, &options.ready)?;
    let mut connections = load::connect(options, target)?;
    let newest_ms = AtomicI64::new(bodies.start_ms);
    let rounds = 0..options.warm + options.rounds;
    let sent = load::send_rounds(options, bodies, &mut connections, rounds, 0.0, &newest_ms)?;
    if let Some(error) = &sent.first_error {
        return Err(format!("loading: {error}"));
    }
    let loaded = Usage::of(server.pid())?;
    server.kill()?;
    let held = wait_free(target)?;
    let disk_bytes = options.data_dir.as_deref().map(process::disk_bytes);

    let mut server = Server::start(&options.command, target, log)?;
    let ready = server.wait_ready(target, &options.ready)?;
    // A quarter of a minute covers the last samples of all targets.
    let until_ms = newest_ms.load(Ordering::Relaxed) + bodies.round_ms;
    let mut first_error = None;
    let (found, answered) = loop {
        let found = queries::series(options, target, bodies, until_ms);
        let age = server.age();
        match found {
            Ok(found) if found == bodies.series as u64 => break (found, Some(age)),
            Ok(found) if age > ready + FOUND_MAX => break (found, None),
            Err(text) if age > READY_MAX => return Err(text),
            Err(text) => first_error = Some(text),
            Ok(_) => {}
        }
        std::thread::sleep(POLL);
    };
    let again = Usage::of(server.pid())?;
    let stored = if options.verify {
        // A server that has lost series will not find their samples later either.
        let expected = if answered.is_some() { sent.samples } else { 0 };
        Some(queries::stored(options, target, bodies, expected)?)
    } else {
        None
    };
    server.stop();

    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let mut record = Record::default();
    load::begin_record(&mut record, options, bodies);
    record
        .count("acknowledged", sent.samples)
        .number("port_held_ms", ms(held), 1)
        .number("ready_ms", ms(ready), 1)
        .number("answering_ms", answered.map_or(f64::NAN, ms), 1)
        .count("series_found", found)
        .number("restart_cpu_s", again.cpu_s(), 2)
        .count("resident_before", loaded.resident)
        .count("resident_after", again.resident)
        .number("bytes_per_series", loaded.resident as f64 / bodies.series as f64, 0);
    if let Some(bytes) = disk_bytes {
        record.count("disk_bytes", bytes);
    }
    if let Some(stored) = stored {
        record.count("stored", stored);
    }
    if let Some(error) = first_error {
        record.text("first_error", &error);
    }
    Ok(record)
}
