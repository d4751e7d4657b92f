//! Heads, targets and framings that no client sends by accident.

use super::{Arena, Bounds, Got, connect, get, scaled, shoot};
use std::io::{Read, Write};

#[test]
fn heads_and_targets() {
    let arena = Arena::start("");
    let count = scaled(8, 2000);
    let head = |line: &str| format!("GET /health HTTP/1.1\r\nHost: x\r\n{line}\r\n").into_bytes();
    let long = head(&format!("X: {}\r\n", "a".repeat(1 << 20)));
    arena.shots("a head of more than 1 MiB", count, &[431], "request head too long", &long);
    let long = head(&format!("X: {}\r\n", "a".repeat(1_000_000)));
    arena.shots("a head of 1 MB", count, &[200], "uptime", &long);
    let json = head(&format!("M3-Map-Tags-JSON: [{}0]\r\n", "0,".repeat(500_000)));
    arena.shots("a header of 1 MB of JSON", count, &[400], "at most 131072 are allowed", &json);
    let many: String = (0..1000).map(|n| format!("X{n}: 1\r\n")).collect();
    arena.shots("1,000 headers", count, &[431], "too many headers", &head(&many));
    let url = get(&format!("/api/v1/query?query={}", "a".repeat(1 << 20)));
    arena.shots("a URL of 1 MB", count, &[431], "request head too long", &url);
    let url = get(&format!("/api/v1/query?query={}", "a".repeat(500_000)));
    arena.shots("a query of 500 KB", count, &[400], "at most 131072 are allowed", &url);
    let url = get(&format!("/api/v1/query?query=a&time={}", "%01".repeat(300_000)));
    arena.shots("a time of 900 KB", count, &[400], "bytes in all)", &url);
    let target = get("/api/v1/query?query=%zz%");
    arena.shots("an escape that is none", count, &[400], "invalid URL escape", &target);
    let target = get("/api/v1/query?query=%ff%fe");
    arena.shots("an escape that is no UTF-8", count, &[400], "invalid URL escape", &target);
    let target = get(&format!("/{}", "%2e%2e%2f".repeat(1500)));
    arena.shots("a path of 1,500 steps up", count, &[404], "no such route", &target);
    let pairs = get(&format!("/api/v1/query?{}", "a&".repeat(7000)));
    arena.shots("7,000 parameters in a URL", count, &[400], "more than 4096 parameters", &pairs);
    let garbage: Vec<u8> = (0..8192u32).map(|n| (n * 7 + 200) as u8).collect();
    arena.shots("8 KiB of noise", count, &[400], "malformed request", &garbage);
    let tls = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(8);
    arena.shots("a TLS hello", count, &[400], "malformed request", &tls);
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    arena.shots("an HTTP/2 preface", count, &[400, 501, 505], "", http2);
}

/// Two parties must not disagree about where a request ends. It is refused, the connection is
/// closed, and what follows it is not served.
#[test]
fn request_smuggling() {
    let arena = Arena::start("");
    let smuggled = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";
    let shapes = [
        ("both lengths", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 4\r\n"),
        ("a list of lengths", "Content-Length: 0, 4\r\n"),
        ("a signed length", "Content-Length: +4\r\n"),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a folded line", "Content-Length: 0\r\n Transfer-Encoding: chunked\r\n"),
        ("a coding beside chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("a bare line feed", "X: 1\nContent-Length: 4\r\n"),
        ("a null in a value", "X: \0\r\n"),
        ("two hosts", "Host: y\r\n"),
    ];
    arena.case("request smuggling, ten shapes", Bounds::default(), |arena| {
        let mut shown = Vec::new();
        for (name, lines) in shapes {
            let head = format!("POST /api/v1/json/write HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
            let mut stream = connect(arena.addr());
            stream.write_all(format!("{head}0\r\n\r\n{smuggled}").as_bytes()).unwrap();
            let mut all = String::new();
            let _ = stream.read_to_string(&mut all);
            let answers = all.matches("HTTP/1.1 ").count();
            assert_eq!(answers, 1, "{name}: {all}");
            let status = &all[9..12];
            assert!(["400", "501"].contains(&status), "{name}: {all}");
            shown.push(status.to_owned());
        }
        shown.sort();
        shown.dedup();
        format!("{}, one answer each, closed", shown.join("/"))
    });
}

#[test]
fn framings_of_bodies() {
    let arena = Arena::start("");
    let count = scaled(8, 2000);
    let head = "POST /api/v1/prom/remote/write HTTP/1.1\r\nHost: x\r\n";
    let declared = format!("{head}Content-Length: {}\r\n\r\n", (32 << 20) + 1).into_bytes();
    arena.shots("a length of 32 MiB + 1", count, &[413], "request body too large", &declared);
    let declared = format!("{head}Content-Length: 9223372036854775807\r\n\r\n").into_bytes();
    arena.shots("a length of 2^63 - 1", count, &[413], "request body too large", &declared);
    let declared = format!("{head}Content-Length: 99999999999999999999\r\n\r\n").into_bytes();
    arena.shots("a length of 20 digits", count, &[400], "not a number of bytes", &declared);
    let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n7fffffffffffff\r\n").into_bytes();
    arena.shots("a chunk of 2^55 bytes", count, &[413], "request body too large", &chunk);
    let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n");
    arena.shots("a chunk's size of 17 digits", count, &[400], "too many digits", chunk.as_bytes());
    let extension = format!("{head}Transfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(1 << 20));
    let text = "chunk extensions or trailers are too long";
    arena.shots("a chunk extension of 1 MiB", count, &[400], text, extension.as_bytes());
    let mut tiny = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    tiny.extend(b"1\r\nx\r\n".repeat(100_000));
    tiny.extend_from_slice(b"0\r\n\r\n");
    arena.shots("100,000 chunks of one byte", 4, &[400], "snappy: corrupt input", &tiny);
    let endless = endless_chunks(head);
    let bounds = Bounds { peak_mib: 600, ..Bounds::default() };
    arena.case("chunks without end", bounds, |arena| {
        let got: Vec<Got> = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..4).map(|_| scope.spawn(|| shoot(arena.addr(), &endless))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        got[0].clone().expect("chunks without end", &[413], "request body too large")
    });
}

/// 40 MiB in chunks, and no last one.
fn endless_chunks(head: &str) -> Vec<u8> {
    let mut out = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; 1 << 20], b"\r\n"].concat();
    (0..40).for_each(|_| out.extend_from_slice(&chunk));
    out
}
