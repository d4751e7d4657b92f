//! The load generator. It encodes realistic remote-write bodies beforehand, sends them to any URL
//! that accepts them, and reads the server's CPU and memory from `/proc`. Each run prints one JSON
//! record; README.md explains it.
//!
//! It uses blocking sockets and threads, so that the node's runtime does not measure itself.

#![allow(
    clippy::disallowed_methods,
    reason = "it stands outside the node: threads and clocks are its own"
)]
#![allow(clippy::print_stdout, reason = "the record is the program's output")]

mod bounds;
mod client;
mod load;
mod options;
mod pair;
mod process;
mod queries;
mod record;
mod report;
mod restart;
mod server;
mod workload;

use client::Target;
use options::{Action, Options};
use record::Record;
use server::Server;
use std::io::Write;
use std::process::ExitCode;
use workload::Bodies;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("m3-perf: {text}\n\n{}", options::HELP);
            return ExitCode::from(64);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("m3-perf: {}: {text}", options.name);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let record = match &options.action {
        Action::Help => {
            println!("{}", options::HELP);
            return Ok(());
        }
        Action::Report(directory) => {
            print!("{}", report::of(directory)?);
            return Ok(());
        }
        Action::Bounds => {
            let nowhere = Target { address: "localhost".to_owned(), path: "/".to_owned() };
            let bodies = Bodies::encode(options, &nowhere)?;
            pin(options);
            bounds::measure(options, &bodies)
        }
        Action::Load => {
            let target = Target::parse(&options.url)?;
            let bodies = Bodies::encode(options, &target)?;
            with_server(options, &target, |s| load::run(options, &target, &bodies, s))?
        }
        Action::Pair => {
            let bodies = Bodies::encode(options, &Target::parse(&options.url)?)?;
            let [first, second] = pair::run(options, &bodies)?;
            write(options, &first)?;
            second
        }
        Action::Query => {
            let target = Target::parse(&options.url)?;
            with_server(options, &target, |s| load::ask_only(options, &target, s))?
        }
        Action::Restart => {
            let target = Target::parse(&options.url)?;
            let bodies = Bodies::encode(options, &target)?;
            restart::run(options, &target, &bodies)?
        }
    };
    write(options, &record)
}

fn pin(options: &Options) {
    if let Some(cpu) = options.cpu {
        process::pin(Some(cpu));
    }
}

/// Runs `work` with the server that the options name, if any.
fn with_server(
    options: &Options,
    target: &Target,
    work: impl FnOnce(Option<&Server>) -> Result<Record, String>,
) -> Result<Record, String> {
    if options.command.is_empty() {
        pin(options);
        return work(None);
    }
    let mut server = Server::start(&options.command, target, options.server_log.as_deref())?;
    // After the start of the server, which would inherit it.
    pin(options);
    server.wait_ready(target, &options.ready)?;
    let record = work(Some(&server));
    server.stop();
    record
}

fn write(options: &Options, record: &Record) -> Result<(), String> {
    let line = record.line();
    let Some(path) = &options.out else {
        println!("{line}");
        return Ok(());
    };
    let said = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = std::fs::File::options().create(true).append(true).open(path).map_err(said)?;
    writeln!(file, "{line}").map_err(said)
}
