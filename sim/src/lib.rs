//! Runs the whole node in a world generated from a seed, with clients that keep a ledger.
//!
//! [`run`] runs one seed. Clients write, read, create and delete a namespace. The node is killed,
//! loses power, is stopped, gets errors from its files, and is started again, each time with
//! another number of cores. Suggested reading order: [`ledger`] (what must hold), `clients` (what
//! is done), [`client`] (HTTP), this file (the lives of the node). [`session`] is for tests that
//! tell a story instead.
//!
//! Always holds: a seed gives the same run each time ([`Report::trace`]), so its number is enough
//! to replay a failure: `cargo run -p m3-sim -- --seed N`.

pub mod client;
mod clients;
pub mod ledger;
pub mod session;

use clients::Clients;
use m3_io::sim::{Crash, Direct, End, Faults, NodeEnded, Rng, World};
use m3_io::time;
use m3ring::config::{Command, Config};
use m3ring::node::{self, NodeError};
use m3ring::settings::Settings;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// Figures of a run, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A hash over every step: the same for the same seed.
    pub trace: u64,
    /// Steps of the scheduler.
    pub polls: u64,
    /// Samples acknowledged.
    pub acked: u64,
    /// Samples compared with the ledger.
    pub read: u64,
    /// Namespaces created.
    pub created: u64,
    /// Namespaces deleted.
    pub deleted: u64,
    /// Times the node was started.
    pub lives: u64,
    /// How lives ended: kills, power cuts, orderly stops, and stops by the node itself after a
    /// fault.
    pub kills: u64,
    /// See `kills`.
    pub cuts: u64,
    /// See `kills`.
    pub stops: u64,
    /// See `kills`.
    pub faults: u64,
}

impl Report {
    /// Adds the figures of another run.
    pub fn add(&mut self, other: &Report) {
        self.trace ^= other.trace;
        self.polls += other.polls;
        self.acked += other.acked;
        self.read += other.read;
        self.created += other.created;
        self.deleted += other.deleted;
        self.lives += other.lives;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.stops += other.stops;
        self.faults += other.faults;
    }
}

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// What was seen.
    pub text: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, text } = self;
        write!(f, "seed {seed}: {text}\nagain: cargo run -p m3-sim -- --seed {seed}")
    }
}

/// Most lives of a node before the last one.
const LIVES_MAX: u64 = 6;

/// Runs `seed`.
///
/// # Errors
/// [`Failure`] if an acknowledged sample is lost, if something is read that was never sent, or if
/// the node ends in a way that it must not.
pub fn run(seed: u64) -> Result<Report, Failure> {
    let world = World::new(seed);
    let ran = catch_unwind(AssertUnwindSafe(|| world.enter(|| Life::new(&world, seed).all())));
    ran.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Failure { seed, text: text.unwrap_or_else(|| "a panic without a text".to_owned()) }
    })
}

/// What the node logs when it stops because its disk failed.
const STOPPING: [&str; 2] = ["commit log failed", "store of cluster documents failed"];

/// The lives of the node, one after another, on the same disk.
struct Life {
    world: Rc<World>,
    rng: Rng,
    clients: Clients,
    settings: Settings,
    report: Report,
    /// Panics that were caught on this thread before this seed.
    caught_before: u64,
}

