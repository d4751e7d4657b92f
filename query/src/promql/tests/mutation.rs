//! Texts mutilated at random: whatever they are, reading them ends, and what is read can be
//! written and read again. `SEED` picks the mutations, `M3RING_MUTATIONS` how many.

use super::super::{parse, parse_selector};
use super::shape;
use m3_testing::{Random, setting};

const TEXTS: &[&str] = &[
    "sum by (job, 'a b') (rate(http_requests_total{code=~\"5..\", path!='/x'}[5m] offset -1h))",
    "histogram_quantile(0.99, sum without (pod) (rate(x_bucket[1h30m] @ start()))) > bool 0x1f",
    "a{b=\"\\xff\\n\\u00e9\"} * on (c) group_left (d) fill (1) b or -c ^ 2 unless {'q.m', `n`=~`.+`}",
    "max_over_time((a + b)[1h:step()*2] @ 1.5e3 offset (5m + range() % 7)) # comment\n/ time()",
    "label_replace(up, \"dst\", \"${1}\", 'src', `(.*)[^a-z]{2}`) atan2 topk(5, avg(sum{start=\"x\"}))",
    "count_values(\"v\", a:b:c) <= 1_000 + Inf - nan * a[max_of(1m, -(2s)):] @ end()",
];
const PARTS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "=~",
    "!~",
    "!=",
    "==",
    "@",
    "+",
    "-",
    "*",
    "/",
    "^",
    "\"",
    "'",
    "`",
    "\\",
    "#",
    "\n",
    ".",
    "_",
    "0",
    "5m",
    "1e",
    "0x",
    "and",
    "by",
    "on",
    "bool",
    "offset",
    "sum",
    "step()",
    "group_left",
    "fill(1)",
    "\u{e9}",
    "\u{10ffff}",
    "\u{0}",
    "{{",
    "[1m:]",
    "(?P<",
    "nan",
];

/// What changes texts.
struct Changes(Random);

impl Changes {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// A character's boundary in `text`.
    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn mutate(&mut self, text: &mut String) {
        let (a, b) = (self.boundary(text), self.boundary(text));
        let (from, to) = (a.min(b), a.max(b));
        match self.below(6) {
            0 => text.insert_str(a, PARTS[self.below(PARTS.len())]),
            1 if to - from < 12 => drop(text.drain(from..to)),
            2 if to > text.len() / 2 => text.truncate(to),
            3 => {
                let piece = text[from..to].to_owned();
                let at = self.boundary(text);
                text.insert_str(at, &piece);
            }
            4 => {
                let other = TEXTS[self.below(TEXTS.len())];
                let (c, d) = (self.boundary(other), self.boundary(other));
                text.insert_str(a, &other[c.min(d)..c.max(d)]);
            }
            _ => text.insert_str(a, &PARTS[self.below(PARTS.len())].repeat(3)),
        }
    }
}

#[test]
fn mutilated_texts_are_read_or_refused() {
    let random = Random::or_seed("mutilated_texts", 0x6d33_7269_6e67);
    let seed = random.seed();
    let mut changes = Changes(random);
    let mut read = 0u32;
    for _ in 0..setting("M3RING_MUTATIONS", 20_000) {
        let mut text = TEXTS[changes.below(TEXTS.len())].to_owned();
        for _ in 0..changes.below(5) {
            changes.mutate(&mut text);
        }
        let _ = parse_selector(&text);
        let Ok(expr) = parse(&text) else { continue };
        read += 1;
        let written = expr.to_string();
        let again = parse(&written).unwrap_or_else(|error| {
            panic!("seed {seed}: {text:?} is written {written:?}: {error}")
        });
        assert_eq!(shape(&again), shape(&expr), "seed {seed}: {text:?} is written {written:?}");
    }
    assert!(read > 100, "some texts survive");
}
