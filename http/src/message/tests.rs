//! Requests and responses as values.

use super::*;

#[test]
fn headers_keep_their_order_and_answers_their_head() {
    let mut headers = Headers::default();
    headers.push("A", b"1");
    headers.push("b", b"");
    headers.push("a", b"2\xff");
    assert_eq!(headers.get("a"), Some("1"));
    assert_eq!(headers.filled("B"), None);
    assert_eq!(headers.iter().count(), 3);
    headers.clear();
    assert_eq!(headers.iter().count(), 0);
    let mut response = Response::new(200);
    response.push_header("X", "a\r\nSet-Cookie: b".to_owned());
    assert_eq!(response.header("x"), Some("a  Set-Cookie: b"));
}

/// A connection reuses one request: it keeps the memory of an ordinary one, but not for ever that
/// of a large one.
#[test]
fn memory_of_a_large_request_is_let_go() {
    let mut request = Request { path: "a".repeat(100), ..Request::default() };
    request.headers.push("a", &[b'x'; 100]);
    request.let_go(1000);
    assert!(request.path.capacity() >= 100 && request.headers.text.capacity() >= 100);
    request.path = "a".repeat(2000);
    request.headers.push("b", &[b'x'; 2000]);
    for n in 0..1000 {
        request.query.push(n.to_string(), "x".repeat(100));
    }
    request.let_go(1000);
    assert_eq!((request.path.capacity(), request.headers.text.capacity()), (0, 0));
    assert!(request.query.0.capacity() < 100, "{}", request.query.0.capacity());
}
