//! Which bodies are forms, and where their parameters go.

use super::*;

#[test]
fn a_form_s_values_come_before_the_url_s() {
    let mut request = Request { method: Method::Post, ..Request::default() };
    request.query.push("a".into(), "url".into());
    request.headers.push("content-TYPE", b"application/x-www-form-urlencoded; charset=UTF-8");
    request.body = b"a=form&b=1+2".to_vec();
    merge(&mut request).unwrap();
    assert_eq!(request.query.get("a"), Some("form"));
    assert_eq!(request.query.all("a").collect::<Vec<_>>(), ["form", "url"]);
    assert_eq!(request.query.get("b"), Some("1 2"));
    request.body = b"a=%".to_vec();
    assert_eq!(merge(&mut request).unwrap_err(), "invalid URL escape \"%\"");
    request.method = Method::Get;
    assert_eq!(merge(&mut request), Ok(()));
}

/// A multipart form is read too. Go puts a plain form's parameters before the URL's and a multipart
/// form's behind them.
#[test]
fn forms_are_read_by_their_content_type() {
    let merged = |method, content_type: &str, body: &str| {
        let mut request = Request { method, body: body.into(), ..Request::default() };
        request.headers.push("content-type", content_type.as_bytes());
        request.query.push("query".to_owned(), "url".to_owned());
        merge(&mut request).map(|()| {
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
