//! Group commit: writers hand records to one task, which makes all that wait durable by one write
//! and then tells the writers.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use m3_io::mesh::{Port, mesh};
use m3_io::{CoreId, ReplyTo, oneshot};

use super::{Size, done, figure, process_cpu_ns};
use crate::runtime::Runtime;

const RECORD_BYTES: usize = 64 << 10;
/// Bytes of the file, which is written round and round.
const FILE_BYTES: usize = 128 << 20;
const WRITERS: usize = 16;

/// A writer waits for its record.
type Waiting = ReplyTo<()>;

pub(super) fn run<R: Runtime>(size: Size) -> Result<(), String> {
    for writers in [1, WRITERS] {
        let log = Log::create().map_err(|e| format!("no file to write to: {e}"))?;
        let path = log.path.clone();
        R::run(1, move |_| Box::pin(measure::<R>(path.clone(), writers, size)))?;
    }
    done()
}

async fn measure<R: Runtime>(path: PathBuf, writers: usize, size: Size) {
    let port = mesh(1, writers).pop().map(Rc::new).expect("one core has one port");
    for _ in 0..writers {
        R::spawn(write(Rc::clone(&port)));
    }
    let mut log = R::open(&path).await.expect("the file can be written past the page cache");
    let record = vec![0xa5; RECORD_BYTES];
    let (mut frame, mut waiting) = (Vec::new(), Vec::new());
    let (mut offset, mut records) = (0, 0);
    let span = size.span(Duration::from_millis(1500));
    let (begun, cpu_ns) = (Instant::now(), process_cpu_ns());
    while begun.elapsed() < span {
        port.recv_batch(&mut waiting, writers).await;
        frame.clear();
        waiting.iter().for_each(|_: &Waiting| frame.extend_from_slice(&record));
        if offset + frame.len() > FILE_BYTES {
            offset = 0;
        }
        R::write(&mut log, &frame, offset as u64).await.expect("the file can be written");
        offset += frame.len();
        records += waiting.len();
        waiting.drain(..).for_each(|writer| writer.send(()));
    }
    let mib = (records * RECORD_BYTES) as f64 / f64::from(1 << 20);
    let name = format!("{writers} x 64 KiB, durable");
    figure(&format!("{name}, MiB/s"), mib / begun.elapsed().as_secs_f64());
    let cpu_us = (process_cpu_ns() - cpu_ns) / 1e3;
    figure(&format!("{name}, µs of CPU a record"), cpu_us / records as f64);
}

async fn write(port: Rc<Port<Waiting>>) {
    loop {
        let (reply_to, reply) = oneshot();
        if port.send(CoreId(0), reply_to).await.is_err() || reply.await.is_err() {
            return;
        }
    }
}

/// A file whose blocks were written before, as those of a recycled log.
struct Log {
    path: PathBuf,
}

impl Log {
    fn create() -> io::Result<Self> {
        let log = Self { path: path_of(std::process::id()) };
        fill(&log.path)?;
        Ok(log)
    }
}

fn path_of(process: u32) -> PathBuf {
    let dir = std::env::var_os("M3RING_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    dir.join(format!("m3-runtimes-{process}"))
}

/// Removes what a process has left that was killed or ended early.
pub(crate) fn clean_up_after(process: u32) {
    let _ = fs::remove_file(path_of(process));
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let block = vec![0; 1 << 20];
    (0..FILE_BYTES / block.len()).try_for_each(|_| file.write_all(&block))?;
    file.sync_all()
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
