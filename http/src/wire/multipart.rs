//! Forms as `multipart/form-data`: each parameter is a part, and the parts are separated by lines
//! that contain a boundary.
//!
//! ```text
//! --BOUNDARY␍␊
//! Content-Disposition: form-data; name="query"␍␊
//! ␍␊
//! up␍␊
//! --BOUNDARY--␍␊
//! ```
//!
//! A part with a file name is a file, not a parameter: it is skipped, as Go's servers skip it. All
//! lines end as the first boundary does, with or without the carriage return. Text before the first
//! boundary and behind the last is ignored.
//!
//! Always holds: reading takes time in proportion to the body; the output is UTF-8 and not longer
//! than the input.
//!
//! Format: RFC 7578, RFC 2046 section 5.1.

use super::target::PARAMS_MAX;
use crate::message::Params;

/// Longest boundary, in bytes, by RFC 2046.
const BOUNDARY_BYTES_MAX: usize = 70;
/// Header lines of one part; the standard knows three.
const PART_HEADERS_MAX: usize = 16;

/// Why a body is not a multipart form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultipartError {
    /// The content type names no boundary, or an invalid one.
    Boundary,
    /// No line holds the boundary.
    NoParts,
    /// The body ends within a part.
    Unfinished,
    /// A line of a part's head is not a header, or there are too many.
    PartHeader,
    /// A part has no name.
    NoName,
    /// A part has a transfer encoding.
    Encoded(String),
    /// A name or a value is not UTF-8.
    NoUtf8,
    /// More parts than a form may have.
    TooMany,
}

impl std::fmt::Display for MultipartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed multipart/form-data: ")?;
        match self {
            Self::Boundary => write!(
                f,
                "Content-Type names no boundary of 1 to {BOUNDARY_BYTES_MAX} characters, as in \
                 multipart/form-data; boundary=x"
            ),
            Self::NoParts => f.write_str("no line of the body begins with -- and the boundary"),
            Self::Unfinished => f.write_str("the body ends before the boundary with -- behind it"),
            Self::PartHeader => {
                write!(f, "a part begins with at most {PART_HEADERS_MAX} headers and an empty line")
            }
            Self::NoName => {
                f.write_str("a part has no Content-Disposition: form-data; name=\"...\"")
            }
            Self::Encoded(how) => write!(
                f,
                "Content-Transfer-Encoding {how:?} is not understood: send the value as it is"
            ),
            Self::NoUtf8 => f.write_str("a name or a value is not UTF-8"),
            Self::TooMany => write!(f, "more than {PARAMS_MAX} parts"),
        }
    }
}

impl std::error::Error for MultipartError {}

/// Reads the parts of `body`, whose content type is `content_type`, into `params`.
///
/// # Errors
/// The first fault; `params` then holds the parameters before it.
pub fn read_params(
    content_type: &str,
    body: &[u8],
    params: &mut Params,
) -> Result<(), MultipartError> {
    let (_, fields) = content_type.split_once(';').ok_or(MultipartError::Boundary)?;
    let boundary = field(fields, "boundary").ok_or(MultipartError::Boundary)?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
        return Err(MultipartError::Boundary);
    }
    let mut parts = Parts::open(body, &boundary)?;
    let mut count = 0;
    while let Some(FormPart { head, value }) = parts.next()? {
        if count == PARAMS_MAX {
            return Err(MultipartError::TooMany);
        }
        count += 1;
        if let Some(name) = name_of(head)? {
            let value = std::str::from_utf8(value).map_err(|_| MultipartError::NoUtf8)?;
            params.push(name, value.to_owned());
        }
    }
    Ok(())
}

/// The rest of a body, behind a boundary.
struct Parts<'a> {
    rest: &'a [u8],
    /// The end of a line and `--BOUNDARY`.
    delimiter: Vec<u8>,
    newline: &'static [u8],
    is_last: bool,
}

/// A part.
struct FormPart<'a> {
    /// Its headers, with the empty line after them.
    head: &'a [u8],
    value: &'a [u8],
}

/// What follows a boundary.
enum Behind<'a> {
    /// A part, which begins here.
    FormPart(&'a [u8]),
    /// Nothing more.
    End,
}

