//! Multipart forms: each gives parameters or an error with its reason, and the parameters can be
//! written as a form and read again. The first line of `data` is the content type; the rest is the
//! body.

use m3_http::api::form;
use m3_http::wire::multipart::{MultipartError, read_params};
use m3_http::wire::target::PARAMS_MAX;
use m3_http::{Method, Params, Request};
use std::fmt::Write;

/// Reads `data` as a form.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let content_type = String::from_utf8_lossy(&data[..end]).trim_end_matches('\r').to_owned();
    let body = &data[data.len().min(end + 1)..];
    let mut params = Params::default();
    let read = read_params(&content_type, body, &mut params);
    let size: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size <= body.len() && params.iter().count() <= PARAMS_MAX);
    request(&content_type, body, &read, &params);
    if let Err(why) = read {
        assert!(why.to_string().len() < 500, "{why}");
        return;
    }
    for newline in ["\r\n", "\n"] {
        let boundary = boundary(&params);
        let mut again = Params::default();
        let text = written(&params, &boundary, newline);
        let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
        read_params(&content_type, text.as_bytes(), &mut again)
            .expect("what was written can be read");
        assert_eq!(params, again, "{text:?}");
    }
}

/// The same form as a request; its parameters follow those of the URL.
fn request(content_type: &str, body: &[u8], read: &Result<(), MultipartError>, params: &Params) {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") || body.is_empty() {
        return;
    }
    let mut request = Request { method: Method::Post, body: body.to_vec(), ..Request::default() };
    request.headers.push("Content-Type", content_type.as_bytes());
    request.query.push("url".to_owned(), "first".to_owned());
    assert_eq!(form::merge(&mut request), read.clone().map_err(|why| why.to_string()));
    if read.is_ok() {
        let all = [("url", "first")].into_iter().chain(params.iter());
        assert!(request.query.iter().eq(all));
    }
}

/// A boundary that occurs in no value.
fn boundary(params: &Params) -> String {
    let free = (0..).map(|n| format!("b{n}"));
    let is_free = |boundary: &String| !params.iter().any(|(_, value)| value.contains(boundary));
    free.into_iter().find(is_free).expect("there are more numbers than values hold")
}

fn written(params: &Params, boundary: &str, newline: &str) -> String {
    let mut text = String::new();
    for (name, value) in params.iter() {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        write!(
            text,
            "--{boundary}{newline}Content-Disposition: form-data; name=\"{name}\"{newline}{newline}\
             {value}{newline}"
        )
        .expect("writing to a String succeeds");
    }
    text + "--" + boundary + "--"
}
