//! CPU-heavy work beside a core: a thread on the same cpu that runs only when the core does not.
//!
//! Sealing, merging and compressing go here. The kernel's SCHED_IDLE class keeps them out of the
//! core's way without any co-operation; data goes in owned and comes back owned.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::error::{Gone, IoError};
use crate::{affinity, oneshot};

/// Jobs that wait for a helper at most; [`Helper::run`] waits beyond.
pub const QUEUE_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A SCHED_IDLE thread on one cpu. Cloning shares it; it ends, after the jobs it has, when the
/// last clone is dropped.
#[derive(Clone, Debug)]
pub struct Helper {
    jobs: flume::Sender<Job>,
}

impl Helper {
    /// Starts the helper of `cpu`.
    ///
    /// # Errors
    /// `CoreStart` if the thread cannot be made. Where pinning or the idle class is refused, a
    /// warning is logged and the thread runs without.
    pub fn start(cpu: usize) -> Result<Helper, IoError> {
        let (jobs, queue) = flume::bounded::<Job>(QUEUE_MAX);
        let work = move || {
            if let Err(error) = affinity::pin(cpu).and_then(|()| affinity::become_idle_class()) {
                tracing::warn!(cpu, %error, "helper thread competes with its core");
            }
            queue.iter().for_each(|job| job());
        };
        let spawned = thread::Builder::new().name(format!("idle-{cpu}")).spawn(work);
        match spawned {
            Ok(_detached) => Ok(Helper { jobs }),
            Err(source) => Err(IoError::CoreStart {
                core: crate::runtime::current_core().map_or(0, |core| core.0),
                cpu,
                step: "starting its helper thread",
                source,
            }),
        }
    }

    /// Jobs that wait.
    pub fn backlog(&self) -> usize {
        self.jobs.len()
    }

    /// Runs `job` on the helper, after those before it. A job once queued runs even if the future
    /// is dropped.
    ///
    /// # Errors
    /// [`Gone`] if the job panicked (the panic is reported on stderr); the helper goes on.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Gone>> + 'static {
        let (reply_to, reply) = oneshot();
        let job: Job = Box::new(move || {
            // The job owns all it touches, so nothing half-changed is seen after a panic.
            if let Ok(value) = catch_unwind(AssertUnwindSafe(job)) {
                reply_to.send(value);
            }
        });
        let jobs = self.jobs.clone();
        async move {
            jobs.send_async(job).await.map_err(|_| Gone)?;
            // While waiting for the answer the helper may go when all handles do.
            drop(jobs);
            reply.await
        }
    }
}
