//! Range functions at the root: over subqueries, and where arguments change from step to step.

use crate::error::QueryError;
use crate::fragment::looks_like_counter;
use crate::matrix::{Data, Grid, RawRow, Row, merge_equal, without_metadata};
use crate::window::{RangeCall, ScalarArg, Scratch, walk};
use crate::work::{Context, Pieces};
use m3_metric::labels::METRIC_NAME;

enum Source {
    Rows(Vec<Row>, Grid),
    Raw(Vec<RawRow>),
}

/// Evaluates a range function, one series after the other.
pub(super) struct WindowTask {
    call: RangeCall,
    source: Source,
    args: Vec<ScalarArg>,
    out: Vec<Row>,
    scratch: Scratch,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl WindowTask {
    pub(super) fn new(
        call: RangeCall,
        source: Data,
        source_grid: Grid,
        args: Vec<ScalarArg>,
    ) -> Self {
        let source = match source {
            Data::Matrix(rows) => Source::Rows(rows, source_grid),
            Data::Raw(rows) => Source::Raw(rows),
            // A subquery of a scalar is a subquery of one series without labels.
            Data::Scalar(values) => {
                let row = Row { values, ..Row::default() };
                Source::Rows(vec![row], source_grid)
            }
            Data::Text(_) => Source::Raw(Vec::new()),
        };
        Self {
            call,
            source,
            args,
            out: Vec::new(),
            scratch: Scratch::default(),
            times: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl Pieces for WindowTask {
    fn count(&self) -> usize {
        match &self.source {
            Source::Rows(rows, _) => rows.len(),
            Source::Raw(rows) => rows.len(),
        }
    }

    fn piece(&mut self, index: usize, cx: &mut Context) -> Result<usize, QueryError> {
        let labels = match &mut self.source {
            Source::Rows(rows, grid) => {
                let row = std::mem::take(&mut rows[index]);
                self.times.clear();
                self.values.clear();
                for (step, value) in row.samples() {
                    self.times.push(grid.time(step));
                    self.values.push(value);
                }
                row.labels
            }
            Source::Raw(rows) => {
                let row = &mut rows[index];
                self.times = std::mem::take(&mut row.times_ms);
                self.values = std::mem::take(&mut row.values);
                std::mem::take(&mut row.labels)
            }
        };
        let mut row = Row::default();
        let series = (self.times.as_slice(), self.values.as_slice());
        let notes = &mut cx.annotations;
        walk(&self.call, &self.args, series, &mut self.scratch, notes, |s, v| row.push(s, v))?;
        if !row.values.is_empty() {
            let function = self.call.function;
            let name = labels.get(METRIC_NAME).unwrap_or_default();
            if function.wants_counter() && !looks_like_counter(name) {
                cx.annotations.maybe_not_counter(name, self.call.pos);
            }
            row.labels = if function.keeps_name() { labels } else { without_metadata(&labels) };
            self.out.push(row);
        }
        Ok(self.times.len() + self.call.lookup.count)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        merge_equal(std::mem::take(&mut self.out)).map(Data::Matrix)
    }
}
