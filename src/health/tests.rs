//! Anything may listen on the port: a node, another server, nothing.

use super::{HEAD_BYTES_MAX, Unwell, ask, own, status_line};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// A server that answers one connection with `pieces`, then waits until it is closed.
fn server(pieces: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::Builder::new()
        .spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).unwrap();
            assert!(asked[..read].starts_with(b"GET /health HTTP/1.1\r\nHost: "));
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(piece).unwrap();
            }
            // Keeps the connection open until the client has read the answer.
            let _ = stream.read(&mut asked);
        })
        .unwrap();
    addr
}

#[test]
fn a_node_is_well() {
    let addr = server(&[b"HTTP/1.1 2", b"00 OK\r", b"\n", b"Content-Length: 0\r\n\r\n"]);
    assert_eq!(ask(addr).unwrap(), addr);
}

#[test]
fn another_answer_is_shown() {
    let addr = server(&[b"HTTP/1.1 503 Service Unavailable\r\n\r\n"]);
    let text = ask(addr).unwrap_err().to_string();
    assert!(text.contains("503 Service Unavailable"), "{text}");
    let text = ask(server(&[b"SSH-2.0-OpenSSH_9.2\r\n"])).unwrap_err().to_string();
    assert!(text.contains("SSH-2.0"), "{text}");
}

#[test]
fn nobody_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(addr).unwrap_err();
    assert!(matches!(&error, Unwell::Silent { source, .. }
        if source.kind() == ErrorKind::ConnectionRefused));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn silence_and_endless_lines_end() {
    let patience = Duration::from_millis(50);
    let error = status_line(server(&[b"HTTP/1.1 "]), patience).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    static LONG: [u8; HEAD_BYTES_MAX + 1] = [b'x'; HEAD_BYTES_MAX + 1];
    static LONG_LINE: &[&[u8]] = &[&LONG];
    let error = status_line(server(LONG_LINE), Duration::from_secs(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn the_unspecified_address_is_this_machine() {
    for (listen, asked) in [
        ("0.0.0.0:7201", "127.0.0.1:7201"),
        ("[::]:1", "[::1]:1"),
        ("192.0.2.7:80", "192.0.2.7:80"),
    ] {
        assert_eq!(own(listen.parse().unwrap()).to_string(), asked);
    }
}
