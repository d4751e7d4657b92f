//! The nodes of a plan: each is one operation on one grid.

use crate::aggregate::AggregateCall;
use crate::binary::BinaryCall;
use crate::fold::{Fold, Grouping};
use crate::functions::histogram::HistogramCall;
use crate::functions::info::InfoCall;
use crate::functions::labels::LabelChange;
use crate::functions::{DatePart, MapFunction};
use crate::matrix::Grid;
use crate::promql::{AggregateOp, BinaryOp, Cardinality, Literal, Matching, Pos, ValueType};
use crate::window::RangeCall;
use m3_metric::Labels;

/// One operation, the nodes it takes its inputs from, and the times it is evaluated at.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) args: Vec<usize>,
    pub(crate) grid: Grid,
}

/// The operations, with their inputs in order.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// No result, because there are no steps.
    Empty(ValueType),
    /// A number.
    Number(f64),
    /// A text.
    Text(Literal),
    /// `time()`
    Time,
    /// The rows of a fragment; `renamed` if the cores took the metrics' names off, so that rows of
    /// different series may have equal labels.
    Leaf { fragment: usize, repeat: bool, renamed: bool },
    /// The series of a fragment with their own times.
    RawLeaf { fragment: usize },
    /// Rows as series with their own times.
    Points,
    /// A range function at the root: the series, then the scalar arguments.
    Window(RangeCall),
    /// `absent_over_time`: presence in each window.
    AbsentOverTime(Labels),
    /// `absent`: the vector.
    Absent(Labels),
    /// `-x` of a scalar or a vector.
    Negate,
    /// Two scalars.
    ScalarBinary(BinaryOp),
    /// `min_of` or `max_of` of two scalars.
    ScalarExtreme { max: bool },
    /// A vector and a scalar, in the order of the text.
    VectorScalar { op: BinaryOp, return_bool: bool, scalar_left: bool },
    /// Two vectors.
    Binary(BinaryCall),
    /// The parameter if there is one, then the vector.
    Aggregate(AggregateCall),
    /// The vector, then scalars.
    Map(MapFunction),
    /// A date function of the evaluation time.
    DateNow(DatePart),
    /// `vector(s)`
    ToVector,
    /// `scalar(v)`
    ToScalar,
    /// `sort`, `sort_desc`: the vector.
    Sort { descending: bool },
    /// `sort_by_label`, `sort_by_label_desc`: the vector.
    SortByLabel { names: Vec<String>, descending: bool },
    /// `label_replace`, `label_join`: the vector.
    Label(LabelChange),
    /// `info`: the vector, then the info series.
    Info(InfoCall),
    /// The histograms' functions: scalars, then the vector.
    Histogram(HistogramCall),
    /// A function that only sees samples which do not exist here: the vector.
    Nothing,
    /// A sort in a range query, which is worth a warning: the vector.
    SortWarning(Pos),
}

/// Whether cores may fold `op`: merging their folds gives the same as a single fold.
pub(crate) const fn is_pushable(op: AggregateOp) -> bool {
    Fold::can(op) && !matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar)
}

impl Op {
    pub(crate) fn binary(
        op: BinaryOp,
        return_bool: bool,
        matching: Option<&Matching>,
        types: (ValueType, ValueType),
        grid: Grid,
    ) -> Self {
        match types {
            (ValueType::Scalar, ValueType::Scalar) => Self::ScalarBinary(op),
            (ValueType::Scalar, _) => Self::VectorScalar { op, return_bool, scalar_left: true },
            (_, ValueType::Scalar) => Self::VectorScalar { op, return_bool, scalar_left: false },
            _ => {
                let default = Matching {
                    card: if op.is_set() { Cardinality::ManyToMany } else { Cardinality::OneToOne },
                    labels: Vec::new(),
                    on: false,
                    include: Vec::new(),
                    fill_left: None,
                    fill_right: None,
                };
                let matching = matching.cloned().unwrap_or(default);
                Self::Binary(BinaryCall { op, return_bool, matching, steps: grid.count })
            }
        }
    }

    pub(crate) fn aggregate(
        op: AggregateOp,
        grouping: Grouping,
        param_pos: Pos,
        grid: Grid,
    ) -> Self {
        Self::Aggregate(AggregateCall { op, grouping, param_pos, steps: grid.count })
    }
}
