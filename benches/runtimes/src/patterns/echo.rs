//! Requests over TCP: many connections that are sent back what they send, and one client beside a
//! busy task.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use m3_io::{CoreId, ReplyTo, oneshot};

use super::between::Ports;
use super::{Size, Worst, done, figure, thread_cpu_ns};
use crate::runtime::{Runtime, pin};

const CONNECTIONS: usize = 32;
/// How long a slice of the busy task is.
const SLICE: Duration = Duration::from_micros(100);
/// How long the busy task goes on, and how often the others want something.
const BUSY: Duration = Duration::from_secs(2);
const BEAT: Duration = Duration::from_millis(5);

/// The client is a plain thread on the other cpu.
pub(super) fn run<R: Runtime>(size: Size) -> Result<(), String> {
    let (bound, address) = mpsc::channel();
    let (threads, thread) = mpsc::channel();
    thread::spawn(move || {
        // A core that does not start tells neither.
        if let (Ok(server), Ok(address)) = (thread.recv(), address.recv()) {
            ask(server, address, size).expect("the server answers");
            done();
        }
    });
    R::run(1, move |_| {
        let (bound, threads) = (bound.clone(), threads.clone());
        Box::pin(async move {
            let _ = threads.send(rustix::thread::gettid().as_raw_nonzero().get());
            R::serve(bound).await;
        })
    })
}

fn ask(server: i32, address: SocketAddr, size: Size) -> io::Result<()> {
    pin(*m3_io::runtime::affinity().last().unwrap_or(&0));
    let connect = |_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true).map(|()| stream)
    };
    let mut streams = (0..CONNECTIONS).map(connect).collect::<io::Result<Vec<_>>>()?;
    for (name, bytes) in [("64 B", 64), ("32 KiB", 32 << 10)] {
        rounds(&mut streams, bytes, size.span(Duration::from_millis(200)))?;
        let (begun, cpu_ns) = (Instant::now(), thread_cpu_ns(server));
        let requests = rounds(&mut streams, bytes, size.span(Duration::from_secs(1)))?;
        let cpu_us = (thread_cpu_ns(server) - cpu_ns) / 1e3;
        let rate = requests as f64 / begun.elapsed().as_secs_f64();
        figure(&format!("{name} sent back, µs of CPU a request"), cpu_us / requests as f64);
        figure(&format!("{name} sent back, requests/s"), rate);
    }
    Ok(())
}

/// Sends on all connections, then reads from all, again and again.
fn rounds(streams: &mut [TcpStream], bytes: usize, span: Duration) -> io::Result<usize> {
    let mut message = vec![0x5a; bytes];
    let (begun, mut requests) = (Instant::now(), 0);
    while begun.elapsed() < span {
        streams.iter_mut().try_for_each(|stream| stream.write_all(&message))?;
        streams.iter_mut().try_for_each(|stream| stream.read_exact(&mut message))?;
        requests += streams.len();
    }
    Ok(requests)
}

/// What the clients of the busy core saw at worst.
type Told = mpsc::Sender<(&'static str, Worst)>;

pub(super) fn starve<R: Runtime>(size: Size) -> Result<(), String> {
    let span = size.span(BUSY);
    let (bound, address) = mpsc::channel();
    let (told, tell) = mpsc::channel();
    let tcp: Told = told.clone();
    thread::spawn(move || {
        if let Ok(address) = address.recv() {
            let _ = tcp.send(("a TCP request", connect_again_and_again(address, span)));
        }
    });
    thread::spawn(move || {
        for (what, worst) in tell.into_iter().take(3) {
            figure(&format!("{what} beside a busy task, worst ms"), worst.ms());
        }
        done();
    });
    let ports = Ports::of_two();
    let given = Arc::new(Mutex::new((bound, told)));
    R::run(2, move |core| {
        let port = ports.take(core);
        let (bound, told) = given.lock().expect("no core panicked").clone();
        Box::pin(async move {
            if core == 1 {
                let worst = ping::<R>(port, span).await;
                let _ = told.send(("a message", worst));
            } else {
                R::spawn(R::serve(bound));
                R::spawn(async move {
                    let mut pings = Vec::new();
                    loop {
                        port.recv_batch(&mut pings, 64).await;
                        pings.drain(..).for_each(|ping: ReplyTo<()>| ping.send(()));
                    }
                });
                R::spawn(async move {
                    let worst = beat::<R>(span).await;
                    let _ = told.send(("a timer", worst));
                });
                // The others begin before the busy task.
                R::sleep(4 * BEAT).await;
                R::spawn_busy(work::<R>(span));
            }
            std::future::pending().await
        })
    })
}

async fn work<R: Runtime>(span: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < span {
        let slice = Instant::now();
        while slice.elapsed() < SLICE {
            std::hint::spin_loop();
        }
        R::yield_now().await;
    }
}

/// How late a timer of the busy core is.
async fn beat<R: Runtime>(span: Duration) -> Worst {
    let (begun, mut worst) = (Instant::now(), Worst::default());
    while begun.elapsed() < span {
        let slept = Instant::now();
        R::sleep(BEAT).await;
        worst.add(slept.elapsed().saturating_sub(BEAT));
    }
    worst
}

/// How long the busy core takes to answer another core.
async fn ping<R: Runtime>(port: m3_io::mesh::Port<ReplyTo<()>>, span: Duration) -> Worst {
    let (begun, mut worst) = (Instant::now(), Worst::default());
    while begun.elapsed() < span {
        let asked = Instant::now();
        let (ping, pong) = oneshot();
        port.send(CoreId(0), ping).await.expect("the busy core listens");
        pong.await.expect("the busy core answers");
        worst.add(asked.elapsed());
        R::sleep(BEAT).await;
    }
    worst
}

/// How long the busy core takes to accept a connection and to answer on it.
fn connect_again_and_again(address: SocketAddr, span: Duration) -> Worst {
    let (begun, mut worst) = (Instant::now(), Worst::default());
    while begun.elapsed() < span {
        let asked = Instant::now();
        let answered = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(b"ping")?;
            stream.read_exact(&mut [0; 4])
        });
        answered.expect("the busy core answers in the end");
        worst.add(asked.elapsed());
        thread::sleep(BEAT);
    }
    worst
}
