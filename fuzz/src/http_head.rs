//! Request heads: they are found at the same place however they are cut, and have only one meaning.

use crate::cut::Cut;
use m3_http::wire::WireError;
use m3_http::wire::head::{Framing, HEADERS_MAX, Head, Scanner, parse};
use m3_http::wire::target::{PARAMS_MAX, read_params};
use m3_http::{Method, Params, Request};
use std::fmt::Write;

/// Most bytes of a head; small, so that the fuzzer reaches the limit.
const HEAD_MAX: usize = 1024;
/// Bytes of a body.
const BODY_MAX: usize = 1000;

/// Reads `data` as the beginning of a connection, and as a form.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    form(data);
    let whole = scan(data, Cut::Whole);
    for cut in Cut::all(data) {
        match (&whole, &scan(data, cut)) {
            (Ok(whole), Ok(cut)) => assert_eq!(whole, cut),
            // Above the limit the reason may differ, because in pieces the end is never reached.
            (Err(whole), Err(cut)) => assert!(whole == cut || data.len() >= HEAD_MAX),
            (whole, other) => panic!("{whole:?} at once, {other:?} cut as {cut:?}"),
        }
    }
    if let Ok(Some(len)) = whole {
        assert!(len <= HEAD_MAX && len <= data.len());
        assert!(data[..len].ends_with(b"\r\n\r\n"));
        head(&data[..len]);
    }
}

/// What a server finds as the bytes arrive: the length of the head, or `None` so far.
fn scan(data: &[u8], cut: Cut) -> Result<Option<usize>, WireError> {
    let mut scanner = Scanner::default();
    for end in cut.ends(data.len()) {
        if let Some(len) = scanner.scan(&data[..end], HEAD_MAX)? {
            return Ok(Some(len));
        }
    }
    Ok(None)
}

fn head(bytes: &[u8]) {
    let mut request = Request::default();
    let read = parse(bytes, BODY_MAX, &mut request);
    // A connection reuses its request; nothing of the previous one may remain.
    let mut used = used_request();
    assert_eq!(parse(bytes, BODY_MAX, &mut used), read);
    let Ok(head) = read else { return };
    assert_eq!(show(&request), show(&used));
    assert_eq!(head.len, bytes.len());
    let count = request.headers.iter().count();
    let size: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    // A byte that is not UTF-8 becomes a character of three bytes.
    assert!(count <= HEADERS_MAX && size <= bytes.len() * 3);
    assert!(request.path.len() <= bytes.len());
    assert!(request.path.starts_with('/') || matches!(request.path.as_str(), "" | "*"));
    for (name, value) in request.headers.iter() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
    }
    framing(&head, &request);
    again(head, &request);
}

/// Finds the end of the body again from the headers, as a naive reader would.
fn framing(head: &Head, request: &Request) {
    let all = |wanted: &str| -> Vec<String> {
        let named = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.to_owned()).collect()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(!head.is_1_1 || all("host").len() == 1);
    assert!(lengths.len() + codings.len() <= 1, "two ends of one body");
    match head.framing {
        Framing::Chunked => {
            assert!(head.is_1_1 && codings[0].eq_ignore_ascii_case("chunked"));
        }
        Framing::Length(length) => {
            assert!(codings.is_empty() && length <= BODY_MAX);
            let given = lengths.first().map_or(0, |text| text.parse().expect("a plain number"));
            assert_eq!(length, given);
        }
    }
}

/// What was read, then written and read again, stays the same.
fn again(head: Head, request: &Request) {
    let mut text = String::from(request.method.name());
    let at = if request.path.is_empty() { " http://h" } else { " " };
    text.push_str(at);
    // A slash behind another one is part of a path only if it is escaped.
    let path = escaped(&request.path).replace("//", "/%2F");
    text.push_str(if request.path == "*" { "*" } else { &path });
    if request.path != "*" {
        text.push('?');
        text.push_str(&written(&request.query));
    }
    text.push_str(if head.is_1_1 { " HTTP/1.1\r\n" } else { " HTTP/1.0\r\n" });
    for (name, value) in request.headers.iter() {
        write!(text, "{name}: {value}\r\n").expect("writing to a String succeeds");
    }
    text.push_str("\r\n");
    let mut second = Request::default();
    let read = parse(text.as_bytes(), BODY_MAX, &mut second);
    assert_eq!(read, Ok(Head { len: text.len(), ..head }), "{text:?}");
    assert_eq!(show(request), show(&second), "{text:?}");
}

/// Reads `data` as the parameters of a form.
fn form(data: &[u8]) {
    let mut params = Params::default();
    if read_params(data, &mut params).is_err() {
        return;
    }
    let size: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size <= data.len() && params.iter().count() <= PARAMS_MAX);
    let mut second = Params::default();
    read_params(written(&params).as_bytes(), &mut second).expect("what was written can be read");
    assert_eq!(params, second);
}

fn written(params: &Params) -> String {
    let pairs = params.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// `text` with every character escaped that has a meaning in a target.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String succeeds");
        }
    }
    out
}

/// A request that was filled by an earlier head.
fn used_request() -> Request {
    let mut used = Request { method: Method::Put, path: "/old".to_owned(), ..Request::default() };
    used.query.push("old".to_owned(), "1".to_owned());
    used.headers.push("Content-Length", b"7");
    used
}

fn show(request: &Request) -> String {
    let headers: Vec<_> = request.headers.iter().collect();
    format!("{:?} {:?} {:?} {headers:?}", request.method, request.path, request.query)
}
