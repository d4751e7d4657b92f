//! The messages of the placement routes, with their fields in M3's order.

use crate::jsonpb::Kind::{
    Any, Bool, Enum, Int32, Int64, List, MapOf, Text, Texts, UInt32, UInt32Value,
};
use crate::jsonpb::{Kind, MessageSchema, field};

/// `POST .../placement/init`.
pub const INIT_REQUEST: MessageSchema = MessageSchema {
    name: "admin.PlacementInitRequest",
    fields: &[
        field("instances", List(&INSTANCE)),
        field("numShards", Int32),
        field("replicationFactor", Int32),
        field("optionOverride", Any),
    ],
};

/// `POST .../placement`.
pub const ADD_REQUEST: MessageSchema = MessageSchema {
    name: "admin.PlacementAddRequest",
    fields: &[
        field("instances", List(&INSTANCE)),
        field("force", Bool),
        field("optionOverride", Any),
    ],
};

/// `POST .../placement/remove`.
pub const REMOVE_REQUEST: MessageSchema = MessageSchema {
    name: "admin.PlacementRemoveRequest",
    fields: &[field("instanceIds", Texts), field("force", Bool), field("optionOverride", Any)],
};

/// `POST .../placement/replace`.
pub const REPLACE_REQUEST: MessageSchema = MessageSchema {
    name: "admin.PlacementReplaceRequest",
    fields: &[
        field("leavingInstanceIDs", Texts),
        field("candidates", List(&INSTANCE)),
        field("force", Bool),
        field("optionOverride", Any),
    ],
};

/// `POST .../placement/set`.
pub const SET_REQUEST: MessageSchema = MessageSchema {
    name: "admin.PlacementSetRequest",
    fields: &[
        field("placement", Kind::MessageSchema(&PLACEMENT)),
        field("version", Int32),
        field("confirm", Bool),
        field("force", Bool),
    ],
};

/// The document in the store.
pub const PLACEMENT: MessageSchema = MessageSchema {
    name: "placementpb.Placement",
    fields: &[
        field("instances", MapOf(&INSTANCE)),
        field("replicaFactor", UInt32),
        field("numShards", UInt32),
        field("isSharded", Bool),
        field("cutoverTime", Int64),
        field("isMirrored", Bool),
        field("maxShardSetId", UInt32),
        field("isSubclustered", Bool),
        field("instancesPerSubcluster", UInt32),
    ],
};

const INSTANCE: MessageSchema = MessageSchema {
    name: "placementpb.Instance",
    fields: &[
        field("id", Text),
        field("isolationGroup", Text),
        field("zone", Text),
        field("weight", UInt32),
        field("endpoint", Text),
        field("shards", List(&SHARD)),
        field("shardSetId", UInt32),
        field("hostname", Text),
        field("port", UInt32),
        field("metadata", Kind::MessageSchema(&METADATA)),
        field("subclusterId", UInt32),
    ],
};

const METADATA: MessageSchema =
    MessageSchema { name: "placementpb.InstanceMetadata", fields: &[field("debugPort", UInt32)] };

const SHARD: MessageSchema = MessageSchema {
    name: "placementpb.Shard",
    fields: &[
        field("id", UInt32),
        field("state", Enum(&super::ShardState::NAMES)),
        field("sourceId", Text),
        field("cutoverNanos", Int64),
        field("cutoffNanos", Int64),
        field("redirectToShardId", UInt32Value),
    ],
};