impl<'a> Parts<'a> {
    /// Finds the first line with the boundary, and so how lines end in this body.
    fn open(body: &'a [u8], boundary: &str) -> Result<Self, MultipartError> {
        let mark = [b"--", boundary.as_bytes()].concat();
        let mut line = body;
        loop {
            for newline in [b"\r\n".as_slice(), b"\n"] {
                let behind = line.strip_prefix(&mark[..]).and_then(|rest| behind(rest, newline));
                let (rest, is_last) = match behind {
                    Some(Behind::FormPart(rest)) => (rest, false),
                    Some(Behind::End) => (&line[..0], true),
                    None => continue,
                };
                let delimiter = [newline, &mark].concat();
                return Ok(Self { rest, delimiter, newline, is_last });
            }
            let end = line.iter().position(|byte| *byte == b'\n');
            line = &line[end.ok_or(MultipartError::NoParts)? + 1..];
        }
    }

    /// The next part, or `None` after the last boundary.
    fn next(&mut self) -> Result<Option<FormPart<'a>>, MultipartError> {
        if self.is_last {
            return Ok(None);
        }
        let part = self.rest;
        let head_len = head_len(part, self.newline)?;
        // The line end before a boundary belongs to the boundary, even if it is that of the empty
        // line: then there is no value at all.
        let mut at = head_len - self.newline.len();
        loop {
            let found = find(&part[at..], &self.delimiter).ok_or(MultipartError::Unfinished)? + at;
            let value_end = found.max(head_len);
            match behind(&part[found + self.delimiter.len()..], self.newline) {
                Some(Behind::FormPart(rest)) => self.rest = rest,
                Some(Behind::End) => self.is_last = true,
                // A line that begins like a boundary and continues differently is part of the
                // value.
                None => {
                    at = found + 1;
                    continue;
                }
            }
            let (head, value) = (&part[..head_len], &part[head_len..value_end]);
            return Ok(Some(FormPart { head, value }));
        }
    }
}

/// What `rest`, the text after a boundary, begins with; `None` if it was not a boundary.
fn behind<'a>(rest: &'a [u8], newline: &[u8]) -> Option<Behind<'a>> {
    let (rest, is_last) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match rest[blank..].strip_prefix(newline) {
        Some(_) if is_last => Some(Behind::End),
        Some(part) => Some(Behind::FormPart(part)),
        // The last line of a body may have no line end.
        None if is_last && blank == rest.len() => Some(Behind::End),
        None => None,
    }
}

/// The length of a part's head, including the empty line after it.
fn head_len(part: &[u8], newline: &[u8]) -> Result<usize, MultipartError> {
    let mut len = 0;
    for _ in 0..=PART_HEADERS_MAX {
        let line = find(&part[len..], newline).ok_or(MultipartError::Unfinished)?;
        len += line + newline.len();
        if line == 0 {
            return Ok(len);
        }
    }
    Err(MultipartError::PartHeader)
}

/// The name in a part's head; `None` if the part is a file.
fn name_of(head: &[u8]) -> Result<Option<String>, MultipartError> {
    let head = std::str::from_utf8(head).map_err(|_| MultipartError::NoUtf8)?;
    let mut name = None;
    let mut is_file = false;
    for line in head.split('\n').map(|line| line.trim_end_matches('\r')) {
        if line.is_empty() {
            continue;
        }
        let (header, value) = line.split_once(':').ok_or(MultipartError::PartHeader)?;
        if header.eq_ignore_ascii_case("content-disposition") {
            let (kind, fields) = value.split_once(';').ok_or(MultipartError::NoName)?;
            if !kind.trim().eq_ignore_ascii_case("form-data") {
                return Err(MultipartError::NoName);
            }
            name = field(fields, "name");
            is_file = field(fields, "filename").is_some() || field(fields, "filename*").is_some();
        } else if header.eq_ignore_ascii_case("content-transfer-encoding") {
            let how = value.trim();
            if !["7bit", "8bit", "binary"].iter().any(|plain| how.eq_ignore_ascii_case(plain)) {
                return Err(MultipartError::Encoded(how.chars().take(40).collect()));
            }
        }
    }
    let name = name.filter(|name| !name.is_empty()).ok_or(MultipartError::NoName)?;
    Ok((!is_file).then_some(name))
}

/// The field `wanted` of `a=b; c="d"`. Within quotes a backslash escapes the next character.
fn field(fields: &str, wanted: &str) -> Option<String> {
    let mut rest = fields;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let end = rest.find([';', '='])?;
        let (name, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            rest = after;
            continue;
        };
        let (value, behind) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = behind;
    }
}

/// Reads up to the closing quote; also returns the text after it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// Where `needle` first occurs. This takes linear time, because a needle begins with a line end and
/// contains no other: no byte of `text` is compared with more than two starts of it.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle[0];
    let mut from = 0;
    loop {
        from += text[from..].iter().position(|byte| *byte == first)?;
        if text[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests;
