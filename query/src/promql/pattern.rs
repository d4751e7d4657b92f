//! Regular expressions as Prometheus' users write them, that is Go's syntax, on Rust's engine.
//!
//! The two syntaxes are nearly one, but not quite: Go reads `/api/{id}` and `[[a]` as literals
//! where Rust refuses them, its `\d` is ASCII, it has `\Q...\E`, and it has no `[a&&b]` and no
//! `(?x)`. So a pattern is read by Go's rules, refused in Go's words, and written anew for Rust.
//!
//! Always holds: a pattern that [`translate`] writes means in Rust what it means in Go.

use m3_metric::{MatchOp, Matcher};
use regex::Regex;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::CharIndices;

/// The largest count in `{n,m}`, also of counts within counts multiplied: Go's bound.
const REPEAT_MAX: u32 = 1000;

/// A regular expression anchored at both ends in which `.` matches newlines too, as matchers and
/// `label_replace` take it.
///
/// # Errors
/// What is wrong with the pattern, in Go's words.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let anchored = format!("^(?s:{})$", translate(pattern)?);
    Regex::new(&anchored).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("error parsing regexp: expression too large: `{pattern}`")
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("error parsing regexp: {last}: `{pattern}`")
        }
    })
}

/// Whether a matcher holds for a label that is absent.
///
/// # Errors
/// The pattern is no regular expression.
pub fn matches_empty(matcher: &Matcher) -> Result<bool, String> {
    Ok(match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex => pattern_matches_empty(&matcher.value)?,
        MatchOp::NotRegex => !pattern_matches_empty(&matcher.value)?,
    })
}

fn pattern_matches_empty(pattern: &str) -> Result<bool, String> {
    // Most patterns are alternatives of plain words: those need no engine.
    let is_plain =
        |c: char| !matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '[' | '{' | '^' | '$');
    if pattern.chars().all(is_plain) {
        return Ok(pattern.split('|').any(str::is_empty));
    }
    Ok(compile(pattern)?.is_match(""))
}

/// `pattern`, read by Go's rules, in Rust's syntax.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        pattern,
        rest: pattern.char_indices().peekable(),
        out: String::with_capacity(pattern.len() + 16),
        weights: vec![1],
        weight: 1,
        before: Before::Nothing,
        names: BTreeSet::new(),
    };
    while let Some((at, c)) = translator.rest.next() {
        translator.one(at, c)?;
    }
    if translator.weights.len() > 1 {
        return translator.fail("missing closing )", pattern);
    }
    Ok(translator.out)
}

/// What stands before a repetition.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing that could be repeated.
    Nothing,
    /// Something.
    Item,
    /// A repetition that began here; a second one is a mistake.
    Repeat(usize),
}

struct Translator<'a> {
    pattern: &'a str,
    rest: Peekable<CharIndices<'a>>,
    out: String,
    /// For every open group, and for the whole in front, the weight of its heaviest part.
    weights: Vec<u32>,
    /// How often what was read last may repeat, counts within counts multiplied.
    weight: u32,
    before: Before,
    /// Names that groups have so far.
    names: BTreeSet<String>,
}

impl<'a> Translator<'a> {
    fn fail<T>(&self, what: &str, part: &str) -> Result<T, String> {
        Err(format!("error parsing regexp: {what}: `{part}`"))
    }

