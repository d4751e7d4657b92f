//! The server under load, if we run it: start, wait, kill, stop.

use crate::client::{Connection, Target};
use crate::process;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time until a server is ready, or answers.
pub(crate) const READY_MAX: Duration = Duration::from_secs(300);
const STOP_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// Longest time that the port stays taken after the process has ended.
const FREE_MAX: Duration = Duration::from_secs(10);

/// Waits until nobody listens at `target` and returns how long that took. The kernel closes the
/// sockets of an io_uring some time after its process has ended.
pub(crate) fn wait_free(target: &Target) -> Result<Duration, String> {
    let begun = Instant::now();
    while Connection::open(target).is_ok() {
        if begun.elapsed() > FREE_MAX {
            return Err(format!("something else listens at {}", target.address));
        }
        std::thread::sleep(POLL);
    }
    Ok(begun.elapsed())
}

/// A server's process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    started: Instant,
}

impl Server {
    /// Starts `command`, which will listen at `target`; its output is appended to the file `log`.
    pub(crate) fn start(
        command: &[String],
        target: &Target,
        log: Option<&Path>,
    ) -> Result<Self, String> {
        wait_free(target)?;
        let (program, args) = command.split_first().ok_or("no command after --")?;
        let output = || match log {
            None => Ok(Stdio::null()),
            Some(log) => {
                let file = File::options().create(true).append(true).open(log);
                file.map(Stdio::from).map_err(|e| format!("{}: {e}", log.display()))
            }
        };
        let mut to_run = Command::new(program);
        to_run.args(args).stdin(Stdio::null()).stdout(output()?).stderr(output()?);
        let started = Instant::now();
        let child = to_run.spawn().map_err(|e| format!("{program}: {e}"))?;
        Ok(Self { child, started })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `path` is answered with 200 and returns the time since the start.
    pub(crate) fn wait_ready(&mut self, target: &Target, path: &str) -> Result<Duration, String> {
        let request = target.get(path);
        loop {
            let status = Connection::open(target).and_then(|mut c| c.exchange(request.as_bytes()));
            if status == Ok(200) {
                return Ok(self.started.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended before it was ready: {status}"));
            }
            if self.started.elapsed() > READY_MAX {
                return Err(format!("the server is not ready after {READY_MAX:?}: {status:?}"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Time since the start.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Kills it, like a crash.
    pub(crate) fn kill(mut self) -> Result<(), String> {
        self.child.kill().map_err(|e| e.to_string())?;
        self.child.wait().map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Stops it like an operator would; kills it if it does not stop.
    pub(crate) fn stop(mut self) {
        process::ask_to_end(self.pid());
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
