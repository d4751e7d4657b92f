//! Labels and strings as Prometheus' error texts print them.

use m3_metric::Labels;

/// Go's quoted form of `text`.
pub(crate) fn quote(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => {
                write!(out, "\\x{:02x}", c as u32).expect("writing to a String succeeds");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `{a="b", c="d"}`; names that are not plain identifiers are quoted.
pub(crate) fn label_set(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let name = if is_plain(name) { name.to_owned() } else { quote(name) };
            format!("{name}={}", quote(value))
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}
