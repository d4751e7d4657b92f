//! Parses request heads: the request line and the headers, and what they say about the body and the
//! connection.
//!
//! Always holds: a parsed head has exactly one meaning. `Content-Length` together with
//! `Transfer-Encoding`, repeated or malformed lengths, folded lines, bare line feeds, spaces before
//! colons, and missing or repeated hosts are refused.

use super::{WireError, target};
use crate::message::{Method, Request};

/// Headers of one request.
pub const HEADERS_MAX: usize = 100;
/// Empty lines that may precede a request line.
const BLANK_LINES_MAX: usize = 4;

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; zero is no body.
    Length(usize),
    /// Chunks.
    Chunked,
}

/// What a head says besides what is stored in the [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the head, blank lines before it included.
    pub len: usize,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection may serve another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client takes a gzip-encoded answer.
    pub accepts_gzip: bool,
    /// HTTP/1.1, not 1.0.
    pub is_1_1: bool,
}

/// Finds the end of a head that arrives in pieces; it reads every byte once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanner {
    seen: usize,
}

impl Scanner {
    /// Reads what arrived since the last call; `bytes` begins where the head begins. Returns the
    /// head's length once it is complete.
    ///
    /// # Errors
    /// The bytes cannot become a head, or not one within `limit`.
    pub fn scan(&mut self, bytes: &[u8], limit: usize) -> Result<Option<usize>, WireError> {
        let blank = blank_prefix(bytes)?;
        if bytes.get(blank).is_some_and(|first| !first.is_ascii_uppercase() && *first != b'\r') {
            return Err(WireError::BadRequest("the request does not begin with an HTTP method"));
        }
        for at in self.seen.max(blank)..bytes.len() {
            if bytes[at] != b'\n' {
                continue;
            }
            if at == 0 || bytes[at - 1] != b'\r' {
                return Err(WireError::BadRequest("a line ends without a carriage return"));
            }
            if at >= blank + 3 && bytes[at - 3..at] == *b"\r\n\r" {
                let len = at + 1;
                return if len > limit {
                    Err(WireError::HeadTooLong { limit })
                } else {
                    Ok(Some(len))
                };
            }
        }
        self.seen = bytes.len();
        if bytes.len() >= limit { Err(WireError::HeadTooLong { limit }) } else { Ok(None) }
    }
}

fn blank_prefix(bytes: &[u8]) -> Result<usize, WireError> {
    let blank = bytes.chunks_exact(2).take_while(|two| *two == b"\r\n").count();
    if blank > BLANK_LINES_MAX {
        return Err(WireError::BadRequest("empty lines instead of a request"));
    }
    Ok(blank * 2)
}

/// Parses the complete head `bytes` (as [`Scanner`] found it) into `request`.
///
/// # Errors
/// The rule that the head breaks. `request` then holds a part of the head.
pub fn parse(bytes: &[u8], body_max: usize, request: &mut Request) -> Result<Head, WireError> {
    let blank = blank_prefix(bytes)?;
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    match parsed.parse(&bytes[blank..]) {
        Ok(httparse::Status::Complete(len)) if blank + len == bytes.len() => {}
        Ok(_) => return Err(WireError::BadRequest("the head ends early")),
        Err(error) => return Err(translate(error)),
    }
    let is_1_1 = parsed.version == Some(1);
    let method = parsed.method.unwrap_or_default();
    request.method = Method::from_name(method)
        .ok_or_else(|| WireError::UnknownMethod(method.chars().take(32).collect()))?;
    let raw_target = parsed.path.unwrap_or_default();
    target::split(raw_target, &mut request.path, &mut request.query)?;
    request.headers.clear();
    let mut meaning = Meaning::default();
    for header in parsed.headers.iter() {
        meaning.note(header.name, header.value)?;
        request.headers.push(header.name, header.value);
    }
    meaning.conclude(bytes.len(), is_1_1, body_max)
}

fn translate(error: httparse::Error) -> WireError {
    match error {
        httparse::Error::Version => WireError::Version,
        httparse::Error::TooManyHeaders => WireError::TooManyHeaders { limit: HEADERS_MAX },
        httparse::Error::HeaderName => WireError::BadRequest("a header's name is malformed"),
        httparse::Error::HeaderValue => WireError::BadRequest("a header's value is malformed"),
        httparse::Error::NewLine => WireError::BadRequest("a line is malformed"),
        httparse::Error::Token => WireError::BadRequest("the request line is malformed"),
        _ => WireError::BadRequest("the head is malformed"),
    }
}

/// What the headers said so far.
#[derive(Default)]
struct Meaning {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    codings: usize,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    unknown_expectation: Option<String>,
    accepts_gzip: bool,
}

impl Meaning {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), WireError> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // Names of other lengths have no meaning here, so most headers are skipped at once.
        match name.len() {
            4 if is("host") => self.hosts += 1,
            6 if is("expect") => self.note_expectation(value),
            10 if is("connection") => {
                for token in tokens(value) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is("content-length") => {
                if self.length.is_some() {
                    return Err(WireError::BadRequest("Content-Length is given twice"));
                }
                self.length = Some(read_length(value)?);
            }
            15 if is("accept-encoding") => self.accepts_gzip |= accepts_gzip(value),
            17 if is("transfer-encoding") => {
                self.codings += 1;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
                if !self.chunked {
                    let shown = String::from_utf8_lossy(value).chars().take(64).collect();
                    return Err(WireError::UnknownCoding(shown));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note_expectation(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expects_continue = true;
        } else {
            let shown = String::from_utf8_lossy(value).chars().take(64).collect();
            self.unknown_expectation = Some(shown);
        }
    }

    fn conclude(self, len: usize, is_1_1: bool, body_max: usize) -> Result<Head, WireError> {
        if is_1_1 && self.hosts != 1 {
            return Err(WireError::BadRequest("exactly one Host header is expected"));
        }
        if self.codings > 1 {
            return Err(WireError::BadRequest("Transfer-Encoding is given twice"));
        }
        if self.chunked && self.length.is_some() {
            return Err(WireError::BadRequest(
                "Content-Length and Transfer-Encoding are both given",
            ));
        }
        if self.chunked && !is_1_1 {
            return Err(WireError::BadRequest("HTTP/1.0 has no Transfer-Encoding"));
        }
        if let Some(expectation) = self.unknown_expectation.filter(|_| is_1_1) {
            return Err(WireError::UnknownExpectation(expectation));
        }
        let framing = if self.chunked {
            Framing::Chunked
        } else {
            let length = usize::try_from(self.length.unwrap_or(0)).unwrap_or(usize::MAX);
            if length > body_max {
                return Err(WireError::BodyTooLong { limit: body_max });
            }
            Framing::Length(length)
        };
        Ok(Head {
            len,
            framing,
            keep_alive: !self.close && (is_1_1 || self.keep_alive),
            expects_continue: self.expects_continue && is_1_1,
            accepts_gzip: self.accepts_gzip,
            is_1_1,
        })
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits only: no sign, no list, no space within.
fn read_length(value: &[u8]) -> Result<u64, WireError> {
    let bad = WireError::BadRequest("Content-Length is not a number of bytes");
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    Ok(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

fn accepts_gzip(value: &[u8]) -> bool {
    tokens(value).any(|token| {
        let mut parts = token.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let weight = part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="));
            weight.is_some_and(|q| !q.is_empty() && q.iter().all(|b| matches!(b, b'0' | b'.')))
        });
        (coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")) && !refused
    })
}

#[cfg(test)]
mod tests;
