//! An HTTP client in the simulated world: one connection, one request at a time.

use m3_io::net::TcpStream;
use m3_io::time;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer of the node.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// No answer came, so it is unknown what the request did.
#[derive(Debug)]
pub struct NoAnswer;

/// A client with at most one open connection.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    /// A client of the node at `addr`, not connected yet.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, stream: None }
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`NoAnswer`] when none came within some seconds.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, NoAnswer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: m3ring\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        let exchanged = time::timeout(PATIENCE, self.exchange(request)).await;
        match exchanged {
            Ok(Some(answer)) => Ok(answer),
            _ => {
                self.close();
                Err(NoAnswer)
            }
        }
    }

    async fn exchange(&mut self, request: Vec<u8>) -> Option<Answer> {
        let stream = match &self.stream {
            Some(stream) => stream.clone(),
            None => TcpStream::connect(self.addr).await.ok()?,
        };
        self.stream = None;
        stream.write_all(request).await.0.ok()?;
        let mut buf = Vec::with_capacity(4096);
        let head_end = loop {
            if let Some(end) = buf.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            buf = more(&stream, buf).await?;
        };
        let head = String::from_utf8_lossy(&buf[..head_end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let end = head_end + length.unwrap_or(0);
        assert!(end <= ANSWER_BYTES_MAX, "an answer of {end} bytes");
        while buf.len() < end {
            buf = more(&stream, buf).await?;
        }
        let is_last = head.to_ascii_lowercase().contains("connection: close");
        self.stream = (!is_last).then_some(stream);
        Some(Answer { status, body: buf[head_end..end].to_vec() })
    }
}

async fn more(stream: &TcpStream, mut buf: Vec<u8>) -> Option<Vec<u8>> {
    if buf.len() == buf.capacity() {
        buf.reserve(buf.len().max(4096));
    }
    let (read, buf) = stream.read(buf).await;
    matches!(read, Ok(1..)).then_some(buf)
}
