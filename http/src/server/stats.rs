//! Counters of a server, for the metrics.

use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Upper bounds of the latency buckets, in microseconds; a last bucket holds all slower answers.
pub const LATENCY_BOUNDS_US: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Counters of one core's server.
#[derive(Debug, Default)]
pub struct ServerStats {
    totals: Cell<Totals>,
    /// There are few routes, so they are searched in order. The busiest usually comes first,
    /// because it was used first.
    routes: RefCell<Vec<RouteStats>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    opened: u64,
    closed: u64,
    refused: u64,
    exhausted: u64,
    bad_requests: u64,
    timeouts: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// Counters of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteStats {
    /// The route's path, with a name in braces for the variable part; empty for no route.
    pub route: &'static str,
    /// Answers by the first digit of their status, from 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Answers by latency, see [`LATENCY_BOUNDS_US`]; the last bucket holds all slower ones.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// Microseconds of all answers together, from the end of the head to the end of the answer.
    pub latency_us: u64,
}

/// A copy of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Connections accepted.
    pub connections_opened: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Connections refused because there were too many.
    pub connections_refused: u64,
    /// Times that the process was out of descriptors.
    pub accept_exhausted: u64,
    /// Requests refused before they reached a route: malformed or over a limit.
    pub bad_requests: u64,
    /// Connections given up because the client was too slow.
    pub timeouts: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Answers by route.
    pub routes: Vec<RouteStats>,
}

impl ServerStats {
    /// A copy of the counters.
    #[must_use]
    pub fn snapshot(&self) -> StatsSnapshot {
        let totals = self.totals.get();
        StatsSnapshot {
            connections_opened: totals.opened,
            connections_open: totals.opened - totals.closed,
            connections_refused: totals.refused,
            accept_exhausted: totals.exhausted,
            bad_requests: totals.bad_requests,
            timeouts: totals.timeouts,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            routes: self.routes.borrow().clone(),
        }
    }

    fn update(&self, change: impl FnOnce(&mut Totals)) {
        let mut totals = self.totals.get();
        change(&mut totals);
        self.totals.set(totals);
    }

    pub(super) fn note_opened(&self) {
        self.update(|totals| totals.opened += 1);
    }

    pub(super) fn note_closed(&self) {
        self.update(|totals| totals.closed += 1);
    }

    pub(super) fn note_refused(&self) {
        self.update(|totals| totals.refused += 1);
    }

    pub(super) fn note_exhausted(&self) {
        self.update(|totals| totals.exhausted += 1);
    }

    pub(super) fn note_bad_request(&self) {
        self.update(|totals| totals.bad_requests += 1);
    }

    pub(super) fn note_timeout(&self) {
        self.update(|totals| totals.timeouts += 1);
    }

    pub(super) fn note_in(&self, bytes: usize) {
        self.update(|totals| totals.bytes_in += bytes as u64);
    }

    pub(super) fn note_out(&self, bytes: usize) {
        self.update(|totals| totals.bytes_out += bytes as u64);
    }

    pub(super) fn note_answer(&self, route: &'static str, status: u16, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.iter().take_while(|bound| us > **bound).count();
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        let mut routes = self.routes.borrow_mut();
        let at = routes.iter().position(|known| known.route == route).unwrap_or_else(|| {
            routes.push(RouteStats { route, ..RouteStats::default() });
            routes.len() - 1
        });
        routes[at].by_class[class] += 1;
        routes[at].buckets[bucket] += 1;
        routes[at].latency_us = routes[at].latency_us.saturating_add(us);
    }
}
