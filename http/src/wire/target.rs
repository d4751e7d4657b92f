//! Request targets: path and parameters, percent-decoded; forms have the same syntax.
//!
//! Repeated slashes in a path count as one: a client whose base URL ends in a slash sends
//! `//api/v1/query` and means the route. Go's servers redirect a GET to the clean path. Here it is
//! answered at once, because a redirect costs a round trip, turns a POST into a GET, and with a
//! path that begins with `//` would name another host. An escaped slash, as in a label's name,
//! stays.
//!
//! Always holds: the output is UTF-8 and not longer than the input.

use super::WireError;
use crate::message::Params;
use std::borrow::Cow;

/// Parameters of one request; more are refused, so that their list stays cheap to search.
pub const PARAMS_MAX: usize = 4_096;

/// Splits `target` into `path` (decoded) and `query` (decoded parameters).
///
/// # Errors
/// A target that is neither a path nor an absolute URL, or an invalid escape.
pub fn split(target: &str, path: &mut String, query: &mut Params) -> Result<(), WireError> {
    path.clear();
    query.clear();
    let target = without_authority(target)?;
    let (raw_path, raw_query) = match target.split_once('?') {
        Some((raw_path, raw_query)) => (raw_path, raw_query),
        None => (target, ""),
    };
    let raw_path = clean(raw_path);
    if raw_path.bytes().any(|byte| byte == b'%') {
        path.push_str(&decode(raw_path.as_bytes(), false)?);
    } else {
        path.push_str(&raw_path);
    }
    if raw_query.is_empty() { Ok(()) } else { read_params(raw_query.as_bytes(), query) }
}

/// The path with repeated slashes reduced to one.
fn clean(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut clean = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !clean.ends_with('/') {
            clean.push(letter);
        }
    }
    Cow::Owned(clean)
}

/// A proxy may send an absolute URL, `OPTIONS` may send `*`.
fn without_authority(target: &str) -> Result<&str, WireError> {
    if target.starts_with('/') || target == "*" {
        return Ok(target);
    }
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
    let rest = rest.ok_or(WireError::BadRequest("the target is neither a path nor a URL"))?;
    Ok(rest.find(['/', '?']).map_or("/", |at| &rest[at..]))
}

/// Reads `a=1&b=2` into `params`: `+` is a space, empty pairs are skipped, a pair without `=` has
/// an empty value.
///
/// # Errors
/// Invalid escapes, text that is not UTF-8, too many parameters.
pub fn read_params(text: &[u8], params: &mut Params) -> Result<(), WireError> {
    let pairs = text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    for (count, pair) in pairs.enumerate() {
        if count == PARAMS_MAX {
            return Err(WireError::BadRequest("more than 4096 parameters"));
        }
        let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        params.push(decode(name, true)?, decode(value, true)?);
    }
    Ok(())
}

fn decode(text: &[u8], plus_is_space: bool) -> Result<String, WireError> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'+' if plus_is_space => out.push(b' '),
            b'%' => {
                let digits = text.get(at..at + 2).and_then(|two| {
                    let high = char::from(two[0]).to_digit(16)?;
                    let low = char::from(two[1]).to_digit(16)?;
                    u8::try_from(high * 16 + low).ok()
                });
                let Some(decoded) = digits else {
                    let end = text.len().min(at + 2);
                    let shown = String::from_utf8_lossy(&text[at - 1..end]).into_owned();
                    return Err(WireError::BadEscape(shown));
                };
                out.push(decoded);
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|e| {
        let shown: String = e.into_bytes().escape_ascii().map(char::from).take(40).collect();
        WireError::BadEscape(shown)
    })
}

#[cfg(test)]
mod tests;
