//! Real sockets: a client thread exchanges bytes with a server on its own runtime.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the client is a thread of its own with plain sockets and clocks"
)]

use super::*;
use crate::message::Method;
use m3_io::budget::Budget;
use m3_io::driver::Driver;
use m3_io::net::Options;
use std::io::{Read, Write};
use std::net::TcpStream as Client;
use std::sync::mpsc;
use std::time::Instant;

/// More than the kernel buffers for a connection.
const HUGE: usize = 64 << 20;
/// How long `/stuck` takes: longer than any client waits for it.
const STUCK: Duration = Duration::from_secs(60);

/// Answers with the request; `/stop` closes the gate, `/slow` takes a while, `/big` and `/huge`
/// have long answers.
struct Echo {
    stop: Gate,
}

impl Handler for Echo {
    async fn handle(&self, request: &mut Request) -> Response {
        match request.path.as_str() {
            "/stop" => self.stop.close(),
            "/slow" => time::sleep(Duration::from_millis(200)).await,
            "/stuck" => time::sleep(STUCK).await,
            "/huge" => return Response::with_body(200, crate::reply::TEXT, vec![b'x'; HUGE]),
            "/big" => {
                let body = (0..200_000u32).flat_map(|n| format!("{n},").into_bytes()).collect();
                return Response::with_body(200, crate::reply::JSON, body);
            }
            _ => {}
        }
        let params: Vec<_> = request.query.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let mut text =
            format!("{} {} [{}] ", request.method.name(), request.path, params.join(" "));
        text.push_str(&String::from_utf8_lossy(&request.body));
        let mut response = Response::with_body(200, crate::reply::TEXT, text.into_bytes());
        response.route = if request.method == Method::Get { "get" } else { "other" };
        response
    }
}

/// The driver under test: `M3_TEST_DRIVER=io_uring` for the ring, else epoll, which runs
/// everywhere.
fn driver() -> Driver {
    match std::env::var("M3_TEST_DRIVER").as_deref() {
        Ok("io_uring") => Driver::IoUring,
        _ => Driver::Epoll,
    }
}

fn short() -> ServerLimits {
    ServerLimits {
        head_timeout: Duration::from_millis(300),
        body_grace: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(400),
        drain_timeout: Duration::from_millis(600),
        linger_timeout: Duration::from_millis(200),
        head_bytes: 16 << 10,
        body_bytes: 100_000,
        ..ServerLimits::default()
    }
}

/// Runs `client` against a server and returns the server's counters after its stop.
fn with_server(limits: ServerLimits, client: impl FnOnce(SocketAddr)) -> StatsSnapshot {
    with_server_within(0, limits, client)
}

/// The same with a memory limit.
fn with_server_within(
    memory_limit: u64,
    limits: ServerLimits,
    client: impl FnOnce(SocketAddr),
) -> StatsSnapshot {
    let (tell, told) = mpsc::channel();
    let server = std::thread::spawn(move || {
        m3_io::runtime::run_here(driver(), async move {
            let any = "127.0.0.1:0".parse().unwrap();
            let listener = TcpListener::bind(any, Options::default()).unwrap();
            tell.send(listener.local_addr()).unwrap();
            let stop = Gate::new();
            let handler = Rc::new(Echo { stop: stop.clone() });
            let stats = Rc::new(ServerStats::default());
            serve(listener, limits, handler, Rc::clone(&stats), Budget::new(memory_limit), stop)
                .await
                .unwrap();
            stats.snapshot()
        })
        .unwrap()
    });
    let addr = told.recv().unwrap();
    client(addr);
    // The client may have stopped it already.
    if let Ok(mut last) = Client::connect(addr) {
        let _ = last.write_all(b"GET /stop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let _ = last.read_to_end(&mut Vec::new());
    }
    server.join().unwrap()
}

fn connect(addr: SocketAddr) -> Client {
    let client = Client::connect(addr).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.set_nodelay(true).unwrap();
    client
}

/// Sends `bytes`, shuts down writing, and reads to the end.
fn exchange(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut client = connect(addr);
    client.write_all(bytes).unwrap();
    read_all(&mut client)
}

fn read_all(client: &mut Client) -> String {
    let mut out = Vec::new();
    client.read_to_end(&mut out).unwrap();
    String::from_utf8_lossy(&out).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| answer[at + 9..at + 12].parse().unwrap())
        .collect()
}

const CLOSE: &str = "Host: x\r\nConnection: close\r\n";

