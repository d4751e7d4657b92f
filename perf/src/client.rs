//! A blocking HTTP/1.1 connection that sends prepared requests, one write each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A server that sends nothing for this long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 30;
const HEADERS_MAX: usize = 64;

/// The address of a server: `http://HOST:PORT` and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("the URL begins with http://")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { address: address.to_owned(), path: format!("/{path}") })
    }

    /// The head of a remote write with a body of `body_len` bytes.
    pub(crate) fn write_head(&self, body_len: usize) -> String {
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: m3-perf\r\n\
             Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {body_len}\r\n\r\n",
            self.path, self.address
        )
    }

    /// A complete GET request for `path`.
    pub(crate) fn get(&self, path: &str) -> String {
        self.get_with(path, "")
    }

    /// As [`Self::get`] with more headers, each with its line end.
    pub(crate) fn get_with(&self, path: &str, headers: &str) -> String {
        let address = &self.address;
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: m3-perf\r\n{headers}\r\n")
    }
}

/// A connection with one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The bytes read: head and body of an answer. Grows to the largest answer.
    buffer: Vec<u8>,
    filled: usize,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(target: &Target) -> Result<Self, String> {
        let said = |e: std::io::Error| format!("{}: {e}", target.address);
        let stream = TcpStream::connect(&target.address).map_err(said)?;
        stream.set_nodelay(true).map_err(said)?;
        stream.set_read_timeout(Some(SILENCE_MAX)).map_err(said)?;
        stream.set_write_timeout(Some(SILENCE_MAX)).map_err(said)?;
        Ok(Self { stream, buffer: vec![0; 16 << 10], filled: 0, body: Vec::new() })
    }

    /// Sends `request`, reads the answer and returns its status.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<u16, String> {
        self.stream.write_all(request).map_err(|e| format!("sending: {e}"))?;
        self.filled = 0;
        self.body.clear();
        let head = loop {
            self.read_more()?;
            if let Some(head) = Head::parse(&self.buffer[..self.filled])? {
                break head;
            }
        };
        match head.length {
            Length::Known(length) => {
                if length > ANSWER_BYTES_MAX {
                    return Err(format!("an answer of {length} bytes"));
                }
                while self.filled < head.bytes + length {
                    self.read_more()?;
                }
                self.body.extend_from_slice(&self.buffer[head.bytes..head.bytes + length]);
            }
            Length::Chunked => self.read_chunks(head.bytes)?,
        }
        Ok(head.status)
    }

    /// The last answer's body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    fn read_chunks(&mut self, start: usize) -> Result<(), String> {
        let mut at = start;
        loop {
            let size = match httparse::parse_chunk_size(&self.buffer[at..self.filled]) {
                Ok(httparse::Status::Complete((line, size))) => {
                    at += line;
                    usize::try_from(size).map_err(|e| e.to_string())?
                }
                Ok(httparse::Status::Partial) => {
                    self.read_more()?;
                    continue;
                }
                Err(_) => return Err("a bad chunk".to_owned()),
            };
            if self.body.len() + size > ANSWER_BYTES_MAX {
                return Err("an endless answer".to_owned());
            }
            while self.filled < at + size + 2 {
                self.read_more()?;
            }
            self.body.extend_from_slice(&self.buffer[at..at + size]);
            at += size + 2;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn read_more(&mut self) -> Result<(), String> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]);
        match read.map_err(|e| format!("reading: {e}"))? {
            0 => Err("the server closed the connection".to_owned()),
            bytes => {
                self.filled += bytes;
                Ok(())
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the head itself.
    bytes: usize,
    length: Length,
}

impl Head {
    /// Parses the head at the start of `bytes`; `None` if it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(bytes).map_err(|e| format!("an answer's head: {e}"))? {
            httparse::Status::Complete(head) => head,
            httparse::Status::Partial => return Ok(None),
        };
        let mut length = Length::Known(0);
        for header in response.headers.iter() {
            let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
            if header.name.eq_ignore_ascii_case("content-length") {
                let bytes = value.parse().map_err(|_| "a bad Content-Length".to_owned())?;
                length = Length::Known(bytes);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            }
        }
        Ok(Some(Self { status: response.code.unwrap_or(0), bytes: head, length }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, Target};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse("http://127.0.0.1:7201/api/v1/write?x=1").unwrap();
        assert_eq!((&*target.address, &*target.path), ("127.0.0.1:7201", "/api/v1/write?x=1"));
        assert_eq!(Target::parse("http://h:1").unwrap().path, "/");
        assert!(Target::parse("https://h:1/").is_err());
        assert!(
            target
                .write_head(17)
                .contains("POST /api/v1/write?x=1 HTTP/1.1\r\nHost: 127.0.0.1:7201\r\n")
        );
    }

    #[test]
    fn answers_of_all_forms_are_read_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let long = "x".repeat(100_000);
        let answers = [
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nwhy".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n"
                .to_owned(),
            format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{long}"),
        ];
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut ping = [0; 4];
                stream.read_exact(&mut ping).unwrap();
                // In small pieces, so that heads and chunks are torn.
                for piece in answer.as_bytes().chunks(answer.len().div_ceil(9)) {
                    stream.write_all(piece).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
        let target = Target { address, path: "/".to_owned() };
        let mut connection = Connection::open(&target).unwrap();
        let mut ask = || {
            let status = connection.exchange(b"ping").unwrap();
            (status, String::from_utf8(connection.body().to_vec()).unwrap())
        };
        assert_eq!(ask(), (204, String::new()));
        assert_eq!(ask(), (400, "why".to_owned()));
        assert_eq!(ask(), (200, "abcde".to_owned()));
        assert_eq!(ask(), (200, long));
        server.join().unwrap();
        assert!(connection.exchange(b"ping").is_err(), "the server is gone");
    }
}
