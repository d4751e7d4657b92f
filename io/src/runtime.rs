//! One pinned thread per cpu, each with its own runtime. All start together and end together.
//!
//! [`run_cores`] runs the node. [`run_here`] runs one core on the calling thread, for tests and
//! tools.
//!
//! Four guards make the underlying runtime fit for this, and each has a test: only rings of the
//! probed shape; cooperative task running, never deferred; a wake queue larger than the number of
//! tasks, so that two cores that wake each other cannot block each other; a bound on tasks
//! ([`crate::try_spawn`]).
//!
//! Always holds: a panic on a core ends the process, unless it is caught as described in
//! [`crate::panics`]. The other cores never continue without a core that has ended.

pub(crate) mod core;
#[cfg(test)]
pub(crate) mod tests;

use std::future::{Future, poll_fn};
use std::io;
use std::panic::PanicHookInfo;
use std::pin::{Pin, pin};
use std::sync::{Once, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use compio::driver::{DriverType, ProactorBuilder};

use crate::driver::{Driver, DriverReport};
use crate::error::IoError;
use crate::{CoreId, affinity, blocking, panics, pool, spawn_join, time};

/// Options of the cores.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cpus: one core is created and pinned for each.
    pub cpus: Vec<usize>,
    /// The result of [`crate::driver::probe`].
    pub driver: DriverReport,
    /// Submission entries of each ring; a power of two.
    pub ring_entries: u32,
    /// Tasks a core runs at most before [`crate::try_spawn`] refuses.
    pub tasks_max: usize,
}

/// Default of `ring_entries`. A full ring costs one extra system call and loses nothing.
pub const RING_ENTRIES_DEFAULT: u32 = 1024;
/// Default of `tasks_max`.
pub const TASKS_MAX_DEFAULT: usize = 60_000;
/// Upper bound of `tasks_max`; the wake queue takes 16 bytes per task.
pub const TASKS_MAX_LIMIT: usize = 1 << 20;
/// Room in the wake queue for the node's own tasks, which are not bounded.
const TASKS_RESERVED: usize = 5_536;
/// Stack of a core's thread in bytes.
const STACK_BYTES: usize = 8 << 20;
/// Most cores of one node; a CoreId must be able to number them.
pub const CORES_MAX: usize = 1024;

/// The cpus that this process may use, ascending. Empty only if the kernel does not say.
pub fn affinity() -> Vec<usize> {
    let status = blocking::read_text("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let listed = list.and_then(|list| parse_cpu_list(list.trim()).ok());
    listed.unwrap_or_else(|| (0..thread::available_parallelism().map_or(0, usize::from)).collect())
}

/// Parses a list of cpus such as `0-3,8`. The result is ascending and without duplicates.
///
/// # Errors
/// `BadCpuList`, naming the wrong part.
pub fn parse_cpu_list(text: &str) -> Result<Vec<usize>, IoError> {
    let bad = |why: String| IoError::BadCpuList { given: text.to_owned(), why };
    let number = |part: &str| match part.trim().parse::<usize>() {
        Ok(cpu) if cpu <= usize::from(u16::MAX) => Ok(cpu),
        Ok(cpu) => Err(bad(format!("there is no cpu {cpu}"))),
        Err(_) if part.trim().is_empty() => Err(bad("a number is missing".to_owned())),
        Err(_) => Err(bad(format!("{:?} is not a number", part.trim()))),
    };
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(bad(format!("{first}-{last} runs backwards")));
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

/// The core of the calling thread; `None` on other threads.
pub fn current_core() -> Option<CoreId> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.core();
    }
    core::current()
}

/// The driver of the calling thread's runtime.
pub fn current_driver() -> Driver {
    core::driver()
}

type Body = Pin<Box<dyn Future<Output = ()>>>;

