//! Runs scripts: our own, which must all pass, and Prometheus' own, which are counted.

use crate::script::{Command, Eval, Item, Message, read};
use crate::store::{Store, Times, close, same};
use m3_metric::Labels;
use m3_metric::value::Value;
use m3_query::{QueryError, QueryOutput};
use std::path::Path;

/// Fewest evaluations of Prometheus' own scripts that must be right.
const PASSES_MIN: usize = 1_231;

/// Evaluations with other answers of ours, and why. The scripts run with an experimental feature
/// that drops metric names only at the end. Without it, as the recorded answers show, Prometheus
/// answers as we do.
const KNOWN: [(&str, usize); 18] = [
    // Metric names appear in warnings only if their removal is delayed.
    ("histograms.test", 1179),
    ("histograms.test", 1184),
    ("histograms.test", 1189),
    ("histograms.test", 1200),
    ("histograms.test", 1205),
    ("histograms.test", 1210),
    // Names are already gone when label functions and aggregations look for them.
    ("name_label_dropping.test", 59),
    ("name_label_dropping.test", 64),
    ("name_label_dropping.test", 69),
    ("name_label_dropping.test", 74),
    ("name_label_dropping.test", 89),
    ("name_label_dropping.test", 115),
    ("name_label_dropping.test", 119),
    ("name_label_dropping.test", 123),
    ("type_and_unit.test", 77),
    ("type_and_unit.test", 92),
    ("type_and_unit.test", 222),
    ("type_and_unit.test", 237),
];

/// Values differ by less than this, relatively; the scripts print six digits.
const EPSILON: f64 = 1e-6;

