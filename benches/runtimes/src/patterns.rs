//! What a node does all day, as five patterns over any runtime. Each prints its figures and ends
//! the process.

mod between;
mod commit;
mod echo;

use std::fs;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::runtime::Runtime;

pub(crate) use commit::clean_up_after;

/// A pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Sixteen writers whose records are made durable by one write.
    Commit,
    /// Requests of many connections, sent back.
    Echo,
    /// Messages between two cores.
    Hop,
    /// A busy task beside a timer, messages and requests.
    Starve,
    /// Two cores that wake many tasks of each other at once.
    Storm,
}

impl Pattern {
    pub(crate) const ALL: [Pattern; 5] =
        [Pattern::Commit, Pattern::Echo, Pattern::Hop, Pattern::Starve, Pattern::Storm];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Pattern::Commit => "commit",
            Pattern::Echo => "echo",
            Pattern::Hop => "hop",
            Pattern::Starve => "starve",
            Pattern::Storm => "storm",
        }
    }

    /// Runs it. Returns only if it could not start.
    pub(crate) fn run<R: Runtime>(self, size: Size) -> Result<(), String> {
        match self {
            Pattern::Commit => commit::run::<R>(size),
            Pattern::Echo => echo::run::<R>(size),
            Pattern::Hop => between::hop::<R>(size),
            Pattern::Starve => echo::starve::<R>(size),
            Pattern::Storm => between::storm::<R>(size),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Pattern::ALL.into_iter().find(|pattern| pattern.name() == name);
        found.ok_or_else(|| format!("{name} is not a pattern"))
    }
}

/// How long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// To measure.
    Full,
    /// To see that it runs.
    Small,
}

impl Size {
    const fn span(self, full: Duration) -> Duration {
        match self {
            Size::Full => full,
            Size::Small => Duration::from_millis(100),
        }
    }

    const fn count(self, full: u64) -> u64 {
        match self {
            Size::Full => full,
            Size::Small => full.div_ceil(100),
        }
    }
}

/// Prints a figure for the parent.
fn figure(name: &str, value: f64) {
    println!("{name}\t{value}");
}

/// All figures are printed. Ends the process, since some runtimes do not end their tasks.
fn done() -> ! {
    std::process::exit(0)
}

/// CPU time of a thread of this process, in nanoseconds.
fn thread_cpu_ns(thread: i32) -> f64 {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"));
    let text = text.expect("the kernel counts the time of threads");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("it begins with the time")
}

/// CPU time of this process and of the kernel's workers for it, in nanoseconds.
fn process_cpu_ns() -> f64 {
    const NS_PER_TICK: f64 = 1e7;
    let text = fs::read_to_string("/proc/self/stat").expect("a process can read its times");
    let after_name = text.rsplit(')').next().expect("the name is in brackets");
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number of ticks")).sum::<f64>() * NS_PER_TICK
}

/// The longest of many spans.
#[derive(Default)]
struct Worst(Duration);

impl Worst {
    fn add(&mut self, span: Duration) {
        self.0 = self.0.max(span);
    }

    fn ms(&self) -> f64 {
        self.0.as_secs_f64() * 1e3
    }
}

fn ns_each(begun: Instant, count: u64) -> f64 {
    begun.elapsed().as_secs_f64() * 1e9 / count as f64
}
