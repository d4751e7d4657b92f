//! Estimates how much a regular expression costs to compile, from its text.
//!
//! The regex crate limits one pattern, and only while it compiles; we limit all patterns of a
//! query, beforehand. A letter costs 1, a class what its ranges take in UTF-8, and a repetition
//! multiplies. This is rough, but never far too low.

use crate::{MatchOp, Matcher};

/// A class with characters beyond ASCII, such as `.` or `[^a]`.
const WIDE_CLASS: u64 = 12;
/// The cost of the smallest pattern that is not plain text.
const ENGINE: u64 = 100;
/// A class named by its Unicode property, with hundreds of ranges.
const UNICODE_CLASS: u64 = 1000;

/// The cost of the patterns among `matchers`.
#[must_use]
pub fn cost_of_all<'a>(matchers: impl IntoIterator<Item = &'a Matcher>) -> u64 {
    let patterns =
        matchers.into_iter().filter(|m| matches!(m.op, MatchOp::Regex | MatchOp::NotRegex));
    patterns.map(|matcher| cost(&matcher.value)).fold(0, u64::saturating_add)
}

/// The cost of `pattern`, in about a microsecond of compilation each.
#[must_use]
pub fn cost(pattern: &str) -> u64 {
    let mut weigher = Weigher { rest: pattern.as_bytes(), open: Vec::new(), sum: 0, last: 0 };
    while let Some(byte) = weigher.take() {
        weigher.one(byte);
    }
    let groups = std::mem::take(&mut weigher.open);
    let is_plain = !pattern.bytes().any(|byte| br"\.+*?()[]{}^$".contains(&byte));
    let whole = if is_plain { weigher.sum } else { weigher.sum.saturating_add(ENGINE) };
    let whole = groups.into_iter().fold(whole, u64::saturating_add);
    // Letters that match both cases are classes, and classes get more ranges.
    if pattern.contains("(?") { whole.saturating_mul(2) } else { whole }
}

struct Weigher<'a> {
    rest: &'a [u8],
    /// What was before each open group.
    open: Vec<u64>,
    /// The cost of this group so far.
    sum: u64,
    /// The cost that a repetition would multiply; included in `sum`.
    last: u64,
}

impl Weigher<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn item(&mut self, cost: u64) {
        self.sum = self.sum.saturating_add(cost);
        self.last = cost;
    }

    fn repeat(&mut self, times: u64) {
        let more = self.last.saturating_mul(times.saturating_sub(1));
        self.sum = self.sum.saturating_add(more);
        self.last = self.last.saturating_add(more);
    }

    fn one(&mut self, byte: u8) {
        match byte {
            b'(' => {
                self.open.push(self.sum);
                (self.sum, self.last) = (0, 0);
            }
            b')' => {
                let group = self.sum.max(1);
                self.sum = self.open.pop().unwrap_or(0);
                self.item(group);
            }
            b'[' => {
                let cost = self.class();
                self.item(cost);
            }
            b'\\' => {
                let cost = self.escape();
                self.item(cost);
            }
            b'.' => self.item(WIDE_CLASS),
            b'*' | b'+' => self.repeat(2),
            b'{' => match self.counts() {
                Some(times) => self.repeat(times),
                None => self.item(1),
            },
            b'?' | b'|' | b'^' | b'$' => {}
            _ => self.item(1),
        }
    }

    fn escape(&mut self) -> u64 {
        match self.take() {
            Some(b'p' | b'P') => {
                // Its name: one letter, or more in braces.
                if self.take() == Some(b'{') {
                    let end = self.rest.iter().position(|byte| *byte == b'}');
                    self.rest = &self.rest[end.map_or(0, |at| at + 1)..];
                }
                UNICODE_CLASS
            }
            Some(b'D' | b'S' | b'W') => WIDE_CLASS,
            Some(b'd' | b's' | b'w') => 4,
            _ => 1,
        }
    }

    /// The cost of a class in brackets, after its opening bracket.
    fn class(&mut self) -> u64 {
        let mut cost: u64 = 1;
        if self.rest.first() == Some(&b'^') {
            self.take();
            cost += WIDE_CLASS;
        }
        let mut is_first = true;
        while let Some(byte) = self.take() {
            cost = cost.saturating_add(match byte {
                b']' if !is_first => return cost,
                b'\\' => self.escape(),
                // A named class inside; its bracket must not end this one.
                b'[' if self.rest.first() == Some(&b':') => {
                    let end = self.rest.windows(2).position(|two| two == b":]");
                    self.rest = &self.rest[end.map_or(0, |at| at + 2)..];
                    WIDE_CLASS
                }
                byte if byte.is_ascii() => 1,
                // A character beyond ASCII or a range of them, byte by byte.
                _ => WIDE_CLASS / 2,
            });
            is_first = false;
        }
        cost
    }

    /// The largest count of `{n}`, `{n,}` or `{n,m}`. Returns `None` and reads nothing if it is not
    /// a count: Go takes a number with a leading zero, and everything but digits, as text.
    fn counts(&mut self) -> Option<u64> {
        let end = self.rest.iter().position(|byte| *byte == b'}')?;
        let text = std::str::from_utf8(&self.rest[..end]).ok()?;
        let (least, most) = text.split_once(',').unwrap_or((text, text));
        let number = |digits: &str| {
            let is_text = digits.len() > 1 && digits.starts_with('0');
            let is_number = !is_text && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { digits.parse::<u64>().ok() } else { None }
        };
        let least = number(least)?;
        let most = if most.is_empty() { least + 1 } else { number(most)? };
        self.rest = &self.rest[end + 1..];
        Some(least.max(most).max(1))
    }
}

#[cfg(test)]
mod tests;
