//! Formats records as tables: one per section, one row per name, with the median of its runs and
//! the lowest and highest in parentheses.

use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// A column: title, field, decimals, and what the field is divided by.
struct Column(&'static str, &'static str, usize, f64);

const CPU: Column = Column("CPU us/sample", "cpu_us_per_sample", 3, 1.0);
const RATE: Column = Column("M samples/s", "samples_per_s", 3, 1e6);
const P50: Column = Column("p50 ms", "p50_ms", 2, 1.0);
const P99: Column = Column("p99 ms", "p99_ms", 2, 1.0);
const MAX: Column = Column("max ms", "max_ms", 1, 1.0);
const RESIDENT: Column = Column("resident MiB", "resident_mib", 0, 1.0);
const PEAK: Column = Column("peak MiB", "peak_mib", 0, 1.0);
const PER_SERIES: Column = Column("bytes/series", "bytes_per_series", 0, 1.0);
const MACHINE: Column = Column("machine us/sample", "machine_us_per_sample", 3, 1.0);
const GENERATOR: Column = Column("generator us/sample", "generator_us_per_sample", 3, 1.0);
const GENERATOR_CPUS: Column = Column("generator cpus", "generator_cpus", 2, 1.0);
const CPUS: Column = Column("server cpus", "cpus", 2, 1.0);
const IDLE: Column = Column("machine idle %", "machine_idle", 1, 0.01);
const WAITING: Column = Column("waiting for disk %", "machine_waiting", 1, 0.01);
const ASKED_RATE: Column = Column("M samples/s asked", "rate", 3, 1e6);
const SENT_LATE: Column = Column("sent late", "sent_late", 0, 1.0);
const DISK: Column = Column("MiB on disk", "disk_bytes", 1, 1_048_576.0);

