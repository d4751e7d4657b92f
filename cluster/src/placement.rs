//! Placements: which instance of a service holds which shards. Pure.
//!
//! There is one placement document per service, and three kinds. m3db's is sharded: the replicas of
//! a shard are in different isolation groups. m3aggregator's is mirrored: groups of instances hold
//! the same shards. m3coordinator's has no shards.
//!
//! Always holds after [`Placement::check`]: every shard below `shards` has exactly `replicas`
//! owners that it is not leaving, and no instance names a shard twice.

mod assign;
mod messages;

pub use messages::{
    ADD_REQUEST, INIT_REQUEST, PLACEMENT, REMOVE_REQUEST, REPLACE_REQUEST, SET_REQUEST,
};

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::jsonpb::{self, BadDocument, Canonical};
use crate::limits::{INSTANCES_MAX, SHARDS_MAX};

/// The instance of a local placement.
pub const LOCAL_ID: &str = "m3db_local";
/// Shards of a local placement, and per host of a cluster.
pub const SHARDS_PER_HOST: u32 = 64;
/// Default number of replicas of a cluster.
pub const REPLICAS_DEFAULT: u32 = 3;

/// How a service uses shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementKind {
    /// Shards are distributed over isolation groups.
    Sharded,
    /// Shard sets, each held by as many instances as there are replicas.
    Mirrored,
    /// No shards.
    Stateless,
}

/// The placement of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Instances by id.
    pub instances: BTreeMap<String, Instance>,
    /// How many instances hold each shard.
    pub replicas: u32,
    /// How many shards there are.
    pub shards: u32,
    /// Whether there are shards.
    pub is_sharded: bool,
    /// When the placement takes effect, in Unix nanoseconds; 0 means at once.
    pub cutover_ns: i64,
    /// Whether instances form shard sets.
    pub is_mirrored: bool,
    /// The highest shard set number.
    pub shard_set_max: u32,
    /// Whether instances form subclusters; stored but not used.
    pub is_subclustered: bool,
    /// Instances of a subcluster; stored but not used.
    pub instances_per_subcluster: i64,
}

/// One instance of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its name, unique in the placement.
    pub id: String,
    /// Its failure domain.
    pub isolation_group: String,
    /// Its zone.
    pub zone: String,
    /// Its share of the shards.
    pub weight: u32,
    /// Its address, `host:port`.
    pub endpoint: String,
    /// Its shards, by number.
    pub shards: Vec<Shard>,
    /// Its shard set; 0 means none.
    pub shard_set: u32,
    /// Its host.
    pub hostname: String,
    /// Its port.
    pub port: u32,
    /// The port of its debug routes.
    pub debug_port: u32,
    /// Its subcluster.
    pub subcluster: u32,
}

/// A shard on an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub id: u32,
    /// How far its move has come.
    pub state: ShardState,
    /// The instance it comes from; empty if from none.
    pub source: String,
    /// When it may be used, in Unix nanoseconds; 0 means at once.
    pub cutover_ns: i64,
    /// When it must no longer be used, in Unix nanoseconds; 0 means never.
    pub cutoff_ns: i64,
    /// The shard that took over its data, if any.
    pub redirect: Option<u32>,
}

/// How far the move of a shard has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// The instance is fetching its data.
    Initializing,
    /// The instance serves it.
    Available,
    /// Another instance is fetching its data from here.
    Leaving,
}

/// Why a placement is refused, in M3's words if it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlacement(pub String);

impl fmt::Display for BadPlacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPlacement {}

impl ShardState {
    const NAMES: [&'static str; 3] = ["INITIALIZING", "AVAILABLE", "LEAVING"];

    fn name(self) -> &'static str {
        match self {
            Self::Initializing => Self::NAMES[0],
            Self::Available => Self::NAMES[1],
            Self::Leaving => Self::NAMES[2],
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "AVAILABLE" => Self::Available,
            "LEAVING" => Self::Leaving,
            _ => Self::Initializing,
        }
    }
}

