//! Chains of operators as long as the limits allow, from text to answer, on a thread with the stack
//! that the node gives its cores.

use crate::store::{Store, Times};
use m3_metric::Labels;
use m3_metric::limits::{QUERY_BYTES_MAX, QUERY_OPERATORS_MAX, QUERY_SELECTORS_MAX};
use m3_metric::value::Value;

/// The stack of a core's thread.
const STACK_BYTES: usize = 8 << 20;

fn on_a_core_of_the_node(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(test).unwrap().join().unwrap();
}

fn store() -> Store {
    let mut store = Store::default();
    for host in ["a", "b"] {
        let labels = Labels::from_pairs([("__name__", "m"), ("host", host)]).unwrap();
        for step in 0..=4 {
            store.add(&labels, step * 60_000, 1.0);
        }
    }
    store
}

/// As many operands with `operator` between them as the limits allow, `most` at most.
fn chain(operator: &str, operand: &str, most: usize) -> (String, usize) {
    let fit = (QUERY_BYTES_MAX - operand.len()) / (operator.len() + operand.len());
    let count = fit.min(most);
    (format!("{operand}{}", format!("{operator}{operand}").repeat(count)), count + 1)
}

/// The values of all points, series by series.
fn values(store: &Store, text: &str) -> Vec<Vec<f64>> {
    let times = Times::Range { start_ms: 0, end_ms: 240_000, step_ms: 60_000 };
    let output = store.query(text, times, 2).unwrap_or_else(|e| panic!("{text:.60}: {e}"));
    let Value::Matrix(series) = output.value else { panic!("{text:.60}: no matrix") };
    series.into_iter().map(|s| s.points.into_iter().map(|(_, value)| value).collect()).collect()
}

#[test]
fn the_longest_chains_are_answered() {
    on_a_core_of_the_node(|| {
        let store = store();
        let check = |(text, operands): (String, usize), wanted: &dyn Fn(f64) -> f64, series| {
            #[allow(clippy::cast_precision_loss, reason = "ten thousand at most")]
            let wanted = wanted(operands as f64);
            assert_eq!(values(&store, &text), vec![vec![wanted; 5]; series], "{text:.60}");
        };
        let all = QUERY_OPERATORS_MAX;
        // Scalars that are known before, and scalars that are not.
        for one in ["1", "(1)", "scalar(vector(1))"] {
            check(chain("+", one, all), &|count| count, 1);
            check(chain(" - ", one, all), &|count| 2.0 - count, 1);
            check(chain("*", one, all), &|_| 1.0, 1);
            check(chain("==bool ", one, all), &|_| 1.0, 1);
            check(chain("^", one, all), &|_| 1.0, 1);
        }
        // From the right: 2 ^ (0 ^ (0 ^ ...)), which alternates.
        let (zeros, operands) = chain("^", "0", all);
        let wanted = if operands % 2 == 0 { 1.0 } else { 2.0 };
        assert_eq!(values(&store, &zeros.replacen('0', "2", 1)), [[wanted; 5]]);
        // Vectors that nobody stores, and series.
        check(chain(" + ", "vector(1)", all), &|count| count, 1);
        check(chain(" or ", "vector(1)", all), &|_| 1.0, 1);
        check(chain(" and ", "vector(1)", all), &|_| 1.0, 1);
        check(chain(" unless ", "vector(1)", all - all % 2), &|_| 1.0, 0);
        check(chain(" >= ", "vector(1)", all), &|_| 1.0, 1);
        check(chain("+1", "m", 0), &|_| 1.0, 2);
        let selectors = QUERY_SELECTORS_MAX - 1;
        for (operator, wanted) in
            [("+", selectors), (" or ", 0), (" and ", 0), ("*", 0), ("^", 0), ("==", 0), ("/", 0)]
        {
            #[allow(clippy::cast_precision_loss, reason = "a thousand at most")]
            let wanted = wanted as f64 + 1.0;
            check(chain(operator, "m", selectors), &|_| wanted, 2);
        }
    });
}

#[test]
fn generated_sums_of_several_hundred_series_are_answered() {
    on_a_core_of_the_node(|| {
        let store = store();
        for operator in ["+", "-", "*", "/", "%", "^", " atan2 ", " and ", " or ", " unless "] {
            let (text, _) = chain(operator, "sum(rate(m{host=~\"a|b\"}[2m]))", 400);
            assert_eq!(
                values(&store, &text).len(),
                usize::from(operator != " unless "),
                "{text:.80}"
            );
        }
    });
}