/// Starts a core for each of `options.cpus`, runs `body` on each to its end, and returns when all
/// have ended. No body starts before every core has been created. Tasks that still run on a core
/// when its body ends are dropped.
///
/// # Errors
/// `BadOption`, `CpuNotAllowed` or `CoreStart`; then no body has run.
///
/// A panic on a core prints core, place and message and aborts the process.
pub fn run_cores<F>(options: Options, body: F) -> Result<(), IoError>
where
    F: Fn(CoreId) -> Body + Clone + Send + 'static,
{
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        world.run_cores(options.cpus.len(), &body);
        return Ok(());
    }
    check(&options)?;
    watch_panics();
    let mut threads = Vec::with_capacity(options.cpus.len());
    let mut starts = Vec::with_capacity(options.cpus.len());
    let (ready, readiness) = mpsc::channel();
    for (id, &cpu) in (0..=u16::MAX).map(CoreId).zip(&options.cpus) {
        let (start, started) = mpsc::channel::<()>();
        let plan =
            CorePlan { core: id, cpu, options: options.clone(), ready: ready.clone(), started };
        let body = body.clone();
        let spawned = thread::Builder::new()
            .name(format!("core-{id}"))
            .stack_size(STACK_BYTES)
            .spawn(move || plan.run(body));
        match spawned {
            Ok(handle) => threads.push(handle),
            Err(source) => {
                let refused =
                    IoError::CoreStart { core: id.0, cpu, step: "starting its thread", source };
                let _ = ready.send(Err(refused));
            }
        }
        starts.push(start);
    }
    drop(ready);
    // Each thread reports once whether it was created; the iterator ends when all have reported.
    let made: Result<(), IoError> = readiness.iter().collect();
    if made.is_ok() {
        for start in &starts {
            let _ = start.send(());
        }
    }
    // A core whose sender is dropped without a message ends.
    drop(starts);
    for handle in threads {
        let core = handle.thread().name().unwrap_or("core").to_owned();
        if handle.join().is_err() {
            // Our panic hook has aborted before this, unless another hook replaced it.
            eprintln!("{core} panicked; stopping");
            std::process::abort();
        }
    }
    made
}

fn check(options: &Options) -> Result<(), IoError> {
    let bad =
        |name, given: String, allowed: String| Err(IoError::BadOption { name, given, allowed });
    let cores = options.cpus.len();
    if cores == 0 || cores > CORES_MAX {
        return bad("number of cores", cores.to_string(), format!("1 to {CORES_MAX}"));
    }
    let entries = options.ring_entries;
    if !entries.is_power_of_two() || entries > 32_768 {
        return bad("ring_entries", entries.to_string(), "a power of two up to 32768".to_owned());
    }
    if options.tasks_max == 0 || options.tasks_max > TASKS_MAX_LIMIT {
        let given = options.tasks_max.to_string();
        return bad("tasks_max", given, format!("1 to {TASKS_MAX_LIMIT}"));
    }
    let allowed = affinity();
    for (i, cpu) in options.cpus.iter().enumerate() {
        if !allowed.contains(cpu) {
            return Err(IoError::CpuNotAllowed { cpu: *cpu, allowed });
        }
        if options.cpus[..i].contains(cpu) {
            return bad("cpus", format!("cpu {cpu} twice"), "each cpu once".to_owned());
        }
    }
    Ok(())
}

/// Everything that a thread needs to become a core.
struct CorePlan {
    core: CoreId,
    cpu: usize,
    options: Options,
    ready: mpsc::Sender<Result<(), IoError>>,
    started: mpsc::Receiver<()>,
}

impl CorePlan {
    fn run(self, body: impl Fn(CoreId) -> Body) {
        core::become_core(self.core);
        let made = self.prepare();
        let (runtime, verdict) = match made {
            Ok(runtime) => (Some(runtime), Ok(())),
            Err(refused) => (None, Err(refused)),
        };
        let _ = self.ready.send(verdict);
        drop(self.ready);
        // If there is no start message, another core could not be created.
        if let (Some(runtime), Ok(())) = (runtime, self.started.recv()) {
            // The root future is polled at every turn of the event loop, so it must not do work
            // itself.
            block_on(&runtime, async { spawn_join(body(self.core)).await });
        }
    }

