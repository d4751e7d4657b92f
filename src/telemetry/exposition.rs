//! Prometheus' text exposition, format 0.0.4.

use super::{LATENCY_BOUNDS_S, Latency};
use std::io::Write;

/// Writes families one after the other.
pub(super) struct Exposition<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Exposition<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.out.write_fmt(line).expect("writing to memory succeeds");
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A family of one kind with any number of samples.
    pub(super) fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: &str,
        samples: impl IntoIterator<Item = (String, f64)>,
    ) {
        self.head(name, help, kind);
        for (labels, value) in samples {
            self.line(format_args!("{name}{labels} {value}\n"));
        }
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, "counter", [(String::new(), value as f64)]);
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, "gauge", [(String::new(), value)]);
    }

    /// A histogram with the labels `labels`, written as `a="b",` or nothing.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (String, Latency)>,
    ) {
        self.head(name, help, "histogram");
        for (labels, latency) in series {
            let mut count = 0;
            for (bound, bucket) in LATENCY_BOUNDS_S.iter().zip(latency.buckets) {
                count += bucket;
                self.line(format_args!("{name}_bucket{{{labels}le=\"{bound}\"}} {count}\n"));
            }
            count += latency.buckets[LATENCY_BOUNDS_S.len()];
            self.line(format_args!("{name}_bucket{{{labels}le=\"+Inf\"}} {count}\n"));
            let own = labels.trim_end_matches(',');
            let own = if own.is_empty() { String::new() } else { format!("{{{own}}}") };
            self.line(format_args!("{name}_sum{own} {}\n", latency.sum_s));
            self.line(format_args!("{name}_count{own} {count}\n"));
        }
    }
}

/// A label value, escaped for the format.
pub(super) fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
