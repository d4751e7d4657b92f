//! Topics and node-wide settings: small documents that are stored and shown. Pure.
//!
//! A topic tells a producer which services consume its data. The settings are the keys that
//! operators may write through M3's `kvstore` route.

use serde_json::{Map, Value};

use crate::jsonpb::Kind::{Bool, BoolValue, Double, Enum, Int64, List, Text, Texts, UInt32};
use crate::jsonpb::{Canonical, Kind, MessageSchema, field};
use crate::namespace::REGISTRY;

/// The topic if no `Topic-Name` is given.
pub const TOPIC_DEFAULT: &str = "aggregated_metrics";

/// `POST /api/v1/topic/init`.
pub const INIT_REQUEST: MessageSchema =
    MessageSchema { name: "admin.TopicInitRequest", fields: &[field("numberOfShards", UInt32)] };

/// `POST /api/v1/topic`.
pub const ADD_REQUEST: MessageSchema = MessageSchema {
    name: "admin.TopicAddRequest",
    fields: &[field("consumerService", Kind::MessageSchema(&CONSUMER_SERVICE))],
};

/// `PUT /api/v1/topic`.
pub const UPDATE_REQUEST: MessageSchema = MessageSchema {
    name: "admin.TopicUpdateRequest",
    fields: &[field("consumerServices", List(&CONSUMER_SERVICE)), field("version", Int64)],
};

/// The document in the store.
pub const TOPIC: MessageSchema = MessageSchema {
    name: "topicpb.Topic",
    fields: &[
        field("name", Text),
        field("numberOfShards", UInt32),
        field("consumerServices", List(&CONSUMER_SERVICE)),
    ],
};

const CONSUMER_SERVICE: MessageSchema = MessageSchema {
    name: "topicpb.ConsumerService",
    fields: &[
        field("serviceId", Kind::MessageSchema(&SERVICE_ID)),
        field("consumptionType", Enum(&["UNKNOWN", "SHARED", "REPLICATED"])),
        field("messageTtlNanos", Int64),
        field("filters", Kind::MessageSchema(&FILTERS)),
    ],
};

const SERVICE_ID: MessageSchema = MessageSchema {
    name: "topicpb.ServiceID",
    fields: &[field("name", Text), field("environment", Text), field("zone", Text)],
};

const FILTERS: MessageSchema = MessageSchema {
    name: "topicpb.Filters",
    fields: &[
        field("storagePolicyFilter", Kind::MessageSchema(&STORAGE_POLICY_FILTER)),
        field("percentageFilter", Kind::MessageSchema(&PERCENTAGE_FILTER)),
        field("shardSetFilter", Kind::MessageSchema(&SHARD_SET_FILTER)),
        field("routingPolicyFilter", Kind::MessageSchema(&ROUTING_POLICY_FILTER)),
    ],
};

const STORAGE_POLICY_FILTER: MessageSchema = MessageSchema {
    name: "topicpb.StoragePolicyFilter",
    fields: &[field("storagePolicies", Texts)],
};

const PERCENTAGE_FILTER: MessageSchema =
    MessageSchema { name: "topicpb.PercentageFilter", fields: &[field("percentage", Double)] };

const SHARD_SET_FILTER: MessageSchema =
    MessageSchema { name: "topicpb.ShardSetFilter", fields: &[field("shardSet", Text)] };

const ROUTING_POLICY_FILTER: MessageSchema = MessageSchema {
    name: "topicpb.RoutingPolicyFilter",
    fields: &[field("routingPolicyId", Text), field("isDefault", Bool)],
};

/// `POST /api/v1/kvstore`; `value` is read by the message of the key.
pub const SETTING_REQUEST: MessageSchema = MessageSchema {
    name: "admin.KeyValueUpdate",
    fields: &[field("key", Text), field("value", Kind::Any), field("commit", Bool)],
};

const TEXT_SETTING: MessageSchema =
    MessageSchema { name: "commonpb.StringProto", fields: &[field("value", Text)] };

const INTEGER_SETTING: MessageSchema =
    MessageSchema { name: "commonpb.Int64Proto", fields: &[field("value", Int64)] };

const QUERY_LIMITS: MessageSchema = MessageSchema {
    name: "kvpb.QueryLimits",
    fields: &[
        field("maxRecentlyQueriedSeriesBlocks", Kind::MessageSchema(&QUERY_LIMIT)),
        field("maxRecentlyQueriedSeriesDiskBytesRead", Kind::MessageSchema(&QUERY_LIMIT)),
        field("maxRecentlyQueriedSeriesDiskRead", Kind::MessageSchema(&QUERY_LIMIT)),
        field("maxRecentlyQueriedMetadataRead", Kind::MessageSchema(&QUERY_LIMIT)),
    ],
};

const QUERY_LIMIT: MessageSchema = MessageSchema {
    name: "kvpb.QueryLimit",
    fields: &[
        field("limit", Int64),
        field("lookbackSeconds", Int64),
        field("forceExceeded", BoolValue),
        field("forceWaited", BoolValue),
    ],
};

/// The key of the namespace registry, which the `kvstore` route may write too.
pub const NAMESPACES_SETTING: &str = "m3db.node.namespaces";

/// The message of the setting's value, if M3 knows the setting.
#[must_use]
pub fn setting_message(key: &str) -> Option<&'static MessageSchema> {
    Some(match key {
        NAMESPACES_SETTING => &REGISTRY,
        "m3db.node.encoders-per-block-limit" | "m3db.node.cluster-new-series-insert-limit" => {
            &INTEGER_SETTING
        }
        "m3db.client.write-consistency-level"
        | "m3db.client.read-consistency-level"
        | "m3db.client.bootstrap-consistency-level" => &TEXT_SETTING,
        "m3db.query.limits" => &QUERY_LIMITS,
        _ => return None,
    })
}

/// The service a consumer names, to tell consumers apart.
#[must_use]
pub fn consumer_of(service: &Map<String, Value>) -> Option<&Map<String, Value>> {
    service.object("serviceId").filter(|id| !id.text("name").is_empty())
}
