//! The memory budget under attack: many large bodies at the same moment, and ten times the load
//! that fits, in 512 MB.

use super::floods::{numbered, write};
use super::{Arena, Bounds, Got, answer_on, connect, get, post, scaled, shoot};
use crate::harness::{PATIENCE, Random, escape, now_ms, parse_exposition, setting, until};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// MiB that the node may come to hold above its limit: what arrives between two readings.
pub const SLACK_MIB: u64 = 64;
/// What the machine gives.
const GIVEN_MIB: u64 = 512;

/// A cgroup of the first version's memory controller, removed when dropped. `None` where this user
/// may not make one.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(bytes: u64) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("m3ring-it-{}-{count}", std::process::id());
        let path = PathBuf::from("/sys/fs/cgroup/memory").join(name);
        std::fs::create_dir(&path).ok()?;
        let this = Self(path);
        std::fs::write(this.0.join("memory.limit_in_bytes"), bytes.to_string()).ok()?;
        Some(this)
    }

    /// How often a process in it was killed for memory.
    fn kills(&self) -> u64 {
        let text = std::fs::read_to_string(self.0.join("memory.oom_control")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.map_or(0, |count| count.trim().parse().unwrap())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A node in 512 MB: within a cgroup where one can be made, else by its own limit alone.
fn small_node() -> (Arena, Option<Cgroup>, u64) {
    let cgroup = Cgroup::new(GIVEN_MIB << 20);
    // What the node takes for its limit when it sees the cgroup.
    let limit = 416;
    let arena = match &cgroup {
        Some(cgroup) => {
            let line = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", cgroup.0.display());
            Arena::start_through(&["sh", "-c", &line], "", true)
        }
        None => {
            println!("no cgroup can be made here: memory.limit alone holds the node");
            Arena::start_through(&[], &format!("memory: {{ limit: {} }}\n", limit << 20), true)
        }
    };
    (arena, cgroup, limit)
}

/// A body of 30 MiB, as large on the wire as in memory, of a field that nobody knows.
fn large_body() -> Vec<u8> {
    let len = 30 << 20;
    let mut message = vec![0x7a];
    m3_metric::labels::write_varint(&mut message, len as u64);
    let mut random = Random::from_seed(1);
    message.extend((0..len).map(|_| random.next() as u8));
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

/// Sends all but the last byte of `request`, waits for the others, sends the last.
fn in_step(arena: &Arena, request: &[u8], others: &Barrier) -> Got {
    let stream = connect(arena.addr());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (last, first) = request.split_last().unwrap();
            let _ = (&stream).write_all(first);
            others.wait();
            let _ = (&stream).write_all(&[*last]);
        });
        answer_on(&stream)
    })
}

#[test]
fn large_bodies_at_the_same_moment() {
    let (arena, cgroup, limit) = small_node();
    let count = scaled(40, 200);
    let request = write(&large_body());
    let bounds = Bounds { stays_mib: 160, peak_mib: limit + SLACK_MIB };
    let name = format!("{count} bodies of 30 MiB at once, in {GIVEN_MIB} MB");
    for round in ["", ", again"] {
        arena.case(&format!("{name}{round}"), bounds, |arena| {
            let others = Barrier::new(count);
            let all: Vec<Got> = std::thread::scope(|scope| {
                let clients: Vec<_> =
                    (0..count).map(|_| scope.spawn(|| in_step(arena, &request, &others))).collect();
                clients.into_iter().map(|client| client.join().unwrap()).collect()
            });
            let peak = arena.node.peak_mib();
            let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
            for got in all {
                if let Got::Answer(429, text, retry) = &got {
                    assert!(*retry && text.contains("memory limit reached"), "{text}");
                }
                *kinds.entry(got.shown().chars().take(40).collect()).or_default() += 1;
            }
            assert!(peak < limit + SLACK_MIB, "{peak} MiB, the limit is {limit}: {kinds:?}");
            let known = |kind: &String| kind.starts_with("429") || kind.starts_with("200");
            assert!(kinds.keys().all(known), "{kinds:?}");
            assert!(kinds.keys().any(|kind| kind.starts_with("429")), "{kinds:?}");
            format!("{kinds:?}")
        });
    }
    assert_eq!(cgroup.as_ref().map_or(0, Cgroup::kills), 0);
}

/// A head of about a megabyte, a third of it each in the path, a parameter and a header.
fn large_head() -> Vec<u8> {
    let third = "x".repeat(340_000);
    format!("GET /{third}?a={third} HTTP/1.1\r\nHost: x\r\nX: {third}\r\n\r\n").into_bytes()
}

/// Waits until the node has read at least `bytes` and then reads no more by the megabyte.
fn until_all_is_read(arena: &Arena, bytes: usize) {
    let read = || {
        let metrics = parse_exposition(&arena.node.metrics_text());
        metrics["m3ring_http_received_bytes_total"]
    };
    let mut before = 0.0;
    until("the node to have read all", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(300));
        let now = read();
        let is_quiet = now - before < 1e6 && now > bytes as f64;
        before = now;
        is_quiet.then_some(())
    });
}

