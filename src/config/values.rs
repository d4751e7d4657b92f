//! Values as people write them: sizes, durations, addresses, words. Reading and printing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use m3_metric::go_duration;
use m3_shard::commitlog::Ack;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs, an object a line.
    Json,
}

/// Which log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what the node does.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

/// A setting with a fixed set of words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// Every value with its word; further words for the same value come later.
    const WORDS: &'static [(&'static str, Self)];

    /// The value's word.
    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        found.map_or("", |(word, _)| word)
    }

    /// The word's value.
    fn read(text: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value)
    }
}

impl Word for Ack {
    const WORDS: &'static [(&'static str, Self)] =
        &[("durable", Self::Durable), ("buffered", Self::Buffered)];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("text", Self::Text), ("json", Self::Json), ("console", Self::Text)];
}

impl Word for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
        ("warning", Self::Warn),
        ("fatal", Self::Error),
        ("panic", Self::Error),
    ];
}

impl Word for bool {
    const WORDS: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

impl LogLevel {
    /// The level's name, as log filters spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.word()
    }

    /// The level of that name, as the configuration spells it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::read(name)
    }
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
];

/// Bytes: a number, or one with a unit such as `16KiB`.
pub(super) fn read_size(text: &str) -> Option<u64> {
    let text = text.trim();
    for (unit, bytes) in SIZE_UNITS {
        let Some(split) = text.len().checked_sub(unit.len()) else { continue };
        if let Some((number, given)) = text.split_at_checked(split)
            && given.eq_ignore_ascii_case(unit)
        {
            return number.trim().parse::<u64>().ok()?.checked_mul(bytes);
        }
    }
    text.strip_suffix(['B', 'b']).unwrap_or(text).trim().parse().ok()
}

/// Bytes in the largest unit that divides them.
pub(super) fn print_size(bytes: u64) -> String {
    let found =
        SIZE_UNITS[..3].iter().rev().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    found.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// A duration with its unit, such as `30s` or `2d`.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    let ns = go_duration::parse_long(text.trim()).ok()?;
    u64::try_from(ns).ok().map(Duration::from_nanos)
}

/// A duration as [`read_duration`] reads it, without the zero parts Go would print.
pub(super) fn print_duration(duration: Duration) -> String {
    let ns = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let mut text = go_duration::format(ns);
    if text.ends_with("m0s") {
        text.truncate(text.len() - 2);
    }
    if text.ends_with("h0m") {
        text.truncate(text.len() - 2);
    }
    text
}

/// An address to listen on: `IP:port`, or `:port` and `localhost:port` as Go takes them.
pub(super) fn read_address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match host {
        "" => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
        "localhost" => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        _ => text.parse().ok(),
    }
}
