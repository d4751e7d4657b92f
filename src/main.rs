//! The binary: read the command line, start the log, run the node, give an exit code.

use m3_io::blocking;
use m3_io::rlimits::rings_are_locked_memory;
use m3ring::config::{Command, Config};
use m3ring::settings::Settings;
use m3ring::{banner, log, node, start_warnings};
use std::process::ExitCode;

/// The node has many small buffers of many sizes; the general allocator fragments under them.
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
        Ok(Command::Check(config)) => return check(&config),
        Ok(Command::Grant) => return grant(),
        Err(error) => return fail(&error.to_string(), EXIT_USAGE),
    };
    log::start(&config);
    let settings = match Settings::from_config(&config) {
        Ok(settings) => settings,
        Err(text) => return fail(&text, EXIT_USAGE),
    };
    match m3_io::privilege::take_empty_dir(&settings.config.data_dir) {
        Ok(true) => {
            let dir = settings.config.data_dir.display();
            tracing::info!(%dir, "took over the empty directory");
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "a privilege could not be used or given up"),
    }
    let raised = m3_io::rlimits::raise();
    for line in start_warnings::about_limits(&settings, raised, rings_are_locked_memory()) {
        tracing::warn!("{line}");
    }
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

/// Says whether a node would start with this configuration, and which parts of it would have no
/// effect.
fn check(config: &Config) -> ExitCode {
    if let Err(text) = Settings::from_config(config) {
        return fail(&text, EXIT_USAGE);
    }
    let mut text = String::new();
    for line in config.idle_line().into_iter().chain(config.later_line()) {
        text.push_str(&format!("{line}\n"));
    }
    let files: Vec<_> = config.files.iter().map(|file| file.display().to_string()).collect();
    let of = if files.is_empty() { "the defaults".to_owned() } else { files.join(", ") };
    show(&format!("{text}the configuration is good ({of})\n"))
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

fn grant() -> ExitCode {
    match m3_io::privilege::grant() {
        Ok(()) => show("this program may take over an empty data directory\n"),
        Err(error) => fail(&format!("the capability CAP_CHOWN cannot be given: {error}"), 1),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    eprintln!("m3ring: {text}");
    ExitCode::from(code)
}
