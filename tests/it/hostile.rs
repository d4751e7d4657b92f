//! Hostile input at a real node: each attack by name, with what the client gets, what happens to
//! the node's memory, and what a healthy client notices.
//!
//! An [`Arena`] is a node under attack, and a [`Healthy`] client beside it that writes and reads
//! back on its own connection all the time. Each case prints a line. It asserts what a user would
//! notice: the answers, the memory that stays, and no error of the healthy client. The client's
//! latencies are printed; they fail the test only if no machine could explain them.
//! `M3RING_HOSTILE_SCALE` multiplies the attackers.

use crate::harness::{Node, PATIENCE, TempDir, now_ms, read_response, setting, write_body};
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

mod bodies;
mod budget;
mod floods;
mod queries;
mod shapes;
mod sockets;
mod surroundings;

/// Memory that may stay after an attack: buffers kept for reuse, and what an allocator does not
/// return at once.
const FLAT_MIB: u64 = 96;
/// On no machine, however slow, does a healthy client wait longer than this for a working node.
const SANE: Duration = Duration::from_secs(20);
/// How long the healthy client is watched before an attack.
const BASELINE: Duration = Duration::from_millis(100);
/// Series that the healthy client writes at once.
const HEALTHY_SERIES: usize = 10;

/// The number of attackers: `normal` times the scale, at most `most`.
pub fn scaled(normal: u64, most: u64) -> usize {
    usize::try_from((normal * setting("M3RING_HOSTILE_SCALE", 1)).min(most)).unwrap()
}

/// The number of sockets to use: fewer than asked for, with a message, if the limit on open files
/// is lower.
pub fn sockets(normal: u64, most: u64) -> usize {
    let wanted = scaled(normal, most);
    let can = usize::try_from(m3_io::rlimits::raise().open_files).unwrap_or(usize::MAX);
    let can = can.saturating_sub(400);
    if can < wanted {
        println!("{wanted} sockets are wanted; ulimit -n lets {can} be");
    }
    wanted.min(can)
}

/// What a client got.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Got {
    /// An answer: its status, its text, and whether it has `Retry-After`.
    Answer(u16, String, bool),
    /// The connection was closed without an answer.
    Closed,
}

impl Got {
    /// Status and the error's text, short.
    pub fn shown(&self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::Answer(status, text, _) => {
                let text = text.split_once("\"error\":\"").map_or(text.as_str(), |(_, rest)| rest);
                let text: String =
                    text.trim_end_matches(['}', '\n', '"']).chars().take(90).collect();
                format!("{status} {text}")
            }
        }
    }

    /// Fails unless the status is one of `statuses` and the text has `part`.
    #[track_caller]
    pub fn expect(self, name: &str, statuses: &[u16], part: &str) -> String {
        let Self::Answer(status, text, _) = &self else { panic!("{name}: closed, not answered") };
        assert!(statuses.contains(status), "{name}: {status} {text:.400}");
        assert!(text.contains(part), "{name}: {part:?} is expected in {status} {text:.400}");
        self.shown()
    }
}

/// Connects to `addr`.
pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("the node accepts");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads the next answer on `stream`.
pub fn answer_on(stream: &TcpStream) -> Got {
    match read_response(&mut BufReader::new(stream), false) {
        Err(_) => Got::Closed,
        Ok(answer) => {
            let retry = answer.header("retry-after").is_some();
            Got::Answer(answer.status, answer.text(), retry)
        }
    }
}

/// Sends `request` as long as the node takes it, reading at the same time.
pub fn shoot(addr: SocketAddr, request: &[u8]) -> Got {
    let stream = connect(addr);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = (&stream).write_all(request);
        });
        let got = answer_on(&stream);
        let _ = stream.shutdown(Shutdown::Both);
        got
    })
}

