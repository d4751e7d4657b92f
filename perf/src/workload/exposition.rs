//! The text format of exporters, as far as it is needed here.

use super::model::Labels;

/// Cuts a line into the series, `name{label="value",...}`, and the rest; `None` for comments and
/// blank lines.
pub(crate) fn cut(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let name = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let end = if line[name..].starts_with('{') { name + closing(&line[name..])? } else { name };
    Some((&line[..end], line[end..].trim_start()))
}

/// Bytes up to and including the brace that closes the labels, ignoring braces in quotes.
fn closing(labels: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The value at the start of the rest; a timestamp may follow.
pub(crate) fn value(rest: &str) -> Option<f64> {
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// The labels with escapes resolved, and the name as `__name__`.
pub(crate) fn labels(series: &str) -> Option<Labels> {
    let (name, mut rest) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut labels = vec![("__name__".to_owned(), name.to_owned())];
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if rest.is_empty() {
            return Some(labels);
        }
        let (label, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((label.trim().to_owned(), value));
        rest = &after[end..];
    }
}