#[test]
fn answers_leave_in_order_when_pipelined() {
    let stats = with_server(short(), |addr| {
        let bytes = format!(
            "GET /slow?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
             POST /three HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n\
             HEAD /four HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /five%20x HTTP/1.1\r\n{CLOSE}\r\n"
        );
        let answer = exchange(addr, bytes.as_bytes());
        assert_eq!(statuses(&answer), [200; 5], "{answer}");
        let places: Vec<_> = ["GET /slow [a=1 a=2] ", "POST /two [] hello", "POST /three [] abcde"]
            .iter()
            .map(|text| answer.find(text).unwrap_or_else(|| panic!("{text} not in {answer}")))
            .collect();
        assert!(places.is_sorted());
        assert!(!answer.contains("HEAD /four"), "HEAD has no body: {answer}");
        assert!(answer.contains("Content-Length: 14\r\n") && answer.contains("GET /five x [] "));
        assert!(answer.contains("Access-Control-Allow-Origin: *\r\n"));
    });
    assert_eq!(stats.connections_open, 0);
    let get = stats.routes.iter().find(|route| route.route == "get").unwrap();
    assert_eq!(get.by_class[1], 3);
    assert_eq!(get.buckets.iter().sum::<u64>(), 3);
}

#[test]
fn requests_may_be_split_at_every_byte() {
    let bytes = format!(
        "POST /a?x=%2B HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
         POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{CLOSE}\r\n4\r\nwxyz\r\n0\r\n\r\n"
    );
    with_server(ServerLimits::default(), |addr| {
        for at in 1..bytes.len() {
            let mut client = connect(addr);
            client.write_all(&bytes.as_bytes()[..at]).unwrap();
            // Usually long enough for the server to read the first part by itself.
            std::thread::sleep(Duration::from_micros(300));
            client.write_all(&bytes.as_bytes()[at..]).unwrap();
            let answer = read_all(&mut client);
            assert_eq!(statuses(&answer), [200, 200], "split at {at}: {answer}");
            assert!(answer.contains("POST /a [x=+] abc") && answer.contains("POST /b [] wxyz"));
        }
    });
}

#[test]
fn a_client_may_wait_for_continue() {
    with_server(short(), |addr| {
        let mut client = connect(addr);
        let head =
            format!("POST /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n{CLOSE}\r\n");
        client.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 25];
        client.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"ok").unwrap();
        assert!(read_all(&mut client).ends_with("POST /e [] ok"));
        // A body that is too large is refused before it is asked for.
        let head = format!(
            "POST /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n{CLOSE}\r\n"
        );
        assert_eq!(statuses(&exchange(addr, head.as_bytes())), [413]);
        let head =
            format!("POST /e HTTP/1.1\r\nExpect: wonders\r\nContent-Length: 2\r\n{CLOSE}\r\n");
        assert_eq!(statuses(&exchange(addr, head.as_bytes())), [417]);
    });
}

#[test]
fn old_clients_and_keep_alive() {
    with_server(short(), |addr| {
        let answer = exchange(addr, b"GET /a HTTP/1.0\r\n\r\n");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
        let two = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
        let answer = exchange(addr, two);
        assert_eq!(statuses(&answer), [200, 200]);
        assert!(answer.contains("Connection: keep-alive\r\n"), "{answer}");
        let preflight = format!("OPTIONS /api HTTP/1.1\r\nOrigin: http://x\r\n{CLOSE}\r\n");
        let answer = exchange(addr, preflight.as_bytes());
        assert_eq!(statuses(&answer), [204]);
        assert!(
            answer.contains("Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n")
        );
        assert!(!answer.contains("Content-Length"));
    });
}

