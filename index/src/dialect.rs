//! Translates regular expressions of Prometheus' users (RE2's syntax in Go's dialect) into the
//! syntax of the `regex` crate.
//!
//! The two differ in ways that are easy to miss. In Go `\d \w \s \b` are ASCII, `[a&&b]` and `[[]`
//! contain plain characters, `{` without a count is a literal brace, `\Q..\E` quotes, `\123` is
//! octal and `\<` is a character. Each is rewritten. What Go refuses (`(?x)`, `a**`, `{1001}`) is
//! refused here in Go's words. Only whether a value matches is of interest, so repetitions lose
//! their greediness and groups capture nothing.
//!
//! Always holds: the result contains no construct that the `regex` crate reads in another way than
//! Go reads the original.

use std::fmt::Write;

/// Largest count of a repetition, as in RE2.
const REPEAT_MAX: u32 = 1000;

/// Translates `pattern`.
///
/// # Errors
/// What is wrong with it, in the words of Go's parser.
pub(crate) fn translate(pattern: &str) -> Result<String, String> {
    let out = String::with_capacity(pattern.len() + 16);
    let mut parser = Parser { pattern, rest: pattern, out, weights: vec![1], weight: 1 };
    parser.run()?;
    Ok(parser.out)
}

struct Parser<'a> {
    pattern: &'a str,
    rest: &'a str,
    out: String,
    /// For each open group, and first for the whole pattern, the weight of its heaviest part.
    weights: Vec<u32>,
    /// How often the last item may repeat: the product of nested counts.
    weight: u32,
}