#[derive(Default, Debug, Clone, Copy)]
struct Counts {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

#[test]
fn own_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut failures = Vec::new();
    let mut total = 0;
    for path in files(&folder) {
        let counts = run(&path, &mut failures);
        assert_eq!(counts.unsupported, 0, "{} asks for what is not there", path.display());
        total += counts.passed + counts.failed;
    }
    assert!(total > 0, "no scripts in {}", folder.display());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn prometheus_scripts() {
    let Some(folder) = m3_testing::shared("promqltest") else { return };
    let mut failures = Vec::new();
    let mut all = Counts::default();
    for path in files(&folder) {
        let counts = run(&path, &mut failures);
        println!("{:32} {counts:?}", path.file_name().unwrap().to_string_lossy());
        all.passed += counts.passed;
        all.failed += counts.failed;
        all.unsupported += counts.unsupported;
    }
    if std::env::var_os("M3RING_VERBOSE").is_some() {
        failures.iter().for_each(|f| println!("{f}"));
    }
    println!("Prometheus' scripts: {all:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(all.passed >= PASSES_MIN, "only {} of {PASSES_MIN} pass", all.passed);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "test"))
        .collect();
    paths.sort();
    paths
}

fn run(path: &Path, failures: &mut Vec<String>) -> Counts {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let mut store = Store::default();
    let mut counts = Counts::default();
    // Only a part was loaded, so evaluations may be right or wrong for that reason.
    let mut partly = false;
    for command in read(&text) {
        match command {
            Command::Clear => {
                store.clear();
                partly = false;
            }
            Command::Load { step_ms, series, unsupported } => {
                partly |= unsupported;
                for (labels, items) in series {
                    for (time_ms, item) in (0..).step_by(step_ms.unsigned_abs() as usize).zip(items)
                    {
                        if let Some(value) = item {
                            store.add(&labels, time_ms, value);
                        }
                    }
                }
            }
            Command::Eval(eval) => {
                if eval.unsupported {
                    counts.unsupported += 1;
                    continue;
                }
                match evaluate(&store, &eval) {
                    Ok(()) => counts.passed += 1,
                    Err(_) if partly || asks_for_native(&eval.query) => counts.unsupported += 1,
                    Err(_) if KNOWN.contains(&(&name, eval.line)) => counts.unsupported += 1,
                    Err(why) => {
                        counts.failed += 1;
                        failures.push(format!("{name}:{}: {}\n    {why}", eval.line, eval.query));
                    }
                }
            }
        }
    }
    counts
}

fn asks_for_native(query: &str) -> bool {
    ["smoothed", "anchored", "histogram_count", "start_timestamp"]
        .iter()
        .any(|word| query.contains(word))
}

fn evaluate(store: &Store, eval: &Eval) -> Result<(), String> {
    let times = match eval.step_ms {
        None => Times::Instant(eval.start_ms),
        Some(step_ms) => Times::Range { start_ms: eval.start_ms, end_ms: eval.end_ms, step_ms },
    };
    let result = store.query(&eval.query, times, 1);
    for cores in [2, 3] {
        let other = store.query(&eval.query, times, cores);
        let equal = match (&result, &other) {
            (Ok(a), Ok(b)) => {
                same(&a.value, &b.value, 1e-12) && a.warnings == b.warnings && a.infos == b.infos
            }
            (Err(a), Err(b)) => a == b,
            _ => false,
        };
        if !equal {
            return Err(format!("{cores} cores answer {other:?}, one {result:?}"));
        }
    }
    check(eval, &result)?;
    if eval.step_ms.is_none() && eval.points.is_none() && eval.text.is_none() && !eval.ordered {
        check_as_range(store, eval, &result)?;
    }
    Ok(())
}

/// An instant query must give what a range query gives in its middle.
fn check_as_range(
    store: &Store,
    eval: &Eval,
    result: &Result<QueryOutput, QueryError>,
) -> Result<(), String> {
    let Ok(output) = result else { return Ok(()) };
    if matches!(output.value, Value::Matrix(_) | Value::String { .. }) {
        return Ok(());
    }
    // If the query's own range is visible, the two differ by nature.
    if ["start()", "end()", "range()", "step()", "sort"].iter().any(|w| eval.query.contains(w)) {
        return Ok(());
    }
    let at = eval.start_ms;
    let times = Times::Range { start_ms: at - 60_000, end_ms: at + 60_000, step_ms: 60_000 };
    // A neighboring step may fail where this one does not.
    let Ok(range) = store.query(&eval.query, times, 2) else { return Ok(()) };
    let Value::Matrix(series) = range.value else { return Err("no matrix".to_owned()) };
    let mut middle: Vec<(Labels, f64)> = series
        .into_iter()
        .filter_map(|s| {
            let point = s.points.iter().find(|p| p.0 == at).copied();
            point.map(|p| (s.labels, p.1))
        })
        .collect();
    let mut ours: Vec<(Labels, f64)> = match &output.value {
        Value::Vector(elements) => elements.iter().map(|e| (e.labels.clone(), e.value)).collect(),
        Value::Scalar { value, .. } => vec![(Labels::default(), *value)],
        _ => return Ok(()),
    };
    middle.sort_by(|a, b| a.0.cmp(&b.0));
    ours.sort_by(|a, b| a.0.cmp(&b.0));
    let same = middle.len() == ours.len()
        && middle.iter().zip(&ours).all(|(a, b)| a.0 == b.0 && close(a.1, b.1, EPSILON));
    if same { Ok(()) } else { Err(format!("as a range {middle:?}, as an instant {ours:?}")) }
}

fn fits(message: &Message, text: &str) -> bool {
    match message {
        Message::Any => true,
        Message::Text(expected) => expected == text,
        Message::Regex(pattern) => regex::Regex::new(pattern).unwrap().is_match(text),
    }
}

fn check(eval: &Eval, result: &Result<QueryOutput, QueryError>) -> Result<(), String> {
    let output = match (&eval.fail, result) {
        (Some(_), Ok(output)) => return Err(format!("should fail, gives {:?}", output.value)),
        (None, Err(error)) => return Err(format!("fails: {error}")),
        (Some(message), Err(error)) => {
            let text = error.to_string();
            return if fits(message, &text) {
                Ok(())
            } else {
                Err(format!("{text} is not {message:?}"))
            };
        }
        (None, Ok(output)) => output,
    };
    for (expected, none, texts) in
        [(&eval.warn, eval.no_warn, &output.warnings), (&eval.info, eval.no_info, &output.infos)]
    {
        if none && !texts.is_empty() {
            return Err(format!("unexpected {texts:?}"));
        }
        if expected.is_empty() {
            continue;
        }
        let missing = expected.iter().find(|m| !texts.iter().any(|t| fits(m, t)));
        if let Some(missing) = missing {
            return Err(format!("{missing:?} is not among {texts:?}"));
        }
        if let Some(more) = texts.iter().find(|t| !expected.iter().any(|m| fits(m, t))) {
            return Err(format!("unexpected {more}"));
        }
    }
    check_value(eval, &output.value)
}

fn check_value(eval: &Eval, value: &Value) -> Result<(), String> {
    let wrong = || Err(format!("gives {value:?}"));
    match value {
        Value::String { text, .. } => {
            if eval.text.as_ref() == Some(text) {
                Ok(())
            } else {
                wrong()
            }
        }
        Value::Scalar { value: number, .. } => match eval.number {
            Some(expected) if close(*number, expected, EPSILON) => Ok(()),
            _ => wrong(),
        },
        Value::Vector(elements) => {
            if eval.number.is_some() || elements.len() != eval.series.len() {
                return wrong();
            }
            for (i, (labels, items)) in eval.series.iter().enumerate() {
                let expected = items.first().copied().flatten();
                let found = if eval.ordered {
                    elements.get(i).filter(|e| e.labels == *labels)
                } else {
                    elements.iter().find(|e| e.labels == *labels)
                };
                match (found, expected) {
                    (Some(e), Some(v)) if close(e.value, v, EPSILON) => {}
                    _ => return Err(format!("{labels:?} should be {expected:?}: {elements:?}")),
                }
            }
            Ok(())
        }
        Value::Matrix(series) => {
            if eval.number.is_some() || series.len() != eval.series.len() {
                return wrong();
            }
            let (start_ms, step_ms) =
                eval.points.unwrap_or((eval.start_ms, eval.step_ms.unwrap_or(1)));
            for (labels, items) in &eval.series {
                let Some(found) = series.iter().find(|s| s.labels == *labels) else {
                    return wrong();
                };
                check_points(&found.points, items, start_ms, step_ms)
                    .map_err(|why| format!("{labels:?}: {why}"))?;
            }
            Ok(())
        }
    }
}

fn check_points(
    points: &[(i64, f64)],
    items: &[Item],
    start_ms: i64,
    step_ms: i64,
) -> Result<(), String> {
    let expected: Vec<(i64, f64)> = (0i64..)
        .zip(items)
        .filter_map(|(i, item)| item.map(|v| (start_ms + i * step_ms, v)))
        .collect();
    let same = expected.len() == points.len()
        && expected.iter().zip(points).all(|(a, b)| a.0 == b.0 && close(a.1, b.1, EPSILON));
    if same { Ok(()) } else { Err(format!("{points:?} instead of {expected:?}")) }
}
