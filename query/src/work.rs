//! Work in slices: a node's evaluation as a row of small pieces, so that it can stop between them.

use crate::annotation::Annotations;
use crate::error::QueryError;
use crate::matrix::Data;

/// What all work of one query shares.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) annotations: Annotations,
}

/// Work on rows, groups or steps, one after the other.
pub(crate) trait Pieces {
    /// How many pieces there are.
    fn count(&self) -> usize;

    /// Does piece `index` and says about how many cells it touched.
    fn piece(&mut self, index: usize, cx: &mut Context) -> Result<usize, QueryError>;

    /// The result, after all pieces.
    fn finish(&mut self, cx: &mut Context) -> Result<Data, QueryError>;
}

/// Work on its way.
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

/// What a node starts with: a result at once, or a task.
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