/// A request with a body.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// A request without a body.
pub fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// A client that does nothing wrong, and what it notices.
struct Healthy {
    stop: Arc<AtomicBool>,
    shared: Arc<Noticed>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Noticed {
    pause: AtomicBool,
    idle: AtomicBool,
    /// Milliseconds per request since they were last taken.
    took: Mutex<Vec<f64>>,
    errors: Mutex<Vec<String>>,
    refused: AtomicU64,
}

impl Healthy {
    fn begin(addr: SocketAddr, may_be_refused: bool) -> Self {
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::new(Noticed::default()));
        let (stopped, noticed) = (Arc::clone(&stop), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let mut client = crate::harness::Client::new(addr);
            let mut round = 0;
            while !stopped.load(Ordering::Relaxed) {
                noticed.idle.store(noticed.pause.load(Ordering::Relaxed), Ordering::Relaxed);
                if noticed.idle.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(1));
                    continue;
                }
                round += 1;
                if let Err(why) = live(&mut client, round, &noticed, may_be_refused) {
                    noticed.errors.lock().unwrap().push(why);
                }
                sleep(Duration::from_millis(5));
            }
        });
        Self { stop, shared, thread: Some(thread) }
    }

    fn pause(&self, pause: bool) {
        self.shared.pause.store(pause, Ordering::Relaxed);
        while self.shared.idle.load(Ordering::Relaxed) != pause {
            sleep(Duration::from_millis(1));
        }
    }

    /// The latencies since the last call.
    fn take(&self) -> Latencies {
        let mut took = std::mem::take(&mut *self.shared.took.lock().unwrap());
        took.sort_by(f64::total_cmp);
        Latencies(took)
    }
}