/// A section: its name, what it shows, and its columns.
type Section = (&'static str, &'static str, &'static [Column]);

const SECTIONS: &[Section] = &[
    (
        "table",
        "Server on one core, generator on the other, closed loop",
        &[CPU, MACHINE, RATE, P50, P99, MAX, RESIDENT, PEAK, GENERATOR, GENERATOR_CPUS],
    ),
    (
        "million",
        "One million series",
        &[CPU, RATE, P50, P99, MAX, RESIDENT, PEAK, PER_SERIES, GENERATOR],
    ),
    (
        "scaling",
        "Two cores against one",
        &[
            RATE,
            CPU,
            MACHINE,
            Column("M samples/server CPU s", "samples_per_cpu_s", 3, 1e6),
            CPUS,
            GENERATOR,
            GENERATOR_CPUS,
            IDLE,
            WAITING,
            P99,
        ],
    ),
    (
        "openloop",
        "Open loop, latencies from when a request was due",
        &[
            ASKED_RATE,
            RATE,
            SENT_LATE,
            P50,
            P99,
            Column("p99.9 ms", "p999_ms", 2, 1.0),
            MAX,
            CPU,
            CPUS,
            GENERATOR_CPUS,
        ],
    ),
    (
        "mixed",
        "Writes at half of what the closed loop reached, dashboards asking meanwhile",
        &[
            ASKED_RATE,
            RATE,
            SENT_LATE,
            P50,
            P99,
            MAX,
            Column("queries/s", "queries_per_s", 1, 1.0),
            Column("query p50 ms", "query_p50_ms", 2, 1.0),
            Column("query p99 ms", "query_p99_ms", 2, 1.0),
            Column("query max ms", "query_max_ms", 1, 1.0),
            Column("query errors", "query_errors", 0, 1.0),
            Column("empty answers", "query_empty", 0, 1.0),
            CPUS,
            GENERATOR_CPUS,
        ],
    ),
    (
        "restart",
        "From kill -9 to ready",
        &[
            Column("series", "series", 0, 1.0),
            Column("M samples", "acknowledged", 2, 1e6),
            Column("port held ms", "port_held_ms", 0, 1.0),
            Column("ready ms", "ready_ms", 0, 1.0),
            Column("all series answer ms", "answering_ms", 0, 1.0),
            Column("series found", "series_found", 0, 1.0),
            Column("restart CPU s", "restart_cpu_s", 2, 1.0),
            DISK,
            PER_SERIES,
        ],
    ),
    (
        "shapes",
        "Other data",
        &[
            Column("series", "series", 0, 1.0),
            Column("identities", "identities", 0, 1.0),
            Column("unchanged %", "unchanged_share", 0, 0.01),
            Column("body B/sample", "body_bytes_per_sample", 1, 1.0),
            CPU,
            RATE,
            P50,
            P99,
            RESIDENT,
            DISK,
        ],
    ),
];

/// The tables of all records in `directory`.
pub(crate) fn of(directory: &Path) -> Result<String, String> {
    let said = |e: std::io::Error| format!("{}: {e}", directory.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(said)? {
        let path = entry.map_err(said)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut records = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(said)?;
        for line in text.lines() {
            let record = serde_json::from_str(line);
            records.push(record.map_err(|e| format!("{}: {e}", path.display()))?);
        }
    }
    Ok(tables(&records))
}

fn tables(records: &[Value]) -> String {
    let mut out = String::new();
    for (section, title, columns) in SECTIONS {
        let of: Vec<_> = records.iter().filter(|r| r["section"] == *section).collect();
        if of.is_empty() {
            continue;
        }
        table(&mut out, title, columns, &of);
        if ["table", "million", "scaling"].contains(section) {
            ratios(&mut out, &names(&of), &of);
        }
    }
    out
}

/// Writing into a string cannot fail, so results are dropped.
fn table(out: &mut String, title: &str, columns: &[Column], records: &[&Value]) {
    let _ = writeln!(out, "### {title}\n\n{}\n", data(records));
    let titles: Vec<_> = columns.iter().map(|column| column.0).collect();
    let _ = writeln!(out, "| | a 2xx survives | {} | complete |", titles.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(columns.len() + 3));
    let names = names(records);
    for name in &names {
        let runs: Vec<_> = records.iter().copied().filter(|r| r["name"] == **name).collect();
        if runs.iter().any(|run| run.get("successor_bound_us").is_some()) {
            for (title, field) in [
                ("hash and look up", "hash_bound_us"),
                ("remembered successor", "successor_bound_us"),
            ] {
                let cell = cell(&runs, &Column("", field, 3, 1.0));
                let _ =
                    writeln!(out, "| bound: {title} | | {cell} |{}", " |".repeat(columns.len()));
            }
            continue;
        }
        let cells: Vec<_> = columns.iter().map(|column| cell(&runs, column)).collect();
        let durability = runs[0]["durability"].as_str().unwrap_or_default();
        let _ = writeln!(
            out,
            "| {name} | {durability} | {} | {} |",
            cells.join(" | "),
            complete(&runs)
        );
    }
    out.push('\n');
}

/// What was sent: a line for each combination of what matters.
fn data(records: &[&Value]) -> String {
    let fields = ["shape", "seed", "series", "labels_mean", "batch", "connections"];
    let mut seen: Vec<[&Value; 6]> = Vec::new();
    let mut lines = Vec::new();
    for record in records {
        let key = fields.map(|field| &record[field]);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let percent = |field: &str| record[field].as_f64().unwrap_or(0.0) * 100.0;
        let [shape, seed, series, labels, batch, connections] = key;
        lines.push(format!(
            "Shape {}, seed {seed}, {series} series, {labels} labels of {} bytes, {:.0} % histograms, {:.0} % unchanged, {} bytes a \
             sample packed; {batch} samples a request, {connections} connections.",
            shape.as_str().unwrap_or("?"),
            record["label_bytes_mean"],
            percent("histogram_share"),
            percent("unchanged_share"),
            record["body_bytes_per_sample"],
        ));
    }
    lines.join("\n")
}

/// Names in order of their first record.
fn names<'a>(records: &[&'a Value]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for record in records {
        let name = record["name"].as_str().unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A field's values in all runs, in ascending order.
fn values(runs: &[&Value], field: &str) -> Vec<f64> {
    let mut values: Vec<_> = runs.iter().filter_map(|run| run[field].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The median of `values`, which are in ascending order.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    let upper = values[values.len() / 2];
    Some((values[middle] + upper) / 2.0)
}

fn cell(runs: &[&Value], Column(_, field, decimals, scale): &Column) -> String {
    let values: Vec<_> = values(runs, field).into_iter().map(|value| value / scale).collect();
    let decimals = *decimals;
    match (median(&values), &*values) {
        (None, _) => "-".to_owned(),
        (Some(_), [only]) => format!("{only:.decimals$}"),
        (Some(middle), [least, .., most]) => {
            format!("{middle:.decimals$} ({least:.decimals$}-{most:.decimals$})")
        }
        (Some(middle), []) => format!("{middle:.decimals$}"),
    }
}

/// Whether the server had everything it acknowledged, and what else went wrong.
fn complete(runs: &[&Value]) -> String {
    let sum = |field: &str| runs.iter().filter_map(|run| run[field].as_u64()).sum::<u64>();
    let mut said = match (sum("acknowledged"), sum("stored")) {
        _ if runs.iter().any(|run| run.get("stored").is_none()) => "not asked".to_owned(),
        (acknowledged, stored) if acknowledged == stored => "yes".to_owned(),
        (acknowledged, stored) => format!("**{stored} of {acknowledged}**"),
    };
    for (field, what) in
        [("errors", "errors"), ("warm_errors", "warm errors"), ("unsent", "unsent")]
    {
        if sum(field) > 0 {
            let _ = write!(said, ", {} {what}", sum(field));
        }
    }
    said
}

/// Our results relative to the bounds and to the others, from the medians.
fn ratios(out: &mut String, names: &[&str], records: &[&Value]) {
    let of = |name: &str, field: &str| {
        let runs: Vec<_> = records.iter().copied().filter(|r| r["name"] == *name).collect();
        median(&values(&runs, field))
    };
    let is_ours = |name: &&&str| name.starts_with("m3ring");
    let mut lines = Vec::new();
    let pair = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a / b);
    for ours in names.iter().filter(is_ours) {
        let cpu = of(ours, "cpu_us_per_sample");
        for other in names.iter().filter(|name| !is_ours(name)) {
            for (bound, title) in [("successor_bound_us", "successor"), ("hash_bound_us", "hash")] {
                if let Some(ratio) = pair(cpu, of(other, bound)) {
                    lines.push(format!("{ours}: {ratio:.2} times the {title} bound"));
                }
            }
            let less = pair(of(other, "cpu_us_per_sample"), cpu);
            let faster = pair(of(ours, "samples_per_s"), of(other, "samples_per_s"));
            if let Some((less, faster)) = less.zip(faster) {
                lines.push(format!(
                    "{ours}: {less:.1} times less CPU than {other}, {faster:.1} times the samples/s"
                ));
            }
        }
        let single = ours.replace("2 cores", "1 core");
        if single != **ours {
            lines.extend(scaling(ours, &single, of));
        }
    }
    for line in &lines {
        let _ = writeln!(out, "- {line}");
    }
    if !lines.is_empty() {
        out.push('\n');
    }
}

/// Compares two cores, `ours`, with one, `single`. Runs side by side are compared pair by pair.
fn scaling(ours: &str, single: &str, of: impl Fn(&str, &str) -> Option<f64>) -> Option<String> {
    let times = |field: &str| Some(of(ours, field)? / of(single, field)?);
    let rate = times("samples_per_s")?;
    let cpu = of(ours, "cpu_of_first").or_else(|| times("cpu_us_per_sample"))?;
    let mut line = format!(
        "{ours}: {rate:.2} times the samples/s of one core, {cpu:.2} times its CPU a sample; were the generator free, \
         **{:.2} times the samples/s**",
        2.0 / cpu
    );
    if let Some(quartiles) = of(ours, "cpu_of_first_p75").zip(of(ours, "cpu_of_first_p25")) {
        let _ = write!(
            line,
            " (quartiles of the turns {:.2} and {:.2})",
            2.0 / quartiles.0,
            2.0 / quartiles.1
        );
    }
    if let Some(machine) = times("machine_us_per_sample") {
        let _ =
            write!(line, "; by all that the machine did but the generator, {:.2}", 2.0 / machine);
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::tables;
    use serde_json::json;

    #[test]
    fn runs_become_rows_with_their_median() {
        let of = |name: &str, cpu: f64, rate: f64, stored: u64| {
            json!({"section": "table", "name": name, "durability": "power cut", "series": 7,
                   "cpu_us_per_sample": cpu, "samples_per_s": rate, "acknowledged": 10, "stored": stored,
                   "errors": 0})
        };
        let bounds = json!({"section": "table", "name": "bounds", "hash_bound_us": 0.2,
                            "successor_bound_us": 0.1, "series": 7});
        let records = [
            bounds,
            of("m3ring", 0.3, 3e6, 10),
            of("m3ring", 0.2, 4e6, 10),
            of("m3ring", 0.25, 2e6, 10),
            of("other", 2.0, 0.5e6, 9),
        ];
        let text = tables(&records);
        for wanted in [
            "| bound: remembered successor | | 0.100 |",
            "| m3ring | power cut | 0.250 (0.200-0.300) | - | 3.000 (2.000-4.000) | - |",
            "| yes |",
            "| **9 of 10** |",
            "- m3ring: 2.50 times the successor bound",
            "- m3ring: 8.0 times less CPU than other, 6.0 times the samples/s",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        let columns: Vec<_> =
            text.lines().filter(|l| l.starts_with('|')).map(|l| l.matches('|').count()).collect();
        assert!(columns.iter().all(|count| *count == columns[0]), "{columns:?}\n{text}");
    }

    #[test]
    fn two_cores_are_compared_with_one() {
        let of = |name: &str, rate: f64, cpu: f64| {
            json!({"section": "scaling", "name": name, "samples_per_s": rate,
                   "cpu_us_per_sample": cpu, "machine_us_per_sample": 2.0 * cpu})
        };
        let mut records = [of("m3ring, 1 core", 2e6, 0.2), of("m3ring, 2 cores", 3e6, 0.25)];
        let text = tables(&records);
        for wanted in [
            "2 cores: 1.50 times the samples/s of one core, 1.25 times its CPU a sample",
            "free, **1.60 times the samples/s**; by all that the machine did but the generator, 1.60",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        for (field, ratio) in
            [("cpu_of_first", 1.0), ("cpu_of_first_p25", 0.8), ("cpu_of_first_p75", 1.25)]
        {
            records[1][field] = ratio.into();
        }
        let text = tables(&records);
        let wanted = "**2.00 times the samples/s** (quartiles of the turns 1.60 and 2.50)";
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}
