//! monoio, with the ring flags that serve it best.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use monoio::buf::IoBuf;
use monoio::fs::{File, OpenOptions};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{FusionDriver, RuntimeBuilder};

use crate::runtime::{
    Body, READ_BYTES, RING_ENTRIES, Runtime, any_port, log_flags, on_threads, pin,
};

/// What the address of a buffer for O_DIRECT is a multiple of.
const ALIGNMENT: usize = 4096;

pub(crate) struct Monoio;

impl Runtime for Monoio {
    type Log = (File, Vec<u8>);

    fn run<F>(cores: usize, body: F) -> Result<(), String>
    where
        F: Fn(usize) -> Body + Clone + Send + 'static,
    {
        on_threads(cores, move |core, cpu| {
            pin(cpu);
            let mut ring = io_uring::IoUring::builder();
            ring.setup_coop_taskrun().setup_taskrun_flag();
            let builder = RuntimeBuilder::<FusionDriver>::new()
                .with_entries(RING_ENTRIES)
                .uring_builder(ring)
                .enable_timer();
            let mut runtime = builder.build().map_err(|e| format!("a core does not start: {e}"))?;
            runtime.block_on(body(core));
            Ok(())
        });
        Ok(())
    }

    fn spawn(task: impl Future<Output = ()> + 'static) {
        drop(monoio::spawn(task));
    }

    async fn yield_now() {
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    async fn sleep(span: Duration) {
        monoio::time::sleep(span).await;
    }

    async fn serve(bound: mpsc::Sender<SocketAddr>) {
        let listener = TcpListener::bind(any_port()).expect("a free port");
        let _ = bound.send(listener.local_addr().expect("it is bound"));
        loop {
            let (stream, _) = listener.accept().await.expect("it can be accepted");
            Self::spawn(echo(stream));
        }
    }

    async fn open(path: &Path) -> io::Result<Self::Log> {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(log_flags());
        Ok((options.open(path).await?, Vec::new()))
    }

    async fn write(log: &mut Self::Log, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (file, spare) = log;
        let mut memory = std::mem::take(spare);
        memory.resize(bytes.len() + ALIGNMENT, 0);
        let begin = memory.as_ptr().align_offset(ALIGNMENT);
        memory[begin..begin + bytes.len()].copy_from_slice(bytes);
        let aligned = memory.slice(begin..begin + bytes.len());
        let (written, aligned) = file.write_all_at(aligned, offset).await;
        *spare = aligned.into_inner();
        written
    }
}

async fn echo(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buf = Vec::with_capacity(READ_BYTES);
    while let (Ok(1..), got) = stream.read(buf).await {
        let (sent, back) = stream.write_all(got).await;
        if sent.is_err() {
            return;
        }
        buf = back;
        buf.clear();
    }
}
