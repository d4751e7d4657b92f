//! Configuration files: the result is a configuration, or an error that names a line of the file.
//! The configuration that the node prints gives the same configuration again.

use m3ring::config::{Command, Config, ConfigError, Place};
use std::io;
use std::path::{Path, PathBuf};

/// The name the text goes by.
const FILE: &str = "node.yml";

/// Reads `data` as a file.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let config = match load("--check", text) {
        Ok(Command::Check(config)) => config,
        Ok(other) => panic!("a check was asked for: {other:?}"),
        Err(error) => return check(text, &error),
    };
    let _ = (config.idle_line(), config.later_line());
    let Ok(Command::Print(printed)) = load("-d", text) else {
        panic!("what can be checked can be printed");
    };
    let again = match load("--check", &printed) {
        Ok(Command::Check(again)) => again,
        other => panic!("what is printed can be read: {other:?}\n{printed}"),
    };
    // Keys without a meaning here appear only in a comment.
    let wanted = Config { idle: Vec::new(), later: Vec::new(), ..*config };
    assert_eq!(*again, wanted, "{printed}");
}

fn load(flag: &str, text: &str) -> Result<Command, ConfigError> {
    let env = |name: &str| match name {
        "SET" => Some("1".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let read = |path: &Path| -> io::Result<String> {
        if path == Path::new(FILE) {
            Ok(text.to_owned())
        } else {
            Ok("from another file".to_owned())
        }
    };
    Config::load([flag, "-f", FILE].map(str::to_owned), env, read)
}

fn check(text: &str, error: &ConfigError) {
    let words = error.to_string();
    assert!(!words.is_empty() && words.len() <= 4 * text.len() + 1000, "{} bytes", words.len());
    let (ConfigError::Yaml { place, .. }
    | ConfigError::Variable { place, .. }
    | ConfigError::UnknownKey { place, .. }
    | ConfigError::BadValue { place, .. }) = error
    else {
        return;
    };
    let Place::File { file, line } = place else { panic!("no flag was given: {place}") };
    assert_eq!(file, &PathBuf::from(FILE));
    // A reader may count one more line at the end, and any of YAML's line breaks.
    let breaks =
        text.chars().filter(|c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'));
    assert!((1..=breaks.count() as u64 + 2).contains(line), "{words} in {text:?}");
}
