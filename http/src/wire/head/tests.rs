//! Heads of requests: framing, limits, what is refused.

use super::*;

fn read(text: &str) -> Result<(Head, Request), WireError> {
    let mut request = Request::default();
    let len = Scanner::default().scan(text.as_bytes(), 16 << 10)?.expect("the head is whole");
    let head = parse(&text.as_bytes()[..len], 1000, &mut request)?;
    Ok((head, request))
}

#[test]
fn heads_say_what_follows() {
    let (head, request) = read(
        "\r\nPOST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nX-Y:  z \r\n\
         Accept-Encoding: br, gzip;q=0.5\r\n\r\nrest",
    )
    .unwrap();
    assert_eq!(head.framing, Framing::Length(12));
    assert!(head.keep_alive && head.accepts_gzip && head.is_1_1 && !head.expects_continue);
    assert_eq!((request.method, request.path.as_str()), (Method::Post, "/a"));
    assert_eq!(request.query.get("b"), Some("c"));
    assert_eq!(request.headers.get("x-y"), Some("z"));
    assert_eq!(request.headers.get("X-Z"), None);
    let keeps = |text: &str| read(text).unwrap().0.keep_alive;
    assert!(!keeps("GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n"));
    assert!(!keeps("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n"));
    assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
    assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

#[test]
fn a_scan_looks_at_bytes_once_and_gives_up_early() {
    let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut scanner = Scanner::default();
    for end in 1..text.len() {
        assert_eq!(scanner.scan(&text[..end], 100), Ok(None), "{end}");
    }
    assert_eq!(scanner.scan(text, 100), Ok(Some(text.len())));
    let refuse = |bytes: &[u8], limit| Scanner::default().scan(bytes, limit).unwrap_err().status();
    assert_eq!(refuse(b"GET / HTTP/1.1\n", 100), 400);
    assert_eq!(refuse(b"\x00", 100), 400);
    assert_eq!(refuse(b"\r\n\r\n\r\n\r\n\r\n", 100), 400);
    assert_eq!(refuse(&[b'A'; 100], 100), 431);
    assert_eq!(refuse(text, 20), 431);
}

/// One byte of a valid head is changed: the head is refused, or its meaning stays the same. Above
/// all the length of the body stays the same, unless the byte is in the line that gives it.
/// Otherwise a sender could hide a request in what looks like a body.
#[test]
fn a_head_with_one_wrong_byte_is_refused_or_means_the_same() {
    let base = "POST /a?b=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\
                Expect: 100-continue\r\n\r\n";
    let place = |text: &str| {
        let at = base.find(text).unwrap();
        at..at + text.len()
    };
    let (target, length_line) = (place("/a?b=%20"), place("Content-Length: 3"));
    for at in 0..base.len() {
        for byte in 0..=255 {
            let mut bytes = base.as_bytes().to_vec();
            bytes[at] = byte;
            let mut request = Request::default();
            let read = match Scanner::default().scan(&bytes, 1000) {
                Ok(Some(len)) => parse(&bytes[..len], 1000, &mut request),
                Ok(None) => {
                    assert!(at + 4 >= base.len(), "byte {at} is {byte}: the head has no end");
                    continue;
                }
                Err(refused) => Err(refused),
            };
            match read {
                Ok(head) => {
                    let is_same = (request.method, request.path.as_str()) == (Method::Post, "/a");
                    assert!(is_same || target.contains(&at), "byte {at} is {byte}: {request:?}");
                    let is_same = head.framing == Framing::Length(3);
                    assert!(is_same || length_line.contains(&at), "byte {at} is {byte}: {head:?}");
                }
                Err(refused) => {
                    let status = refused.status();
                    assert!(
                        matches!(status, 400 | 417 | 501 | 505),
                        "byte {at} is {byte}: {status}"
                    );
                }
            }
        }
    }
}
