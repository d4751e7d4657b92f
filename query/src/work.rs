//! Work in slices: a node's evaluation is a sequence of small pieces and can stop between them.

use crate::annotation::Annotations;
use crate::error::QueryError;
use crate::matrix::Data;

/// Shared by all work of one query.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) annotations: Annotations,
}

/// Work on rows, groups or steps, one after the other.
pub(crate) trait Pieces {
    /// The number of pieces.
    fn count(&self) -> usize;

    /// Processes piece `index` and returns the approximate number of cells it touched.
    fn piece(&mut self, index: usize, cx: &mut Context) -> Result<usize, QueryError>;

    /// The result, after all pieces.
    fn finish(&mut self, cx: &mut Context) -> Result<Data, QueryError>;
}

/// Work in progress.
pub(crate) struct Task {
    pieces: Box<dyn Pieces>,
    next: usize,
}

impl Task {
    pub(crate) fn new(pieces: impl Pieces + 'static) -> Self {
        Self { pieces: Box::new(pieces), next: 0 }
    }

    /// Works until done or until about `cells` cells were touched; `None` means there is more.
    pub(crate) fn run(
        &mut self,
        cx: &mut Context,
        cells: &mut usize,
    ) -> Result<Option<Data>, QueryError> {
        let count = self.pieces.count();
        while self.next < count {
            if *cells == 0 {
                return Ok(None);
            }
            // A piece costs something even if it touches nothing.
            let cost = self.pieces.piece(self.next, cx)?.saturating_add(8);
            *cells = cells.saturating_sub(cost);
            self.next += 1;
        }
        self.pieces.finish(cx).map(Some)
    }
}

/// How a node starts: with a result, or with a task.
pub(crate) enum Start {
    Done(Data),
    Task(Task),
}

impl Start {
    pub(crate) fn task(pieces: impl Pieces + 'static) -> Self {
        Self::Task(Task::new(pieces))
    }

    pub(crate) const fn empty() -> Self {
        Self::Done(Data::Matrix(Vec::new()))
    }
}
