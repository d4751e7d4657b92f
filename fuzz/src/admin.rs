//! The admin routes over a store in memory: a refused request changes nothing, and what is stored
//! can be shown. Each line of `data` is a request: a letter for the route, then id and body.
//! Capitals are the aggregator's routes; a star after the letter makes them the coordinator's.

use m3_cluster::kv::memory::MemoryKv;
use m3_cluster::{AdminReply, AdminRequest, AdminRoute, Kv, Registry, Service, Versioned, handle};
use serde_json::Value;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Most requests of one run.
const REQUESTS_MAX: usize = 12;
/// The clock, in nanoseconds.
const NOW: i64 = 1_800_000_000_000_000_000;

/// Reads `data` as a list of requests and sends them.
///
/// # Panics
/// If a promise of the routes is broken.
pub fn run(data: &[u8]) {
    let kv = MemoryKv::default();
    for line in data.split(|byte| *byte == b'\n').take(REQUESTS_MAX) {
        let Some((&letter, rest)) = line.split_first() else { continue };
        let Some(request) = request(letter, rest) else { continue };
        let (route, dry_run) = (request.route, request.dry_run);
        let before = everything(&kv);
        let reply = ready(handle(&kv, request, NOW));
        check(&reply);
        let same = before == everything(&kv);
        if !(200..300).contains(&reply.status) || is_read(route) {
            assert!(same && !reply.changed, "{route:?}, dry {dry_run}: {reply:?}");
        }
        if !same {
            shown(&kv);
        }
    }
}

/// The request that a line means.
fn request(letter: u8, rest: &[u8]) -> Option<AdminRequest> {
    use AdminRoute as Route;
    let (service, rest) = match rest.strip_prefix(b"*") {
        Some(rest) => (Service::M3coordinator, rest),
        None if letter.is_ascii_uppercase() => (Service::M3aggregator, rest),
        None => (Service::M3db, rest),
    };
    let route = match letter.to_ascii_lowercase() {
        b'c' => Route::DatabaseCreate,
        b'g' => Route::NamespaceGet,
        b'n' => Route::NamespaceAdd,
        b'u' => Route::NamespaceUpdate,
        b'd' => Route::NamespaceDelete,
        b'r' => Route::NamespaceReady,
        b's' => Route::SchemaAdd,
        b'x' => Route::SchemaDelete,
        b'p' => Route::PlacementGet(service),
        b'i' => Route::PlacementInit(service),
        b'a' => Route::PlacementAdd(service),
        b'z' => Route::PlacementSet(service),
        b'm' => Route::PlacementRemove(service),
        b'l' => Route::PlacementReplace(service),
        b'e' => Route::PlacementDeleteAll(service),
        b'o' => Route::PlacementDeleteOne(service),
        b't' => Route::TopicGet,
        b'j' => Route::TopicInit,
        b'b' => Route::TopicAdd,
        b'q' => Route::TopicUpdate,
        b'w' => Route::TopicDelete,
        b'k' => Route::KvStore,
        _ => return None,
    };
    let mut request = AdminRequest::new(route);
    // An id is in angle brackets before the body. A header or parameter is a single character.
    let body = match rest.split_first() {
        Some((b'<', inner)) => {
            let end = inner.iter().position(|byte| *byte == b'>')?;
            request.id = Some(String::from_utf8_lossy(&inner[..end]).into_owned());
            &inner[end + 1..]
        }
        Some((b'!', body)) => {
            request.dry_run = true;
            body
        }
        Some((b'?', body)) => {
            request.params.push(("debug".to_owned(), "true".to_owned()));
            request.force = true;
            body
        }
        _ => rest,
    };
    request.body = body.to_vec();
    Some(request)
}

const fn is_read(route: AdminRoute) -> bool {
    use AdminRoute as Route;
    matches!(route, Route::NamespaceGet | Route::PlacementGet(_) | Route::TopicGet)
}

fn check(reply: &AdminReply) {
    assert!((200..600).contains(&reply.status));
    if !reply.body.is_empty() {
        let document: Value = serde_json::from_str(&reply.body).expect("every answer is JSON");
        let is_error = document.get("error").is_some();
        assert!(is_error || reply.status < 300, "{reply:?}");
    }
    assert_ne!(reply.status, 500, "what is in the store is what the routes put there: {reply:?}");
}

/// Loads and shows everything that is stored.
fn shown(kv: &MemoryKv) {
    ready(Registry::load(kv)).expect("what is stored can be loaded");
    for debug in ["false", "true"] {
        let mut show = AdminRequest::new(AdminRoute::NamespaceGet);
        show.params.push(("debug".to_owned(), debug.to_owned()));
        let reply = ready(handle(kv, show, NOW));
        assert_eq!(reply.status, 200);
        check(&reply);
    }
}

/// Everything in the store.
fn everything(kv: &MemoryKv) -> Vec<(String, Versioned)> {
    ready(kv.list("")).expect("a store in memory answers")
}

/// Runs a future that never waits, such as one over a store in memory.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a store in memory answers at once"),
    }
}
