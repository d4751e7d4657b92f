//! glommio: all tasks in one queue, or busy ones in a queue of their own.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::io::{DmaFile, OpenOptions};
use glommio::net::{TcpListener, TcpStream};
use glommio::{Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle};

use crate::runtime::{Body, READ_BYTES, RING_ENTRIES, Runtime, any_port, log_flags, on_threads};

/// With `WITH_QUEUES`, busy tasks have a queue of their own with a hundredth of the shares.
pub(crate) struct Glommio<const WITH_QUEUES: bool>;

thread_local! {
    /// The queues of this core: for requests, and for busy tasks.
    static OWN_QUEUES: Cell<Option<(TaskQueueHandle, TaskQueueHandle)>> = const { Cell::new(None) };
}

fn make_queues() {
    let executor = glommio::executor();
    let soon = Latency::Matters(Duration::from_micros(500));
    let requests = executor.create_task_queue(Shares::Static(1000), soon, "requests");
    let busy = executor.create_task_queue(Shares::Static(10), Latency::NotImportant, "busy");
    OWN_QUEUES.set(Some((requests, busy)));
}

fn spawn_into(queue: Option<TaskQueueHandle>, task: impl Future<Output = ()> + 'static) {
    let started = match queue {
        Some(queue) => glommio::spawn_local_into(task, queue).expect("the queue exists"),
        None => glommio::spawn_local(task),
    };
    started.detach();
}

impl<const WITH_QUEUES: bool> Runtime for Glommio<WITH_QUEUES> {
    type Log = DmaFile;

    fn run<F>(cores: usize, body: F) -> Result<(), String>
    where
        F: Fn(usize) -> Body + Clone + Send + 'static,
    {
        on_threads(cores, move |core, cpu| {
            let builder = LocalExecutorBuilder::new(Placement::Fixed(cpu));
            let made = builder.ring_depth(RING_ENTRIES as usize).make();
            let executor = made.map_err(|e| format!("a core does not start: {e}"))?;
            executor.run(async {
                if WITH_QUEUES {
                    make_queues();
                }
                body(core).await;
            });
            Ok(())
        });
        Ok(())
    }

    fn spawn(task: impl Future<Output = ()> + 'static) {
        spawn_into(OWN_QUEUES.get().map(|(requests, _)| requests), task);
    }

    fn spawn_busy(task: impl Future<Output = ()> + 'static) {
        spawn_into(OWN_QUEUES.get().map(|(_, busy)| busy), task);
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    async fn sleep(span: Duration) {
        glommio::timer::sleep(span).await;
    }

    async fn serve(bound: mpsc::Sender<SocketAddr>) {
        let listener = TcpListener::bind(any_port()).expect("a free port");
        let _ = bound.send(listener.local_addr().expect("it is bound"));
        loop {
            let stream = listener.accept().await.expect("it can be accepted");
            Self::spawn(echo(stream));
        }
    }

    async fn open(path: &Path) -> io::Result<Self::Log> {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(log_flags());
        options.dma_open(path).await.map_err(io::Error::from)
    }

    async fn write(log: &mut Self::Log, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut buf = log.alloc_dma_buffer(bytes.len());
        buf.as_bytes_mut().copy_from_slice(bytes);
        let written = log.write_at(buf, offset).await.map_err(io::Error::from)?;
        if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

async fn echo(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buf = vec![0; READ_BYTES];
    while let Ok(got @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..got]).await.is_err() {
            return;
        }
    }
}
