//! Shared by all tests of a real node: a node as a child process, an HTTP client, request bodies.
//!
//! [`Node`] owns the process and its directory; both are removed when it is dropped. Everything
//! here blocks, has a deadline, and panics with the node's own output if something is wrong.

use m3_http::proto::write::WriteRequestWriter;
pub use m3_testing::{Random, TempDir, peer, setting};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest time from a node's start to `serving`, and from a request to its answer. Far more than
/// either takes; it only ends tests that hang.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node takes to stop: up to 1.2 s for requests in flight, and its log.
pub const STOP_TAKES: Duration = Duration::from_secs(2);
/// Longest time that one of several stops may take on a busy machine.
pub const STOP_MAX: Duration = Duration::from_secs(10);
/// How often an expected state is checked.
pub const POLL: Duration = Duration::from_millis(20);

/// What a program writes to a pipe, collected while it runs.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<String>>);

impl Output {
    /// Collects `from` on a thread until its end.
    pub fn collect(from: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let sink = Arc::clone(&output.0);
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        output
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// A node that did not start: how it ended, and its output.
#[derive(Debug)]
pub struct Refused {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard error.
    pub stderr: String,
}

/// A running node on a directory of its own.
#[derive(Debug)]
pub struct Node {
    child: Child,
    stderr: Output,
    dir: Arc<TempDir>,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the metrics are.
    pub metrics: SocketAddr,
}

impl Node {
    /// Starts a node on a new directory. `args` follow the harness' own arguments and override
    /// them. `--cores` takes ordinals of the cpus that this process may use, wrapping around at
    /// their end, so `0,1` means two cores on any machine.
    pub fn start(args: &[&str]) -> Self {
        Self::start_in(&Arc::new(TempDir::new("node")), args)
    }

    /// Starts a node on `dir`.
    pub fn start_in(dir: &Arc<TempDir>, args: &[&str]) -> Self {
        Self::try_start_in(dir, args).unwrap_or_else(|refused| {
            panic!("the node did not start: {}\n{}", refused.status, refused.stderr)
        })
    }

    /// Starts a node that may refuse to start.
    pub fn try_start_in(dir: &Arc<TempDir>, args: &[&str]) -> Result<Self, Refused> {
        Self::try_start_through(&[], dir, args)
    }

    /// Starts a node through another program, which gets the node's program and its arguments.
    pub fn try_start_through(
        through: &[&str],
        dir: &Arc<TempDir>,
        args: &[&str],
    ) -> Result<Self, Refused> {
        let program = program();
        let line = [through, &[program.as_str()]].concat();
        let mut child = Command::new(line[0])
            .args(&line[1..])
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(["--http.listen", "127.0.0.1:0", "--metrics.listen", "127.0.0.1:0"])
            .args(on_this_machine(args))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the node's program can be run");
        let stderr = Output::collect(child.stderr.take().unwrap());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = stderr.text();
            if let Some((api, metrics)) = serving(&text) {
                return Ok(Self { child, stderr, dir: Arc::clone(dir), api, metrics });
            }
            if let Some(status) = child.try_wait().unwrap() {
                // The collecting thread may be a moment behind the process.
                sleep(POLL);
                return Err(Refused { status, stderr: stderr.text() });
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("the node does not serve after {PATIENCE:?}:\n{text}");
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory that holds the node's data directory (`data`).
    pub fn dir(&self) -> &Arc<TempDir> {
        &self.dir
    }

    /// What the node wrote to standard error since its last start.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks the process to stop; returns how it ended and how long that took.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.stop("TERM")
    }

    /// As [`Self::terminate`], by any signal, named without `SIG`. Sent only once, because a second
    /// one kills.
    pub fn stop(&mut self, name: &str) -> (ExitStatus, Duration) {
        signal(self.pid(), name);
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, asked.elapsed());
            }
            assert!(asked.elapsed() < PATIENCE, "SIG{name} is not obeyed:\n{}", self.stderr());
            sleep(Duration::from_millis(2));
        }
    }

