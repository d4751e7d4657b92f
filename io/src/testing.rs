//! Shared by the tests of this crate: both drivers, two cores, a child process.

use std::future::Future;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use crate::CoreId;
use crate::driver::{Driver, DriverChoice, DriverReport, probe};
use crate::runtime::{self, Options, RING_ENTRIES_DEFAULT, run_here};

/// The drivers that this machine allows; epoll is always among them.
pub(crate) fn drivers() -> Vec<DriverReport> {
    let mut found = vec![DriverReport::assume(Driver::Epoll)];
    match probe(DriverChoice::IoUring, 2, RING_ENTRIES_DEFAULT) {
        Ok(report) => found.push(report),
        Err(refused) => eprintln!("testing on epoll only: {refused}"),
    }
    found
}

/// Runs a test on one unpinned core, once for each driver.
pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(Driver) -> F) {
    for report in drivers() {
        eprintln!("driver {}", report.driver);
        run_here(report.driver, test(report.driver)).unwrap();
    }
}

/// Options for up to `cores` cores of this machine.
pub(crate) fn options(report: &DriverReport, cores: usize) -> Options {
    let mut cpus = runtime::affinity();
    cpus.truncate(cores);
    Options {
        cpus,
        driver: report.clone(),
        ring_entries: RING_ENTRIES_DEFAULT,
        tasks_max: runtime::TASKS_MAX_DEFAULT,
    }
}

/// Serializes the tests that load or measure the cpus.
fn cpus_to_oneself() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two cores are considered stuck after this time. It is long, since on a busy machine a cpu is
/// handed over late, and each message between cores waits for that.
const HANGS_AFTER: Duration = Duration::from_secs(600);

/// Runs `body` on two cores and returns their results, or fails if they are stuck. Returns `None`
/// if the machine has only one cpu.
pub(crate) fn on_two<T, F>(report: &DriverReport, body: F) -> Option<Vec<T>>
where
    T: Send + 'static,
    F: Fn(CoreId) -> Pin<Box<dyn Future<Output = T>>> + Clone + Send + 'static,
{
    let options = options(report, 2);
    if options.cpus.len() < 2 {
        eprintln!("skipped: this wants two cpus");
        return None;
    }
    let _turn = cpus_to_oneself();
    let (done, results) = mpsc::channel();
    let run = move || {
        runtime::run_cores(options, move |core| {
            let (body, done) = (body.clone(), done.clone());
            Box::pin(async move {
                let made = body(core).await;
                let _ = done.send((core, made));
            })
        })
    };
    let cores = std::thread::Builder::new().spawn(run).unwrap();
    let mut made = Vec::new();
    for _ in 0..2 {
        made.push(results.recv_timeout(HANGS_AFTER).expect("a core did not end in time"));
    }
    cores.join().unwrap().unwrap();
    made.sort_by_key(|(core, _)| *core);
    Some(made.into_iter().map(|(_, made)| made).collect())
}

/// The variable that tells a test that it runs in its own child process.
const CHILD: &str = "M3_IO_TEST_CHILD";

/// Whether this process is the child that runs the test of that name.
pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|name| name == test)
}

/// Runs one test in a process of its own; returns whether it passed, and its stderr.
pub(crate) fn run_child(test: &str) -> (bool, String) {
    let _turn = cpus_to_oneself();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}
