//! The basic costs of every request: messages between two cores, and the sync of a group.
//!
//! Each driver of `m3_io` is taken in turn; one that the kernel refuses is named and left out. The
//! cores run on their own threads. The thread that measures orders a number of rounds from core 0
//! and is told how long they took. The file lies in `M3RING_BENCH_DIR`, or in the system's
//! temporary directory: what a sync costs is the disk's own, and nothing at all on a tmpfs.

#![allow(clippy::print_stdout, reason = "what is left out is part of the output")]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use m3_benches::{criterion, size};
use m3_io::driver::{Driver, DriverChoice, DriverReport, probe};
use m3_io::file::{self, File};
use m3_io::mesh::{Port, mesh};
use m3_io::{CoreId, runtime, time};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Messages an inbox holds.
const INBOX: usize = 1024;
/// Messages taken at once.
const BATCH: usize = 256;
/// Bytes of a frame of the commit log.
const FRAME_BYTES: usize = 64 << 10;
/// Bytes of the file, which is written round and round.
const FILE_BYTES: usize = 64 << 20;
/// The core that works, and the core that answers it.
const ASKER: CoreId = CoreId(0);
const ANSWERER: CoreId = CoreId(1);

/// What passes between the two cores, and from the measuring thread to the asker.
enum Message {
    /// A message to be sent back.
    Ping(u64),
    /// One of many messages; the last one is answered.
    Part(u64, bool),
    /// Work to be timed.
    Order(Order),
    /// The last message.
    End,
}

/// A number of rounds of some work, and where to say how long they took.
struct Order {
    work: Work,
    rounds: u64,
    took: mpsc::Sender<Duration>,
}

#[derive(Clone, Copy)]
enum Work {
    /// A message there and its answer back.
    ThereAndBack,
    /// So many messages to the other core.
    Stream(u64),
    /// So many frames in one write, then a sync.
    GroupCommit(usize),
}

fn main() {
    let mut criterion = criterion();
    let uring = probe(DriverChoice::IoUring, 2, runtime::RING_ENTRIES_DEFAULT);
    for report in [uring, Ok(DriverReport::assume(Driver::Epoll))] {
        match report {
            Ok(report) => on_driver(&mut criterion, report),
            Err(refused) => println!("left out: {refused}"),
        }
    }
    criterion.final_summary();
}

fn on_driver(criterion: &mut Criterion, driver: DriverReport) {
    let name = driver.driver.to_string();
    let mut cpus = runtime::affinity();
    cpus.truncate(2);
    let cores = cpus.len();
    // The last port belongs to the measuring thread.
    let mut ports = mesh(cores + 1, INBOX);
    let orders = ports.pop().expect("a port for this thread");
    let ports: Vec<_> = ports.into_iter().map(Some).collect();
    let ports = Arc::new(Mutex::new(ports));
    let options = runtime::Options {
        cpus,
        driver,
        ring_entries: runtime::RING_ENTRIES_DEFAULT,
        tasks_max: runtime::TASKS_MAX_DEFAULT,
    };
    thread::scope(|scope| {
        let ran = scope.spawn(|| {
            runtime::run_cores(options, move |core| {
                let port = ports.lock().expect("no core panicked")[core.index()].take();
                let port = port.expect("each core starts once");
                Box::pin(async move {
                    if core == ANSWERER { answer(&port).await } else { obey(&port).await }
                })
            })
        });
        if cores < 2 {
            println!("{name}: left out between cores: this process may use one cpu only");
        } else {
            between_cores(criterion, &name, &orders);
        }
        group_commit(criterion, &name, &orders);
        for core in [ASKER, ANSWERER].into_iter().take(cores) {
            tell(&orders, core, Message::End);
        }
        ran.join().expect("the cores do not panic").expect("the cores can be started");
    });
}

fn between_cores(criterion: &mut Criterion, name: &str, orders: &Port<Message>) {
    let mut group = criterion.benchmark_group(format!("{name}, between two cores"));
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "there and back", orders, Work::ThereAndBack);
    let count = size(1_000_000) as u64;
    group.throughput(Throughput::Elements(count));
    measure(&mut group, "a stream", orders, Work::Stream(count));
    group.finish();
}