    /// How the process ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Starts again on the same directory (ports change), after ending a running process.
    pub fn restart(&mut self, args: &[&str]) {
        self.kill();
        let next = Self::start_in(&Arc::clone(&self.dir), args);
        *self = next;
    }

    /// A client of the API, connected at its first request.
    pub fn client(&self) -> Client {
        Client::new(self.api)
    }

    /// The highest resident memory so far, in MiB.
    pub fn peak_mib(&self) -> u64 {
        self.status_mib("VmHWM:")
    }

    /// The resident memory now, in MiB.
    pub fn resident_mib(&self) -> u64 {
        self.status_mib("VmRSS:")
    }

    /// Resets [`Node::peak_mib`], if the kernel allows it.
    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    fn status_mib(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }

    /// The CPU time that the process has used.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        // Fields 14 and 15 of proc(5), in hundredths of a second on every Linux.
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// The text of `/metrics`.
    pub fn metrics_text(&self) -> String {
        Client::new(self.metrics).get("/metrics").text()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- what the node said ---\n{}", self.stderr());
        }
    }
}

/// The node's program: the one built with these tests, or the one in `M3RING_BIN`.
pub fn program() -> String {
    std::env::var("M3RING_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_m3ring").to_owned())
}

/// Replaces the ordinals after `--cores` by cpus of this process.
fn on_this_machine(args: &[&str]) -> Vec<String> {
    let cpus = m3_io::runtime::affinity();
    let cpu = |ordinal: &str| cpus[ordinal.parse::<usize>().unwrap() % cpus.len()].to_string();
    let mut is_list = false;
    let place = |arg: &&str| {
        let arg = if is_list {
            arg.split(',').map(cpu).collect::<Vec<_>>().join(",")
        } else {
            (*arg).to_owned()
        };
        is_list = arg == "--cores";
        arg
    };
    args.iter().map(place).collect()
}

/// The addresses in the banner, once the node says that it serves.
fn serving(stderr: &str) -> Option<(SocketAddr, SocketAddr)> {
    let lines: Vec<&str> = stderr.lines().collect();
    let address = |name: &str| {
        let line = lines.iter().find_map(|line| line.trim_start().strip_prefix(name))?;
        let rest = line.trim_start().strip_prefix("http://")?;
        rest.split(['/', ' ']).next()?.parse().ok()
    };
    let addresses = (address("API ")?, address("metrics ")?);
    lines.iter().any(|line| !line.starts_with(' ') && line.contains("serving")).then_some(addresses)
}

/// Sends a signal, by its name without `SIG`, to a process that this test started.
pub fn signal(pid: u32, name: &str) {
    // Every machine has the shell's kill; std can only kill.
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(status.expect("sh can be run").success(), "signal {name} to {pid}");
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined, still compressed if it was sent so.
    pub body: Vec<u8>,
}

impl Response {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.status, self.text()))
    }

    /// Returns itself if the status is `status`, otherwise panics.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// A blocking HTTP/1.1 client on one kept connection.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of `addr`; it connects at the first request.
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, connection: None }
    }

    /// GET.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, &[], b"")
    }

    /// POSTs a form.
    #[track_caller]
    pub fn post_form(&mut self, path: &str, form: &[(&str, &str)]) -> Response {
        let form = [("Content-Type", "application/x-www-form-urlencoded")]
            .map(|header| (header, encode_form(form)));
        let [(header, body)] = form;
        self.send("POST", path, &[header], body.as_bytes())
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post_json(&mut self, path: &str, body: &str) -> Response {
        self.send("POST", path, &[("Content-Type", "application/json")], body.as_bytes())
    }

    /// Remote write of a compressed body, as [`write_body`] makes it.
    #[track_caller]
    pub fn remote_write(&mut self, body: &[u8]) -> Response {
        self.try_remote_write(body).unwrap_or_else(|error| panic!("remote write: {error}"))
    }

    /// Remote write to a node that may go away.
    pub fn try_remote_write(&mut self, body: &[u8]) -> io::Result<Response> {
        let headers = [
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ];
        self.try_send("POST", "/api/v1/prom/remote/write", &headers, body)
    }

    /// An instant query at a time in seconds.
    #[track_caller]
    pub fn query(&mut self, query: &str, time: f64) -> Response {
        self.post_form("/api/v1/query", &[("query", query), ("time", &time.to_string())])
    }

    /// A request and its answer.
    #[track_caller]
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A request and its answer, or why there is none. A failed connection is not used again.
    pub fn try_send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.addr);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" || method == "PUT" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.write_raw(&bytes)?;
        self.read_response(method == "HEAD")
    }

    /// Writes raw bytes.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.connected()?.get_mut().write_all(bytes);
        if sent.is_err() {
            self.connection = None;
        }
        sent
    }

    /// Reads one answer; `is_head` means that it has no body, whatever its headers say.
    pub fn read_response(&mut self, is_head: bool) -> io::Result<Response> {
        let read = read_response(self.connected()?, is_head);
        let close = |answer: &Response| answer.header("connection") == Some("close");
        if read.as_ref().map_or(true, close) {
            self.connection = None;
        }
        read
    }

    fn connected(&mut self) -> io::Result<&mut BufReader<TcpStream>> {
        if self.connection.is_none() {
            let stream = TcpStream::connect_timeout(&self.addr, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            self.connection = Some(BufReader::with_capacity(64 << 10, stream));
        }
        Ok(self.connection.as_mut().unwrap())
    }
}

