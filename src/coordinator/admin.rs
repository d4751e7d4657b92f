//! Admin calls: passed on to core 0, which keeps the KV.

use super::Coordinator;
use super::error::refuse;
use crate::message::Message;
use m3_cluster::admin::{AdminRequest, AdminRoute as Route, Service as ClusterService};
use m3_http::api::{AdminCall, AdminRoute, ApiError, ErrorKind, Reply, Service};
use m3_http::message::Method;
use m3_io::CoreId;

/// The core that keeps the KV.
const KEEPER: CoreId = CoreId(0);

/// Memory that parsing takes for each value of a JSON document: the value itself, in a list that
/// doubles, and the earlier lists.
const VALUE_BYTES: usize = 256;

/// Memory that parsing `document` may take.
fn wanted_for(document: &[u8]) -> u64 {
    let separators = document.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    (4 * document.len() + VALUE_BYTES * separators) as u64
}

impl Coordinator {
    pub(super) async fn admin(&self, call: AdminCall) -> Result<Reply, ApiError> {
        let admitted = self.shared.memory.admit_document(wanted_for(&call.body));
        let _promise = admitted.map_err(|no_memory| refuse(no_memory.into()))?;
        let request = request_of(call)?;
        let reply = self.engine.ask(KEEPER, |back| Message::Admin(request, back)).await;
        let reply = reply.map_err(refuse)?;
        Ok(Reply::Admin {
            status: reply.status,
            content_type: reply.content_type,
            body: reply.body.into_bytes(),
        })
    }
}

fn request_of(call: AdminCall) -> Result<AdminRequest, ApiError> {
    let route = route_of(call.route, call.method)
        .ok_or_else(|| ApiError::new(ErrorKind::Method, "this route does not take this method"))?;
    let params = call.params.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    Ok(AdminRequest {
        id: call.id,
        params,
        environment: call.environment,
        zone: call.zone,
        dry_run: call.dry_run,
        force: call.force,
        body: call.body,
        ..AdminRequest::new(route)
    })
}

fn route_of(route: AdminRoute, method: Method) -> Option<Route> {
    Some(match (route, method) {
        (AdminRoute::DatabaseCreate, _) => Route::DatabaseCreate,
        (AdminRoute::Namespace, Method::Get | Method::Head) => Route::NamespaceGet,
        (AdminRoute::Namespace, Method::Post) => Route::NamespaceAdd,
        (AdminRoute::Namespace, Method::Put) => Route::NamespaceUpdate,
        (AdminRoute::NamespaceReady, _) => Route::NamespaceReady,
        (AdminRoute::NamespaceNamed, _) => Route::NamespaceDelete,
        (AdminRoute::Schema, Method::Delete) => Route::SchemaDelete,
        (AdminRoute::Schema, _) => Route::SchemaAdd,
        (AdminRoute::Placement(s), Method::Get | Method::Head) => Route::PlacementGet(service(s)),
        (AdminRoute::Placement(s), Method::Post) => Route::PlacementAdd(service(s)),
        (AdminRoute::Placement(s), Method::Delete) => Route::PlacementDeleteAll(service(s)),
        (AdminRoute::PlacementInit(s), _) => Route::PlacementInit(service(s)),
        (AdminRoute::PlacementRemove(s), _) => Route::PlacementRemove(service(s)),
        (AdminRoute::PlacementReplace(s), _) => Route::PlacementReplace(service(s)),
        (AdminRoute::PlacementSet(s), _) => Route::PlacementSet(service(s)),
        (AdminRoute::PlacementInstance(s), _) => Route::PlacementDeleteOne(service(s)),
        (AdminRoute::Namespace | AdminRoute::Placement(_), _) => return None,
    })
}

const fn service(service: Service) -> ClusterService {
    match service {
        Service::M3db => ClusterService::M3db,
        Service::M3aggregator => ClusterService::M3aggregator,
        Service::M3coordinator => ClusterService::M3coordinator,
    }
}
