//! The log: lines on standard error, as text or JSON, at a level that can be changed while the node
//! runs (`/debug/log/level`).
//!
//! A process has one log, so its level is global, the only global state here; cores only read it.

use crate::config::{Config, LogFormat, LogLevel};
use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

/// Changes the filter, once there is a log.
type Change = Box<dyn Fn(LogLevel) + Send + Sync>;

static LOG: OnceLock<(Change, Mutex<LogLevel>)> = OnceLock::new();

/// Starts the log. A second call does nothing.
pub fn start(config: &Config) {
    LOG.get_or_init(|| (open(config), Mutex::new(config.log_level)));
}

fn open(config: &Config) -> Change {
    let (filter, handle) = reload::Layer::new(filter(config.log_level));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    // It fails only if the log is gone, but the log lives as long as the process.
    Box::new(move |level| drop(handle.reload(self::filter(level))))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// The level in force; `None` in a program that has not started a log.
pub fn level() -> Option<LogLevel> {
    let (_, level) = LOG.get()?;
    Some(*level.lock().expect("setting a level does not panic"))
}

/// From now on lines of `level` and above are written, on all cores.
pub fn set_level(level: LogLevel) {
    let Some((change, current)) = LOG.get() else { return };
    let mut current = current.lock().expect("setting a level does not panic");
    change(level);
    let from = std::mem::replace(&mut *current, level);
    tracing::warn!(from = from.name(), to = level.name(), "the log level was changed");
}
