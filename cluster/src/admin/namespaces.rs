//! The routes of namespaces, and `database/create`, which also creates a placement.

use serde_json::{Value, json};

use super::placements::absent;
use super::store::{Scope, change_registry, load_placement, load_registry, placement_document};
use super::{Admin, AdminError, AdminReply, AdminRequest, Service};
use crate::jsonpb::{self, Canonical};
use crate::kv::Kv;
use crate::namespace::{
    ADD_REQUEST, BadNamespace, CREATE_REQUEST, CreateRequest, DatabaseType, Host, NamespaceOptions,
    READY_REQUEST, Registry, StagingStatus, UPDATE_REQUEST,
};
use crate::placement::{Instance, Placement, REPLICAS_DEFAULT, SHARDS_PER_HOST};

const PLACEMENT_STANDS: &str = "cannot use database create API to modify clustered placements \
    after they are instantiated. Use the placement APIs directly to make placement changes, or \
    remove the list of hosts from the request to add a namespace without modifying the placement";

const PLACEMENT_IS_OF_OTHER_TYPE: &str = "cannot replace existing local placement with a \
    clustered placement. Use the placement APIs directly to make placement changes, or remove the \
    `type` field from the  request to add a namespace without modifying the existing local \
    placement";

const SCHEMA_CAUTION: &str = "CAUTION! Reset schema will prevent proto-enabled namespace from \
    loading, proceed if you know what you are doing, please retry with force set to true";

fn registry_document(registry: &Registry) -> Value {
    json!({ "registry": registry.to_json() })
}

impl Admin {
    /// `POST /api/v1/database/create`.
    pub(super) async fn create_database(
        &self,
        kv: &dyn Kv,
        request: &AdminRequest,
        scope: &Scope,
    ) -> Result<AdminReply, AdminError> {
        let canonical = request.read_durations(&CREATE_REQUEST)?;
        let create = CreateRequest::from_canonical(&canonical)?;
        let existing = load_placement(kv, scope, Service::M3db).await?;
        let new_placement = self.placement_for(&create, existing.as_ref().map(|(old, _)| old))?;
        let add = |registry: &mut Registry| add_created(registry, &create);
        // Checked before the placement is written, so that a refused request changes nothing.
        add(&mut load_registry(kv, scope).await?.0)?;
        let (placement, version) = match (new_placement, existing) {
            (Some(placement), _) => {
                let version = self.put_placement(kv, scope, Service::M3db, 0, &placement).await?;
                (placement, version)
            }
            (None, Some(existing)) => existing,
            (None, None) => return Err(absent()),
        };
        let registry = change_registry(kv, scope, add).await?;
        let document = json!({
            "namespace": registry_document(&registry),
            "placement": placement_document(&placement, version),
        });
        Ok(AdminReply::json(&document).changed(scope.is_served()))
    }

    /// The placement to create; `None` if the existing one will do.
    fn placement_for(
        &self,
        create: &CreateRequest,
        existing: Option<&Placement>,
    ) -> Result<Option<Placement>, AdminError> {
        let Some(existing) = existing else {
            return self.first_placement(create).map(Some);
        };
        let is_local = self.is_local(existing);
        if !create.is_kind_given && is_local {
            return Ok(None);
        }
        let is_cluster = create.kind == DatabaseType::Cluster;
        if is_cluster && !create.hosts.is_empty() && (is_local || !is_same(existing, create)) {
            return Err(AdminError::bad_request(PLACEMENT_STANDS));
        }
        if create.is_kind_given && is_cluster == is_local {
            return Err(AdminError::bad_request(PLACEMENT_IS_OF_OTHER_TYPE));
        }
        Ok(None)
    }

    /// Whether this is the placement of a local database.
    fn is_local(&self, placement: &Placement) -> bool {
        let local = Instance::local(&self.host_id, self.port);
        let mut instances = placement.instances.values();
        let first = instances.next().filter(|first| {
            first.id == local.id
                && first.isolation_group == local.isolation_group
                && first.zone == local.zone
        });
        first.is_some() && instances.next().is_none()
    }

    fn first_placement(&self, create: &CreateRequest) -> Result<Placement, AdminError> {
        let kind = Service::M3db.kind();
        let asked = |given: i64, rule: u32| if given > 0 { given } else { i64::from(rule) };
        match create.kind {
            DatabaseType::Local => {
                let instance = Instance::local(&self.host_id, self.port);
                let shards = asked(create.shards, SHARDS_PER_HOST);
                Ok(Placement::init(kind, vec![instance], shards, 1)?)
            }
            DatabaseType::Cluster if create.hosts.is_empty() => {
                Err(AdminError::bad_request("missing required field"))
            }
            DatabaseType::Cluster => {
                let hosts = u32::try_from(create.hosts.len()).unwrap_or(u32::MAX);
                let shards = hosts.saturating_mul(SHARDS_PER_HOST).checked_next_power_of_two();
                let shards = asked(create.shards, shards.unwrap_or(u32::MAX));
                let replicas = asked(create.replicas, REPLICAS_DEFAULT);
                let instances = create.hosts.iter().map(instance_of).collect();
                Ok(Placement::init(kind, instances, shards, replicas)?)
            }
        }
    }
}

