//! Requests and responses as values.

use super::*;

#[test]
fn a_form_s_values_come_before_the_url_s() {
    let mut request = Request { method: Method::Post, ..Request::default() };
    request.query.push("a".into(), "url".into());
    request.headers.push("content-TYPE", b"application/x-www-form-urlencoded; charset=UTF-8");
    request.body = b"a=form&b=1+2".to_vec();
    request.merge_form().unwrap();
    assert_eq!(request.query.get("a"), Some("form"));
    assert_eq!(request.query.all("a").collect::<Vec<_>>(), ["form", "url"]);
    assert_eq!(request.query.get("b"), Some("1 2"));
    request.body = b"a=%".to_vec();
    assert_eq!(request.merge_form().unwrap_err(), "invalid URL escape \"%\"");
    request.method = Method::Get;
    assert_eq!(request.merge_form(), Ok(()));
}

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

/// A form in parts is a form too. Go puts a plain form before the URL's parameters and one in parts
/// behind them.
#[test]
fn forms_are_read_by_their_content_type() {
    let merged = |method, content_type: &str, body: &str| {
        let mut request = Request { method, body: body.into(), ..Request::default() };
        request.headers.push("content-type", content_type.as_bytes());
        request.query.push("query".to_owned(), "url".to_owned());
        request.merge_form().map(|()| {
            let pairs = request.query.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("&")
        })
    };
    let parts = "--b\r\nContent-Disposition: form-data; name=query\r\n\r\nbody\r\n--b--";
    let of_parts = "Multipart/Form-Data; boundary=b";
    let plain = "application/x-www-form-urlencoded; charset=utf-8";
    let read = |text: &str| Ok(text.to_owned());
    assert_eq!(merged(Method::Post, plain, "query=body"), read("query=body&query=url"));
    assert_eq!(merged(Method::Post, of_parts, parts), read("query=url&query=body"));
    assert_eq!(merged(Method::Put, of_parts, parts), read("query=url&query=body"));
    assert_eq!(merged(Method::Get, of_parts, parts), read("query=url"));
    assert_eq!(merged(Method::Post, "multipart/mixed; boundary=b", parts), read("query=url"));
    assert_eq!(merged(Method::Post, of_parts, ""), read("query=url"));
    let refused = merged(Method::Post, "multipart/form-data", parts).unwrap_err();
    assert!(refused.contains("Content-Type names no boundary"), "{refused}");
}

/// A connection fills one request again and again: an ordinary one keeps its memory, one that was
/// large does not hold it for ever.
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
