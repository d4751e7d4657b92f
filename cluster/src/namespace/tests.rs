//! Rules of namespaces that M3's recorded answers do not cover.

use serde_json::{Value, json};

use super::{
    ADD_REQUEST, Aggregation, CREATE_REQUEST, CreateRequest, NamespaceOptions, Registry,
    UPDATE_REQUEST,
};
use crate::jsonpb::{self, Canonical};

const HOUR: i64 = 3_600_000_000_000;

fn options(given: Value) -> Result<NamespaceOptions, String> {
    let request = json!({ "name": "x", "options": given });
    let request = jsonpb::durations_to_nanos(request).map_err(|error| error.to_string())?;
    let request = jsonpb::read(&request, &ADD_REQUEST).map_err(|error| error.to_string())?;
    let options = NamespaceOptions::from_canonical(request.object("options").unwrap())
        .map_err(|error| error.to_string())?;
    options.check().map(|()| options).map_err(|error| error.to_string())
}

fn create(given: &Value) -> Result<CreateRequest, String> {
    let request = jsonpb::read(given, &CREATE_REQUEST).map_err(|error| error.to_string())?;
    CreateRequest::from_canonical(&request).map_err(|error| error.to_string())
}

#[test]
fn block_size_follows_retention() {
    let cases = [
        ("1h", 0.5),
        ("12h", 0.5),
        ("12h1s", 1.0),
        ("24h", 1.0),
        ("48h", 2.0),
        ("168h", 2.0),
        ("720h", 12.0),
        ("721h", 24.0),
        ("87600h", 24.0),
    ];
    for (retention, hours) in cases {
        let request = create(&json!({ "namespaceName": "x", "retentionTime": retention })).unwrap();
        let options = &request.namespaces[0].options;
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let want = (hours * HOUR as f64) as i64;
        assert_eq!(options.retention.block_size_ns, want, "{retention}");
        assert_eq!(options.index.block_size_ns, want);
    }
    let cases =
        [(1_i64, 24 * HOUR), (30, 24 * HOUR), (100, 7 * HOUR + HOUR / 6), (10_000, HOUR / 2)];
    for (per_hour, want) in cases {
        let given = json!({ "namespaceName": "x", "retentionTime": "48h",
            "blockSize": { "expectedSeriesDatapointsPerHour": per_hour } });
        let size = create(&given).unwrap().namespaces[0].options.retention.block_size_ns;
        assert_eq!(size, want, "{per_hour} samples an hour");
    }
}

#[test]
fn create_says_what_is_missing() {
    let aggregated = |given: Value| {
        create(&json!({ "namespaceName": "x", "aggregatedNamespace": given })).unwrap_err()
    };
    assert_eq!(aggregated(json!({})), "name required when aggregatedNamespace is set");
    assert_eq!(
        aggregated(json!({ "name": "a", "resolution": "1m" })),
        "retention_time required when aggregatedNamespace is set"
    );
    let bad = create(&json!({ "namespaceName": "x", "retentionTime": "soon" })).unwrap_err();
    assert_eq!(bad, "invalid retention time: time: invalid duration \"soon\"");
    let host = json!({ "namespaceName": "x", "hosts": [{ "id": " " }] });
    assert_eq!(create(&host).unwrap_err(), "missing host ID");
}

#[test]
fn options_read_back_as_they_were_written() {
    let given = json!({ "bootstrapEnabled": true, "coldWritesEnabled": true,
        "cacheBlocksOnRetrieve": true,
        "retentionOptions": { "retentionPeriodDuration": "720h", "blockSizeDuration": "12h",
            "bufferPastDuration": "1h", "bufferFutureDuration": "1h",
            "futureRetentionPeriodDuration": "2h", "blockDataExpiry": true,
            "blockDataExpiryAfterNotAccessPeriodDuration": "5m" },
        "indexOptions": { "enabled": true, "blockSizeDuration": "12h" },
        "runtimeOptions": { "writeIndexingPerCPUConcurrency": 0.5 },
        "aggregationOptions": { "aggregations": [{ "aggregated": true, "attributes": {
            "resolutionDuration": "5m", "downsampleOptions": { "all": false } } }] },
        "stagingState": { "status": "INITIALIZING" } });
    let options = options(given).unwrap();
    assert_eq!(
        options.aggregations,
        Some(vec![Aggregation::Aggregated { resolution_ns: HOUR / 12, downsample_all: false }])
    );
    assert_eq!(options.aggregated(), Some((HOUR / 12, false)));
    let mut registry = Registry::default();
    registry.add("x", options).unwrap();
    let shown = registry.to_json();
    assert_eq!(Registry::from_json(&shown).unwrap(), registry);
    let text = Registry::from_json(&shown).unwrap().to_json().to_string();
    assert_eq!(text, shown.to_string());
}

