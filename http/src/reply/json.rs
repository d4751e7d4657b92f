//! Writes JSON by hand, straight into one `String`.

use crate::api::Notes;
use m3_metric::Labels;
use std::fmt::Write;

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + 1;
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}").expect("writing to a String succeeds");
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends `"name":`, after a comma unless it is the first.
pub fn push_key(out: &mut String, index: usize, name: &str) {
    if index > 0 {
        out.push(',');
    }
    push_string(out, name);
    out.push(':');
}

/// Appends a list, each item by `push`.
pub fn push_list<T>(out: &mut String, items: &[T], mut push: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

/// Appends a list of strings.
pub fn push_strings<'a>(out: &mut String, items: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, item);
    }
    out.push(']');
}

/// Appends labels as an object.
pub fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        push_key(out, index, name);
        push_string(out, value);
    }
    out.push('}');
}

/// Appends milliseconds as seconds: `1435781451.781`, without needless zeros.
pub fn push_seconds(out: &mut String, ms: i64) {
    if ms < 0 {
        out.push('-');
    }
    let ms = ms.unsigned_abs();
    write!(out, "{}", ms / 1000).expect("writing to a String succeeds");
    let fraction = ms % 1000;
    if fraction != 0 {
        let digits = [fraction / 100, fraction / 10 % 10, fraction % 10];
        let len = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
        out.push('.');
        for digit in &digits[..len] {
            write!(out, "{digit}").expect("writing to a String succeeds");
        }
    }
}

/// Appends a number as Go's shortest form: an exponent below 1e-6 and from 1e21 on.
pub fn push_number(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').expect("the form has an exponent");
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        // Go writes at least two digits of exponent.
        write!(out, "{digits}e{sign}{exponent:0>2}").expect("writing to a String succeeds");
    } else {
        write!(out, "{value}").expect("writing to a String succeeds");
    }
}

/// Appends `,"warnings":[...]` and `,"infos":[...]` where there are any.
pub fn push_notes(out: &mut String, notes: &Notes) {
    for (name, texts) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !texts.is_empty() {
            push_key(out, 1, name);
            push_strings(out, texts.iter().map(String::as_str));
        }
    }
}

/// JSON with everything beyond ASCII escaped.
#[must_use]
pub fn to_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a String succeeds");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
