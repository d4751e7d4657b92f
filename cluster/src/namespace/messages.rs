//! The messages of the namespace routes, with their fields in M3's order.

use crate::jsonpb::Kind::{
    Any, Bool, BoolValue, DoubleValue, Enum, Int32, Int64, List, MapOf, MapOfText, Text, UInt32,
};
use crate::jsonpb::{Field, Kind, MessageSchema, field};

/// `POST .../namespace`.
pub const ADD_REQUEST: MessageSchema = MessageSchema {
    name: "admin.NamespaceAddRequest",
    fields: &[field("name", Text), field("options", Kind::MessageSchema(&NAMESPACE_OPTIONS))],
};

/// `PUT .../namespace`.
pub const UPDATE_REQUEST: MessageSchema = MessageSchema {
    name: "admin.NamespaceUpdateRequest",
    fields: &[field("name", Text), field("options", Kind::MessageSchema(&NAMESPACE_OPTIONS))],
};

/// `POST .../namespace/ready`.
pub const READY_REQUEST: MessageSchema = MessageSchema {
    name: "admin.NamespaceReadyRequest",
    fields: &[field("name", Text), field("force", Bool)],
};

/// The document in the store.
pub(crate) const REGISTRY: MessageSchema = MessageSchema {
    name: "namespace.Registry",
    fields: &[field("namespaces", MapOf(&NAMESPACE_OPTIONS))],
};

/// The options of a namespace.
pub const NAMESPACE_OPTIONS: MessageSchema = MessageSchema {
    name: "namespace.NamespaceOptions",
    fields: &[
        field("bootstrapEnabled", Bool),
        field("flushEnabled", Bool),
        field("writesToCommitLog", Bool),
        field("cleanupEnabled", Bool),
        field("repairEnabled", Bool),
        field("retentionOptions", Kind::MessageSchema(&RETENTION_OPTIONS)),
        field("snapshotEnabled", Bool),
        field("indexOptions", Kind::MessageSchema(&INDEX_OPTIONS)),
        field("schemaOptions", Kind::MessageSchema(&SCHEMA_OPTIONS)),
        field("coldWritesEnabled", Bool),
        field("runtimeOptions", Kind::MessageSchema(&RUNTIME_OPTIONS)),
        field("cacheBlocksOnRetrieve", BoolValue),
        field("aggregationOptions", Kind::MessageSchema(&AGGREGATION_OPTIONS)),
        field("stagingState", Kind::MessageSchema(&STAGING_STATE)),
        field("extendedOptions", Kind::MessageSchema(&EXTENDED_OPTIONS)),
    ],
};

const RETENTION_OPTIONS: MessageSchema = MessageSchema {
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

const INDEX_OPTIONS: MessageSchema = MessageSchema {
    name: "namespace.IndexOptions",
    fields: &[field("enabled", Bool), field("blockSizeNanos", Int64)],
};

const RUNTIME_OPTIONS: MessageSchema = MessageSchema {
    name: "namespace.NamespaceRuntimeOptions",
    fields: &[
        field("writeIndexingPerCPUConcurrency", DoubleValue),
        field("flushIndexingPerCPUConcurrency", DoubleValue),
    ],
};

const AGGREGATION_OPTIONS: MessageSchema = MessageSchema {
    name: "namespace.AggregationOptions",
    fields: &[field("aggregations", List(&AGGREGATION))],
};

const AGGREGATION: MessageSchema = MessageSchema {
    name: "namespace.Aggregation",
    fields: &[
        field("aggregated", Bool),
        field("attributes", Kind::MessageSchema(&AGGREGATED_ATTRIBUTES)),
    ],
};

const AGGREGATED_ATTRIBUTES: MessageSchema = MessageSchema {
    name: "namespace.AggregatedAttributes",
    fields: &[
        field("resolutionNanos", Int64),
        field("downsampleOptions", Kind::MessageSchema(&DOWNSAMPLE_OPTIONS)),
    ],
};

const DOWNSAMPLE_OPTIONS: MessageSchema =
    MessageSchema { name: "namespace.DownsampleOptions", fields: &[field("all", Bool)] };

const STAGING_STATE: MessageSchema = MessageSchema {
    name: "namespace.StagingState",
    fields: &[field("status", Enum(&super::StagingStatus::NAMES))],
};

const EXTENDED_OPTIONS: MessageSchema = MessageSchema {
    name: "namespace.ExtendedOptions",
    fields: &[field("type", Text), field("options", Any)],
};

const SCHEMA_OPTIONS: MessageSchema = MessageSchema {
    name: "namespace.SchemaOptions",
    fields: &[
        field("history", Kind::MessageSchema(&SCHEMA_HISTORY)),
        field("defaultMessageName", Text),
    ],
};

const SCHEMA_HISTORY: MessageSchema = MessageSchema {
    name: "namespace.SchemaHistory",
    fields: &[field("versions", List(&FILE_DESCRIPTOR_SET))],
};

const FILE_DESCRIPTOR_SET: MessageSchema = MessageSchema {
    name: "namespace.FileDescriptorSet",
    fields: &[
        field("deployId", Text),
        field("prevId", Text),
        field("descriptors", Kind::Texts),
        field("sources", MapOfText),
    ],
};

/// `POST /api/v1/database/create`.
pub const CREATE_REQUEST: MessageSchema =
    MessageSchema { name: "admin.DatabaseCreateRequest", fields: CREATE_FIELDS };

const CREATE_FIELDS: &[Field] = &[
    field("namespaceName", Text),
    field("type", Text),
    field("retentionTime", Text),
    field("numShards", Int32),
    field("replicationFactor", Int32),
    field("blockSize", Kind::MessageSchema(&BLOCK_SIZE)),
    field("hosts", List(&HOST)),
    field("aggregatedNamespace", Kind::MessageSchema(&AGGREGATED_NAMESPACE)),
];

const BLOCK_SIZE: MessageSchema = MessageSchema {
    name: "admin.BlockSize",
    fields: &[field("time", Text), field("expectedSeriesDatapointsPerHour", Int64)],
};

const HOST: MessageSchema = MessageSchema {
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

const AGGREGATED_NAMESPACE: MessageSchema = MessageSchema {
    name: "admin.AggregatedNamespace",
    fields: &[field("name", Text), field("resolution", Text), field("retentionTime", Text)],
};
