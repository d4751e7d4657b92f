//! Reads scripts in the language of Prometheus' own PromQL tests: `load`, `clear`, `eval`,
//! `expect`. A line that needs native histograms makes its block unsupported, not wrong.

use m3_metric::{Labels, promql_duration};
use m3_query::promql::parse_selector;

/// One value of a series description; `None` is a gap.
pub(crate) type Item = Option<f64>;

/// A command of a script.
#[derive(Debug)]
pub(crate) enum Command {
    Clear,
    Load { step_ms: i64, series: Vec<(Labels, Vec<Item>)>, unsupported: bool },
    Eval(Box<Eval>),
}

/// An expected message: whole text, pattern, or anything.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Any,
    Text(String),
    Regex(String),
}

#[derive(Debug, Default)]
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) query: String,
    /// Start, end and step in milliseconds; an instant query has no step.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: Option<i64>,
    pub(crate) ordered: bool,
    pub(crate) fail: Option<Message>,
    pub(crate) warn: Vec<Message>,
    pub(crate) info: Vec<Message>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) text: Option<String>,
    pub(crate) number: Option<f64>,
    pub(crate) series: Vec<(Labels, Vec<Item>)>,
    /// `expect range vector`: start and step of the points of an instant query.
    pub(crate) points: Option<(i64, i64)>,
    pub(crate) unsupported: bool,
}

/// Reads a whole script.
pub(crate) fn read(text: &str) -> Vec<Command> {
    let lines: Vec<&str> =
        text.lines().map(|l| if l.trim().starts_with('#') { "" } else { l.trim() }).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let end = (at + 1..lines.len()).find(|i| lines[*i].is_empty()).unwrap_or(lines.len());
        let first = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        if first == "clear" {
            commands.push(Command::Clear);
        } else if first.starts_with("load") {
            commands.push(load(line, &lines[at + 1..end]));
            at = end;
            continue;
        } else if first.starts_with("eval") {
            let (eval, used) = eval(line, at + 1, &lines[at + 1..end]);
            commands.push(Command::Eval(Box::new(eval)));
            at += used;
        } else {
            assert!(line.is_empty(), "line {}: no command: {line}", at + 1);
        }
        at += 1;
    }
    commands
}

fn load(line: &str, body: &[&str]) -> Command {
    let mut words = line.split_whitespace();
    let mut unsupported = words.next() != Some("load");
    let step_ms = promql_duration::parse_ms(words.next().unwrap()).unwrap();
    let mut series = Vec::new();
    for line in body {
        // Start times do not exist here; the samples they stand beside do.
        if line.split_whitespace().next().is_some_and(|w| w.ends_with("@st")) {
            unsupported = true;
            continue;
        }
        match description(line) {
            Some(one) => series.push(one),
            None => unsupported = true,
        }
    }
    Command::Load { step_ms, series, unsupported }
}

fn message(line: &str, kind: &str) -> Message {
    let rest = line.strip_prefix("expect ").unwrap().strip_prefix(kind).unwrap().trim();
    if let Some(text) = rest.strip_prefix("msg:") {
        Message::Text(text.trim().to_owned())
    } else if let Some(text) = rest.strip_prefix("regex:") {
        Message::Regex(text.trim().to_owned())
    } else {
        Message::Any
    }
}

fn eval(line: &str, number: usize, body: &[&str]) -> (Eval, usize) {
    let mut eval = Eval { line: number, ..Eval::default() };
    let (command, rest) = line.split_once(char::is_whitespace).unwrap();
    match command.strip_prefix("eval").unwrap() {
        "_fail" => eval.fail = Some(Message::Any),
        "_warn" => eval.warn.push(Message::Any),
        "_info" => eval.info.push(Message::Any),
        "_ordered" => eval.ordered = true,
        _ => {}
    }
    header(&mut eval, rest.trim());
    let mut used = 0;
    for line in body {
        used += 1;
        if let Some(text) = line.strip_prefix("expected_fail_message") {
            eval.fail = Some(Message::Text(text.trim().to_owned()));
        } else if let Some(text) = line.strip_prefix("expected_fail_regexp") {
            eval.fail = Some(Message::Regex(text.trim().to_owned()));
        } else if let Some(text) = line.strip_prefix("expect string ") {
            eval.text = Some(unquote(text));
        } else if let Some(rest) = line.strip_prefix("expect range vector from ") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            eval.points = Some((
                promql_duration::parse_ms(words[0]).unwrap(),
                promql_duration::parse_ms(words[4]).unwrap(),
            ));
        } else if line.starts_with("expect ") {
            expectation(&mut eval, line);
        } else if let Ok(value) = line.parse::<f64>() {
            eval.number = Some(value);
            break;
        } else {
            match description(line) {
                Some(one) => eval.series.push(one),
                None => eval.unsupported = true,
            }
        }
    }
    (eval, used)
}

