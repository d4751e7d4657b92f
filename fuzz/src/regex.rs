//! Regular expressions: the index and the query engine each carry a reader of Go's syntax, and both
//! must take the same patterns and match the same values. The first line of `data` is the pattern,
//! each further line a value.

use m3_index::{Index, IndexError, Matchers};
use m3_metric::{Labels, MatchOp, Matcher, SeriesOrdinal};
use m3_query::promql::pattern;

/// Values of one run.
const VALUES_MAX: usize = 16;
/// The label that carries the values.
const NAME: &str = "l";

/// Reads `data` as a pattern and values.
///
/// # Panics
/// If the two disagree.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let pattern = lines.next().unwrap_or_default();
    if is_dear(pattern) {
        return;
    }
    let query = pattern::compile(pattern);
    let compiled = [MatchOp::Regex, MatchOp::NotRegex]
        .map(|op| Matchers::compile(&[Matcher::new(op, NAME, pattern)]));
    let [Ok(positive), Ok(negative)] = compiled else {
        refused(pattern, &compiled[0], &query);
        return;
    };
    let query = match query {
        Ok(query) => query,
        Err(why) => return assert!(why.contains("too large"), "only the query refuses: {why}"),
    };
    let mut index = Index::new();
    let mut wanted = Vec::new();
    for (at, value) in values(lines).enumerate() {
        let mut builder = Labels::default().to_builder();
        builder.set("m", "x").set(NAME, value);
        let labels = builder.finish();
        let is_match = query.is_match(value);
        let matched = positive.matches(labels.as_bytes());
        assert_eq!(matched, is_match, "{pattern:?} on {value:?}: index, query");
        assert_ne!(matched, negative.matches(labels.as_bytes()), "{pattern:?} on {value:?}");
        let ordinal = SeriesOrdinal(u32::try_from(at).expect("few values"));
        index.insert(ordinal, labels.as_bytes());
        wanted.push((ordinal, is_match));
    }
    let (found, left) = (index.search(&positive), index.search(&negative));
    for (ordinal, is_match) in wanted {
        assert_eq!(found.contains(ordinal), is_match, "{pattern:?}: {ordinal:?} is searched");
        assert_ne!(left.contains(ordinal), is_match, "{pattern:?}: {ordinal:?} is left out");
    }
}

/// The values to try: those given, none at all, and a few that patterns like to differ on.
fn values<'a>(given: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    given.take(VALUES_MAX).chain(["", "a", "A", "0", "_", "\n", "k\u{212a}", "\u{e9}", "a\nb", "["])
}

/// Whether a pattern repeats classes of hundreds of ranges. It is bounded too, but by megabytes,
/// which the sanitizer makes seconds.
fn is_dear(pattern: &str) -> bool {
    let is_class = pattern.contains("\\p") || pattern.contains("\\P");
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    let counts: Vec<usize> = pattern.split('{').skip(1).map(digits).filter(|n| *n > 0).collect();
    is_class && (counts.len() > 1 || counts.iter().any(|digits| *digits > 2))
}

fn refused(
    pattern: &str,
    index: &Result<Matchers, IndexError>,
    query: &Result<impl Sized, String>,
) {
    let Err(error) = index else { panic!("a matcher and its negation are one pattern") };
    // How large is too large may differ, what is a pattern may not.
    let is_size = matches!(error, IndexError::PatternTooLarge { .. });
    assert!(is_size || query.is_err(), "{pattern:?}: only the index refuses: {error}");
}
