//! Runs seeds and names those that break a promise.
//!
//! `m3-sim --seed N` runs one and prints its figures; `m3-sim --seeds COUNT [--from N] [--threads
//! T]` runs many.

use m3_sim::{Report, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const USAGE: &str = "usage: m3-sim --seed N | --seeds COUNT [--from N] [--threads T]";

#[derive(Debug, Default)]
struct Plan {
    seed: Option<u64>,
    seeds: u64,
    from: u64,
    threads: u64,
}

fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(text) => {
            eprintln!("m3-sim: {text}; {USAGE}");
            return ExitCode::from(64);
        }
    };
    match plan.seed {
        Some(seed) => match run(seed) {
            Ok(report) => {
                eprintln!("seed {seed} holds: {report:?}");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                eprintln!("{failure}");
                ExitCode::FAILURE
            }
        },
        None => many(&plan),
    }
}

fn plan(args: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan { threads: 2, ..Plan::default() };
    let mut args = args;
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} wants a number"))?;
        let number = value.parse().map_err(|_| format!("{value:?} is not a number"))?;
        match flag.as_str() {
            "--seed" => plan.seed = Some(number),
            "--seeds" => plan.seeds = number,
            "--from" => plan.from = number,
            "--threads" => plan.threads = number,
            _ => return Err(format!("there is no flag {flag}")),
        }
    }
    if plan.seed.is_none() && plan.seeds == 0 {
        return Err("no seed is given".to_owned());
    }
    Ok(plan)
}

/// Runs many seeds, each on one thread; stops at the first that breaks a promise.
fn many(plan: &Plan) -> ExitCode {
    let next = AtomicU64::new(plan.from);
    let end = plan.from + plan.seeds;
    let total = Mutex::new((0_u64, Report::default(), None));
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let ran = run(seed);
                    let mut total = total.lock().expect("nobody panics with it");
                    match ran {
                        Ok(report) => {
                            total.0 += 1;
                            total.1.add(&report);
                        }
                        Err(failure) => {
                            next.store(end, Ordering::Relaxed);
                            total.2.get_or_insert(failure);
                        }
                    }
                }
            });
        }
    });
    let (held, sum, failure) = total.into_inner().expect("nobody panicked with it");
    eprintln!("{held} seeds from {} hold: {sum:?}", plan.from);
    match failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
