//! The command line.
//!
//! `--flag value` and `--flag=value` are the same; a flag given twice counts the last time, `-f`
//! counts every time.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::error::nearest;
use super::{Config, ConfigError, FILES_MAX, KNOBS};

/// What stands on the command line.
#[derive(Debug, Default)]
pub(super) struct Flags {
    /// `-f`, in order.
    pub(super) files: Vec<PathBuf>,
    /// Flags of knobs with their values, in order.
    pub(super) settings: Vec<(&'static str, String)>,
    /// The effective configuration is asked for.
    pub(super) is_dump: bool,
    /// The configuration is to be checked, not run.
    pub(super) is_check: bool,
    /// A running node is to be asked how it is.
    pub(super) is_health: bool,
    /// The program's file is to be given its capability.
    pub(super) is_grant: bool,
    /// A text that is asked for and needs no configuration.
    pub(super) text: Option<String>,
}

/// What kind of flag a name is.
enum Flag {
    File,
    Knob(&'static str),
    Dump,
    Check,
    Help,
    Version,
}

/// What may stand first instead of a flag.
const COMMANDS: [&str; 3] = ["config", "health", "grant"];

/// Flags that are no knobs.
const OTHER_FLAGS: [&str; 3] = ["check", "help", "version"];

pub(super) fn parse(args: impl IntoIterator<Item = String>) -> Result<Flags, ConfigError> {
    let mut flags = Flags::default();
    let mut args = args.into_iter();
    let mut is_first = true;
    while let Some(arg) = args.next() {
        if std::mem::take(&mut is_first) && COMMANDS.contains(&arg.as_str()) {
            flags.is_dump = arg == "config";
            flags.is_health = arg == "health";
            flags.is_grant = arg == "grant";
            continue;
        }
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (arg.as_str(), None),
        };
        let flag = flag_of(name)?;
        let mut value = || {
            let missing = || ConfigError::Usage(format!("{name} needs a value"));
            inline.clone().or_else(|| args.next()).ok_or_else(missing)
        };
        match flag {
            Flag::File => flags.files.push(PathBuf::from(value()?)),
            Flag::Knob(flag) => flags.settings.push((flag, value()?)),
            Flag::Dump | Flag::Check | Flag::Help | Flag::Version if inline.is_some() => {
                return Err(ConfigError::Usage(format!("{name} takes no value")));
            }
            Flag::Dump => flags.is_dump = true,
            Flag::Check => flags.is_check = true,
            Flag::Help => flags.text = Some(help()),
            Flag::Version => flags.text = Some(format!("m3ring {}\n", env!("CARGO_PKG_VERSION"))),
        }
        if flags.files.len() > FILES_MAX {
            return Err(ConfigError::Usage(format!("-f is given more than {FILES_MAX} times")));
        }
    }
    Ok(flags)
}

fn flag_of(name: &str) -> Result<Flag, ConfigError> {
    let known = match name {
        "-f" => Some(Flag::File),
        "-d" => Some(Flag::Dump),
        "--check" => Some(Flag::Check),
        "-h" | "--help" => Some(Flag::Help),
        "-V" | "--version" => Some(Flag::Version),
        _ => name
            .strip_prefix("--")
            .and_then(|name| KNOBS.iter().find(|knob| knob.flag == name && !name.is_empty()))
            .map(|knob| Flag::Knob(knob.flag)),
    };
    known.ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ConfigError {
    if !name.starts_with('-') {
        let words = match nearest(name, COMMANDS) {
            Some(command) => format!("unknown command {name:?}; did you mean {command}?"),
            None => format!("unexpected argument {name:?}; files are given with -f"),
        };
        return ConfigError::Usage(words);
    }
    let flags = KNOBS.iter().map(|knob| knob.flag).filter(|flag| !flag.is_empty());
    let flags = flags.chain(OTHER_FLAGS);
    let words = match nearest(name.trim_start_matches('-'), flags) {
        Some(flag) => format!("unknown flag {name}; did you mean --{flag}?"),
        None => format!("unknown flag {name}"),
    };
    ConfigError::Usage(words)
}

/// The text of `--help`.
fn help() -> String {
    let mut text = String::from(
        "m3ring: Prometheus in, PromQL out, durable before it answers\n\n\
         usage: m3ring [-f FILE.yml]... [flags]     run the node\n       \
                m3ring config [-f FILE.yml]... [flags]   print the configuration in force\n       \
                m3ring health [-f FILE.yml]... [flags]   ask the node that runs with these; exit 0 if well\n       \
                m3ring grant                             as root: let this file take over an empty data directory\n\n\
         Without anything, the node stores in ./m3ring_data and listens on 7201 and 7203.\n\
         Flags win over files, later files over earlier ones.\n\nflags:\n",
    );
    let mut row = |flag: &str, about: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {flag:<28}{about}");
    };
    row("-f FILE.yml", "A configuration file, M3's or ours; may be given several times.");
    let defaults = Config::default();
    for knob in KNOBS.iter().filter(|knob| !knob.flag.is_empty()) {
        let about = format!("{} [{}]", knob.about, knob.value(&defaults));
        row(&format!("--{} {}", knob.flag, placeholder(knob.flag)), &about);
    }
    row("-d", "Print the configuration in force and exit, as m3ring config does.");
    row("--check", "Check the configuration and exit: 0 if a node would start with it.");
    row("-h, --help", "Print this and exit.");
    row("-V, --version", "Print the version and exit.");
    text
}

fn placeholder(flag: &str) -> &'static str {
    match flag {
        "data-dir" => "DIR",
        "http.listen" | "metrics.listen" => "ADDR",
        "cores" => "LIST",
        "log.format" => "text|json",
        "log.level" => "LEVEL",
        "io.driver" => "DRIVER",
        _ => "VALUE",
    }
}
