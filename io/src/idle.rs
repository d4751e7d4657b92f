//! CPU-heavy work beside a core: a thread on the same cpu that runs only while the core does not.
//!
//! Sealing, merging and compressing run here. The kernel's SCHED_IDLE class lets the core go first
//! without their cooperation. Data moves in with the job and comes back with its result.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::error::{Gone, IoError};
use crate::{affinity, oneshot};

/// Most jobs that wait for a helper; [`Helper::run`] waits if there are more.
pub const QUEUE_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A SCHED_IDLE thread on one cpu. Clones share it. After the last clone is dropped it finishes its
/// jobs and ends.
#[derive(Clone, Debug)]
pub struct Helper {
    jobs: flume::Sender<Job>,
}

impl Helper {
    /// Starts a helper on `cpu`.
    ///
    /// # Errors
    /// `CoreStart` if the thread cannot be created. If pinning or the idle class is refused, a
    /// warning is logged and the thread runs without it.
    pub fn start(cpu: usize) -> Result<Helper, IoError> {
        let (jobs, queue) = flume::bounded::<Job>(QUEUE_MAX);
        let work = move || {
            if let Err(error) = affinity::pin(cpu).and_then(|()| affinity::become_idle_class()) {
                tracing::warn!(cpu, %error, "helper thread has no idle priority and competes with its core");
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

    /// The number of waiting jobs.
    pub fn backlog(&self) -> usize {
        self.jobs.len()
    }

    /// Runs `job` on the helper, after earlier jobs. A queued job runs even if the future is
    /// dropped.
    ///
    /// # Errors
    /// [`Gone`] if the job panicked. The panic is reported on stderr and the helper continues.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Gone>> + 'static {
        let (reply_to, reply) = oneshot();
        let job: Job = Box::new(move || {
            // The job owns everything it touches, so a panic cannot leave half-changed state
            // behind.
            if let Ok(value) = catch_unwind(AssertUnwindSafe(job)) {
                reply_to.send(value);
            }
        });
        let jobs = self.jobs.clone();
        async move {
            jobs.send_async(job).await.map_err(|_| Gone)?;
            // Otherwise this handle would keep the helper alive while it waits for the answer.
            drop(jobs);
            reply.await
        }
    }
}