/// What precedes a position. It decides whether a repetition may follow.
#[derive(Clone, Copy, PartialEq)]
enum Before<'a> {
    Nothing,
    Item,
    /// A repetition, with the text from its operator on.
    Repeat(&'a str),
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), String> {
        let mut before = Before::Nothing;
        while let Some(c) = self.rest.chars().next() {
            let at = self.rest;
            if !matches!(c, '*' | '+' | '?' | '{' | ')') {
                self.weigh(1);
            }
            before = match c {
                '(' => {
                    self.group()?;
                    Before::Nothing
                }
                ')' => {
                    self.close()?;
                    Before::Item
                }
                '|' => {
                    self.bump();
                    self.out.push('|');
                    Before::Nothing
                }
                '*' | '+' | '?' => {
                    self.bump();
                    self.repeat(before, at, c.encode_utf8(&mut [0; 4]))?;
                    Before::Repeat(at)
                }
                '{' => match self.count()? {
                    Some((count, most)) => {
                        self.repeat(before, at, count)?;
                        self.multiply(at, most)?;
                        Before::Repeat(at)
                    }
                    None => {
                        self.bump();
                        self.weigh(1);
                        self.literal('{');
                        Before::Item
                    }
                },
                '[' => {
                    self.class()?;
                    Before::Item
                }
                '\\' => self.escape(before)?,
                '.' | '^' | '$' => {
                    self.bump();
                    self.out.push(c);
                    Before::Item
                }
                _ => {
                    self.bump();
                    self.literal(c);
                    Before::Item
                }
            };
        }
        if self.weights.len() > 1 {
            return Err(format!("missing closing ): `{}`", self.pattern));
        }
        Ok(())
    }

    /// Takes the next character.
    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    /// Records the weight of the item that was just read.
    fn weigh(&mut self, weight: u32) {
        self.weight = weight;
        if let Some(heaviest) = self.weights.last_mut() {
            *heaviest = weight.max(*heaviest);
        }
    }

    fn literal(&mut self, c: char) {
        if regex_syntax::is_meta_character(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn close(&mut self) -> Result<(), String> {
        if self.weights.len() == 1 {
            return Err(format!("unexpected ): `{}`", self.pattern));
        }
        let heaviest = self.weights.pop().unwrap_or(1);
        self.weigh(heaviest);
        self.bump();
        self.out.push(')');
        Ok(())
    }

    /// Writes the repetition `operator` that was read at `at`, and drops a `?` after it.
    fn repeat(&mut self, before: Before<'a>, at: &'a str, operator: &str) -> Result<(), String> {
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
        }
        match before {
            Before::Item => {}
            Before::Nothing => {
                let shown = &at[..at.len() - self.rest.len()];
                return Err(format!("missing argument to repetition operator: `{shown}`"));
            }
            Before::Repeat(first) => {
                let shown = &first[..first.len() - self.rest.len()];
                return Err(format!("invalid nested repetition operator: `{shown}`"));
            }
        }
        self.out.push_str(operator);
        Ok(())
    }

    /// Records that the last item may repeat `most` times, because of the repetition at `at`.
    fn multiply(&mut self, at: &str, most: u32) -> Result<(), String> {
        let weight = self.weight.saturating_mul(most.max(1));
        if weight > REPEAT_MAX {
            let shown = &at[..at.len() - self.rest.len()];
            return Err(format!("invalid repeat count: `{shown}`"));
        }
        self.weigh(weight);
        Ok(())
    }

    /// Takes a `{n}`, `{n,}` or `{n,m}` and returns its largest count. Anything else that begins
    /// with a brace is a literal brace.
    fn count(&mut self) -> Result<Option<(&'a str, u32)>, String> {
        let Some(end) = self.rest.find('}') else { return Ok(None) };
        let (whole, rest) = self.rest.split_at(end + 1);
        let inner = &whole[1..end];
        let (low, high) = match inner.split_once(',') {
            None => (inner, Some(inner)),
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
        };
        if !is_number(low) || high.is_some_and(|high| !is_number(high)) {
            return Ok(None);
        }
        let bounded = |text: &str| text.parse::<u32>().ok().filter(|&n| n <= REPEAT_MAX);
        let most = match (bounded(low), high.map(bounded)) {
            (Some(low), Some(Some(high))) if low <= high => high,
            (Some(low), None) => low,
            _ => return Err(format!("invalid repeat count: `{whole}`")),
        };
        self.rest = rest;
        Ok(Some((whole, most)))
    }

    /// Takes an opening parenthesis and its flags; `(?i)` is complete by itself.
    fn group(&mut self) -> Result<(), String> {
        let at = self.rest;
        self.bump();
        let Some(special) = self.rest.strip_prefix('?') else {
            self.out.push_str("(?:");
            self.weights.push(1);
            return Ok(());
        };
        if let Some(named) = special.strip_prefix("P<").or_else(|| special.strip_prefix('<')) {
            let Some(end) = named.find('>') else {
                return Err(format!("invalid named capture: `{at}`"));
            };
            let name = &named[..end];
            self.rest = &named[end + 1..];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let shown = &at[..at.len() - self.rest.len()];
                return Err(format!("invalid named capture: `{shown}`"));
            }
            self.out.push_str("(?:");
            self.weights.push(1);
            return Ok(());
        }
        self.flags(at, special)
    }

    /// Takes the flags of `(?i)` or `(?i:`; `special` is the text after the `?`.
    fn flags(&mut self, at: &'a str, special: &'a str) -> Result<(), String> {
        let end = special.find([')', ':']).unwrap_or(special.len());
        let (flags, tail) = special.split_at(end);
        let bad = flags.find(|c| !matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
        let (on, off) = flags.split_once('-').map_or((flags, None), |(on, off)| (on, Some(off)));
        let empty = off.is_some_and(str::is_empty);
        if let Some(bad) = bad {
            let width = special[bad..].chars().next().map_or(0, char::len_utf8);
            return Err(format!(
                "invalid or unsupported Perl syntax: `{}`",
                &at[..2 + bad + width]
            ));
        }
        if tail.is_empty() {
            return Err(format!("missing closing ): `{}`", self.pattern));
        }
        if empty || off.is_some_and(|off| off.contains('-')) {
            let shown = &at[..at.len() - tail.len() + 1];
            return Err(format!("invalid or unsupported Perl syntax: `{shown}`"));
        }
        self.rest = &tail[1..];
        if flags.is_empty() && tail.starts_with(')') {
            // No flag is set, which the other syntax cannot express.
            return Ok(());
        }
        self.out.push_str("(?");
        // Go allows a flag twice, and the last one wins. The other syntax does not allow it.
        for flag in ['i', 'm', 's', 'U'] {
            if on.contains(flag) && !off.is_some_and(|off| off.contains(flag)) {
                self.out.push(flag);
            }
        }
        if let Some(off) = off {
            self.out.push('-');
            self.out.extend(['i', 'm', 's', 'U'].into_iter().filter(|&flag| off.contains(flag)));
        }
        let opens = tail.starts_with(':');
        self.out.push(if opens { ':' } else { ')' });
        if opens {
            self.weights.push(1);
        }
        Ok(())
    }

    /// Takes an escape outside a class.
    fn escape(&mut self, before: Before<'a>) -> Result<Before<'a>, String> {
        let at = self.rest;
        let Some(c) = at[1..].chars().next() else {
            return Err("trailing backslash at end of expression: ``".into());
        };
        let plain = match c {
            'A' => r"\A",
            'z' => r"\z",
            'b' => r"(?-u:\b)",
            'B' => r"(?-u:\B)",
            _ => "",
        };
        if !plain.is_empty() {
            self.rest = &at[2..];
            self.out.push_str(plain);
        } else if c == 'Q' {
            let (quoted, rest) = at[2..].split_once("\\E").unwrap_or((&at[2..], ""));
            self.rest = rest;
            quoted.chars().for_each(|c| self.literal(c));
            return Ok(if quoted.is_empty() { before } else { Before::Item });
        } else if let Some(set) = perl_class(c) {
            self.rest = &at[2..];
            let not = if c.is_ascii_uppercase() { "^" } else { "" };
            write!(self.out, "[{not}{set}]").expect("writing to a String succeeds");
        } else if matches!(c, 'p' | 'P') {
            self.property()?;
        } else {
            let c = self.escaped_char()?;
            self.literal(c);
        }
        Ok(Before::Item)
    }

    /// Takes `\pL`, `\p{Greek}`, `\p{^Greek}`, or the same with `\P`.
    fn property(&mut self) -> Result<(), String> {
        let at = self.rest;
        let mut not = at[1..].starts_with('P');
        let tail = &at[2..];
        let (name, rest) = match tail.strip_prefix('{') {
            Some(braced) => braced.split_once('}').unwrap_or(("", braced)),
            None => tail.split_at(tail.chars().next().map_or(0, char::len_utf8)),
        };
        let name = name.strip_prefix('^').inspect(|_| not = !not).unwrap_or(name);
        self.rest = rest;
        // Go's names have only one spelling each and begin with a capital.
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase());
        if !is_name || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let shown = &at[..at.len() - rest.len()];
            return Err(format!("invalid character class range: `{shown}`"));
        }
        let kind = if not { 'P' } else { 'p' };
        write!(self.out, "\\{kind}{{{name}}}").expect("writing to a String succeeds");
        Ok(())
    }

    /// Takes an escape that stands for one character.
    fn escaped_char(&mut self) -> Result<char, String> {
        let at = self.rest;
        self.bump();
        let Some(c) = self.bump() else {
            return Err("trailing backslash at end of expression: ``".into());
        };
        let found = match c {
            '0' => Some(self.octal(0)),
            // A single digit would be a reference to a group.
            '1'..='7' if self.rest.starts_with(|c| matches!(c, '0'..='7')) => {
                Some(self.octal(c as u32 - '0' as u32))
            }
            'x' => self.hex(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c as u32),
            _ => None,
        };
        found.and_then(char::from_u32).ok_or_else(|| {
            format!("invalid escape sequence: `{}`", &at[..at.len() - self.rest.len()])
        })
    }

    /// Takes up to two further octal digits.
    fn octal(&mut self, mut value: u32) -> u32 {
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            self.bump();
            value = value * 8 + digit;
        }
        value
    }

    /// Takes two hexadecimal digits or any number of them in braces.
    fn hex(&mut self) -> Option<u32> {
        let digits = if let Some(braced) = self.rest.strip_prefix('{') {
            let (digits, rest) = braced.split_once('}')?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2)?;
            self.rest = rest;
            digits
        };
        let all = digits.bytes().all(|b| b.is_ascii_hexdigit());
        if all { u32::from_str_radix(digits, 16).ok() } else { None }
    }

    /// Takes a class in brackets.
    fn class(&mut self) -> Result<(), String> {
        let at = self.rest;
        self.bump();
        self.out.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err(format!("missing closing ]: `{at}`"));
            };
            if c == ']' && !first {
                self.bump();
                self.out.push(']');
                return Ok(());
            }
            first = false;
            let escaped = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            if self.rest.starts_with("[:") && self.posix()? {
                continue;
            }
            if let Some(c) = escaped
                && let Some(set) = perl_class(c)
            {
                self.rest = &self.rest[2..];
                let (open, close) = if c.is_ascii_uppercase() { ("[^", "]") } else { ("", "") };
                write!(self.out, "{open}{set}{close}").expect("writing to a String succeeds");
                continue;
            }
            if matches!(escaped, Some('p' | 'P')) {
                self.property()?;
                continue;
            }
            self.range(at)?;
        }
    }

    /// Takes `[:alpha:]` inside a class, if that is what stands there.
    fn posix(&mut self) -> Result<bool, String> {
        let Some(end) = self.rest[2..].find(":]") else { return Ok(false) };
        let (whole, rest) = self.rest.split_at(end + 4);
        let name = whole[2..end + 2].trim_start_matches('^');
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        if !NAMES.contains(&name) {
            return Err(format!("invalid character class range: `{whole}`"));
        }
        self.rest = rest;
        self.out.push_str(whole);
        Ok(true)
    }

    /// Takes a character or a range of characters inside the class that began at `class`.
    fn range(&mut self, class: &'a str) -> Result<(), String> {
        let at = self.rest;
        let low = self.class_char(class)?;
        self.member(low);
        let Some(after) = self.rest.strip_prefix('-') else { return Ok(()) };
        if after.is_empty() || after.starts_with(']') {
            return Ok(());
        }
        self.rest = after;
        let high = self.class_char(class)?;
        if high < low {
            let shown = &at[..at.len() - self.rest.len()];
            return Err(format!("invalid character class range: `{shown}`"));
        }
        self.out.push('-');
        self.member(high);
        Ok(())
    }

    fn class_char(&mut self, class: &'a str) -> Result<char, String> {
        if self.rest.starts_with('\\') {
            return self.escaped_char();
        }
        self.bump().ok_or_else(|| format!("missing closing ]: `{class}`"))
    }

    /// Writes a member of a class, escaped so that it cannot act as an operator.
    fn member(&mut self, c: char) {
        if c.is_alphanumeric() {
            self.out.push(c);
        } else {
            write!(self.out, "\\x{{{:X}}}", c as u32).expect("writing to a String succeeds");
        }
    }
}

/// Whether `text` is a number as repetitions allow it: digits without a leading zero.
fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// The members of `\d`, `\s`, `\w`, or of the classes they negate.
fn perl_class(c: char) -> Option<&'static str> {
    match c {
        'd' | 'D' => Some("0-9"),
        's' | 'S' => Some(r"\t\n\x0C\r\x20"),
        'w' | 'W' => Some("0-9A-Za-z_"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
