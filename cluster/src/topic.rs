//! Topics and node-wide settings: small documents that are stored and shown. Pure.
//!
//! A topic tells a producer which services consume its data. The settings are the keys that
//! operators may write through M3's `kvstore` route.

use serde_json::{Map, Value};

use crate::jsonpb::Kind::{Bool, BoolValue, Double, Enum, Int64, List, Text, Texts, UInt32};
use crate::jsonpb::{Canonical, Kind, Message, field};
use crate::namespace::REGISTRY;

/// The topic if no `Topic-Name` is given.
pub const TOPIC_DEFAULT: &str = "aggregated_metrics";

/// `POST /api/v1/topic/init`.
pub const INIT_REQUEST: Message =
    Message { name: "admin.TopicInitRequest", fields: &[field("numberOfShards", UInt32)] };

/// `POST /api/v1/topic`.
pub const ADD_REQUEST: Message = Message {
    name: "admin.TopicAddRequest",
    fields: &[field("consumerService", Kind::Message(&CONSUMER_SERVICE))],
};

/// `PUT /api/v1/topic`.
pub const UPDATE_REQUEST: Message = Message {
    name: "admin.TopicUpdateRequest",
    fields: &[field("consumerServices", List(&CONSUMER_SERVICE)), field("version", Int64)],
};

/// The document in the store.
pub const TOPIC: Message = Message {
    name: "topicpb.Topic",
    fields: &[
        field("name", Text),
        field("numberOfShards", UInt32),
        field("consumerServices", List(&CONSUMER_SERVICE)),
    ],
};

const CONSUMER_SERVICE: Message = Message {
    name: "topicpb.ConsumerService",
    fields: &[
        field("serviceId", Kind::Message(&SERVICE_ID)),
        field("consumptionType", Enum(&["UNKNOWN", "SHARED", "REPLICATED"])),
        field("messageTtlNanos", Int64),
        field("filters", Kind::Message(&FILTERS)),
    ],
};

const SERVICE_ID: Message = Message {
    name: "topicpb.ServiceID",
    fields: &[field("name", Text), field("environment", Text), field("zone", Text)],
};

const FILTERS: Message = Message {
    name: "topicpb.Filters",
    fields: &[
        field("storagePolicyFilter", Kind::Message(&STORAGE_POLICY_FILTER)),
        field("percentageFilter", Kind::Message(&PERCENTAGE_FILTER)),
        field("shardSetFilter", Kind::Message(&SHARD_SET_FILTER)),
        field("routingPolicyFilter", Kind::Message(&ROUTING_POLICY_FILTER)),
    ],
};

const STORAGE_POLICY_FILTER: Message =
    Message { name: "topicpb.StoragePolicyFilter", fields: &[field("storagePolicies", Texts)] };

const PERCENTAGE_FILTER: Message =
    Message { name: "topicpb.PercentageFilter", fields: &[field("percentage", Double)] };

const SHARD_SET_FILTER: Message =
    Message { name: "topicpb.ShardSetFilter", fields: &[field("shardSet", Text)] };

const ROUTING_POLICY_FILTER: Message = Message {
    name: "topicpb.RoutingPolicyFilter",
    fields: &[field("routingPolicyId", Text), field("isDefault", Bool)],
};

/// `POST /api/v1/kvstore`; `value` is read by the message of the key.
pub const SETTING_REQUEST: Message = Message {
    name: "admin.KeyValueUpdate",
    fields: &[field("key", Text), field("value", Kind::Any), field("commit", Bool)],
};

const TEXT_SETTING: Message =
    Message { name: "commonpb.StringProto", fields: &[field("value", Text)] };

const INTEGER_SETTING: Message =
    Message { name: "commonpb.Int64Proto", fields: &[field("value", Int64)] };

const QUERY_LIMITS: Message = Message {
    name: "kvpb.QueryLimits",
    fields: &[
        field("maxRecentlyQueriedSeriesBlocks", Kind::Message(&QUERY_LIMIT)),
        field("maxRecentlyQueriedSeriesDiskBytesRead", Kind::Message(&QUERY_LIMIT)),
        field("maxRecentlyQueriedSeriesDiskRead", Kind::Message(&QUERY_LIMIT)),
        field("maxRecentlyQueriedMetadataRead", Kind::Message(&QUERY_LIMIT)),
    ],
};

const QUERY_LIMIT: Message = Message {
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
pub fn setting_message(key: &str) -> Option<&'static Message> {
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
