//! Queries with extreme times, lengths and numbers: they get an answer or an error, and never
//! panic.
//!
//! A panic on a core ends the node, so whatever a request can carry must not reach one. Tests are
//! built with overflow checks, as the node is.

use crate::store::{Store, Times};
use m3_metric::Labels;
use m3_testing::{Random, setting};

/// The extreme times that the API accepts, in milliseconds.
const TIME_MIN: i64 = -9_223_372_036_854;
const TIME_MAX: i64 = 9_223_372_036_854;

const LENGTHS: [&str; 9] = ["1ms", "1s", "7s", "5m", "1h", "3d", "52w", "100y", "290y"];
const NUMBERS: [&str; 10] =
    ["0", "1", "-1", "2.5", "NaN", "Inf", "-Inf", "1e308", "9223372036854775807", "1e-320"];

/// The expressions of our own scripts.
fn expressions() -> Vec<String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("eval ")) {
            let words = line.splitn(if line.starts_with("range") { 8 } else { 4 }, ' ');
            found.extend(words.last().map(str::to_owned));
        }
    }
    found
}

/// Replaces some lengths and numbers in the text by extreme ones.
fn stretched(text: &str, choice: &mut Random) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let end = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        let is_name = before.ends_with(|c: char| c.is_alphabetic() || c == '_' || c == '"');
        let is_length = word.ends_with(|c: char| c.is_ascii_alphabetic());
        out.push_str(match choice.below(3) {
            0 if !is_name && is_length => choice.of(&LENGTHS),
            0 if !is_name => choice.of(&NUMBERS),
            _ => word,
        });
        rest = after;
    }
    out + rest
}

fn store(choice: &mut Random) -> Store {
    let mut store = Store::default();
    for name in ["http_requests", "m", "a", "b", "x", "metric", "foo"] {
        for instance in ["0", "1", "2"] {
            let pairs = [("__name__", name), ("instance", instance), ("le", instance)];
            let labels = Labels::from_pairs(pairs).unwrap();
            for at in [TIME_MIN, -1, 0, 1, 30_000, 60_000, 300_000, TIME_MAX - 1, TIME_MAX] {
                let value = f64::from_bits(choice.next());
                let value = if choice.below(2) == 0 { 7.0 } else { value };
                store.add(&labels, at, value);
            }
        }
    }
    store
}

fn times(choice: &mut Random) -> Times {
    let ends = [TIME_MIN, TIME_MIN + 1, -1, 0, 60_000, 1_800_000_000_000, TIME_MAX - 1, TIME_MAX];
    if choice.below(2) == 0 {
        return Times::Instant(choice.of(&ends));
    }
    let (one, other) = (choice.of(&ends), choice.of(&ends));
    let (start_ms, end_ms) = (one.min(other), one.max(other));
    // As many steps as the API allows, or fewer.
    let step_ms = ((end_ms - start_ms) / choice.of(&[1, 7, 200])).max(1);
    Times::Range { start_ms, end_ms, step_ms }
}

#[test]
fn whatever_a_request_can_carry_is_answered() {
    let mut choice = Random::or_seed("whatever_a_request_can_carry", 20_261_123);
    let seed = choice.seed();
    let store = store(&mut choice);
    let mut all = expressions();
    for function in m3_query::promql::functions::FUNCTIONS {
        all.push(format!("{}(m[5m] offset 1h)", function.name));
        all.push(format!("{}(m, 5)", function.name));
        all.push(format!("{}(3, m[5m], 2)", function.name));
        all.push(format!("{}(m)", function.name));
    }
    for text in [
        "sum_over_time((m offset 5m)[1h:1m] offset -1d)",
        "topk(3, m) offset 5m",
        "m @ 1 offset -5m",
        "max_over_time(rate(m[5m] @ end())[1h:5m] @ start())",
        "predict_linear(m[1h], 3600) % 5",
        "m ^ 300 atan2 m",
        "quantile(5, m) by (instance)",
        "count_values(\"v\", m)",
        "timestamp(m) * 1000",
        "minute(m * 1e6) + year(m) + days_in_month(m)",
        "histogram_quantile(2, m)",
        "label_replace(m, \"a\", \"$1\", \"instance\", \"(.)\")",
        "absent_over_time(nothing[5m:1m])",
        "m[5m]",
    ] {
        all.push(text.to_owned());
    }
    assert!(all.len() > 200);
    let (mut answered, mut refused) = (0, 0);
    for round in 0..setting("M3RING_EXTREMES", 4000) {
        let text = stretched(&all[choice.below(all.len())], &mut choice);
        let times = times(&mut choice);
        let cores = 1 + choice.below(3);
        let asked =
            std::panic::AssertUnwindSafe(|| store.query_within(&text, times, cores, 200_000));
        match std::panic::catch_unwind(asked) {
            Ok(Ok(_)) => answered += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("SEED={seed} round {round}: {text} at {times:?} on {cores} cores"),
        }
    }
    println!("{answered} answered, {refused} refused");
    assert!(answered > 500 && refused > 100, "{answered} answered, {refused} refused");
}
