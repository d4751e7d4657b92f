//! The messages of the namespace routes, with their fields in M3's order.

use crate::jsonpb::Kind::{
    Any, Bool, BoolValue, DoubleValue, Enum, Int32, Int64, List, MapOf, MapOfText, Text, UInt32,
};
use crate::jsonpb::{Field, Kind, Message, field};

/// `POST .../namespace`.
pub const ADD_REQUEST: Message = Message {
    name: "admin.NamespaceAddRequest",
    fields: &[field("name", Text), field("options", Kind::Message(&NAMESPACE_OPTIONS))],
};

/// `PUT .../namespace`.
pub const UPDATE_REQUEST: Message = Message {
    name: "admin.NamespaceUpdateRequest",
    fields: &[field("name", Text), field("options", Kind::Message(&NAMESPACE_OPTIONS))],
};

/// `POST .../namespace/ready`.
pub const READY_REQUEST: Message = Message {
    name: "admin.NamespaceReadyRequest",
    fields: &[field("name", Text), field("force", Bool)],
};

/// The document in the store.
pub(crate) const REGISTRY: Message = Message {
    name: "namespace.Registry",
    fields: &[field("namespaces", MapOf(&NAMESPACE_OPTIONS))],
};

/// The options of a namespace.
pub const NAMESPACE_OPTIONS: Message = Message {
    name: "namespace.NamespaceOptions",
    fields: &[
        field("bootstrapEnabled", Bool),
        field("flushEnabled", Bool),
        field("writesToCommitLog", Bool),
        field("cleanupEnabled", Bool),
        field("repairEnabled", Bool),
        field("retentionOptions", Kind::Message(&RETENTION_OPTIONS)),
        field("snapshotEnabled", Bool),
        field("indexOptions", Kind::Message(&INDEX_OPTIONS)),
        field("schemaOptions", Kind::Message(&SCHEMA_OPTIONS)),
        field("coldWritesEnabled", Bool),
        field("runtimeOptions", Kind::Message(&RUNTIME_OPTIONS)),
        field("cacheBlocksOnRetrieve", BoolValue),
        field("aggregationOptions", Kind::Message(&AGGREGATION_OPTIONS)),
        field("stagingState", Kind::Message(&STAGING_STATE)),
        field("extendedOptions", Kind::Message(&EXTENDED_OPTIONS)),
    ],
};

const RETENTION_OPTIONS: Message = Message {
    name: "namespace.RetentionOptions",
    fields: &[
        field("retentionPeriodNanos", Int64),
        field("blockSizeNanos", Int64),
        field("bufferFutureNanos", Int64),
        field("bufferPastNanos", Int64),
        field("blockDataExpiry", Bool),
        field("blockDataExpiryAfterNotAccessPeriodNanos", Int64),
        field("futureRetentionPeriodNanos", Int64),
    ],
};

const INDEX_OPTIONS: Message = Message {
    name: "namespace.IndexOptions",
    fields: &[field("enabled", Bool), field("blockSizeNanos", Int64)],
};

const RUNTIME_OPTIONS: Message = Message {
    name: "namespace.NamespaceRuntimeOptions",
    fields: &[
        field("writeIndexingPerCPUConcurrency", DoubleValue),
        field("flushIndexingPerCPUConcurrency", DoubleValue),
    ],
};

const AGGREGATION_OPTIONS: Message = Message {
    name: "namespace.AggregationOptions",
    fields: &[field("aggregations", List(&AGGREGATION))],
};

const AGGREGATION: Message = Message {
    name: "namespace.Aggregation",
    fields: &[
        field("aggregated", Bool),
        field("attributes", Kind::Message(&AGGREGATED_ATTRIBUTES)),
    ],
};

const AGGREGATED_ATTRIBUTES: Message = Message {
    name: "namespace.AggregatedAttributes",
    fields: &[
        field("resolutionNanos", Int64),
        field("downsampleOptions", Kind::Message(&DOWNSAMPLE_OPTIONS)),
    ],
};

const DOWNSAMPLE_OPTIONS: Message =
    Message { name: "namespace.DownsampleOptions", fields: &[field("all", Bool)] };

const STAGING_STATE: Message = Message {
    name: "namespace.StagingState",
    fields: &[field("status", Enum(&super::StagingStatus::NAMES))],
};

const EXTENDED_OPTIONS: Message = Message {
    name: "namespace.ExtendedOptions",
    fields: &[field("type", Text), field("options", Any)],
};

const SCHEMA_OPTIONS: Message = Message {
    name: "namespace.SchemaOptions",
    fields: &[field("history", Kind::Message(&SCHEMA_HISTORY)), field("defaultMessageName", Text)],
};

const SCHEMA_HISTORY: Message = Message {
    name: "namespace.SchemaHistory",
    fields: &[field("versions", List(&FILE_DESCRIPTOR_SET))],
};

const FILE_DESCRIPTOR_SET: Message = Message {
    name: "namespace.FileDescriptorSet",
    fields: &[
        field("deployId", Text),
        field("prevId", Text),
        field("descriptors", Kind::Texts),
        field("sources", MapOfText),
    ],
};

/// `POST /api/v1/database/create`.
pub const CREATE_REQUEST: Message =
    Message { name: "admin.DatabaseCreateRequest", fields: CREATE_FIELDS };

const CREATE_FIELDS: &[Field] = &[
    field("namespaceName", Text),
    field("type", Text),
    field("retentionTime", Text),
    field("numShards", Int32),
    field("replicationFactor", Int32),
    field("blockSize", Kind::Message(&BLOCK_SIZE)),
    field("hosts", List(&HOST)),
    field("aggregatedNamespace", Kind::Message(&AGGREGATED_NAMESPACE)),
];

const BLOCK_SIZE: Message = Message {
    name: "admin.BlockSize",
    fields: &[field("time", Text), field("expectedSeriesDatapointsPerHour", Int64)],
};

const HOST: Message = Message {
    name: "admin.Host",
    fields: &[
        field("id", Text),
        field("address", Text),
        field("port", UInt32),
        field("isolationGroup", Text),
        field("zone", Text),
        field("weight", UInt32),
    ],
};

const AGGREGATED_NAMESPACE: Message = Message {
    name: "admin.AggregatedNamespace",
    fields: &[field("name", Text), field("resolution", Text), field("retentionTime", Text)],
};
