//! Tests of PromQL's reading, checking and writing.

mod accepted;
mod durations;
mod errors;
mod limits;
mod mutation;
mod patterns;
mod recorded;

use super::Expr;

/// A tree's shape: all of it but the places in the text.
fn shape(expr: &Expr) -> String {
    const PLACE: &str = "Pos { start: ";
    let all = format!("{expr:?}");
    let mut parts = all.split(PLACE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    out
}
