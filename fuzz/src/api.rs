//! Whole requests at the API: head, target, headers and body become a call, or a refusal that names
//! its reason. `data` is a request as it arrives on a connection.

use m3_http::wire::head::{Scanner, parse};
use m3_http::{Api, ApiSettings, Call, Listener, Request};
use m3_metric::{Timestamp, limits};

/// Bytes of a body.
const BODY_MAX: usize = 1 << 16;
/// The clock.
const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

/// Reads `data` as a request to both listeners.
///
/// # Panics
/// If a promise of the door is broken.
pub fn run(data: &[u8]) {
    let Ok(Some(len)) = Scanner::default().scan(data, limits::HEAD_BYTES_MAX) else { return };
    for listener in [Listener::Api, Listener::Metrics] {
        let mut request = Request::default();
        if parse(&data[..len], BODY_MAX, &mut request).is_err() {
            return;
        }
        // Another target checks where the body ends; here it is everything that follows.
        request.body = data[len..].to_vec();
        let settings = ApiSettings { body_decoded_bytes_max: BODY_MAX, ..ApiSettings::default() };
        let routed = Api::new(settings).route(listener, &mut request, NOW);
        match routed.call {
            Ok(call) => check(&call),
            Err(error) => {
                let status = error.kind.status();
                assert!((400..600).contains(&status), "{status}");
                assert!(!error.message.is_empty(), "a refusal says why: {status}");
            }
        }
    }
}

fn check(call: &Call) {
    match call {
        Call::QueryRange(call) => {
            assert!(call.step_ms > 0 && call.start_ms <= call.end_ms, "{call:?}");
            let points = (call.end_ms - call.start_ms) / call.step_ms;
            assert!(points <= limits::QUERY_POINTS_PER_SERIES_MAX, "{call:?}");
        }
        Call::Write(call) => {
            let inside = |record| call.batch.labels_of(record).len() <= call.batch.buffer.len();
            assert!(call.batch.records.iter().all(inside));
        }
        _ => {}
    }
}
