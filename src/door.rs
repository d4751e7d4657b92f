//! The HTTP handler of one core: a request becomes a call, its result a response.
//!
//! A panic in the work of one request ends that request with 500 and nothing else, because such
//! work changes nothing that outlives it. Storing does, so a panic there ends the node
//! ([`DbNode`]). The request's body is saved first, so that the node refuses it from then on
//! ([`crate::quarantine`]).
//!
//! [`DbNode`]: crate::dbnode::DbNode

use crate::coordinator::{Coordinator, HalfStored};
use m3_http::api::{Api, ApiError, Call, ErrorKind, Listener, Reply};
use m3_http::message::{Request, Response};
use m3_http::reply::ReplyFormat;
use m3_http::server::Handler;
use m3_io::panics::{self, Panicked};
use m3_io::{Either, Gate, Permit, Semaphore, failpoint, race, time};
use m3_metric::Timestamp;
use std::pin::pin;
use std::rc::Rc;

/// The handler of one listener.
pub(crate) struct Door {
    listener: Listener,
    api: Rc<Api>,
    coordinator: Rc<Coordinator>,
    /// If there are many large bodies, they are unpacked one at a time, and the sockets are polled
    /// before each. Small requests would otherwise wait for all of them.
    unpacking: Semaphore,
    /// Requests with a large body that are in progress.
    large: Gate,
}

/// Smallest large body.
const LARGE_BODY_BYTES: usize = 16 << 10;
/// Number of large bodies from which on they wait for each other.
const LARGE_BODIES_MANY: usize = 8;

impl Door {
    pub(crate) fn new(listener: Listener, api: Rc<Api>, coordinator: Rc<Coordinator>) -> Self {
        let (unpacking, large) = (Semaphore::new(1), Gate::new());
        Self { listener, api, coordinator, unpacking, large }
    }

    /// Waits until a large body may be unpacked.
    async fn turn(&self) -> Option<Permit> {
        if self.large.inside() < LARGE_BODIES_MANY {
            return None;
        }
        let turn = self.unpacking.acquire(1).await;
        m3_io::yield_now().await;
        Some(turn)
    }

    async fn answer(&self, call: Call, request: &mut Request) -> Result<Reply, ApiError> {
        let is_given_up =
            matches!(call, Call::Query(_) | Call::QueryRange(_) | Call::RemoteRead(_));
        let is_write = matches!(call, Call::Write(_));
        let handled = pin!(self.coordinator.handle(call));
        let handled = panics::catch_future(handled);
        let result = if is_given_up {
            // A query whose client has gone is dropped. A write goes on.
            match race(handled, request.client_gone()).await {
                Either::Left(result) => result,
                Either::Right(()) => {
                    return Err(ApiError::new(ErrorKind::Canceled, "query was canceled"));
                }
            }
        } else {
            handled.await
        };
        if let Some(half_stored) = self.coordinator.take_half_stored() {
            self.end(half_stored, request).await;
        }
        result.unwrap_or_else(|panicked| {
            if is_write {
                self.coordinator.forget_routes();
            }
            Err(internal(&panicked))
        })
    }

    /// Saves the body, then ends the node, after a panic while the request was stored.
    async fn end(&self, half_stored: HalfStored, request: &Request) -> ! {
        let HalfStored { panicked, body } = half_stored;
        let body = if body.is_empty() { request.body.clone() } else { body };
        self.coordinator.quarantine(body, &panicked).await;
        panics::ends_process(|| panic!("storing a request panicked: {}", panicked.text))
    }

    /// Refuses a write whose body ended the node before.
    fn check_quarantine(&self, request: &Request) -> Result<(), ApiError> {
        match self.coordinator.find_in_quarantine(&request.body) {
            None => Ok(()),
            Some(file) => Err(ApiError::bad_data(format!(
                "this body ended the node when it was stored before, and is refused since then; it \
                 is kept as {} with the reason beside it: report it, and move both files away and \
                 start the node again to have it tried once more",
                file.display()
            ))),
        }
    }
}

fn internal(panicked: &Panicked) -> ApiError {
    ApiError::internal(panicked.to_string())
}

impl Handler for Door {
    async fn handle(&self, request: &mut Request) -> Response {
        let is_large = request.body.len() >= LARGE_BODY_BYTES;
        let _pass = is_large.then(|| self.large.enter());
        let turn = if is_large { self.turn().await } else { None };
        let now = Timestamp(time::wall_ns());
        let refused = self.check_quarantine(request).err();
        let routed = panics::catch(|| {
            failpoint("route", b"");
            self.api.route(self.listener, request, now)
        });
        drop(turn);
        let routed = match routed {
            Ok(routed) => routed,
            Err(panicked) => return ReplyFormat::plain(request).render(Err(internal(&panicked))),
        };
        let result = match (refused, routed.call) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(call)) => self.answer(call, request).await,
        };
        match panics::catch(|| {
            failpoint("render", b"");
            routed.shape.render(result)
        }) {
            Ok(response) => response,
            Err(panicked) => ReplyFormat::plain(request).render(Err(internal(&panicked))),
        }
    }
}