fn expectation(eval: &mut Eval, line: &str) {
    let kind = line.split_whitespace().nth(1).unwrap();
    match kind {
        "ordered" => eval.ordered = true,
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "fail" => eval.fail = Some(message(line, kind)),
        "warn" => eval.warn.push(message(line, kind)),
        "info" => eval.info.push(message(line, kind)),
        other => panic!("line {}: expect {other}?", eval.line),
    }
}

fn header(eval: &mut Eval, rest: &str) {
    if let Some(rest) = rest.strip_prefix("instant") {
        let rest = rest.trim();
        match rest.strip_prefix("at ") {
            Some(rest) => {
                let (at, query) = rest.trim().split_once(char::is_whitespace).unwrap();
                eval.start_ms = signed_duration(at);
                query.trim().clone_into(&mut eval.query);
            }
            None => rest.clone_into(&mut eval.query),
        }
        eval.end_ms = eval.start_ms;
        return;
    }
    let mut rest = rest.strip_prefix("range").unwrap().trim();
    let mut word = |keyword: &str| {
        rest = rest.trim().strip_prefix(keyword).unwrap().trim();
        let (value, tail) = rest.split_once(char::is_whitespace).unwrap();
        rest = tail.trim();
        signed_duration(value)
    };
    eval.start_ms = word("from");
    eval.end_ms = word("to");
    eval.step_ms = Some(word("step"));
    rest.clone_into(&mut eval.query);
}

fn signed_duration(text: &str) -> i64 {
    if text == "0" {
        return 0;
    }
    promql_duration::parse_ms(text).unwrap_or_else(|_| panic!("duration {text}"))
}

fn unquote(text: &str) -> String {
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') {
        inner.to_owned()
    } else {
        inner.replace("\\\"", "\"").replace("\\\\", "\\")
    }
}

/// `metric{a="b"} 1 2+3x4 _ stale`; `None` if a value is a native histogram.
fn description(line: &str) -> Option<(Labels, Vec<Item>)> {
    let mut quoted = None;
    let mut braces = 0;
    let mut end = line.len();
    let mut escaped = false;
    for (i, c) in line.char_indices() {
        match quoted {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quoted = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quoted = Some(c),
            None if c == '{' => braces += 1,
            None if c == '}' => braces -= 1,
            None if c.is_whitespace() && braces == 0 && !labels_follow(&line[i..]) => {
                end = i;
                break;
            }
            None => {}
        }
    }
    let (metric, values) = line.split_at(end);
    if values.contains("{{") {
        return None;
    }
    let mut builder = m3_metric::LabelsBuilder::default();
    if metric != "{}" {
        let name_only = metric.replace(' ', "");
        let matchers = if name_only.ends_with("{}") && name_only.len() > 2 {
            parse_selector(&name_only[..name_only.len() - 2])
        } else {
            parse_selector(metric)
        };
        for matcher in matchers.unwrap_or_else(|e| panic!("{metric}: {e}")) {
            builder.set(&matcher.name, &matcher.value);
        }
    }
    let mut items = Vec::new();
    for word in values.split_whitespace() {
        expand(word, &mut items);
    }
    Some((builder.finish(), items))
}

/// A blank may stand between a name and its labels.
fn labels_follow(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.starts_with('{') && !rest.starts_with("{{")
}

fn value(text: &str) -> f64 {
    match text {
        "stale" => f64::from_bits(m3_metric::STALE_NAN_BITS),
        other => other.parse().unwrap_or_else(|_| panic!("value {other}")),
    }
}

/// `1`, `_`, `_x3`, `1x3`, `1+2x3`, `1-2x3`.
fn expand(word: &str, items: &mut Vec<Item>) {
    let (body, times) = match word.rfind('x').filter(|i| *i > 0) {
        Some(at) => (&word[..at], word[at + 1..].parse::<usize>().ok()),
        None => (word, None),
    };
    if body == "_" {
        items.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return;
    }
    let Some(times) = times else {
        items.push(Some(value(word)));
        return;
    };
    let bytes = body.as_bytes();
    let sign = (1..body.len()).rev().find(|i| {
        matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E' | b'+' | b'-')
    });
    let (start, delta) = match sign {
        Some(at) => (value(&body[..at]), value(&body[at..])),
        None => (value(body), 0.0),
    };
    let mut current = start;
    for _ in 0..=times {
        items.push(Some(current));
        current += delta;
    }
}