/// Reads one answer; `is_head` means that it has no body, whatever its headers say.
pub fn read_response(from: &mut impl BufRead, is_head: bool) -> io::Result<Response> {
    let malformed = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let first = read_line(from)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| malformed(&first))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Response { status, headers, body: Vec::new() };
    if is_head || status == 204 || status == 304 || status < 200 {
        return Ok(answer);
    }
    if answer.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let line = read_line(from)?;
            let len = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16);
            let len = len.map_err(|_| malformed(&line))?;
            let start = answer.body.len();
            answer.body.resize(start + len, 0);
            from.read_exact(&mut answer.body[start..])?;
            let end = read_line(from)?;
            if !end.is_empty() {
                return Err(malformed("a chunk does not end with CRLF"));
            }
            if len == 0 {
                return Ok(answer);
            }
        }
    }
    match answer.header("content-length") {
        Some(len) => {
            let len = len.parse().map_err(|_| malformed(len))?;
            answer.body.resize(len, 0);
            from.read_exact(&mut answer.body)?;
        }
        None => {
            from.read_to_end(&mut answer.body)?;
        }
    }
    Ok(answer)
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A form, or a query string.
pub fn encode_form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    fields.collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but letters, digits and `-_.~`.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A series to write: labels in the given order, samples of (milliseconds, value).
pub type WriteSeries<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A remote write body, compressed.
pub fn write_body(series: &[WriteSeries<'_>]) -> Vec<u8> {
    let mut writer = WriteRequestWriter::default();
    for (labels, samples) in series {
        writer.push(labels, samples);
    }
    writer.body()
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    i64::try_from(since.as_millis()).unwrap()
}

/// Waits until `done` returns something; if it never does, names what was waited for.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        sleep(POLL);
    }
}

/// A program beside the node, ended when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// What it writes to standard error.
    pub stderr: Output,
    name: String,
}

impl Program {
    /// Runs `program`.
    pub fn run(program: &Path, args: &[String], dir: &Path) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stderr = Output::collect(child.stderr.take().unwrap());
        Self { child, stderr, name: program.display().to_string() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = self.stderr.text();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            eprintln!("--- the last of what {} said ---\n{}", self.name, last.join("\n"));
        }
    }
}

/// Samples of a Prometheus text exposition by name and labels as written; a malformed line panics.
pub fn parse_exposition(text: &str) -> HashMap<String, f64> {
    let mut samples = HashMap::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
            continue;
        }
        assert!(!line.starts_with('#'), "a comment that is none of ours: {line}");
        let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value = match value {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            text => text.parse().unwrap_or_else(|_| panic!("no number: {line}")),
        };
        let name = key.split('{').next().unwrap();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        assert!(!name.is_empty() && name.chars().all(is_name), "no metric name: {line}");
        assert!(samples.insert(key.to_owned(), value).is_none(), "twice: {key}");
    }
    samples
}