impl Drop for Healthy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// One round: a write of known series, and their sum read back at its time.
fn live(
    client: &mut crate::harness::Client,
    round: u64,
    noticed: &Noticed,
    may_be_refused: bool,
) -> Result<(), String> {
    let now = now_ms();
    let ids: Vec<String> = (0..HEALTHY_SERIES).map(|n| n.to_string()).collect();
    let labels: Vec<_> = ids.iter().map(|n| [("__name__", "healthy"), ("n", n)]).collect();
    let samples = [(now, round as f64)];
    let series: Vec<_> = labels.iter().map(|labels| (&labels[..], &samples[..])).collect();
    let body = write_body(&series);
    let begun = Instant::now();
    let written = client.try_remote_write(&body).map_err(|e| format!("write {round}: {e}"))?;
    note(noticed, begun);
    let refused = |status| may_be_refused && status == 429;
    if refused(written.status) {
        noticed.refused.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    if written.status != 200 {
        return Err(format!("write {round}: {} {}", written.status, written.text()));
    }
    let path = format!("/api/v1/query?query=sum(healthy)&time={}", now as f64 / 1e3);
    let begun = Instant::now();
    let read = client.try_send("GET", &path, &[], b"").map_err(|e| format!("read {round}: {e}"))?;
    note(noticed, begun);
    if refused(read.status) {
        noticed.refused.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let wanted = format!("\"{}\"", round * HEALTHY_SERIES as u64);
    if read.status != 200 || !read.text().contains(&wanted) {
        return Err(format!("read {round}: {} {}, not {wanted}", read.status, read.text()));
    }
    Ok(())
}

fn note(noticed: &Noticed, begun: Instant) {
    noticed.took.lock().unwrap().push(begun.elapsed().as_secs_f64() * 1e3);
}

struct Latencies(Vec<f64>);

impl Latencies {
    fn p99(&self) -> f64 {
        let at = (self.0.len() * 99 / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or(0.0)
    }
}

/// What a case may use, in addition to what is always checked.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// MiB that may stay.
    pub stays_mib: u64,
    /// MiB that may be resident above the start during the attack.
    pub peak_mib: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { stays_mib: FLAT_MIB, peak_mib: 512 }
    }
}

/// A node under attack with a healthy client beside.
pub struct Arena {
    /// The node.
    pub node: Node,
    healthy: Healthy,
    /// Only one arena at a time, since cases measure the node's memory and CPU time on few cores.
    _turn: std::sync::MutexGuard<'static, ()>,
}

impl Arena {
    /// A node with this configuration on two cores, warmed up.
    pub fn start(config: &str) -> Self {
        Self::start_through(&[], config, false)
    }

    /// As [`Self::start`], through another program. If `may_be_refused`, the healthy client accepts
    /// a 429.
    pub fn start_through(through: &[&str], config: &str, may_be_refused: bool) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = Arc::new(TempDir::new("hostile"));
        let file = dir.path().join("m3ring.yml");
        std::fs::write(&file, config).unwrap();
        let args = ["-f", file.to_str().unwrap(), "--cores", "0,1"];
        let node = Node::try_start_through(through, &dir, &args)
            .unwrap_or_else(|refused| panic!("{}\n{}", refused.status, refused.stderr));
        let healthy = Healthy::begin(node.api, may_be_refused);
        sleep(BASELINE);
        Self { node, healthy, _turn: turn }
    }

    /// Where the node's API listens.
    pub fn addr(&self) -> SocketAddr {
        self.node.api
    }

    /// Writes of the healthy client that were refused for now.
    pub fn refused(&self) -> u64 {
        self.healthy.shared.refused.load(Ordering::Relaxed)
    }

    /// Runs a case: attacks, and checks what is always checked.
    #[track_caller]
    pub fn case(&self, name: &str, bounds: Bounds, attack: impl FnOnce(&Self) -> String) {
        self.healthy.take();
        sleep(BASELINE);
        let before = (self.healthy.take(), self.node.resident_mib());
        self.node.forget_peak();
        let begun = Instant::now();
        let got = attack(self);
        let attacked = begun.elapsed();
        let during = self.healthy.take();
        let peak = self.node.peak_mib();
        let after = self.settled(before.1 + bounds.stays_mib);
        println!(
            "HOSTILE | {name} | {got} | {} -> {after} (peak {peak}) MiB | p99 {:.1} -> {:.1} ms, \
             max {:.1}, {} requests in {:.1} s |",
            before.1,
            before.0.p99(),
            during.p99(),
            during.0.last().copied().unwrap_or(0.0),
            during.0.len(),
            attacked.as_secs_f64(),
        );
        let errors = std::mem::take(&mut *self.healthy.shared.errors.lock().unwrap());
        assert!(errors.is_empty(), "{name}: the healthy client: {errors:?}");
        let slowest = during.0.last().copied().unwrap_or(0.0);
        assert!(slowest < SANE.as_secs_f64() * 1e3, "{name}: {slowest} ms for a healthy request");
        let stays = before.1 + bounds.stays_mib;
        assert!(after <= stays, "{name}: {after} MiB stay, {} were before", before.1);
        let most = before.1 + bounds.peak_mib;
        assert!(peak <= most, "{name}: {peak} MiB at most, {} were before", before.1);
    }

    /// The resident memory, once it is at most `wanted` or had time to become so.
    fn settled(&self, wanted: u64) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let now = self.node.resident_mib();
            if now <= wanted || Instant::now() > deadline {
                return now;
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// A case of one request, sent `count` times from four clients. Each must get one of `statuses`
    /// and a text with `part`. Its cost for the node is measured without the healthy client.
    #[track_caller]
    pub fn shots(&self, name: &str, count: usize, statuses: &[u16], part: &str, request: &[u8]) {
        let addr = self.addr();
        self.case(name, Bounds::default(), |_| {
            let got: Vec<Got> = std::thread::scope(|scope| {
                let shooters: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(move || {
                            let each = count.div_ceil(4);
                            (0..each).map(|_| shoot(addr, request)).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                shooters.into_iter().flat_map(|shooter| shooter.join().unwrap()).collect()
            });
            let shown: Vec<_> =
                got.into_iter().map(|one| one.expect(name, statuses, part)).collect();
            self.healthy.pause(true);
            let cpu = self.node.cpu();
            (0..count).for_each(|_| drop(shoot(addr, request)));
            let cpu = self.node.cpu().saturating_sub(cpu).as_secs_f64() * 1e3 / count as f64;
            self.healthy.pause(false);
            format!("{} | CPU {cpu:.2} ms", shown[0])
        });
    }
}
