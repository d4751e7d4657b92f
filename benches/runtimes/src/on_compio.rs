//! compio, as the node uses it: through `m3_io`, with its ring flags and its large wake queue.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use m3_io::driver::{DriverChoice, probe};
use m3_io::file::{Blocks, File};
use m3_io::net::{TcpListener, TcpStream};
use m3_io::runtime;

use crate::runtime::{Body, READ_BYTES, RING_ENTRIES, Runtime, any_port};

pub(crate) struct Compio;

impl Runtime for Compio {
    type Log = (File, Blocks);

    fn run<F>(cores: usize, body: F) -> Result<(), String>
    where
        F: Fn(usize) -> Body + Clone + Send + 'static,
    {
        let driver = probe(DriverChoice::Auto, cores, RING_ENTRIES).map_err(|e| e.to_string())?;
        let options = runtime::Options {
            cpus: runtime::affinity().into_iter().take(cores).collect(),
            driver,
            ring_entries: RING_ENTRIES,
            tasks_max: runtime::TASKS_MAX_DEFAULT,
        };
        runtime::run_cores(options, move |core| body(core.index())).map_err(|e| e.to_string())
    }

    fn spawn(task: impl Future<Output = ()> + 'static) {
        m3_io::spawn(task);
    }

    async fn yield_now() {
        m3_io::yield_now().await;
    }

    async fn sleep(span: Duration) {
        m3_io::time::sleep(span).await;
    }

    async fn serve(bound: mpsc::Sender<SocketAddr>) {
        let listener = TcpListener::bind(any_port(), Default::default()).expect("a free port");
        let _ = bound.send(listener.local_addr());
        loop {
            let (stream, _) = listener.accept().await.expect("it can be accepted");
            m3_io::spawn(echo(stream));
        }
    }

    async fn open(path: &Path) -> io::Result<Self::Log> {
        Ok((File::open_direct(path).await?, Blocks::default()))
    }

    async fn write(log: &mut Self::Log, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (file, spare) = log;
        let mut blocks = std::mem::take(spare);
        blocks.resize(0);
        blocks.extend(bytes);
        let (written, blocks) = file.write_blocks_at(blocks, offset).await;
        *spare = blocks;
        written
    }
}

async fn echo(stream: TcpStream) {
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
