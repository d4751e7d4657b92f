//! Figures by runtime, as a table in Markdown.

use std::fmt;
use std::fs;

/// All figures of all rounds.
pub(crate) struct Table {
    runtimes: &'static [&'static str],
    rows: Vec<Row>,
    failures: Vec<String>,
}

struct Row {
    name: String,
    /// The figures of each runtime, one of each round.
    cells: Vec<Vec<f64>>,
}

impl Table {
    pub(crate) fn new(runtimes: &'static [&'static str]) -> Self {
        Self { runtimes, rows: Vec::new(), failures: Vec::new() }
    }

    /// Takes the output of a process of `column`: a name, a tabulator and a number on each line.
    pub(crate) fn add(&mut self, column: usize, figures: &str) {
        for line in figures.lines() {
            let Some((name, Ok(value))) =
                line.split_once('\t').map(|(name, value)| (name, value.parse()))
            else {
                continue;
            };
            let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
                let cells = vec![Vec::new(); self.runtimes.len()];
                self.rows.push(Row { name: name.to_owned(), cells });
                self.rows.len() - 1
            });
            self.rows[at].cells[column].push(value);
        }
    }

    /// Notes why a process has no figures.
    pub(crate) fn failed(&mut self, why: String) {
        if !self.failures.contains(&why) {
            self.failures.push(why);
        }
    }
}

fn median(cell: &[f64]) -> Option<f64> {
    let mut sorted = cell.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Three digits are more than the noise leaves.
fn rounded(value: f64) -> String {
    match value {
        0.0..9.95 => format!("{value:.2}"),
        9.95..99.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cpus = m3_io::runtime::affinity().len();
        writeln!(f, "{cpus} cpus, Linux {}\n", kernel.trim())?;
        writeln!(f, "| median | {} |", self.runtimes.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.runtimes.len()))?;
        for row in &self.rows {
            let base = median(&row.cells[0]);
            write!(f, "| {} |", row.name)?;
            for (column, cell) in row.cells.iter().enumerate() {
                match (median(cell), base) {
                    (Some(value), Some(base)) if column > 0 && base > 0.0 => {
                        write!(f, " {} ({:.2}x) |", rounded(value), value / base)?;
                    }
                    (Some(value), _) => write!(f, " {} |", rounded(value))?,
                    (None, _) => write!(f, " - |")?,
                }
            }
            writeln!(f)?;
        }
        self.failures.iter().try_for_each(|why| writeln!(f, "\n- {why}"))
    }
}