#[test]
fn broken_rules_are_named() {
    let retention = |period: &str, block: &str| {
        json!({ "retentionPeriodDuration": period, "blockSizeDuration": block,
            "bufferPastDuration": "10m", "bufferFutureDuration": "2m" })
    };
    let index = |block: &str| json!({ "enabled": true, "blockSizeDuration": block });
    let cases = [
        (json!({ "retentionOptions": retention("48h", "0s") }), "block size must positive"),
        (
            json!({ "retentionOptions": retention("48h", "2h"), "indexOptions": index("0s") }),
            "index block size must positive",
        ),
        (
            json!({ "retentionOptions": retention("48h", "2h"), "indexOptions": index("50h") }),
            "index block size needs to be <= namespace retention period",
        ),
        (
            json!({ "retentionOptions": retention("48h", "2h"), "indexOptions": index("3h") }),
            "index block size must be a multiple of data block size",
        ),
    ];
    for (given, words) in cases {
        assert_eq!(options(given).unwrap_err(), format!("bad namespace metadata: {words}"));
    }
    let disabled = json!({ "retentionOptions": retention("48h", "2h"),
        "indexOptions": { "enabled": false, "blockSizeDuration": "7h" } });
    let disabled = options(disabled).expect("what a store holds of an index that is off");
    let refused = Registry::default().add("x", disabled).unwrap_err().to_string();
    assert_eq!(refused, "index and retention block size must match (2h0m0s, 7h0m0s)");
}

#[test]
fn updates_change_only_what_may_change() {
    let mut registry = Registry::default();
    let unaggregated = create(&json!({ "namespaceName": "a" })).unwrap().namespaces.remove(0);
    registry.add("a", unaggregated.options).unwrap();
    let with_aggregate = json!({ "namespaceName": "b", "aggregatedNamespace":
        { "name": "agg", "resolution": "1m", "retentionTime": "720h" } });
    for namespace in create(&with_aggregate).unwrap().namespaces {
        registry.add(&namespace.name, namespace.options).unwrap();
    }
    let update = |registry: &mut Registry, options: Value| {
        let request = json!({ "name": "a", "options": options });
        let request = jsonpb::durations_to_nanos(request).unwrap();
        let request = jsonpb::read(&request, &UPDATE_REQUEST).unwrap();
        registry.update(&request).map_err(|error| error.to_string())
    };
    let refused = "unable to validate update request: ";
    assert_eq!(
        update(&mut registry, json!({})).unwrap_err(),
        format!("{refused}update options cannot be empty")
    );
    assert_eq!(
        update(&mut registry, json!({ "indexOptions": { "enabled": true } })).unwrap_err(),
        format!("{refused}IndexOptions: namespace option field is immutable")
    );
    let runtime = json!({ "runtimeOptions": { "flushIndexingPerCPUConcurrency": 2 } });
    update(&mut registry, runtime).unwrap();
    let runtime = json!({ "runtimeOptions": { "writeIndexingPerCPUConcurrency": 1 } });
    update(&mut registry, runtime).unwrap();
    assert_eq!(
        registry.namespaces["a"].options_text("runtimeOptions"),
        r#"{"writeIndexingPerCPUConcurrency":1,"flushIndexingPerCPUConcurrency":2}"#
    );
    let too_short = json!({ "retentionOptions": { "retentionPeriodDuration": "1m" } });
    let error = update(&mut registry.clone(), too_short).unwrap_err();
    assert_eq!(
        error,
        "error constructing new metadata: unable to validate options: retention period must not \
         be smaller than block size"
    );
    let same_policy = json!({ "retentionOptions": { "retentionPeriodDuration": "720h" },
        "aggregationOptions": { "aggregations":
            [{ "aggregated": true, "attributes": { "resolutionDuration": "1m" } }] } });
    let error = update(&mut registry.clone(), same_policy).unwrap_err();
    assert_eq!(
        error,
        "resolution and retention combination must be unique. namespace with resolution=1m0s \
         retention=720h0m0s already exists"
    );
}

impl NamespaceOptions {
    fn options_text(&self, field: &str) -> String {
        self.to_canonical()[field].to_string()
    }
}

#[test]
fn names_that_cannot_be_files_are_refused() {
    let options = create(&json!({ "namespaceName": "a" })).unwrap().namespaces.remove(0).options;
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", &long] {
        let mut registry = Registry::default();
        assert!(registry.add(name, options.clone()).is_err(), "{name:?}");
        assert!(registry.namespaces.is_empty());
    }
    let mut registry = Registry::default();
    for name in ["default", "metrics_10s:2d", "\u{e9}t\u{e9}", "..."] {
        registry.add(name, options.clone()).unwrap();
    }
}
