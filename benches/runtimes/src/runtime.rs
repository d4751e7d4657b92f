//! What the patterns need of a runtime, so that each pattern is written once.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

/// What a core runs.
pub(crate) type Body = Pin<Box<dyn Future<Output = ()>>>;

/// Bytes a connection reads at most at once.
pub(crate) const READ_BYTES: usize = 64 << 10;
/// Entries of a ring.
pub(crate) const RING_ENTRIES: u32 = 1024;

/// One of the compared runtimes.
pub(crate) trait Runtime: 'static {
    /// A file that is written past the page cache; a write has reached the disk when it is done.
    type Log: 'static;

    /// Runs `body` with each core's number on as many threads as `cores`, the first on the first
    /// cpu. Returns when all have ended.
    ///
    /// # Errors
    /// Why the runtime does not start here.
    fn run<F>(cores: usize, body: F) -> Result<(), String>
    where
        F: Fn(usize) -> Body + Clone + Send + 'static;

    /// Starts a task on this core.
    fn spawn(task: impl Future<Output = ()> + 'static);

    /// Starts a task with much work and low priority, where there are priorities.
    fn spawn_busy(task: impl Future<Output = ()> + 'static) {
        Self::spawn(task);
    }

    /// Lets other tasks of this core run.
    async fn yield_now();

    /// Waits.
    async fn sleep(span: Duration);

    /// Accepts connections for ever and sends back what comes on each. Says first where.
    async fn serve(bound: mpsc::Sender<SocketAddr>);

    /// Opens a file that exists.
    async fn open(path: &Path) -> io::Result<Self::Log>;

    /// Writes whole blocks. They are copied once, since each runtime has a buffer of its own.
    async fn write(log: &mut Self::Log, bytes: &[u8], offset: u64) -> io::Result<()>;
}

/// Any free port of this machine.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Flags of a file whose writes bypass the page cache and are durable when they are done.
pub(crate) fn log_flags() -> i32 {
    (rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC).bits() as i32
}

/// Pins the calling thread, if the system lets it.
pub(crate) fn pin(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    if let Err(error) = sched_setaffinity(None, &cpus) {
        eprintln!("not pinned to cpu {cpu}: {error}");
    }
}

/// Runs `core` on as many threads as `cores`, with the core's number and its cpu. A core that does
/// not start ends the process, since the others would wait for it.
pub(crate) fn on_threads<F>(cores: usize, core: F)
where
    F: Fn(usize, usize) -> Result<(), String> + Clone + Send + 'static,
{
    let cpus = m3_io::runtime::affinity();
    let start = |(number, cpu)| {
        let core = core.clone();
        thread::spawn(move || {
            if let Err(why) = core(number, cpu) {
                eprintln!("{why}");
                std::process::exit(1);
            }
        })
    };
    let threads: Vec<_> = cpus.into_iter().take(cores).enumerate().map(start).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no core panics"));
}
