//! Number literals: hexadecimal, octal with a leading zero, decimal, with underscores between
//! digits, `Inf` and `NaN`.

use super::quote::quote;

/// The value of a number as the lexer delimits it.
pub(super) fn parse_number(word: &str) -> Result<f64, String> {
    if let Some(integer) = parse_integer(word) {
        return Ok(integer as f64);
    }
    parse_float(word).map_err(|why| {
        format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", quote(word))
    })
}

/// An integer in the base of its prefix; `None` if it is not an integer or does not fit.
fn parse_integer(word: &str) -> Option<i64> {
    let (radix, digits) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &word[2..]),
        [b'0', _, ..] => (8, &word[1..]),
        _ => (10, word),
    };
    if !underscores_ok(word) {
        return None;
    }
    i64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

fn parse_float(word: &str) -> Result<f64, &'static str> {
    const SYNTAX: &str = "invalid syntax";
    match word.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    if word.starts_with("0x") || word.starts_with("0X") || !underscores_ok(word) {
        return Err(SYNTAX);
    }
    let value: f64 = word.replace('_', "").parse().map_err(|_| SYNTAX)?;
    if value.is_infinite() { Err("value out of range") } else { Ok(value) }
}

/// Whether every underscore is between digits, or after the prefix of a base.
fn underscores_ok(word: &str) -> bool {
    let bytes = word.as_bytes();
    let hexadecimal = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |at: usize| {
        let b = bytes.get(at).copied().unwrap_or(0);
        b.is_ascii_digit() || hexadecimal && (at == 1 || b.is_ascii_hexdigit())
    };
    bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'_')
        .all(|(at, _)| at > 0 && is_digit(at - 1) && is_digit(at + 1))
}
