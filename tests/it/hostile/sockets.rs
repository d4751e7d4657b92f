//! Clients that hold sockets: slow, silent, gone, too many, never reading.

use super::{Arena, Bounds, FLAT_MIB, Got, answer_on, connect, get, scaled, shoot, sockets};
use crate::harness::{PATIENCE, POLL, now_ms, until};
use m3_http::proto::write::WriteRequestWriter;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Deadlines short enough for a test.
const IMPATIENT: &str = "http:\n  headTimeout: 2s\n  bodyGrace: 2s\n  idleTimeout: 3s\n  \
                         writeTimeout: 2s\n";
/// Memory that a connection may use.
const CONNECTION_KIB: u64 = 40;

fn bounds(connections: usize) -> Bounds {
    Bounds { peak_mib: 32 + ((connections as u64 * CONNECTION_KIB) >> 10), stays_mib: FLAT_MIB }
}

/// How `streams` ended: each kind with its count.
fn ends(streams: &[TcpStream]) -> String {
    let mut kinds: BTreeMap<Got, usize> = BTreeMap::new();
    for stream in streams {
        *kinds.entry(answer_on(stream)).or_default() += 1;
    }
    let shown = kinds.into_iter().map(|(got, count)| format!("{count} x {}", got.shown()));
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn slow_and_silent_clients() {
    let arena = Arena::start(IMPATIENT);
    let count = sockets(200, 10_000);
    let open = |head: &str| -> Vec<TcpStream> {
        let stream = |_| {
            let mut stream = connect(arena.addr());
            stream.write_all(head.as_bytes()).unwrap();
            stream
        };
        (0..count).map(stream).collect()
    };
    // A byte now and then, until nobody takes one any more.
    let drip = |streams: &mut [TcpStream], lasts: Duration| {
        let until = Instant::now() + lasts;
        while Instant::now() < until {
            for stream in streams.iter_mut() {
                let _ = stream.write_all(b"a");
            }
            sleep(Duration::from_millis(400));
        }
    };
    arena.case(&format!("slow heads, {count} clients"), bounds(count), |_| {
        let mut streams = open("GET /health HTTP/1.1\r\nHost: x\r\nX: ");
        drip(&mut streams, Duration::from_millis(2500));
        let ends = ends(&streams);
        assert!(ends.starts_with(&format!("{count} x 408 the request's head")), "{ends}");
        ends
    });
    arena.case(&format!("slow bodies, {count} clients"), bounds(count), |_| {
        let mut streams =
            open("POST /api/v1/json/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        drip(&mut streams, Duration::from_millis(2500));
        let ends = ends(&streams);
        assert!(ends.starts_with(&format!("{count} x 408 the request's body")), "{ends}");
        ends
    });
    arena.case(&format!("silent after the connect, {count} clients"), bounds(count), |_| {
        let ends = ends(&open(""));
        assert_eq!(ends, format!("{count} x closed"));
        ends
    });
    arena.case(&format!("silent within a body, {count} clients"), bounds(count), |_| {
        let head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\nx";
        let ends = ends(&open(head));
        assert!(ends.starts_with(&format!("{count} x 408")), "{ends}");
        ends
    });
    arena.case(&format!("half-closed and gone, {count} clients"), bounds(count), |_| {
        let streams = open("GET /health HTTP/1.1\r\nHo");
        streams.iter().for_each(|stream| stream.shutdown(Shutdown::Write).unwrap());
        let ends = ends(&streams);
        assert_eq!(ends, format!("{count} x closed"));
        ends
    });
}

#[test]
fn connection_storms() {
    let arena = Arena::start("http: { connectionsMax: 50 }\n");
    let rounds = scaled(2000, 20_000);
    arena.case(&format!("connect and close, {rounds} times"), Bounds::default(), |arena| {
        let mut failed = 0;
        for _ in 0..rounds {
            // Ports of the client may run out before the node minds.
            failed += usize::from(TcpStream::connect_timeout(&arena.addr(), POLL).is_err());
        }
        format!("{} taken, {failed} not", rounds - failed)
    });
    let count = sockets(300, 3000);
    let bounds = Bounds { peak_mib: 64, ..Bounds::default() };
    arena.case(&format!("{count} connections where 100 may be"), bounds, |arena| {
        let streams: Vec<_> = (0..count).map(|_| connect(arena.addr())).collect();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for stream in &streams {
            let _ = (&*stream).write_all(&get("/health"));
            let got = answer_on(stream);
            if let Got::Answer(503, _, retry) = &got {
                assert!(retry, "a refusal says when to come again");
            }
            let shown = got.shown();
            let kind = if shown.starts_with("200") { "200" } else { shown.as_str() };
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        let served = kinds.get("200").copied().unwrap_or(0);
        assert!((1..=100).contains(&served), "{kinds:?}");
        assert!(kinds.keys().any(|kind| kind.starts_with("503 too many connections")), "{kinds:?}");
        kinds.iter().map(|(kind, n)| format!("{n} x {kind}")).collect::<Vec<_>>().join(", ")
    });
    until("the door to be open again", Duration::from_secs(20), || {
        let got = shoot(arena.addr(), &get("/health"));
        matches!(got, Got::Answer(200, ..)).then_some(())
    });
}

/// Stores series whose answer is about 4 MB.
fn store_wide(arena: &Arena) -> String {
    let now = now_ms();
    let value = "v".repeat(1000);
    let mut writer = WriteRequestWriter::default();
    for n in 0..4000 {
        let labels = [("__name__", "wide"), ("n", &n.to_string()), ("value", &value)];
        writer.push(&labels, &[(now, 1.0)]);
    }
    arena.node.client().remote_write(&writer.body()).expect(200);
    format!("/api/v1/query?query=wide&time={}", now as f64 / 1e3)
}

#[test]
fn clients_that_do_not_read() {
    let arena = Arena::start(IMPATIENT);
    let path = store_wide(&arena);
    let count = sockets(10, 100);
    let peak = Bounds { peak_mib: 200 + 14 * count as u64, stays_mib: 64 };
    arena.case(&format!("answers of 4 MB that {count} clients do not read"), peak, |arena| {
        let before = std::fs::read_dir(format!("/proc/{}/fd", arena.node.pid())).unwrap().count();
        let streams: Vec<_> = (0..count).map(|_| connect(arena.addr())).collect();
        streams.iter().for_each(|mut stream| stream.write_all(&get(&path)).unwrap());
        let open = || std::fs::read_dir(format!("/proc/{}/fd", arena.node.pid())).unwrap().count();
        until("the node to have taken them", PATIENCE, || (open() >= before + count).then_some(()));
        let begun = Instant::now();
        // The node gives them up by itself: no descriptor and no memory is held for ever.
        until("the node to give them up", PATIENCE, || (open() < before + 5).then_some(()));
        format!("closed after {:.1} s", begun.elapsed().as_secs_f64())
    });
    arena.case(&format!("{count} clients that vanish in an answer"), peak, |arena| {
        for _ in 0..count {
            let mut stream = connect(arena.addr());
            stream.write_all(&get(&path)).unwrap();
            // Closing with unread bytes resets the connection.
            let _ = stream.read(&mut [0; 100]);
        }
        "reset".to_owned()
    });
    let requests = scaled(10_000, 100_000);
    let few = Bounds { peak_mib: 64, ..Bounds::default() };
    arena.case(&format!("{requests} requests at once, no answer read"), few, |arena| {
        let stream = connect(arena.addr());
        stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
        let sent = (&stream).write_all(&get("/routes").repeat(requests));
        sleep(Duration::from_secs(1));
        sent.map_or_else(|e| format!("{:?}", e.kind()), |()| "all taken".to_owned())
    });
}

/// What came behind a body in the same read is the next requests; taking them one by one must not
/// cost their square.
#[test]
fn requests_behind_a_body() {
    let arena = Arena::start("");
    let behind = scaled(20_000, 60_000);
    arena.case(&format!("{behind} requests behind a body"), Bounds::default(), |arena| {
        let cpu = arena.node.cpu();
        for _ in 0..3 {
            let stream = connect(arena.addr());
            // A large body first, so that a large buffer waits for its next use.
            let head = "POST /api/v1/json/write HTTP/1.1\r\nHost: x\r\nContent-Length: ";
            let mut bytes = format!("{head}3000000\r\n\r\n{}", " ".repeat(3_000_000)).into_bytes();
            bytes.extend_from_slice(format!("{head}2\r\n\r\n{{}}").as_bytes());
            bytes.extend(b"GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n".repeat(behind));
            let expected = behind + 2;
            let answers = std::thread::scope(|scope| {
                scope.spawn(|| (&stream).write_all(&bytes).unwrap());
                let mut from = std::io::BufReader::new(&stream);
                let mut one = || crate::harness::read_response(&mut from, false);
                (0..expected).map(|_| one().unwrap().status).collect::<Vec<_>>()
            });
            assert_eq!(answers.len(), expected);
            assert!(answers[2..].iter().all(|status| *status == 404));
        }
        let cpu = (arena.node.cpu() - cpu).as_secs_f64() * 1e6 / (3 * behind) as f64;
        format!("{behind} x 404 | CPU {cpu:.1} us each")
    });
}
