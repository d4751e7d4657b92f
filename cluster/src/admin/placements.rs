//! The routes of placements.
//!
//! Shards without a source need no data from another instance, so the node marks its own available
//! at once. So a local placement has two versions: as it was created, and as it is served.

use serde_json::{Map, Value, json};

use super::store::{Scope, load_placement, parse_placement, placement_document, store_placement};
use super::{Admin, AdminError, AdminReply, AdminRequest, Service};
use crate::Error;
use crate::jsonpb::Canonical;
use crate::kv::Kv;
use crate::placement::{
    ADD_REQUEST, INIT_REQUEST, Instance, Placement, PlacementKind, REMOVE_REQUEST, REPLACE_REQUEST,
    SET_REQUEST,
};

/// M3's error if there is no placement.
pub(super) fn absent() -> AdminError {
    AdminError::new(404, "placement does not exist")
}

fn reply(placement: &Placement, version: u64) -> AdminReply {
    AdminReply::json(&placement_document(placement, version))
}

fn instances(request: &Map<String, Value>, field: &str) -> Vec<Instance> {
    request.objects(field).map(Instance::from_canonical).collect()
}

impl Admin {
    /// Writes a placement and, if this node is in it, marks its shards available. Returns the
    /// version of the placement as it was given.
    pub(super) async fn put_placement(
        &self,
        kv: &dyn Kv,
        scope: &Scope,
        service: Service,
        version: u64,
        placement: &Placement,
    ) -> Result<u64, AdminError> {
        let version = match store_placement(kv, scope, service, version, placement).await {
            Err(Error::Conflict { expected: 0, .. }) => {
                return Err(AdminError::new(409, "key already has a value"));
            }
            other => other?,
        };
        if service == Service::M3db && placement.is_initializing(&self.host_id) {
            let mut served = placement.clone();
            served.mark_available(&self.host_id);
            store_placement(kv, scope, service, version, &served).await?;
        }
        Ok(version)
    }

    /// `POST .../placement/init`.
    pub(super) async fn init_placement(
        &self,
        kv: &dyn Kv,
        request: &AdminRequest,
        scope: &Scope,
        service: Service,
    ) -> Result<AdminReply, AdminError> {
        let canonical = request.read(&INIT_REQUEST)?;
        let placement = Placement::init(
            service.kind(),
            instances(&canonical, "instances"),
            canonical.int("numShards"),
            canonical.int("replicationFactor"),
        )?;
        if request.dry_run {
            return Ok(reply(&placement, 0));
        }
        let version = self.put_placement(kv, scope, service, 0, &placement).await?;
        Ok(reply(&placement, version))
    }

    /// `POST .../placement/set`: writes only if the request confirms it.
    pub(super) async fn set_placement(
        &self,
        kv: &dyn Kv,
        request: &AdminRequest,
        scope: &Scope,
        service: Service,
    ) -> Result<AdminReply, AdminError> {
        let canonical = request.read(&SET_REQUEST)?;
        let placement = canonical
            .object("placement")
            .ok_or_else(|| AdminError::bad_request("missing required field: placement"))?;
        let placement = Placement::from_canonical(placement);
        if let Err(error) = placement.check()
            && !canonical.flag("force")
        {
            return Err(AdminError::bad_request(format!(
                "unable to validate new placement: {error}"
            )));
        }
        let current = load_placement(kv, scope, service).await?.map_or(0, |(_, version)| version);
        let asked = u64::from(canonical.uint("version"));
        if asked != 0 && asked != current {
            let key = scope.placement_key(service);
            return Err(Error::Conflict { key, expected: asked, found: current }.into());
        }
        let is_confirmed = canonical.flag("confirm") && !request.dry_run;
        let version = if is_confirmed {
            self.put_placement(kv, scope, service, current, &placement).await?
        } else if current == 0 {
            0
        } else {
            current + 1
        };
        let mut document = placement_document(&placement, version);
        document["dryRun"] = json!(!is_confirmed);
        Ok(AdminReply::json(&document))
    }
}

/// `GET .../placement`.
pub(super) async fn show(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
) -> Result<AdminReply, AdminError> {
    let key = scope.placement_key(service);
    let version = request.param("version").filter(|text| !text.is_empty() && *text != "0");
    let stored = match version {
        None => kv.get(&key).await?,
        Some(text) => {
            let version = text.parse().map_err(|_| {
                AdminError::bad_request(format!(
                    "could not parse version: {text:?}, expected a whole number"
                ))
            })?;
            kv.get_version(&key, version).await?
        }
    };
    let stored = stored.ok_or_else(absent)?;
    Ok(reply(&parse_placement(&key, &stored)?, stored.version))
}

/// `POST .../placement`.
pub(super) async fn add(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&ADD_REQUEST)?;
    change_stateless(kv, request, scope, service, |placement| {
        let added = instances(&canonical, "instances");
        if !added.iter().any(|instance| instance.zone == scope.zone) {
            return Err(AdminError::bad_request("no new instances found in the valid zone"));
        }
        Ok(placement.add_stateless(added)?)
    })
    .await
}

/// `POST .../placement/remove`.
pub(super) async fn remove(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&REMOVE_REQUEST)?;
    let leaving = canonical.texts("instanceIds");
    change_stateless(kv, request, scope, service, |placement| take_out(placement, &leaving)).await
}

/// `POST .../placement/replace`.
pub(super) async fn replace(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&REPLACE_REQUEST)?;
    let leaving = canonical.texts("leavingInstanceIDs");
    change_stateless(kv, request, scope, service, |placement| {
        take_out(placement, &leaving)?;
        Ok(placement.add_stateless(instances(&canonical, "candidates"))?)
    })
    .await
}

/// `DELETE .../placement/{id}`.
pub(super) async fn delete_one(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
) -> Result<AdminReply, AdminError> {
    let leaving = [request.id()?.to_string()];
    change_stateless(kv, request, scope, service, |placement| take_out(placement, &leaving)).await
}

/// `DELETE .../placement`.
pub(super) async fn delete_all(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
) -> Result<AdminReply, AdminError> {
    let key = scope.placement_key(service);
    let was = if request.dry_run { kv.get(&key).await? } else { kv.delete(&key).await? };
    match was {
        Some(_) => Ok(AdminReply::deleted()),
        None => Err(AdminError::new(404, "key not found")),
    }
}

/// Removes the leaving instances, each of which must exist.
fn take_out(placement: &mut Placement, leaving: &[String]) -> Result<(), AdminError> {
    for id in leaving {
        if placement.instances.remove(id).is_none() {
            return Err(AdminError::new(404, format!("instance not found: {id}")));
        }
    }
    Ok(())
}

/// Changes the instances of a placement without shards. Instances with shards would have to hand
/// them over, which needs a cluster.
async fn change_stateless(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    service: Service,
    change: impl Fn(&mut Placement) -> Result<(), AdminError>,
) -> Result<AdminReply, AdminError> {
    let (mut placement, version) = load_placement(kv, scope, service).await?.ok_or_else(absent)?;
    // Errors in the request are reported first.
    change(&mut placement)?;
    if service.kind() != PlacementKind::Stateless {
        return Err(AdminError::bad_request(format!(
            "this node has no cluster yet: the instances of {} hold shards, and shards cannot move \
             between instances; delete the placement and init it anew, or use placement/set",
            service.name()
        )));
    }
    if request.dry_run {
        return Ok(reply(&placement, version + 1));
    }
    let version = store_placement(kv, scope, service, version, &placement).await?;
    Ok(reply(&placement, version))
}
