//! Texts in quotes as Go's `strconv.Quote` writes them.
//!
//! M3's series ids, Prometheus' error texts and its printed queries are quoted so, and a series' id
//! decides its shard. So the escapes are those of one fixed version of Unicode ([`printable`]) and
//! not the compiler's, which differ (`{:?}` escapes a combining mark) and change.

mod printable;

use std::fmt::Write;

/// `text` in double quotes, as `strconv.Quote` and `%q` write it.
#[must_use]
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// The same for bytes; a byte that is not part of a character is shown as `\xff`.
#[must_use]
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut out, c, '"'));
        chunk.invalid().iter().for_each(|byte| push_hex(&mut out, "\\x", 2, u32::from(*byte)));
    }
    out.push('"');
    out
}

/// A character in single quotes, as `strconv.QuoteRune` writes it.
#[must_use]
pub fn quote_char(c: char) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c, '\'');
    out.push('\'');
    out
}

/// `text` in double quotes as the errors of Go's `time.ParseDuration` show it: what is not ASCII
/// is escaped byte by byte.
#[must_use]
pub fn quote_as_time(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=0x7f => out.push(char::from(byte)),
            _ => push_hex(&mut out, "\\x", 2, u32::from(byte)),
        }
    }
    out.push('"');
    out
}

/// Appends `c` as it stands in a text between two `quote`.
pub fn push_escaped(out: &mut String, c: char, quote: char) {
    let short = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        '\\' => '\\',
        _ if c == quote => quote,
        _ if is_print(c) => return out.push(c),
        ..='\x7f' => return push_hex(out, "\\x", 2, u32::from(c)),
        ..='\u{ffff}' => return push_hex(out, "\\u", 4, u32::from(c)),
        _ => return push_hex(out, "\\U", 8, u32::from(c)),
    };
    out.extend(['\\', short]);
}

fn push_hex(out: &mut String, prefix: &str, digits: usize, number: u32) {
    write!(out, "{prefix}{number:0digits$x}").expect("writing to a String succeeds");
}

/// Whether Go lets `c` stand for itself: letters, marks, numbers, punctuation, symbols and the
/// ASCII space.
#[must_use]
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let changes = printable::CHANGES.partition_point(|at| *at <= u32::from(c));
    changes % 2 == 1
}

#[cfg(test)]
mod tests;