    fn prepare(&self) -> Result<compio::runtime::Runtime, IoError> {
        let refuse = |step| {
            let (core, cpu) = (self.core.0, self.cpu);
            move |source| IoError::CoreStart { core, cpu, step, source }
        };
        match affinity::pin(self.cpu) {
            // A sandbox that forbids pinning still runs the node, only less evenly.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                tracing::warn!(core = self.core.0, cpu = self.cpu, error = %e, "core is not pinned to its cpu");
            }
            other => other.map_err(refuse("pinning its thread"))?,
        }
        let options = &self.options;
        build(&options.driver, options.ring_entries, options.tasks_max)
            .map_err(refuse("building its runtime"))
    }
}

/// Builds this thread's runtime and records it for the thread.
fn build(
    report: &DriverReport,
    ring_entries: u32,
    tasks_max: usize,
) -> io::Result<compio::runtime::Runtime> {
    let mut proactor = ProactorBuilder::new();
    proactor.capacity(ring_entries).thread_pool_limit(pool::THREADS);
    match report.driver {
        Driver::IoUring => {
            // Cooperative, not deferred: deferred work starves while the core stays awake.
            proactor.driver_type(DriverType::IoUring);
            proactor.coop_taskrun(report.cooperative).taskrun_flag(report.cooperative);
        }
        Driver::Epoll => {
            proactor.driver_type(DriverType::Poll);
        }
    }
    let mut builder = compio::runtime::Runtime::builder();
    builder.with_proactor(proactor).sync_queue_size(tasks_max + TASKS_RESERVED);
    let runtime = retry_out_of_memory(|| builder.build())?;
    core::note_runtime(report.driver, tasks_max);
    pool::reset();
    Ok(runtime)
}

/// The kernel frees the locked memory of dropped rings (those of the probe) with a short delay. So
/// if there is too little, this tries again.
fn retry_out_of_memory<T>(mut build: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..50 {
        match build() {
            Err(e) if e.raw_os_error() == Some(libc::ENOMEM) => pause(Duration::from_millis(20)),
            other => return other,
        }
    }
    build()
}

#[expect(clippy::disallowed_methods, reason = "no runtime exists yet on this thread")]
fn pause(span: Duration) {
    thread::sleep(span);
}

/// Runs `future` as the root future of `runtime`.
fn block_on<T>(runtime: &compio::runtime::Runtime, future: impl Future<Output = T>) -> T {
    // Sets the origin of the monotonic clock before anything is measured.
    let _ = time::now();
    runtime.block_on(async {
        let mut future = pin!(future);
        poll_fn(|cx| {
            core::watch_panics(cx.waker());
            assert!(!core::panicked(), "a task of this runtime panicked");
            let polled = future.as_mut().poll(cx);
            assert!(!core::panicked(), "a task of this runtime panicked");
            match polled {
                Poll::Ready(value) => Poll::Ready(value),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    })
}

/// Runs `future` to its end on the calling thread, which is not pinned and not a core. For tests,
/// benchmarks and tools. A panic in a task panics here.
///
/// # Errors
/// `CoreStart` if the runtime cannot be built, for example because io_uring is refused.
pub fn run_here<T>(driver: Driver, future: impl Future<Output = T>) -> Result<T, IoError> {
    let report = DriverReport::assume(driver);
    let runtime = build(&report, RING_ENTRIES_DEFAULT, TASKS_MAX_DEFAULT).map_err(|source| {
        IoError::CoreStart { core: 0, cpu: 0, step: "building its runtime", source }
    })?;
    Ok(block_on(&runtime, future))
}

/// Installs a panic hook, once per process: a panic on a core prints what a person needs and ends
/// the process.
fn watch_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let Some(core) = core::current() else {
                return before(info);
            };
            let scope = panics::note(info);
            if scope == panics::Scope::Caught {
                return;
            }
            report_panic(core, info);
            before(info);
            if scope == panics::Scope::Ends {
                std::process::abort();
            }
        }));
    });
}

fn report_panic(core: CoreId, info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("(no message)");
    let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
    // First to stderr, since the panic may have come from a log subscriber.
    eprintln!("core {core} panicked at {place}: {message}; stopping the process");
    tracing::error!(core = core.0, place, message, "core panicked, stopping the process");
}
