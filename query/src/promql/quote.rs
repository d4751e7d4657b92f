//! Quotes texts as Prometheus does in messages, and unquotes PromQL's string literals.
//!
//! Both follow Go's rules, since these are what users of Prometheus see: `\xff` and `\377` are
//! bytes, `\u1234` is a code point, and a text in a message is quoted with `"`, with escapes for
//! what does not print.

use super::Literal;
use m3_metric::quote::is_print;

pub use m3_metric::quote::quote;
pub(super) use m3_metric::quote::quote_bytes;

/// The first ten characters of `text` quoted, followed by `...` if there are more bytes.
pub(super) fn quote_short(text: &str) -> String {
    if text.len() <= 10 {
        return quote(text);
    }
    let end = text.char_indices().nth(10).map_or(text.len(), |(at, _)| at);
    quote(&text[..end]) + "..."
}

/// One character in single quotes; the end of the text is shown as the replacement character.
pub(super) fn quote_char(c: Option<char>) -> String {
    m3_metric::quote::quote_char(c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// `U+0063 'c'`, without the quoted part if the character does not print.
pub(super) fn code_point(c: char) -> String {
    if is_print(c) {
        format!("U+{:04X} '{c}'", u32::from(c))
    } else {
        format!("U+{:04X}", u32::from(c))
    }
}

/// The text that the literal `token`, including its quotes, means. The lexer has checked its
/// escapes.
pub(super) fn unquote(token: &str) -> Literal {
    let inner = &token[1..token.len() - 1];
    if token.starts_with('`') || !inner.contains('\\') {
        return inner.into();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = unescape(&rest[at + 1..], &mut bytes);
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.into()
}

/// Appends the meaning of the escape at the start of `rest` (after its backslash); returns what
/// follows it.
fn unescape<'a>(rest: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let first = rest.as_bytes()[0];
    let (skip, digits, radix) = match first {
        b'0'..=b'7' => (0, 3, 8),
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        _ => {
            bytes.push(match first {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                other => other,
            });
            return &rest[1..];
        }
    };
    let code = u32::from_str_radix(&rest[skip..skip + digits], radix)
        .expect("the lexer has checked the digits");
    if matches!(first, b'u' | b'U') {
        let c = char::from_u32(code).expect("the lexer has checked the code point");
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        bytes.push(u8::try_from(code).expect("the lexer has checked that it is one byte"));
    }
    &rest[skip + digits..]
}
