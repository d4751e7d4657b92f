//! Limits of the whole system: name, unit, reason. Settings take their defaults from here. `_max`
//! is inclusive.

/// Bytes of one label name or value: M3's default limit of literals, which also fits a u16.
pub const LABEL_LITERAL_BYTES_MAX: usize = 65_535;
/// Labels of one series.
pub const LABELS_PER_SERIES_MAX: usize = 128;
/// Bytes of one series' canonical labels; fits the 17-bit length in the hot line.
pub const LABEL_BLOCK_BYTES_MAX: usize = 131_071;
/// Bytes of a request body as it arrives (compressed).
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// Bytes of a request body after decompression, checked before memory is taken.
pub const BODY_DECODED_BYTES_MAX: usize = 64 << 20;
/// Bytes of a form with parameters: eight of the longest queries.
pub const FORM_BYTES_MAX: usize = 1 << 20;
/// Bytes of an admin request's body: a placement of some ten thousand shards.
pub const ADMIN_BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of a remote read request after decompression; it holds matchers.
pub const READ_REQUEST_BYTES_MAX: usize = 4 << 20;
/// Bytes of a request head: line and headers. As many as Go's servers accept, since clients send
/// the same requests to Prometheus and M3, and a `match[]` with many values comes in a GET.
pub const HEAD_BYTES_MAX: usize = 1 << 20;
/// Steps of one series in a range query, Prometheus' own limit.
pub const QUERY_POINTS_PER_SERIES_MAX: i64 = 11_000;
/// Samples that a query may hold at once, M3's default.
pub const QUERY_SAMPLES_MAX: u64 = 100_000_000;
/// Series one query may fetch, M3's default (`M3-Limit-Max-Series`).
pub const QUERY_SERIES_MAX: u64 = 100_000;
/// Nesting of a PromQL expression; deeper text is refused before it can exhaust the stack.
pub const QUERY_DEPTH_MAX: usize = 256;
/// Binary operators of a query, all its chains together; each is a node of the plan. A chain such
/// as `a + b + c` is long and not deep.
pub const QUERY_OPERATORS_MAX: usize = 10_000;
/// Selectors of a query; each is a search and a fetch on every core.
pub const QUERY_SELECTORS_MAX: usize = 1_000;
/// Total cost of all patterns in a query ([`crate::pattern::cost`]): a quarter of a second of a
/// core's time.
pub const PATTERNS_COST_MAX: u64 = 250_000;
/// Bytes of a query's text.
pub const QUERY_BYTES_MAX: usize = 128 << 10;
