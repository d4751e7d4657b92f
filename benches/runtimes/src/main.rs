//! Compares the runtimes that a node could stand on, and prints a table.
//!
//! Every pattern of every runtime runs in a process of its own: one that does not start, panics or
//! never ends costs a cell of the table and no more. `README.md` says how to read it.

#![deny(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "the runtimes are compared by a plain program")]

mod on_compio;
mod on_glommio;
mod on_monoio;
mod patterns;
mod runtime;
mod table;

use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::on_compio::Compio;
use crate::on_glommio::Glommio;
use crate::on_monoio::Monoio;
use crate::patterns::{Pattern, Size};
use crate::table::Table;

/// Runs of each pattern, of which the median counts.
const ROUNDS: usize = 3;
/// When a pattern is given up.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The compared; the others are compared with the first.
const RUNTIMES: [&str; 4] = ["compio", "monoio", "glommio", WITH_QUEUES];
/// Queues matter only where a task is busy.
const WITH_QUEUES: &str = "glommio with queues";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        [] => {
            compare(Size::Full);
            Ok(())
        }
        ["--small"] => {
            compare(Size::Small);
            Ok(())
        }
        ["run", runtime, pattern] => run(runtime, pattern, Size::Full),
        ["run", runtime, pattern, "--small"] => run(runtime, pattern, Size::Small),
        _ => Err("arguments: [--small], or run RUNTIME PATTERN [--small]".to_owned()),
    };
    if let Err(why) = result {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(runtime: &str, pattern: &str, size: Size) -> Result<(), String> {
    if m3_io::runtime::affinity().len() < 2 {
        return Err("this process may use one cpu only, and two are compared".to_owned());
    }
    let pattern: Pattern = pattern.parse()?;
    match runtime {
        "compio" => pattern.run::<Compio>(size),
        "monoio" => pattern.run::<Monoio>(size),
        "glommio" => pattern.run::<Glommio<false>>(size),
        WITH_QUEUES => pattern.run::<Glommio<true>>(size),
        _ => Err(format!("{runtime} is none of {RUNTIMES:?}")),
    }
}

fn compare(size: Size) {
    let mut table = Table::new(&RUNTIMES);
    let rounds = if size == Size::Full { ROUNDS } else { 1 };
    for round in 1..=rounds {
        for pattern in Pattern::ALL {
            for (column, runtime) in RUNTIMES.into_iter().enumerate() {
                if runtime == WITH_QUEUES && pattern != Pattern::Starve {
                    continue;
                }
                eprintln!("{round}/{rounds}: {} on {runtime}", pattern.name());
                match in_a_process(runtime, pattern, size) {
                    Ok(figures) => table.add(column, &figures),
                    Err(why) => table.failed(format!("{runtime}, {}: {why}", pattern.name())),
                }
            }
        }
    }
    println!("{table}");
}

/// Runs one pattern. Returns its output, or why there is none.
fn in_a_process(runtime: &str, pattern: Pattern, size: Size) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program is gone: {e}"))?;
    let mut command = Command::new(program);
    command.args(["run", runtime, pattern.name()]);
    if size == Size::Small {
        command.arg("--small");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("no process starts: {e}"))?;
    let begun = Instant::now();
    let ended = loop {
        let ended = child.try_wait().map_err(|e| format!("its process is lost: {e}"))?;
        if ended.is_some() || begun.elapsed() > TIMEOUT {
            break ended;
        }
        thread::sleep(Duration::from_millis(20));
    };
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    patterns::clean_up_after(child.id());
    let Some(status) = ended else {
        return Err(format!("stuck; ended after {} s", TIMEOUT.as_secs()));
    };
    let (mut figures, mut errors) = (String::new(), String::new());
    let read = |pipe: Option<&mut dyn Read>, text: &mut String| {
        pipe.map(|pipe| pipe.read_to_string(text)).transpose().is_ok()
    };
    read(child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read), &mut figures);
    read(child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read), &mut errors);
    if !status.success() {
        return Err(errors.lines().next().unwrap_or("it failed and says nothing").to_owned());
    }
    Ok(figures)
}