fn group_commit(criterion: &mut Criterion, name: &str, orders: &Port<Message>) {
    let mut group = criterion.benchmark_group(format!("{name}, a write and a sync"));
    for frames in [1usize, 4, 16] {
        group.throughput(Throughput::Bytes((frames * FRAME_BYTES) as u64));
        measure(&mut group, &format!("{frames} x 64 KiB"), orders, Work::GroupCommit(frames));
    }
    group.finish();
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    orders: &Port<Message>,
    work: Work,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let (took, taken) = mpsc::channel();
            tell(orders, ASKER, Message::Order(Order { work, rounds, took }));
            taken.recv().expect("the asker does not panic")
        });
    });
}

fn tell(orders: &Port<Message>, core: CoreId, message: Message) {
    let told = orders.try_send(core, message);
    assert!(told.is_ok(), "core {core} waits for orders and has room for one");
}

async fn answer(port: &Port<Message>) {
    let mut messages = Vec::with_capacity(BATCH);
    let mut sum = 0u64;
    loop {
        port.recv_batch(&mut messages, BATCH).await;
        for message in messages.drain(..) {
            let answer = match message {
                Message::Ping(number) => number,
                Message::Part(number, is_last) => {
                    sum = sum.wrapping_add(number);
                    if !is_last {
                        continue;
                    }
                    std::mem::take(&mut sum)
                }
                Message::Order(_) => unreachable!("orders go to the asker"),
                Message::End => return,
            };
            port.send(ASKER, Message::Ping(answer)).await.expect("the asker waits");
        }
    }
}

/// Carries out orders until the end.
async fn obey(port: &Port<Message>) {
    let log = Log::create().await;
    while let Message::Order(Order { work, rounds, took }) = next(port).await {
        let span = match work {
            Work::ThereAndBack => there_and_back(port, rounds).await,
            Work::Stream(count) => stream(port, rounds, count).await,
            Work::GroupCommit(frames) => log.commit(rounds, frames).await,
        };
        took.send(span).expect("the measuring thread waits");
    }
    log.remove().await;
}

async fn next(port: &Port<Message>) -> Message {
    let mut messages = Vec::with_capacity(1);
    port.recv_batch(&mut messages, 1).await;
    messages.pop().expect("a message came")
}

async fn there_and_back(port: &Port<Message>, rounds: u64) -> Duration {
    let mut answers = Vec::with_capacity(BATCH);
    let begun = time::now();
    for number in 0..rounds {
        port.send(ANSWERER, Message::Ping(number)).await.expect("the answerer listens");
        port.recv_batch(&mut answers, BATCH).await;
        let answer = answers.pop();
        assert!(matches!(answer, Some(Message::Ping(same)) if same == number));
    }
    time::now().since(begun)
}

async fn stream(port: &Port<Message>, rounds: u64, count: u64) -> Duration {
    let begun = time::now();
    for _ in 0..rounds {
        for number in 0..count {
            let part = Message::Part(number, number + 1 == count);
            port.send(ANSWERER, part).await.expect("the answerer listens");
        }
        let answer = next(port).await;
        assert!(matches!(answer, Message::Ping(sum) if sum == count * (count - 1) / 2));
    }
    time::now().since(begun)
}

/// A file as a commit log has it: the room is there and was written before, so a sync moves data
/// only.
struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    async fn create() -> Self {
        let dir =
            std::env::var_os("M3RING_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = dir.join(format!("m3-benches-{}", std::process::id()));
        let file = File::create_new(&path).await.expect("a file can be made");
        file.allocate(FILE_BYTES as u64).await.expect("there is room");
        let (written, _) = file.write_all_at(vec![0; FILE_BYTES], 0).await;
        written.expect("the file can be written");
        file.sync_all().await.expect("the file can be synced");
        Self { file, path }
    }

    async fn commit(&self, rounds: u64, frames: usize) -> Duration {
        let mut buf = vec![0xa5; frames * FRAME_BYTES];
        let mut offset = 0;
        let begun = time::now();
        for _ in 0..rounds {
            let (written, back) = self.file.write_all_at(buf, offset).await;
            written.expect("the file can be written");
            self.file.sync_data().await.expect("the file can be synced");
            buf = back;
            offset = (offset + (frames * FRAME_BYTES) as u64) % FILE_BYTES as u64;
        }
        time::now().since(begun)
    }

    async fn remove(self) {
        self.file.close().await.expect("the file can be closed");
        file::remove(&self.path).await.expect("the file can be removed");
    }
}
