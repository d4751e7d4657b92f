//! The functions of PromQL: their arguments and results. The table is that of Prometheus 3.14,
//! including experimental functions, which are marked.
//!
//! Always holds: the table is sorted by name.

use super::ValueType;
use ValueType::{InstantVector as V, RangeVector as M, Scalar as N, String as S};

/// The signature of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The types of its arguments; the last one applies to all further arguments.
    pub args: &'static [ValueType],
    /// 0: exactly `args`. Otherwise the last of `args` is optional, and up to this many may follow
    /// the others; -1 means any number.
    pub variadic: i8,
    /// The type of its result.
    pub returns: ValueType,
    /// Whether Prometheus has it behind a feature flag.
    pub experimental: bool,
}

impl Function {
    /// The fewest and the most arguments; `None` for no upper bound.
    #[must_use]
    pub fn arity(&self) -> (usize, Option<usize>) {
        let listed = self.args.len();
        match self.variadic {
            0 => (listed, Some(listed)),
            extra => (listed - 1, usize::try_from(extra).ok().map(|extra| listed - 1 + extra)),
        }
    }

    /// The type of argument `index`; `None` if a function of fixed arity has no such argument.
    #[must_use]
    pub fn arg(&self, index: usize) -> Option<ValueType> {
        match self.args.get(index) {
            None if self.variadic != 0 => self.args.last().copied(),
            found => found.copied(),
        }
    }
}

/// The function called `name`, case-sensitive.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

const fn plain(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false }
}

const fn variadic(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i8,
    returns: ValueType,
) -> Function {
    Function { name, args, variadic, returns, experimental: false }
}

const fn experimental(function: Function) -> Function {
    Function { experimental: true, ..function }
}

/// Every function, by name.
pub const FUNCTIONS: &[Function] = &[
    plain("abs", &[V], V),
    plain("absent", &[V], V),
    plain("absent_over_time", &[M], V),
    plain("acos", &[V], V),
    plain("acosh", &[V], V),
    plain("asin", &[V], V),
    plain("asinh", &[V], V),
    plain("atan", &[V], V),
    plain("atanh", &[V], V),
    plain("avg_over_time", &[M], V),
    plain("ceil", &[V], V),
    plain("changes", &[M], V),
    plain("clamp", &[V, N, N], V),
    plain("clamp_max", &[V, N], V),
    plain("clamp_min", &[V, N], V),
    plain("cos", &[V], V),
    plain("cosh", &[V], V),
    plain("count_over_time", &[M], V),
    variadic("day_of_month", &[V], 1, V),
    variadic("day_of_week", &[V], 1, V),
    variadic("day_of_year", &[V], 1, V),
    variadic("days_in_month", &[V], 1, V),
    plain("deg", &[V], V),
    plain("delta", &[M], V),
    plain("deriv", &[M], V),
    experimental(plain("double_exponential_smoothing", &[M, N, N], V)),
    experimental(plain("end", &[], N)),
    plain("exp", &[V], V),
    plain("first_over_time", &[M], V),
    plain("floor", &[V], V),
    plain("histogram_avg", &[V], V),
    plain("histogram_count", &[V], V),
    plain("histogram_fraction", &[N, N, V], V),
    plain("histogram_quantile", &[N, V], V),
    experimental(variadic("histogram_quantiles", &[V, S, N, N], 9, V)),
    plain("histogram_stddev", &[V], V),
    plain("histogram_stdvar", &[V], V),
    plain("histogram_sum", &[V], V),
    // Prometheus 2's name, and so M3's, for double_exponential_smoothing.
    plain("holt_winters", &[M, N, N], V),
    variadic("hour", &[V], 1, V),
    plain("idelta", &[M], V),
    plain("increase", &[M], V),
    experimental(variadic("info", &[V, V], 1, V)),
    plain("irate", &[M], V),
    variadic("label_join", &[V, S, S, S], -1, V),
    plain("label_replace", &[V, S, S, S, S], V),
    plain("last_over_time", &[M], V),
    plain("ln", &[V], V),
    plain("log10", &[V], V),
    plain("log2", &[V], V),
    experimental(plain("mad_over_time", &[M], V)),
    experimental(plain("max_of", &[N, N], N)),
    plain("max_over_time", &[M], V),
    experimental(plain("min_of", &[N, N], N)),
    plain("min_over_time", &[M], V),
    variadic("minute", &[V], 1, V),
    variadic("month", &[V], 1, V),
    plain("pi", &[], N),
    plain("predict_linear", &[M, N], V),
    plain("present_over_time", &[M], V),
    plain("quantile_over_time", &[N, M], V),
    plain("rad", &[V], V),
    experimental(plain("range", &[], N)),
    plain("rate", &[M], V),
    plain("resets", &[M], V),
    variadic("round", &[V, N], 1, V),
    plain("scalar", &[V], N),
    plain("sgn", &[V], V),
    plain("sin", &[V], V),
    plain("sinh", &[V], V),
    plain("sort", &[V], V),
    experimental(variadic("sort_by_label", &[V, S], -1, V)),
    experimental(variadic("sort_by_label_desc", &[V, S], -1, V)),
    plain("sort_desc", &[V], V),
    plain("sqrt", &[V], V),
    experimental(plain("start", &[], N)),
    experimental(plain("start_timestamp", &[V], V)),
    plain("stddev_over_time", &[M], V),
    plain("stdvar_over_time", &[M], V),
    experimental(plain("step", &[], N)),
    plain("sum_over_time", &[M], V),
    plain("tan", &[V], V),
    plain("tanh", &[V], V),
    plain("time", &[], N),
    plain("timestamp", &[V], V),
    experimental(plain("ts_of_first_over_time", &[M], V)),
    experimental(plain("ts_of_last_over_time", &[M], V)),
    experimental(plain("ts_of_max_over_time", &[M], V)),
    experimental(plain("ts_of_min_over_time", &[M], V)),
    plain("vector", &[N], V),
    variadic("year", &[V], 1, V),
];