    /// Where the next character stands.
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.pattern.len(), |(at, _)| *at)
    }

    fn tail(&mut self) -> &'a str {
        let at = self.at();
        &self.pattern[at..]
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.rest.next();
        }
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, c)| *c == wanted).is_some()
    }

    fn one(&mut self, at: usize, c: char) -> Result<(), String> {
        let mut before = Before::Item;
        let mut weight = 1;
        match c {
            '*' | '+' | '?' => return self.repeat(at, c),
            '{' => match counts(&self.pattern[at..]) {
                Some(counts) => return self.repeat_counted(at, counts),
                None => self.out.push_str("\\{"),
            },
            '(' => before = self.open(at)?,
            ')' if self.weights.len() == 1 => return self.fail("unexpected )", self.pattern),
            ')' => {
                weight = self.weights.pop().unwrap_or(1);
                self.out.push(')');
            }
            '|' => {
                before = Before::Nothing;
                self.out.push('|');
            }
            '[' => self.class(at)?,
            '\\' => before = self.escape(at)?,
            '.' | '^' | '$' => self.out.push(c),
            _ => push_literal(&mut self.out, c),
        }
        self.before = before;
        self.weigh(weight);
        Ok(())
    }

    /// Notes the weight of what has just been read.
    fn weigh(&mut self, weight: u32) {
        self.weight = weight;
        if let Some(heaviest) = self.weights.last_mut() {
            *heaviest = weight.max(*heaviest);
        }
    }

    fn repeat(&mut self, at: usize, op: char) -> Result<(), String> {
        let lazy = self.take_if('?');
        let end = self.at();
        self.check_repeat(at, end)?;
        self.out.push(op);
        self.out.push_str(if lazy { "?" } else { "" });
        Ok(())
    }

    fn repeat_counted(&mut self, at: usize, counts: Counts) -> Result<(), String> {
        self.skip(counts.len - 1);
        let part = &self.pattern[at..at + counts.len];
        let most = counts.most.unwrap_or(counts.least);
        if counts.least > REPEAT_MAX || most > REPEAT_MAX || most < counts.least {
            return self.fail("invalid repeat count", part);
        }
        let lazy = self.take_if('?');
        let end = self.at();
        self.check_repeat(at, end)?;
        let weight = self.weight.saturating_mul(most.max(1));
        if weight > REPEAT_MAX {
            return self.fail("invalid repeat count", &self.pattern[at..end]);
        }
        self.weigh(weight);
        self.out.push_str(part);
        self.out.push_str(if lazy { "?" } else { "" });
        Ok(())
    }

    fn check_repeat(&mut self, at: usize, end: usize) -> Result<(), String> {
        let part = &self.pattern[at..end];
        match self.before {
            Before::Item => {}
            Before::Nothing => {
                return self.fail("missing argument to repetition operator", part);
            }
            Before::Repeat(first) => {
                let both = &self.pattern[first..end];
                return self.fail("invalid nested repetition operator", both);
            }
        }
        self.before = Before::Repeat(at);
        Ok(())
    }

    /// A parenthesis that has been read; what follows it inside may not begin with a repetition.
    fn open(&mut self, at: usize) -> Result<Before, String> {
        let tail = self.tail();
        if !tail.starts_with('?') {
            self.weights.push(1);
            self.out.push('(');
            return Ok(Before::Nothing);
        }
        let all = &self.pattern[at..];
        for prefix in ["?P<", "?<"] {
            let Some(name) = tail.strip_prefix(prefix) else { continue };
            let Some(end) = name.find('>') else { return self.fail("invalid named capture", all) };
            let whole = &all[..1 + prefix.len() + end + 1];
            let valid = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if end == 0 || !name[..end].chars().all(valid) {
                return self.fail("invalid named capture", whole);
            }
            // The number in front lets a name begin with a digit, as Go allows; Rust does not.
            let digit = name.starts_with(|c: char| c.is_ascii_digit());
            let name = format!("{}{}", if digit { "_" } else { "" }, &name[..end]);
            // In Go a name may stand twice and means the first one; in Rust it may not.
            if self.names.insert(name.clone()) {
                write!(self.out, "(?P<{name}>").expect("writing to a String succeeds");
            } else {
                self.out.push('(');
            }
            self.skip(whole.len() - 1);
            self.weights.push(1);
            return Ok(Before::Nothing);
        }
        self.flags(at)
    }

    /// `(?i)` or `(?i:`, of which the parenthesis has been read.
    fn flags(&mut self, at: usize) -> Result<Before, String> {
        let all = &self.pattern[at..];
        let (mut on, mut off) = (String::new(), String::new());
        let (mut negated, mut any_after) = (false, false);
        for (offset, c) in all.char_indices().skip(2) {
            match c {
                'i' | 'm' | 's' | 'U' => {
                    any_after = true;
                    // Go takes a flag twice and the later one wins; Rust takes it once.
                    let (to, from) =
                        if negated { (&mut off, &mut on) } else { (&mut on, &mut off) };
                    to.retain(|flag| flag != c);
                    from.retain(|flag| flag != c);
                    to.push(c);
                }
                '-' if !negated => (negated, any_after) = (true, false),
                ':' | ')' if !negated || any_after => {
                    if c == ':' {
                        self.weights.push(1);
                    }
                    // `(?)` sets nothing, which Rust refuses to read.
                    if offset > 2 || c == ':' {
                        let minus = if negated { "-" } else { "" };
                        write!(self.out, "(?{on}{minus}{off}{c}")
                            .expect("writing to a String succeeds");
                    }
                    self.skip(offset);
                    return Ok(Before::Nothing);
                }
                _ => {
                    let part = &all[..offset + c.len_utf8()];
                    return self.fail("invalid or unsupported Perl syntax", part);
                }
            }
        }
        self.fail("invalid or unsupported Perl syntax", all)
    }

    /// An escape outside a class, its backslash read.
    fn escape(&mut self, at: usize) -> Result<Before, String> {
        let tail = self.tail();
        if let Some(quoted) = tail.strip_prefix('Q') {
            let (literal, close) = match quoted.find("\\E") {
                Some(end) => (&quoted[..end], 2),
                None => (quoted, 0),
            };
            literal.chars().for_each(|c| push_literal(&mut self.out, c));
            self.skip(1 + literal.chars().count() + close);
            return Ok(if literal.is_empty() { self.before } else { Before::Item });
        }
        let c = tail.chars().next().unwrap_or_default();
        // A word is made of ASCII in Go.
        let same = match c {
            'A' => "\\A",
            'z' => "\\z",
            'b' => "(?-u:\\b)",
            'B' => "(?-u:\\B)",
            'p' | 'P' => {
                self.unicode_class(at)?;
                return Ok(Before::Item);
            }
            _ => perl_class(c).unwrap_or_default(),
        };
        if same.is_empty() {
            let c = self.escaped_char(at)?;
            push_literal(&mut self.out, c);
        } else {
            self.skip(1);
            self.out.push_str(same);
        }
        Ok(Before::Item)
    }

    /// `\pN`, `\P{Greek}`, the backslash read. The names are Unicode's in both.
    fn unicode_class(&mut self, at: usize) -> Result<(), String> {
        let tail = self.tail();
        let all = &self.pattern[at..];
        let len = match tail.chars().nth(1) {
            Some('{') => match tail.find('}') {
                Some(end) => end + 1,
                None => return self.fail("invalid character class range", all),
            },
            Some(c) => 1 + c.len_utf8(),
            None => return self.fail("invalid character class range", all),
        };
        let class = &all[..=len];
        let name = &tail[1..len];
        let name = name.strip_prefix('{').and_then(|n| n.strip_suffix('}')).unwrap_or(name);
        let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        // Go's names have one spelling each, Rust's any, and other kinds (`\p{sc=Greek}`).
        let plain = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(plain);
        // `\p{^L}` is `\P{L}`.
        let letter = if tail.starts_with('p') == negated { 'P' } else { 'p' };
        let ours = format!("\\{letter}{{{name}}}");
        if !is_name || Regex::new(&ours).is_err() {
            return self.fail("invalid character class range", class);
        }
        self.out.push_str(&ours);
        self.skip(tail[..len].chars().count());
        Ok(())
    }

    /// The character that an escape means, its backslash read at `at`.
    fn escaped_char(&mut self, at: usize) -> Result<char, String> {
        let Some((_, c)) = self.rest.next() else {
            return self.fail("trailing backslash at end of expression", "");
        };
        let named = match c {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '1'..='7' if !self.tail().starts_with(|c: char| c.is_digit(8)) => {
                return self.bad_escape(at);
            }
            '0'..='7' => {
                let mut code = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some((_, d)) = self.rest.next_if(|(_, d)| d.is_digit(8)) else { break };
                    code = code * 8 + d.to_digit(8).unwrap_or(0);
                }
                return char::from_u32(code).map_or_else(|| self.bad_escape(at), Ok);
            }
            'x' => return self.hex_char(at),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => return self.bad_escape(at),
        };
        Ok(named)
    }

    /// `\x41` or `\x{41}`, read up to the `x`.
    fn hex_char(&mut self, at: usize) -> Result<char, String> {
        let braces = self.take_if('{');
        let (mut code, mut digits) = (0u32, 0);
        while digits < 2 || braces {
            match self.rest.next().map(|(_, c)| c) {
                Some('}') if braces && digits > 0 => break,
                Some(c) if c.is_ascii_hexdigit() => {
                    code = code * 16 + c.to_digit(16).unwrap_or(0);
                    if code > u32::from(char::MAX) {
                        return self.bad_escape(at);
                    }
                    digits += 1;
                }
                // Go reads both places of the short form before it looks at the first.
                Some(_) if !braces && digits == 0 => {
                    self.rest.next();
                    return self.bad_escape(at);
                }
                _ => return self.bad_escape(at),
            }
        }
        char::from_u32(code).map_or_else(|| self.bad_escape(at), Ok)
    }

    fn bad_escape(&mut self, at: usize) -> Result<char, String> {
        let end = self.at().max(at + 1);
        self.fail("invalid escape sequence", &self.pattern[at..end])
    }

    /// A class whose bracket has been read at `at`.
    fn class(&mut self, at: usize) -> Result<(), String> {
        let all = &self.pattern[at..];
        self.out.push('[');
        if self.take_if('^') {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let tail = self.tail();
            let from = self.at();
            if tail.is_empty() {
                return self.fail("missing closing ]", all);
            }
            if !first && self.take_if(']') {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if tail.starts_with("[:")
                && let Some(end) = tail[2..].find(":]")
            {
                self.posix_class(&tail[..end + 4])?;
                continue;
            }
            let escaped = tail.strip_prefix('\\').and_then(|rest| rest.chars().next());
            match escaped {
                Some('p' | 'P') => {
                    self.skip(1);
                    self.unicode_class(from)?;
                }
                Some(c) if perl_class(c).is_some() => {
                    self.skip(2);
                    self.out.push_str(perl_class(c).unwrap_or_default());
                }
                _ => self.class_range(from, all)?,
            }
        }
    }

    fn posix_class(&mut self, class: &str) -> Result<(), String> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let name = class[2..class.len() - 2].trim_start_matches('^');
        if !NAMES.contains(&name) {
            return self.fail("invalid character class range", class);
        }
        self.out.push_str(class);
        self.skip(class.len());
        Ok(())
    }

    fn class_range(&mut self, from: usize, all: &str) -> Result<(), String> {
        let low = self.class_char(all)?;
        let mut high = low;
        let tail = self.tail();
        if tail.len() >= 2 && tail.starts_with('-') && !tail.starts_with("-]") {
            self.skip(1);
            high = self.class_char(all)?;
            if high < low {
                let end = self.at();
                return self.fail("invalid character class range", &self.pattern[from..end]);
            }
        }
        let (low, high) = (u32::from(low), u32::from(high));
        write!(self.out, "\\x{{{low:x}}}").expect("writing to a String succeeds");
        if high > low {
            write!(self.out, "-\\x{{{high:x}}}").expect("writing to a String succeeds");
        }
        Ok(())
    }

    fn class_char(&mut self, all: &str) -> Result<char, String> {
        match self.rest.next() {
            None => self.fail("missing closing ]", all),
            Some((at, '\\')) => self.escaped_char(at),
            Some((_, c)) => Ok(c),
        }
    }
}

/// `{2,5}` at the front of a text.
struct Counts {
    least: u32,
    /// `None` for `{2,}`.
    most: Option<u32>,
    len: usize,
}

/// The counts at the front of `text`; `None` if the brace is just a brace.
fn counts(text: &str) -> Option<Counts> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let padded = digits.len() > 1 && digits.starts_with('0');
        // What does not fit is too large anyway.
        (plain && !padded).then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inner.split_once(',') {
        None => {
            let exact = number(inner)?;
            (exact, Some(exact))
        }
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some(Counts { least, most, len: end + 1 })
}

/// Go's `\d` and its like, which know ASCII only.
fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x0c\\r ]",
        'S' => "[^\\t\\n\\x0c\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

fn push_literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}
