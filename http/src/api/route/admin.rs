//! Headers and parameters of admin routes.

use crate::api::{AdminCall, AdminRoute};
use crate::message::Request;

/// Reads a request to an admin route, after its body was inflated. Takes parameters and body out of
/// it.
pub(super) fn admin(route: AdminRoute, id: Option<&str>, request: &mut Request) -> AdminCall {
    let id = id.map(str::to_owned);
    let text =
        |name: &str, default: &str| request.headers.filled(name).unwrap_or(default).to_owned();
    let truth = |value: Option<&str>| value.is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let environment = text("cluster-environment-name", "default_env");
    let zone = text("cluster-zone-name", "embedded");
    let dry_run = truth(request.headers.get("dry-run"));
    let force = truth(request.headers.get("force")) || truth(request.query.get("force"));
    AdminCall {
        route,
        method: request.method,
        id,
        params: std::mem::take(&mut request.query),
        environment,
        zone,
        dry_run,
        force,
        body: std::mem::take(&mut request.body),
    }
}
