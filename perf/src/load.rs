//! Sends the bodies and measures: closed loop on some connections, or an open loop at a rate.
//!
//! In the open loop a request's latency counts from when it was due, not from when it could be
//! sent, so that a stalled server is charged for everyone it kept waiting.

use crate::options::Options;
use crate::process;
use crate::workload::{Bodies, Body};
use hdrhistogram::Histogram;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

struct Totals {
    samples: usize,
    requests: usize,
    errors: usize,
    first_error: Option<String>,
    latency_us: Histogram<u64>,
}

/// Runs the load and gives the record.
pub(crate) fn run(options: &Options, url: &str, bodies: &Bodies) -> Result<String, String> {
    let target = Target::parse(url)?;
    send_rounds(options, &target, &bodies.rounds[..options.warm], 0.0)?;
    let before = options.pid.map(process::usage);
    let begun = Instant::now();
    let totals = send_rounds(options, &target, &bodies.rounds[options.warm..], options.rate)?;
    let wall = begun.elapsed().as_secs_f64();
    let after = options.pid.map(process::usage);
    let cpu = before.zip(after).map_or(0.0, |(b, a)| a.0 - b.0);
    let rss = after.map_or(0, |a| a.1);
    let samples = totals.samples as f64;
    let at = |q| totals.latency_us.value_at_quantile(q) as f64 / 1000.0;
    if let Some(error) = &totals.first_error {
        eprintln!("m3-perf: first error: {error}");
    }
    Ok(format!(
        "{{\"name\":\"{}\",\"series\":{},\"samples\":{},\"requests\":{},\"errors\":{},\
         \"wall_s\":{wall:.3},\"samples_per_s\":{:.0},\"cpu_s\":{cpu:.2},\"cpu_us_per_sample\":{:.4},\
         \"p50_ms\":{:.2},\"p99_ms\":{:.2},\"max_ms\":{:.2},\"rss_mib\":{},\"bytes_per_series\":{:.0}}}",
        options.name,
        bodies.series,
        totals.samples,
        totals.requests,
        totals.errors,
        samples / wall,
        cpu * 1e6 / samples.max(1.0),
        at(0.5),
        at(0.99),
        totals.latency_us.max() as f64 / 1000.0,
        rss >> 20,
        rss as f64 / bodies.series as f64
    ))
}

/// Where to send.
struct Target {
    address: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("the URL begins with http://")?;
        let (address, path) = rest.split_once('/').ok_or("the URL has a path")?;
        Ok(Self { address: address.to_owned(), path: format!("/{path}") })
    }
}

fn send_rounds(
    options: &Options,
    target: &Target,
    rounds: &[Vec<Body>],
    rate: f64,
) -> Result<Totals, String> {
    let all: Vec<&Body> = rounds.iter().flatten().collect();
    let next = AtomicUsize::new(0);
    let totals = Mutex::new(Totals {
        samples: 0,
        requests: 0,
        errors: 0,
        first_error: None,
        latency_us: Histogram::new(3).map_err(|e| e.to_string())?,
    });
    let barrier = Barrier::new(options.connections);
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(options.seconds);
    std::thread::scope(|scope| {
        for _ in 0..options.connections {
            scope.spawn(|| {
                barrier.wait();
                let result = send(target, &all, &next, rate, begun, deadline, &totals);
                if let Err(text) = result {
                    let mut totals = totals.lock().expect("no sender panicked");
                    totals.errors += 1;
                    totals.first_error.get_or_insert(text);
                }
            });
        }
    });
    totals.into_inner().map_err(|e| e.to_string())
}

fn send(
    target: &Target,
    all: &[&Body],
    next: &AtomicUsize,
    rate: f64,
    begun: Instant,
    deadline: Instant,
    totals: &Mutex<Totals>,
) -> Result<(), String> {
    let stream = TcpStream::connect(&target.address).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut reader = BufReader::new(stream.try_clone().map_err(|e| e.to_string())?);
    let mut stream = stream;
    let mut request = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(body) = all.get(at) else { return Ok(()) };
        let mut due = Instant::now();
        if rate > 0.0 {
            due = begun + Duration::from_secs_f64((at * body.samples) as f64 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        if Instant::now() > deadline {
            return Ok(());
        }
        request.clear();
        write!(
            request,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\n\
             Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n\
             Content-Length: {}\r\n\r\n",
            target.path,
            target.address,
            body.bytes.len()
        )
        .map_err(|e| e.to_string())?;
        request.extend_from_slice(&body.bytes);
        stream.write_all(&request).map_err(|e| e.to_string())?;
        let (status, text) = read_answer(&mut reader)?;
        let took = due.elapsed();
        let mut totals = totals.lock().map_err(|e| e.to_string())?;
        totals.requests += 1;
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        totals.latency_us.record(us.max(1)).map_err(|e| e.to_string())?;
        if (200..300).contains(&status) {
            totals.samples += body.samples;
        } else {
            totals.errors += 1;
            totals.first_error.get_or_insert(format!("{status}: {text}"));
        }
    }
}

fn read_answer(reader: &mut impl BufRead) -> Result<(u16, String), String> {
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|e| e.to_string())?;
    let status = line.split_whitespace().nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| format!("no status in {line:?}"))?;
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(|e| e.to_string())?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| "a bad Content-Length".to_owned())?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).map_err(|e| e.to_string())?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
