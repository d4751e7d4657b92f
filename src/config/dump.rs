//! The configuration in force, as a file that would give it, with what each setting is for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Config, KNOBS, Knob};

/// Keys below a key: more keys, or a knob.
enum Branch {
    Section(Section),
    Knob(&'static Knob),
}

/// Keys in alphabetical order.
type Section = BTreeMap<&'static str, Branch>;

/// The text of `m3ring config`.
pub(super) fn dump(config: &Config) -> String {
    let mut root = Section::new();
    for knob in KNOBS {
        insert(&mut root, knob.names[0], knob);
    }
    let mut text = String::from("# The configuration of this node, as it is in force.\n");
    let files: Vec<String> = config.files.iter().map(|file| file.display().to_string()).collect();
    if !files.is_empty() {
        let _ = writeln!(text, "# From {} and the flags.", files.join(", "));
    }
    for line in [config.idle_line(), config.later_line()].into_iter().flatten() {
        let _ = writeln!(text, "# Note: {line}");
    }
    write_section(&mut text, config, &Config::default(), &root, 0);
    text
}

fn insert(section: &mut Section, name: &'static str, knob: &'static Knob) {
    match name.split_once('.') {
        None => {
            section.insert(name, Branch::Knob(knob));
        }
        Some((first, rest)) => {
            let below = section.entry(first).or_insert_with(|| Branch::Section(Section::new()));
            if let Branch::Section(below) = below {
                insert(below, rest, knob);
            }
        }
    }
}

fn write_section(
    text: &mut String,
    config: &Config,
    defaults: &Config,
    section: &Section,
    depth: usize,
) {
    let indent = "  ".repeat(depth);
    for (name, branch) in section {
        // Writing to a String cannot fail.
        match branch {
            Branch::Section(below) => {
                let _ = writeln!(text, "{indent}{name}:");
                write_section(text, config, defaults, below, depth + 1);
                if depth == 1 && *name == "query" {
                    write_restriction(text, config, depth + 1);
                }
            }
            Branch::Knob(knob) => {
                let (about, expected) = (knob.about, knob.expected());
                let default = knob.value(defaults);
                let _ =
                    writeln!(text, "{indent}# {about}\n{indent}# {expected}; default {default}");
                let _ = writeln!(text, "{indent}{name}: {}", quoted(&knob.value(config)));
            }
        }
    }
}

fn write_restriction(text: &mut String, config: &Config, depth: usize) {
    let Some(restrict) = &config.query.restrict else { return };
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}restrictTags:\n{indent}  match:");
    for matcher in &restrict.matchers {
        let (name, value) = (quoted_always(&matcher.name), quoted_always(&matcher.value));
        let kind = &matcher.kind;
        let _ = writeln!(text, "{indent}    - {{name: {name}, type: {kind}, value: {value}}}");
    }
    if let Some(strip) = &restrict.strip {
        let strip: Vec<String> = strip.iter().map(|label| quoted_always(label)).collect();
        let _ = writeln!(text, "{indent}  strip: [{}]", strip.join(", "));
    }
}

/// A value in quotes where YAML would read it as something else.
fn quoted(value: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "_./-".contains(character);
    if !value.is_empty() && value.chars().all(is_plain) && !value.starts_with('-') {
        value.to_string()
    } else {
        quoted_always(value)
    }
}

fn quoted_always(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            // What comes back through the loader must not be taken for a variable.
            '$' => text.push_str("\\x24"),
            control if control.is_control() => {
                let _ = write!(text, "\\u{:04x}", control as u32);
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
    text
}