/// All but the last byte from each, then the last from each: what the node holds of the heads is
/// within its limit, and those it has no room for are told so.
#[test]
fn large_heads_from_many_connections() {
    let limit = 192;
    let config = format!("memory: {{ limit: {} }}\nhttp: {{ headTimeout: 120s }}\n", limit << 20);
    let arena = Arena::start_through(&[], &config, true);
    let count = scaled(300, 2000);
    let head = large_head();
    let (last, first) = head.split_last().unwrap();
    let bounds = Bounds { peak_mib: limit + SLACK_MIB, ..Bounds::default() };
    for round in ["", ", again"] {
        arena.case(&format!("{count} heads of 1 MB at once{round}"), bounds, |arena| {
            let streams: Vec<_> = (0..count)
                .map(|_| {
                    let stream = connect(arena.addr());
                    let _ = (&stream).write_all(first);
                    stream
                })
                .collect();
            // The kernel takes more than a head at once: the node is to have read them all first.
            until_all_is_read(arena, count * first.len() / 4);
            streams.iter().for_each(|mut stream| drop(stream.write_all(&[*last])));
            let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
            for got in streams.iter().map(answer_on) {
                if let Got::Answer(429, text, retry) = &got {
                    assert!(*retry && text.contains("memory limit reached: the head is refused"));
                }
                *kinds.entry(got.shown().chars().take(20).collect()).or_default() += 1;
            }
            let peak = arena.node.peak_mib();
            assert!(peak < limit + SLACK_MIB, "{peak} MiB, the limit is {limit}: {kinds:?}");
            let known = |kind: &String| kind.starts_with("429") || kind.starts_with("404");
            assert!(kinds.keys().all(known), "{kinds:?}");
            for status in ["429", "404"] {
                assert!(kinds.keys().any(|kind| kind.starts_with(status)), "{kinds:?}");
            }
            format!("{kinds:?}")
        });
    }
    shoot(arena.addr(), &get("/health")).expect("the node lives", &[200], "uptime");
}

/// A connection that has sent a large head once is as cheap as others when it idles.
#[test]
fn connections_that_idle_after_a_large_head() {
    let arena = Arena::start("http: { idleTimeout: 120s }\n");
    let count = scaled(300, 2000);
    let head = large_head();
    let mut idle = Vec::new();
    let name = format!("{count} connections idle after a head of 1 MB");
    arena.case(&name, Bounds::default(), |arena| {
        for _ in 0..count {
            let stream = connect(arena.addr());
            (&stream).write_all(&head).unwrap();
            let got = answer_on(&stream);
            assert!(matches!(&got, Got::Answer(404, ..)), "{got:?}");
            idle.push(stream);
        }
        format!("{count} x 404")
    });
    assert_eq!(idle.len(), count);
}

/// New series, queries of all of them, large bodies and wide documents, from more clients than the
/// cores can serve.
#[test]
fn ten_times_what_fits() {
    let (arena, cgroup, limit) = small_node();
    let lasts = Duration::from_secs(setting("M3RING_HOSTILE_SCALE", 1).min(20) * 6);
    let bounds = Bounds { stays_mib: limit, peak_mib: limit + SLACK_MIB };
    let large = write(&large_body());
    let wide = format!("[{}0]", "0,".repeat(1 << 20));
    let wide = post("/api/v1/services/m3db/namespace", &[], wide.as_bytes());
    arena.case(&format!("ten times what fits, for {lasts:?}"), bounds, |arena| {
        let stop = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let kinds: std::sync::Mutex<BTreeMap<String, usize>> = std::sync::Mutex::default();
        let health: std::sync::Mutex<Vec<f64>> = std::sync::Mutex::default();
        let note = |what: &str, got: &Got| {
            let status = match got {
                Got::Closed => "closed".to_owned(),
                Got::Answer(status, ..) => status.to_string(),
            };
            *kinds.lock().unwrap().entry(format!("{what} {status}")).or_default() += 1;
        };
        let repeat = |what: &str, request: &dyn Fn() -> Vec<u8>| {
            while !stop.load(Ordering::Relaxed) {
                note(what, &shoot(arena.addr(), &request()));
            }
        };
        let ranges = |query: &str| {
            let end = now_ms() / 1000;
            let query = escape(query);
            get(&format!("/api/v1/query_range?query={query}&start={}&end={end}&step=0.1", end - 60))
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    repeat("series", &|| {
                        let first = next.fetch_add(10_000, Ordering::Relaxed);
                        write(&numbered("flood", first, 10_000))
                    });
                });
            }
            for _ in 0..4 {
                scope.spawn(|| repeat("range", &|| ranges("flood")));
                scope.spawn(|| repeat("sorted", &|| ranges("sort(flood*2)")));
                scope.spawn(|| repeat("find", &|| get("/api/v1/series?match[]=flood")));
                scope.spawn(|| repeat("body", &|| large.clone()));
                scope.spawn(|| repeat("wide", &|| wide.clone()));
            }
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let got = shoot(arena.addr(), &get("/health"));
                    assert!(matches!(got, Got::Answer(200, ..)), "{got:?}");
                    health.lock().unwrap().push(begun.elapsed().as_secs_f64() * 1e3);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
            std::thread::sleep(lasts);
            stop.store(true, Ordering::Relaxed);
        });
        let peak = arena.node.peak_mib();
        let kinds = kinds.into_inner().unwrap();
        assert!(peak < limit + SLACK_MIB, "{peak} MiB, the limit is {limit}: {kinds:?}");
        let mut health = health.into_inner().unwrap();
        health.sort_by(f64::total_cmp);
        let p99 = health[health.len() * 99 / 100];
        format!("{kinds:?}, /health p99 {p99:.0} ms, {} healthy refused", arena.refused())
    });
    assert_eq!(cgroup.as_ref().map_or(0, Cgroup::kills), 0);
    shoot(arena.addr(), &get("/health")).expect("the node lives", &[200], "uptime");
}
