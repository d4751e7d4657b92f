//! A request as its handler sees it, and the response that the handler returns.
//!
//! A [`Request`] belongs to its connection, which reuses it for one request after the other. The
//! handler borrows it, takes out what it wants to keep (`std::mem::take`), and leaves the other
//! memory for the next request.
//!
//! Always holds: the path and the parameters are percent-decoded; header names compare without
//! regard to case.

use m3_io::net::TcpStream;
use std::net::SocketAddr;

/// A request's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD: the handler sees it unchanged; the server omits the body.
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS: answered by the server.
    Options,
    /// PATCH
    Patch,
}

impl Method {
    /// The method named `name`, if the server knows it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            _ => return None,
        })
    }

    /// The method's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
        }
    }
}

/// Headers in the order of arrival, in one reused buffer.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    text: String,
    /// Where each name and each value ends in `text`.
    ends: Vec<(u32, u32)>,
}

impl Headers {
    /// Forgets all headers and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Frees the memory if it is more than `bytes_max` bytes. The headers are lost then.
    fn let_go(&mut self, bytes_max: usize) {
        if self.text.capacity() > bytes_max {
            *self = Self::default();
        }
    }

    /// Adds a header. Bytes of the value beyond ASCII that are not UTF-8 are replaced.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(value));
        let ends = (name_end, self.text.len());
        let narrow = |end: usize| u32::try_from(end).expect("a head is bounded far below 4 GiB");
        self.ends.push((narrow(ends.0), narrow(ends.1)));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let pair = (
                &self.text[start..name_end as usize],
                &self.text[name_end as usize..value_end as usize],
            );
            start = value_end as usize;
            pair
        })
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// The first value of `name` that is not empty, as M3 reads its headers.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

/// Parameters in the order of arrival; a name may repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parameters from pairs.
    #[must_use]
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Frees the texts, and the list if it takes more than `bytes_max` bytes.
    fn let_go(&mut self, bytes_max: usize) {
        self.0.clear();
        self.0.shrink_to(bytes_max / size_of::<(String, String)>());
    }

    /// Adds one.
    pub fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    /// Puts `first` in front, as a form's values precede the URL's.
    pub fn prepend(&mut self, mut first: Self) {
        first.0.append(&mut self.0);
        self.0 = first.0;
    }

    /// Puts `last` at the end.
    pub fn append(&mut self, mut last: Self) {
        self.0.append(&mut last.0);
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of `name`, unless it is empty: Go does not tell absent from empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// All values of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// What a client asks.
#[derive(Debug, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded.
    pub path: String,
    /// Parameters of the URL, and of a form once [`crate::api::form::merge`] was called.
    pub query: Params,
    /// The headers.
    pub headers: Headers,
    /// The body, whole, without its content encoding.
    pub body: Vec<u8>,
    /// The client's address, if the socket knows it.
    pub peer: Option<SocketAddr>,
    /// The request's connection, to see whether the client still waits.
    pub connection: Option<TcpStream>,
}

impl Request {
    /// Frees what path, parameters and headers hold beyond `bytes_max` bytes each, once the request
    /// is answered. Otherwise a connection would keep the memory of its largest request for ever.
    pub(crate) fn let_go(&mut self, bytes_max: usize) {
        if self.path.capacity() > bytes_max {
            self.path = String::new();
        }
        self.query.let_go(bytes_max);
        self.headers.let_go(bytes_max);
    }

    /// Resolves when the client has gone, and never for a request that did not come by a socket.
    /// The answer is useless then: race a long query against this and answer `canceled`.
    pub fn client_gone(&self) -> impl Future<Output = ()> + use<> {
        let connection = self.connection.clone();
        async move {
            match connection {
                Some(connection) => connection.peer_closed().await,
                None => std::future::pending().await,
            }
        }
    }
}

/// What the server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers. The server adds length, connection and CORS.
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// The body.
    pub body: Vec<u8>,
    /// The route's name in the server's counters; empty if unknown.
    pub route: &'static str,
}

/// A header's value: mostly a constant.
pub type HeaderValue = std::borrow::Cow<'static, str>;

impl Response {
    /// A response without headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A response with a body of `content_type`.
    #[must_use]
    pub fn with_body(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", HeaderValue::Borrowed(content_type))],
            body,
            route: "",
        }
    }

    /// Adds a header. Line breaks in the value would end the head, so they become spaces.
    pub fn push_header(&mut self, name: &'static str, value: impl Into<HeaderValue>) {
        let value = value.into();
        let breaks = |c: char| c.is_control() && c != '\t';
        let value = if value.contains(breaks) { value.replace(breaks, " ").into() } else { value };
        self.headers.push((name, value));
    }

    /// The first value of header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_ref())
    }
}

#[cfg(test)]
mod tests;
