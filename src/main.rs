//! The binary: read the command line, start the log, run the node, give an exit code.

use m3_io::blocking;
use m3ring::banner;
use m3ring::config::{Command, Config, LogFormat};
use m3ring::node::{self, Settings};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Many small buffers of many sizes: the general allocator fragments under them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a command line or a configuration that is wrong, as in sysexits.h.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let read_file = |path: &std::path::Path| {
        let bytes = blocking::read_file(path, m3ring::config::FILE_BYTES_MAX as u64)?;
        String::from_utf8(bytes)
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
    };
    let env = |name: &str| std::env::var(name).ok();
    let config = match Config::load(std::env::args().skip(1), env, read_file) {
        Ok(Command::Run(config)) => config,
        Ok(Command::Print(text)) => return show(&text),
        Ok(Command::Health(listen)) => return health(listen),
        Err(error) => return fail(&error.to_string(), EXIT_USAGE),
    };
    start_log(&config);
    let settings = match Settings::from_config(&config) {
        Ok(settings) => settings,
        Err(text) => return fail(&text, EXIT_USAGE),
    };
    if let Some(line) = config.idle_line() {
        tracing::info!("{line}");
    }
    if let Some(line) = config.later_line() {
        tracing::warn!("{line}");
    }
    match node::run(&settings, banner::print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for is the program's output")]
fn show(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn health(listen: std::net::SocketAddr) -> ExitCode {
    match m3ring::health::ask(listen) {
        Ok(addr) => show(&format!("the node on {addr} is well\n")),
        Err(unwell) => fail(&unwell.to_string(), 1),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    eprintln!("m3ring: {text}");
    ExitCode::from(code)
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::new(config.log_level.name());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => {
            lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).init()
        }
    }
}
