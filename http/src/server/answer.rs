//! Writes answers as bytes.

use crate::api::{ApiError, NO_MEMORY_RETRY_S};
use crate::message::{Method, Response};
use crate::wire::WireError;
use m3_io::budget::Budget;
use std::io::Write;

/// Bodies up to this size are sent together with their head, in one write.
pub(super) const JOIN_BYTES_MAX: usize = 16 << 10;

/// M3's CORS headers, on every answer.
const CORS: &[u8] = b"Access-Control-Allow-Origin: *\r\n\
    Access-Control-Allow-Headers: accept, content-type, authorization\r\n\
    Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n";

/// Appends the head of `response` to `out`.
pub(super) fn write_head(out: &mut Vec<u8>, response: &Response, keep_alive: bool, is_1_1: bool) {
    let status = response.status;
    write!(out, "HTTP/1.1 {status} {}\r\n", reason(status)).expect("writing to a Vec succeeds");
    out.extend_from_slice(CORS);
    for (name, value) in &response.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // 204 and 304 have no body and no length.
    if !matches!(status, 204 | 304) {
        write!(out, "Content-Length: {}\r\n", response.body.len())
            .expect("writing to a Vec succeeds");
    }
    if !keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if !is_1_1 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether the answer to `method` carries its body.
pub(super) fn has_body(method: Method, status: u16) -> bool {
    method != Method::Head && !matches!(status, 204 | 304)
}

/// The answer to bytes that did not become a request.
pub(super) fn refusal(status: u16, message: &str) -> Response {
    let kind = match status {
        503 => "unavailable",
        408 => "timeout",
        429 => "too_many_requests",
        _ => "bad_data",
    };
    let body = crate::reply::error_body(Some(kind), message);
    Response::with_body(status, crate::reply::JSON, body)
}

/// The answer to a head or a body (`what`) for which the memory limit leaves no room after
/// `arrived` bytes of it.
pub(super) fn no_memory(what: &str, arrived: usize, budget: &Budget) -> Response {
    let what = format!("the {what} is refused for now after {} KiB of it", arrived >> 10);
    let error = ApiError::no_memory(&what, budget);
    let mut response = refusal(error.kind.status(), &error.message);
    response.push_header("Retry-After", NO_MEMORY_RETRY_S.to_string());
    response
}

/// The answer to a malformed request.
pub(super) fn wire_refusal(error: &WireError) -> Response {
    refusal(error.status(), &error.to_string())
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}
