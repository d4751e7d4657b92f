//! The basic costs of every request: messages between two cores, and the sync of a group.
//!
//! Each driver of `m3_io` is taken in turn; one that the kernel refuses is named and left out. The
//! file lies in `M3RING_BENCH_DIR`, or in the system's temporary directory: what a sync costs is
//! the disk's own, and nothing at all on a tmpfs.

#![allow(clippy::print_stdout, reason = "figures are the output")]

use m3_benches::Runner;
use m3_io::driver::{Driver, DriverChoice, DriverReport, probe};
use m3_io::file::{self, File};
use m3_io::mesh::{Port, mesh};
use m3_io::{CoreId, runtime};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Messages an inbox holds.
const INBOX: usize = 1024;
/// Messages taken at once.
const BATCH: usize = 256;
/// Bytes of a frame of the commit log.
const FRAME_BYTES: usize = 64 << 10;
/// Bytes of the file, which is written round and round.
const FILE_BYTES: usize = 64 << 20;
/// The core that measures, and the core that answers.
const ASKER: CoreId = CoreId(0);
const ANSWERER: CoreId = CoreId(1);

/// What passes between the two cores.
enum Message {
    /// A message to be sent back.
    Ping(u64),
    /// One of many messages; the last one is answered.
    Part(u64, bool),
    /// The last message.
    End,
}

fn main() {
    let run = Runner::from_args();
    let uring = probe(DriverChoice::IoUring, 2, runtime::RING_ENTRIES_DEFAULT);
    for report in [uring, Ok(DriverReport::assume(Driver::Epoll))] {
        match report {
            Ok(report) => on_driver(run, report),
            Err(refused) => println!("left out: {refused}"),
        }
    }
}

fn on_driver(run: Runner, driver: DriverReport) {
    let name = driver.driver.to_string();
    let mut cpus = runtime::affinity();
    cpus.truncate(2);
    if cpus.len() < 2 {
        println!("{name}: left out between cores: this process may use one cpu only");
    }
    let ports = mesh(cpus.len(), INBOX).into_iter().map(Some).collect::<Vec<_>>();
    let ports = Arc::new(Mutex::new(ports));
    let options = runtime::Options {
        cpus,
        driver,
        ring_entries: runtime::RING_ENTRIES_DEFAULT,
        tasks_max: runtime::TASKS_MAX_DEFAULT,
    };
    let ran = runtime::run_cores(options, move |core| {
        let port = ports.lock().expect("no core panicked")[core.index()].take();
        let port = port.expect("each core starts once");
        let name = name.clone();
        Box::pin(async move {
            if core == ANSWERER {
                answer(&port).await;
                return;
            }
            if port.peers().len() > 1 {
                between_cores(run, &name, &port).await;
            }
            group_commit(run, &name).await;
        })
    });
    ran.expect("two cores can be started");
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
                Message::End => return,
            };
            port.send(ASKER, Message::Ping(answer)).await.expect("the asker waits");
        }
    }
}

async fn between_cores(run: Runner, name: &str, port: &Port<Message>) {
    let mut answers = Vec::with_capacity(BATCH);
    let count = run.size(20_000) as u64;
    let title = format!("{name}: there and back between two cores");
    run.case_on_core(&title, count as usize, async || {
        for number in 0..count {
            port.send(ANSWERER, Message::Ping(number)).await.expect("the answerer listens");
            port.recv_batch(&mut answers, BATCH).await;
            let answer = answers.pop();
            assert!(matches!(answer, Some(Message::Ping(same)) if same == number));
        }
    })
    .await;
    let count = run.size(1_000_000) as u64;
    let title = format!("{name}: a stream to another core, a message");
    run.case_on_core(&title, count as usize, async || {
        for number in 0..count {
            let part = Message::Part(number, number + 1 == count);
            port.send(ANSWERER, part).await.expect("the answerer listens");
        }
        port.recv_batch(&mut answers, BATCH).await;
        let answer = answers.pop();
        assert!(matches!(answer, Some(Message::Ping(sum)) if sum == count * (count - 1) / 2));
    })
    .await;
    port.send(ANSWERER, Message::End).await.expect("the answerer listens");
}

async fn group_commit(run: Runner, name: &str) {
    let dir = std::env::var_os("M3RING_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = dir.join(format!("m3-benches-{}", std::process::id()));
    let log = File::create_new(&path).await.expect("a file can be made");
    // As a commit log does: the room is there and was written before, so a sync moves data only.
    log.allocate(FILE_BYTES as u64).await.expect("there is room");
    let (written, _) = log.write_all_at(vec![0; FILE_BYTES], 0).await;
    written.expect("the file can be written");
    log.sync_all().await.expect("the file can be synced");
    for frames in [1usize, 4, 16] {
        let mut buf = vec![0xa5; frames * FRAME_BYTES];
        let mut offset = 0;
        let commits = run.size(100);
        let title = format!("{name}: {frames} x 64 KiB and a sync, a KiB");
        let kib = commits * frames * (FRAME_BYTES >> 10);
        run.case_on_core(&title, kib, async || {
            for _ in 0..commits {
                let (written, back) = log.write_all_at(std::mem::take(&mut buf), offset).await;
                written.expect("the file can be written");
                log.sync_data().await.expect("the file can be synced");
                buf = back;
                offset = (offset + (frames * FRAME_BYTES) as u64) % FILE_BYTES as u64;
            }
        })
        .await;
    }
    log.close().await.expect("the file can be closed");
    file::remove(&path).await.expect("the file can be removed");
}