#[test]
fn slow_and_silent_clients_are_given_up() {
    let stats = with_server(short(), |addr| {
        // A head that does not end.
        let mut client = connect(addr);
        client.write_all(b"GET / HTTP/1.1\r\nHos").unwrap();
        let begun = Instant::now();
        assert_eq!(statuses(&read_all(&mut client)), [408]);
        assert!(begun.elapsed() < Duration::from_secs(3));
        // A head that comes a byte at a time gets no more time.
        let mut client = connect(addr);
        let begun = Instant::now();
        let mut sent = 0;
        while client.write_all(b"G").is_ok() && begun.elapsed() < Duration::from_secs(3) {
            sent += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(sent < 40, "{sent} bytes were taken");
        // A body that does not come.
        let mut client = connect(addr);
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc").unwrap();
        assert_eq!(statuses(&read_all(&mut client)), [408]);
        let mut client = connect(addr);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
            .unwrap();
        assert_eq!(statuses(&read_all(&mut client)), [408]);
        // An idle connection is closed without an answer.
        let mut client = connect(addr);
        assert_eq!(read_all(&mut client), "");
    });
    assert!(stats.timeouts >= 3, "{stats:?}");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let cases: &[(&str, u16)] = &[
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /?a=%f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET example HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("\x16\x03\x01\x02", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n", 413),
    ];
    let stats = with_server(short(), |addr| {
        for (bytes, status) in cases {
            // What follows must not be taken for a request.
            let answer = exchange(
                addr,
                format!("{bytes}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
            );
            assert_eq!(statuses(&answer), [*status], "{bytes:?}: {answer}");
            assert!(answer.contains("Connection: close\r\n"), "{bytes:?}: {answer}");
            assert!(answer.contains("{\"status\":\"error\",\"errorType\":"), "{bytes:?}: {answer}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n{CLOSE}\r\n", "x".repeat(17 << 10));
        assert_eq!(statuses(&exchange(addr, long.as_bytes())), [431]);
        let endless = "GET / HTTP/1.1\r\nHost: x\r\nA: ".to_owned() + &"y".repeat(40 << 10);
        assert_eq!(statuses(&exchange(addr, endless.as_bytes())), [431]);
        let many = format!("GET / HTTP/1.1\r\n{}{CLOSE}\r\n", "A: b\r\n".repeat(200));
        assert_eq!(statuses(&exchange(addr, many.as_bytes())), [431]);
        // A client that sends the whole of a body that is too large sees the answer.
        let mut client = connect(addr);
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n").unwrap();
        let _ = client.write_all(&vec![b'x'; 900_000]);
        assert_eq!(statuses(&read_all(&mut client)), [413]);
    });
    assert!(stats.bad_requests > cases.len() as u64);
}

#[test]
fn too_many_connections_are_told_so() {
    let limits = ServerLimits { connections: 2, ..ServerLimits::default() };
    let stats = with_server(limits, |addr| {
        let open: Vec<_> = (0..2)
            .map(|_| {
                let mut client = connect(addr);
                client.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
                let mut byte = [0; 1];
                client.read_exact(&mut byte).unwrap();
                client
            })
            .collect();
        let mut third = connect(addr);
        let answer = read_all(&mut third);
        assert_eq!(statuses(&answer), [503], "{answer}");
        assert!(answer.contains("Retry-After: 1\r\n") && answer.contains("too many connections"));
        drop(open);
        std::thread::sleep(Duration::from_millis(100));
    });
    assert!(stats.connections_refused >= 1);
}

#[test]
fn answers_are_compressed_for_those_who_take_it() {
    with_server(ServerLimits::default(), |addr| {
        let mut client = connect(addr);
        let ask = format!("GET /big HTTP/1.1\r\nAccept-Encoding: gzip, deflate\r\n{CLOSE}\r\n");
        client.write_all(ask.as_bytes()).unwrap();
        let mut out = Vec::new();
        client.read_to_end(&mut out).unwrap();
        let end = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&out[..end]).into_owned();
        assert!(head.contains("Content-Encoding: gzip\r\n"), "{head}");
        let plain = crate::api::inflate::inflate(&out[end..], 10 << 20).unwrap();
        assert!(plain.starts_with(b"0,1,2,") && plain.ends_with(b"199999,"));
        assert!(out.len() < plain.len() * 2 / 3);
        // Clients that refuse gzip do not get it, and short answers are not compressed.
        let ask = format!("GET /big HTTP/1.1\r\nAccept-Encoding: gzip;q=0\r\n{CLOSE}\r\n");
        assert!(!exchange(addr, ask.as_bytes()).contains("Content-Encoding"));
        let ask = format!("GET /a HTTP/1.1\r\nAccept-Encoding: gzip\r\n{CLOSE}\r\n");
        assert!(!exchange(addr, ask.as_bytes()).contains("Content-Encoding"));
    });
}

#[test]
fn a_stop_answers_what_has_begun_and_ends_the_rest() {
    let limits = ServerLimits { drain_timeout: Duration::from_secs(2), ..short() };
    let begun = Instant::now();
    with_server(limits, |addr| {
        let mut idle = connect(addr);
        idle.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut byte = [0; 1];
        idle.read_exact(&mut byte).unwrap();
        let mut slow = connect(addr);
        slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut stuck = connect(addr);
        stuck.write_all(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let mut stop = connect(addr);
        stop.write_all(b"GET /stop HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let answer = read_all(&mut stop);
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
        let answer = read_all(&mut slow);
        assert_eq!(statuses(&answer), [200], "{answer}");
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).unwrap();
        std::thread::spawn(move || drop(read_all(&mut stuck)));
        // The next connection of the helper finds a closed port.
        std::thread::sleep(Duration::from_millis(50));
    });
    assert!(begun.elapsed() < STUCK / 2, "a request that is stuck is not waited for");
}

/// The limit is less than any process takes, so it is always reached. Small bodies are accepted all
/// the same.
#[test]
fn at_the_memory_limit_a_large_body_is_refused_before_it_is_held() {
    with_server_within(1 << 20, ServerLimits::default(), |addr| {
        let post = |framing: &str| format!("POST /x HTTP/1.1\r\n{CLOSE}{framing}\r\n\r\n");
        let small = exchange(addr, (post("Content-Length: 4") + "abcd").as_bytes());
        assert_eq!(statuses(&small), [200], "{small}");
        let body = "x".repeat(1 << 20);
        let chunked = format!("{}100000\r\n{body}\r\n", post("Transfer-Encoding: chunked"));
        for request in [post("Content-Length: 1048576") + &body, chunked] {
            let answer = exchange(addr, request.as_bytes());
            assert_eq!(statuses(&answer), [429], "{answer}");
            assert!(answer.contains("Retry-After: 5\r\n"), "{answer}");
            assert!(answer.contains("memory limit reached"), "{answer}");
        }
    });
}

/// A head as large as Go's servers accept, sent in one piece or in many, and behind another
/// request.
#[test]
fn a_large_head_is_taken_up_to_its_limit() {
    with_server(ServerLimits::default(), |addr| {
        let head = |bytes: usize| {
            let rest = format!("GET /large?a= HTTP/1.1\r\n{CLOSE}\r\n").len();
            format!("GET /large?a={} HTTP/1.1\r\n{CLOSE}\r\n", "x".repeat(bytes - rest))
        };
        let limit = ServerLimits::default().head_bytes;
        for bytes in [17 << 10, 100_000, limit] {
            let answer = exchange(addr, head(bytes).as_bytes());
            assert_eq!(statuses(&answer), [200], "{bytes} bytes");
            assert!(answer.len() > bytes, "all of the parameter is there: {}", answer.len());
        }
        let refused = exchange(addr, head(limit + 1).as_bytes());
        assert_eq!(statuses(&refused), [431]);
        assert!(refused.contains(&format!("at most {limit} bytes")), "{refused}");

        let mut client = connect(addr);
        let behind = format!("GET /first HTTP/1.1\r\nHost: x\r\n\r\n{}", head(300_000));
        for piece in behind.as_bytes().chunks(50_000) {
            client.write_all(piece).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(statuses(&read_all(&mut client)), [200, 200]);
    });
}

/// A client gets no more memory than it has sent bytes for. At the memory limit heads that are not
/// small are refused; others are answered.
#[test]
fn at_the_memory_limit_a_large_head_is_refused_before_it_is_held() {
    with_server_within(1 << 20, ServerLimits::default(), |addr| {
        let small = exchange(addr, format!("GET /x HTTP/1.1\r\n{CLOSE}\r\n").as_bytes());
        assert_eq!(statuses(&small), [200], "{small}");
        for bytes in [100 << 10, 1 << 20] {
            let head = format!("GET /x?a={} HTTP/1.1\r\n{CLOSE}\r\n", "x".repeat(bytes));
            let answer = exchange(addr, head.as_bytes());
            assert_eq!(statuses(&answer), [429], "{answer}");
            assert!(answer.contains("Retry-After: 5\r\n"), "{answer}");
            assert!(answer.contains("the head is refused for now after "), "{answer}");
        }
    });
}

/// The kernel's buffers accept part of a large answer at once, which does not show that the client
/// reads.
#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let limits = ServerLimits { write_timeout: Duration::from_millis(300), ..short() };
    let stats = with_server(limits, |addr| {
        let mut client = connect(addr);
        client.write_all(format!("GET /huge HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        assert!(read.is_err() || answer.len() < HUGE, "{} bytes came", answer.len());
    });
    assert_eq!(stats.timeouts, 1);
}