impl Life {
    fn new(world: &Rc<World>, seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_add(0x11fe));
        let settings = settings(&mut rng);
        let clients = Clients::start(world, &mut rng, settings.config.http_listen);
        let (world, report) = (Rc::clone(world), Report::default());
        Self { world, rng, clients, settings, report, caught_before: m3_io::panics::caught() }
    }

    fn all(mut self) -> Report {
        for _ in 0..self.rng.between(2, LIVES_MAX) {
            self.one();
        }
        self.last();
        Report {
            trace: self.world.trace(),
            polls: self.world.polls(),
            ..self.clients.report(self.report)
        }
    }

    /// A life that ends by a crash, a fault or a signal.
    fn one(&mut self) {
        self.settings.cpus = (0..self.rng.between(1, 3) as usize).collect();
        let faults = self.faults();
        self.world.set_faults(faults);
        let before = self.world.injected();
        let ends = Rc::new(Cell::new(false));
        self.end_some_time(&ends);
        let ended = self.start();
        // If its end has not been due yet, it must not come in the next life.
        ends.set(true);
        let injected = self.world.injected() - before;
        self.world.set_faults(Faults { short: faults.short, ..Faults::default() });
        self.judge(ended, injected);
        self.clients.node_ended();
    }

    /// The faults of this life: mostly none.
    fn faults(&mut self) -> Faults {
        let short = if self.rng.chance(500) { 30 } else { 0 };
        let none = Faults { short, ..Faults::default() };
        match self.rng.below(8) {
            0 => Faults { sync: 20, ..none },
            1 => Faults { write: 10, full: 10, ..none },
            2 => Faults { read: 30, ..none },
            3 => Faults { read: 3, write: 3, full: 3, sync: 5, ..none },
            _ => none,
        }
    }

    /// Plans the end of the next life.
    fn end_some_time(&mut self, is_over: &Rc<Cell<bool>>) {
        // Some ends come while the node is still starting.
        let most = if self.rng.chance(200) { 20 } else { 1500 };
        let after = Duration::from_micros(self.rng.between(100, most * 1000));
        let how = match self.rng.below(20) {
            0..7 => Some(Crash::Process),
            7..16 => Some(Crash::Power),
            _ => None,
        };
        let (world, is_over) = (Rc::clone(&self.world), Rc::clone(is_over));
        self.world.spawn(async move {
            time::sleep(after).await;
            if is_over.get() {
                return;
            }
            match how {
                Some(how) => world.crash(how),
                None => world.terminate(),
            }
        });
    }

    fn start(&mut self) -> Option<Result<(), NodeError>> {
        self.report.lives += 1;
        // It may change in each life, so a life may or may not continue with direct writes what an
        // earlier one wrote.
        self.world.set_direct(match self.rng.below(6) {
            0 => Direct::NotOpened,
            1 => Direct::NotWritten,
            _ => Direct::Taken,
        });
        let run = || node::run(&self.settings, |_| {});
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<NodeEnded>() => None,
            // A client saw a broken promise.
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }

    fn judge(&mut self, ended: Option<Result<(), NodeError>>, injected: u64) {
        // A request that panics is answered, so no client would notice.
        let caught = m3_io::panics::caught() - self.caught_before;
        assert_eq!(caught, 0, "the work of requests panicked");
        match (ended, self.world.end()) {
            (Some(Ok(())), _) => self.report.stops += 1,
            (Some(Err(error)), _) => {
                assert!(injected > 0, "the node did not start: {error}");
                self.report.faults += 1;
            }
            (None, End::Crashed(Crash::Process)) => self.report.kills += 1,
            (None, End::Crashed(Crash::Power)) => self.report.cuts += 1,
            (None, End::Panicked(text)) => {
                let is_known = STOPPING.iter().any(|reason| text.contains(reason));
                assert!(injected > 0 && is_known, "the node panicked: {text}");
                self.report.faults += 1;
            }
            (None, End::Returned) => panic!("the node ended in no known way"),
        }
    }

    /// The last life: nothing fails, and everything is compared.
    fn last(&mut self) {
        self.settings.cpus = (0..self.rng.between(1, 3) as usize).collect();
        self.world.set_faults(Faults::default());
        self.clients.compare_and_stop(&self.world);
        let ended = self.start();
        assert!(matches!(ended, Some(Ok(()))), "the last life: {ended:?}, {:?}", self.world.end());
        assert!(self.clients.has_compared(), "the last life ended before it was compared");
        assert_eq!(m3_io::panics::caught(), self.caught_before, "the work of requests panicked");
    }
}

/// Settings of a node with small segments, so that new ones begin often.
fn settings(rng: &mut Rng) -> Settings {
    let loaded = Config::load([], |_| None, |_| Err(std::io::ErrorKind::NotFound.into()));
    let Ok(Command::Run(config)) = loaded else { panic!("the default configuration: {loaded:?}") };
    let mut settings = Settings::from_config(&config).expect("the default configuration is good");
    settings.config.data_dir = PathBuf::from("/data");
    settings.config.http_listen = "127.0.0.1:7201".parse().expect("an address");
    settings.config.metrics_listen = "127.0.0.1:7203".parse().expect("an address");
    settings.segment_bytes = 16 << (10 + rng.below(4));
    settings.memory_limit = u64::MAX;
    settings
}