fn add_created(registry: &mut Registry, create: &CreateRequest) -> Result<(), AdminError> {
    for namespace in &create.namespaces {
        if registry.namespaces.contains_key(&namespace.name) {
            return Err(AdminError::bad_request(format!(
                "unable to create namespace: {} because it already exists",
                namespace.name
            )));
        }
        registry.add(&namespace.name, namespace.options.clone())?;
    }
    Ok(())
}

fn instance_of(host: &Host) -> Instance {
    Instance {
        id: host.id.clone(),
        isolation_group: host.isolation_group.clone(),
        zone: host.zone.clone(),
        weight: host.weight,
        endpoint: format!("{}:{}", host.address, host.port),
        hostname: host.address.clone(),
        port: host.port,
        ..Instance::default()
    }
}

/// Whether the hosts of the request are the existing instances.
fn is_same(existing: &Placement, create: &CreateRequest) -> bool {
    let agrees = |asked: i64, there: u32| asked <= 0 || asked == i64::from(there);
    agrees(create.shards, existing.shards)
        && agrees(create.replicas, existing.replicas)
        && create.hosts.len() == existing.instances.len()
        && create.hosts.iter().map(instance_of).all(|asked| {
            existing.instances.get(&asked.id).is_some_and(|there| {
                asked.isolation_group == there.isolation_group
                    && asked.endpoint == there.endpoint
                    && asked.weight == there.weight
                    && asked.zone == there.zone
            })
        })
}

/// `GET .../namespace`.
pub(super) async fn show(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let (registry, _) = load_registry(kv, scope).await?;
    let document = registry_document(&registry);
    if request.is_set("debug") {
        return Ok(AdminReply::json(&jsonpb::nanos_to_durations(&document)));
    }
    Ok(AdminReply::json(&document))
}

/// `POST .../namespace`.
pub(super) async fn add(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read_durations(&ADD_REQUEST)?;
    let options = canonical
        .object("options")
        .ok_or_else(|| BadNamespace::Metadata("namespace options must be set".to_string()))?;
    let options = NamespaceOptions::from_canonical(options)?;
    let name = canonical.text("name");
    let add = |registry: &mut Registry| Ok(registry.add(name, options.clone())?);
    let registry = change_registry(kv, scope, add).await?;
    Ok(AdminReply::json(&registry_document(&registry)).changed(scope.is_served()))
}

/// `PUT .../namespace`.
pub(super) async fn update(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read_durations(&UPDATE_REQUEST)?;
    let update = |registry: &mut Registry| match registry.update(&canonical) {
        Err(BadNamespace::Missing) => Err(AdminError::new(
            404,
            format!("namespace not found: err={}", canonical.text("name")),
        )),
        other => Ok(other?),
    };
    let registry = change_registry(kv, scope, update).await?;
    Ok(AdminReply::json(&registry_document(&registry)).changed(scope.is_served()))
}

/// `DELETE .../namespace/{id}`.
pub(super) async fn delete(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let name = request.id()?;
    change_registry(kv, scope, |registry| Ok(registry.remove(name)?)).await?;
    Ok(AdminReply::deleted().changed(scope.is_served()))
}

/// `POST .../namespace/ready`: a node that serves its shards is ready for every namespace.
pub(super) async fn ready(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&READY_REQUEST)?;
    let name = canonical.text("name");
    let mut waiting = Vec::new();
    if !canonical.flag("force")
        && let Some((placement, _)) = load_placement(kv, scope, Service::M3db).await?
    {
        waiting.extend(placement.unavailable().into_iter().map(str::to_string));
    }
    let mut is_news = false;
    let mark = |registry: &mut Registry| {
        let options = registry
            .namespaces
            .get_mut(name)
            .ok_or_else(|| AdminError::bad_request(format!("namespace {name} not found")))?;
        if !waiting.is_empty() {
            return Err(AdminError::new(
                500,
                // M3's spelling, which scripts may search for.
                format!(
                    "namepace {name} not yet ready, err: instances do not have all shards \
                     available: [{}]",
                    waiting.join(", ")
                ),
            ));
        }
        is_news = options.staging != StagingStatus::Ready;
        options.staging = StagingStatus::Ready;
        Ok(())
    };
    change_registry(kv, scope, mark).await?;
    Ok(AdminReply::json(&json!({ "ready": true })).changed(is_news && scope.is_served()))
}

/// `POST .../schema`.
pub(super) fn add_schema() -> Result<AdminReply, AdminError> {
    Err(AdminError::bad_request(
        "this node stores numbers and keeps no protobuf schemas: write samples to a namespace \
         without a schema",
    ))
}

/// `DELETE .../schema`.
pub(super) async fn delete_schema(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    if !request.force {
        return Err(AdminError::bad_request(SCHEMA_CAUTION));
    }
    let document = jsonpb::parse(&request.body)?;
    let name = document.get("name").and_then(Value::as_str).unwrap_or("");
    let reset = |registry: &mut Registry| {
        let options = registry
            .namespaces
            .get_mut(name)
            .ok_or_else(|| AdminError::new(404, "namespace is not found"))?;
        options.schema = Value::Null;
        Ok(())
    };
    change_registry(kv, scope, reset).await?;
    Ok(AdminReply::json(&json!({})))
}