impl Shard {
    /// A new shard without a source.
    fn initializing(id: u32) -> Self {
        Self {
            id,
            state: ShardState::Initializing,
            source: String::new(),
            cutover_ns: 0,
            cutoff_ns: 0,
            redirect: None,
        }
    }

    fn from_canonical(shard: &Map<String, Value>) -> Self {
        Self {
            id: shard.uint("id"),
            state: ShardState::from_name(shard.text("state")),
            source: shard.text("sourceId").to_string(),
            cutover_ns: shard.int("cutoverNanos"),
            cutoff_ns: shard.int("cutoffNanos"),
            redirect: shard
                .get("redirectToShardId")
                .and_then(Value::as_u64)
                .and_then(|id| u32::try_from(id).ok()),
        }
    }

    fn to_canonical(&self) -> Value {
        json!({
            "id": self.id,
            "state": self.state.name(),
            "sourceId": self.source,
            "cutoverNanos": self.cutover_ns.to_string(),
            "cutoffNanos": self.cutoff_ns.to_string(),
            "redirectToShardId": self.redirect,
        })
    }
}

impl Instance {
    /// The only instance of a local placement, reached at `port`.
    #[must_use]
    pub fn local(id: &str, port: u16) -> Self {
        Self {
            id: id.to_string(),
            isolation_group: "local".to_string(),
            zone: "embedded".to_string(),
            weight: 1,
            endpoint: format!("127.0.0.1:{port}"),
            hostname: "localhost".to_string(),
            port: u32::from(port),
            ..Self::default()
        }
    }

    /// Reads the instance from a canonical `placementpb.Instance`.
    #[must_use]
    pub fn from_canonical(instance: &Map<String, Value>) -> Self {
        let mut shards: Vec<Shard> =
            instance.objects("shards").map(Shard::from_canonical).collect();
        shards.sort_by_key(|shard| shard.id);
        Self {
            id: instance.text("id").to_string(),
            isolation_group: instance.text("isolationGroup").to_string(),
            zone: instance.text("zone").to_string(),
            weight: instance.uint("weight"),
            endpoint: instance.text("endpoint").to_string(),
            shards,
            shard_set: instance.uint("shardSetId"),
            hostname: instance.text("hostname").to_string(),
            port: instance.uint("port"),
            debug_port: instance.object("metadata").map_or(0, |meta| meta.uint("debugPort")),
            subcluster: instance.uint("subclusterId"),
        }
    }

    fn to_canonical(&self) -> Value {
        json!({
            "id": self.id,
            "isolationGroup": self.isolation_group,
            "zone": self.zone,
            "weight": self.weight,
            "endpoint": self.endpoint,
            "shards": self.shards.iter().map(Shard::to_canonical).collect::<Vec<_>>(),
            "shardSetId": self.shard_set,
            "hostname": self.hostname,
            "port": self.port,
            "metadata": { "debugPort": self.debug_port },
            "subclusterId": self.subcluster,
        })
    }

    /// Whether the instance serves all its shards.
    fn is_available(&self) -> bool {
        self.shards.iter().all(|shard| shard.state == ShardState::Available)
    }
}

