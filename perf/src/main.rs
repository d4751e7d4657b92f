//! The load generator: realistic remote-write bodies, encoded beforehand, sent to any URL that
//! takes them, with the server's CPU and memory read from `/proc`. One JSON record a run; README.md
//! shows how to read it.
//!
//! It uses blocking sockets and threads of its own, so that nothing of the node's runtime is part
//! of what measures it.

#![allow(
    clippy::disallowed_methods,
    reason = "it stands outside the node: threads and clocks are its own"
)]
#![allow(clippy::print_stdout, reason = "the record is the program's output")]

mod bounds;
mod load;
mod options;
mod process;
mod workload;

use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("m3-perf: {text}\n\n{}", options::HELP);
            return ExitCode::from(64);
        }
    };
    if let Some(cpu) = options.cpu {
        process::pin(cpu);
    }
    let bodies = workload::Bodies::encode(&options);
    let record = match &options.url {
        None => bounds::measure(&bodies),
        Some(url) => match load::run(&options, url, &bodies) {
            Ok(record) => record,
            Err(text) => {
                eprintln!("m3-perf: {text}");
                return ExitCode::FAILURE;
            }
        },
    };
    println!("{record}");
    ExitCode::SUCCESS
}