impl Placement {
    /// Reads the placement from a JSON document of the store.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub fn from_json(document: &Value) -> Result<Self, BadDocument> {
        jsonpb::read(document, &PLACEMENT).map(|placement| Self::from_canonical(&placement))
    }

    /// Reads the placement from a canonical `placementpb.Placement`.
    #[must_use]
    pub fn from_canonical(placement: &Map<String, Value>) -> Self {
        let instances = placement.object("instances").into_iter().flatten();
        let instances = instances.filter_map(|(id, instance)| {
            let mut instance = Instance::from_canonical(instance.as_object()?);
            if instance.id.is_empty() {
                instance.id.clone_from(id);
            }
            Some((id.clone(), instance))
        });
        Self {
            instances: instances.collect(),
            replicas: placement.uint("replicaFactor"),
            shards: placement.uint("numShards"),
            is_sharded: placement.flag("isSharded"),
            cutover_ns: placement.int("cutoverTime"),
            is_mirrored: placement.flag("isMirrored"),
            shard_set_max: placement.uint("maxShardSetId"),
            is_subclustered: placement.flag("isSubclustered"),
            instances_per_subcluster: placement.int("instancesPerSubcluster"),
        }
    }

    /// The canonical document, every field in M3's order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let instances: Map<String, Value> =
            self.instances.iter().map(|(id, one)| (id.clone(), one.to_canonical())).collect();
        json!({
            "instances": instances,
            "replicaFactor": self.replicas,
            "numShards": self.shards,
            "isSharded": self.is_sharded,
            "cutoverTime": self.cutover_ns.to_string(),
            "isMirrored": self.is_mirrored,
            "maxShardSetId": self.shard_set_max,
            "isSubclustered": self.is_subclustered,
            "instancesPerSubcluster": self.instances_per_subcluster,
        })
    }

    /// Whether `id` still has initializing shards without a source. It may mark these available at
    /// once.
    #[must_use]
    pub fn is_initializing(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|instance| instance.shards.iter().any(is_fresh))
    }

    /// Marks the initializing shards of `id` without a source as available, since there is nothing
    /// to fetch.
    pub fn mark_available(&mut self, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        for shard in instance.shards.iter_mut().filter(|shard| is_fresh(shard)) {
            shard.state = ShardState::Available;
        }
    }

    /// Instances whose shards are not all available.
    #[must_use]
    pub fn unavailable(&self) -> Vec<&str> {
        let unavailable = self.instances.values().filter(|instance| !instance.is_available());
        unavailable.map(|instance| instance.id.as_str()).collect()
    }

    /// Adds instances to a placement without shards.
    ///
    /// # Errors
    /// An instance without a name, or with one that is taken.
    pub fn add_stateless(&mut self, added: Vec<Instance>) -> Result<(), BadPlacement> {
        for instance in assign::by_id(added)?.into_values() {
            if self.instances.contains_key(&instance.id) {
                return Err(BadPlacement(format!(
                    "instance {} is already in the placement",
                    instance.id
                )));
            }
            self.instances.insert(instance.id.clone(), instance);
        }
        if self.instances.len() > INSTANCES_MAX {
            return Err(BadPlacement(format!("a placement has at most {INSTANCES_MAX} instances")));
        }
        Ok(())
    }

    /// Checks the rules of every placement.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check(&self) -> Result<(), BadPlacement> {
        if self.instances.len() > INSTANCES_MAX || self.shards > SHARDS_MAX {
            return Err(BadPlacement(format!(
                "a placement has at most {INSTANCES_MAX} instances and {SHARDS_MAX} shards"
            )));
        }
        let mut owners = vec![0_u32; self.shards as usize];
        for (id, instance) in &self.instances {
            if *id != instance.id {
                return Err(BadPlacement(format!(
                    "instance {:?} stands under the name {id:?}",
                    instance.id
                )));
            }
            check_shards(instance, &mut owners)?;
        }
        if !self.is_sharded {
            return Ok(());
        }
        for (shard, owners) in owners.iter().enumerate() {
            if *owners != self.replicas {
                return Err(BadPlacement(format!(
                    "shard {shard} has {owners} owners, expected as many as replicas: {}",
                    self.replicas
                )));
            }
        }
        Ok(())
    }
}

fn is_fresh(shard: &Shard) -> bool {
    shard.state == ShardState::Initializing && shard.source.is_empty()
}

/// Counts the owners of each shard; `owners` has one entry per shard of the placement.
fn check_shards(instance: &Instance, owners: &mut [u32]) -> Result<(), BadPlacement> {
    let mut before = None;
    for shard in &instance.shards {
        if before == Some(shard.id) {
            return Err(BadPlacement(format!(
                "instance {} names shard {} twice",
                instance.id, shard.id
            )));
        }
        before = Some(shard.id);
        let Some(owners) = owners.get_mut(shard.id as usize) else {
            return Err(BadPlacement(format!(
                "instance {} has shard {}, but the placement has {} shards",
                instance.id,
                shard.id,
                owners.len()
            )));
        };
        if shard.state != ShardState::Leaving {
            *owners += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
