//! The admin routes as their clients see them: they must answer as M3 does.
//!
//! `tests-data/` holds the answers of a real M3DB. The lines for admin routes are played in order
//! against an empty store.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};

use super::{AdminReply, AdminRequest, AdminRoute, Service, handle};
use crate::kv::Kv;
use crate::kv::memory::MemoryKv;
use crate::namespace::Registry;
use m3_metric::limits::ADMIN_BODY_BYTES_MAX;

/// Runs a future that never waits, such as one over a store in memory.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a store in memory answers at once"),
    }
}

fn ask(kv: &MemoryKv, request: AdminRequest) -> AdminReply {
    ready(handle(kv, request, 1_700_000_000_000_000_000))
}

fn send(kv: &MemoryKv, method: &str, target: &str, body: &str) -> (u16, Value) {
    let line = json!({ "method": method, "path": target, "body": body });
    let reply = ask(kv, request_of(&line).expect("an admin route"));
    let document = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
    (reply.status, document)
}

/// The request of a recorded line, if it is for an admin route.
fn request_of(line: &Value) -> Option<AdminRequest> {
    let method = line["method"].as_str().unwrap_or("GET");
    let target = line["path"].as_str()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (route, id) = route_of(method, path)?;
    let none = serde_json::Map::new();
    let headers = line["headers"].as_object().unwrap_or(&none);
    let headers: Vec<(String, &str)> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap_or("")))
        .collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
    let mut request = AdminRequest::new(route).with_headers(headers);
    request.id = id;
    request.params = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    request.body = line["body"].as_str().unwrap_or("").as_bytes().to_vec();
    Some(request)
}

fn route_of(method: &str, path: &str) -> Option<(AdminRoute, Option<String>)> {
    let rest = path.strip_prefix("/api/v1/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let route = match (method, parts.as_slice()) {
        ("POST", ["database", "create"] | ["database", "namespace", "create"]) => {
            AdminRoute::DatabaseCreate
        }
        ("GET", ["services", "m3db", "namespace"]) => AdminRoute::NamespaceGet,
        ("POST", ["services", "m3db", "namespace"]) => AdminRoute::NamespaceAdd,
        ("PUT", ["services", "m3db", "namespace"]) => AdminRoute::NamespaceUpdate,
        ("POST", ["services", "m3db", "namespace", "ready"]) => AdminRoute::NamespaceReady,
        ("DELETE", ["services", "m3db", "namespace", id]) => {
            return Some((AdminRoute::NamespaceDelete, Some((*id).to_string())));
        }
        ("DELETE", ["services", "m3db", "schema"]) => AdminRoute::SchemaDelete,
        (_, ["services", service, "placement", rest @ ..]) => {
            return placement_route(method, service, rest);
        }
        ("GET", ["topic"]) => AdminRoute::TopicGet,
        ("POST", ["topic", "init"]) => AdminRoute::TopicInit,
        ("POST", ["topic"]) => AdminRoute::TopicAdd,
        ("PUT", ["topic"]) => AdminRoute::TopicUpdate,
        ("DELETE", ["topic"]) => AdminRoute::TopicDelete,
        ("POST", ["kvstore"]) => AdminRoute::KvStore,
        _ => return None,
    };
    Some((route, None))
}

fn placement_route(
    method: &str,
    service: &str,
    rest: &[&str],
) -> Option<(AdminRoute, Option<String>)> {
    let service = match service {
        "m3db" => Service::M3db,
        "m3aggregator" => Service::M3aggregator,
        "m3coordinator" => Service::M3coordinator,
        _ => return None,
    };
    let route = match (method, rest) {
        ("GET", []) => AdminRoute::PlacementGet(service),
        ("POST", []) => AdminRoute::PlacementAdd(service),
        ("DELETE", []) => AdminRoute::PlacementDeleteAll(service),
        ("POST", ["init"]) => AdminRoute::PlacementInit(service),
        ("POST", ["set"]) => AdminRoute::PlacementSet(service),
        ("POST", ["remove"]) => AdminRoute::PlacementRemove(service),
        ("POST", ["replace"]) => AdminRoute::PlacementReplace(service),
        ("DELETE", [id]) => {
            let route = AdminRoute::PlacementDeleteOne(service);
            return Some((route, Some((*id).to_string())));
        }
        _ => return None,
    };
    Some((route, None))
}

/// Where `ours` differs from `theirs`, if it does. `"*"` in theirs stands for any value; with
/// `more`, ours may have additional fields.
fn difference(at: &str, theirs: &Value, ours: &Value, more: bool) -> Option<String> {
    match (theirs, ours) {
        (Value::String(wild), _) if wild == "*" => None,
        (Value::Object(theirs), Value::Object(ours)) => {
            for (name, theirs) in theirs {
                let at = format!("{at}.{name}");
                match ours.get(name) {
                    Some(ours) => {
                        let found = difference(&at, theirs, ours, more);
                        if found.is_some() {
                            return found;
                        }
                    }
                    None => return Some(format!("{at} is missing")),
                }
            }
            let extra = ours.keys().find(|name| !more && !theirs.contains_key(*name));
            extra.map(|name| format!("{at}.{name} is not in M3's answer"))
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            let pairs = theirs.iter().zip(ours).enumerate();
            let mut found =
                pairs.filter_map(|(i, (a, b))| difference(&format!("{at}[{i}]"), a, b, more));
            found.next()
        }
        _ if theirs == ours => None,
        _ => Some(format!("{at}: M3 {theirs}, ours {ours}")),
    }
}

/// Why our answer to a recorded line is wrong, if it is.
fn judge(line: &Value, reply: &AdminReply) -> Option<String> {
    let theirs = &line["answer"];
    let compare = line["compare"].as_str().unwrap_or("exact");
    if compare == "none" {
        return None;
    }
    if theirs["status"] != reply.status {
        return Some(format!("status: M3 {}, ours {}", theirs["status"], reply.status));
    }
    if compare == "status" {
        return None;
    }
    let content_type = theirs["headers"]["content-type"].as_str().unwrap_or("");
    if content_type != reply.content_type {
        return Some(format!("content type: M3 {content_type}, ours {}", reply.content_type));
    }
    if theirs.get("json").is_none() {
        return (theirs["text"].as_str().unwrap_or("") != reply.body)
            .then(|| format!("body: ours {}", reply.body));
    }
    if !reply.body.ends_with('\n') {
        return Some("the body does not end with a newline".to_string());
    }
    match serde_json::from_str(&reply.body) {
        Ok(ours) => difference("$", &theirs["json"], &ours, compare == "error"),
        Err(error) => Some(format!("the body is not JSON: {error}")),
    }
}

#[test]
fn answers_as_a_real_m3_did() {
    let kv = MemoryKv::default();
    let (mut played, mut wrong) = (0, Vec::new());
    for file in [
        include_str!("../../tests-data/1-walk.jsonl"),
        include_str!("../../tests-data/2-admin.jsonl"),
    ] {
        for line in file.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let Some(request) = request_of(&line) else { continue };
            let reply = ask(&kv, request);
            played += 1;
            if let Some(why) = judge(&line, &reply) {
                wrong.push(format!("{}: {why}", line["name"]));
            }
            // We accept snake_case here, which M3 does not; the lists that follow were recorded
            // without it.
            if line["name"] == "ns add snake" {
                assert_eq!(reply.status, 200);
                assert_eq!(send(&kv, "DELETE", "/api/v1/services/m3db/namespace/beta", "").0, 200);
            }
        }
    }
    println!("{} of {played} lines as M3", played - wrong.len());
    assert_eq!(wrong, Vec::<String>::new());
    assert!(played >= 85, "only {played} lines were found");
}

#[test]
fn on_purpose_differences() {
    let kv = MemoryKv::default();
    let create = r#"{"namespaceName":"default","retentionTime":"48h"}"#;
    assert_eq!(send(&kv, "POST", "/api/v1/database/create", create).0, 200);
    let (status, answer) = send(&kv, "GET", "/api/v1/services/m3db/namespace?debug=true", "");
    assert_eq!(status, 200);
    let retention = &answer["registry"]["namespaces"]["default"]["retentionOptions"];
    assert_eq!(retention["retentionPeriodDuration"], "48h0m0s");

    let placement = "/api/v1/services/m3db/placement";
    let (status, answer) = send(&kv, "GET", &format!("{placement}?version=99"), "");
    assert_eq!((status, &answer["error"]), (404, &json!("placement does not exist")));
    assert_eq!(send(&kv, "GET", &format!("{placement}?version=2"), "").1["version"], 2);

    let snake = r#"{"name":"beta","options":{"bootstrap_enabled":true,"retention_options":
        {"retention_period_nanos":172800000000000,"block_size_nanos":"7200000000000",
         "buffer_future_nanos":"600000000000","buffer_past_nanos":"600000000000"}}}"#;
    let (status, answer) = send(&kv, "POST", "/api/v1/services/m3db/namespace", snake);
    assert_eq!(status, 200, "{answer}");
    let beta = &answer["registry"]["namespaces"]["beta"];
    assert_eq!(beta["bootstrapEnabled"], true);
    assert_eq!(beta["retentionOptions"]["retentionPeriodNanos"], "172800000000000");
    assert_eq!(beta["indexOptions"]["blockSizeNanos"], "7200000000000");

    let (status, answer) = send(&kv, "POST", "/api/v1/database/create", "{\n \"a\" 1}");
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("line 2 column 6"), "{answer}");

    let unknown = r#"{"key":"nosuch","value":{},"commit":true}"#;
    assert_eq!(send(&kv, "POST", "/api/v1/kvstore", unknown).0, 400);
    let topic = r#"{"numberOfShards":64}"#;
    assert_eq!(send(&kv, "POST", "/api/v1/topic/init", topic).0, 200);
    assert_eq!(send(&kv, "POST", "/api/v1/topic/init", topic).0, 409);
    let stale = r#"{"consumerServices":[],"version":7}"#;
    assert_eq!(send(&kv, "PUT", "/api/v1/topic", stale).0, 409);
    assert_eq!(send(&kv, "DELETE", "/api/v1/topic", "").0, 200);
    assert_eq!(send(&kv, "DELETE", "/api/v1/topic", "").0, 404);
}

#[test]
fn tells_the_node_when_namespaces_change() {
    let kv = MemoryKv::default();
    let create = json!({ "method": "POST", "path": "/api/v1/database/create",
        "body": r#"{"namespaceName":"default","retentionTime":"12h"}"# });
    assert!(ask(&kv, request_of(&create).unwrap()).changed);
    assert!(!ask(&kv, request_of(&create).unwrap()).changed, "a refused request changes nothing");
    let ready_body = json!({ "method": "POST", "path": "/api/v1/services/m3db/namespace/ready",
        "body": r#"{"name":"default"}"# });
    assert!(ask(&kv, request_of(&ready_body).unwrap()).changed);
    assert!(!ask(&kv, request_of(&ready_body).unwrap()).changed, "it was ready before");

    let loaded = ready(Registry::load(&kv)).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].name, "default");
    assert_eq!(loaded[0].options.retention.period_ns, 12 * 3_600_000_000_000);

    let mut elsewhere = create.clone();
    elsewhere["headers"] = json!({ "Cluster-Environment-Name": "other" });
    let reply = ask(&kv, request_of(&elsewhere).unwrap());
    assert_eq!(reply.status, 200, "another environment has namespaces of its own");
    assert!(!reply.changed, "the node does not serve them");
    assert_eq!(ready(Registry::load(&kv)).unwrap().len(), 1);
}

#[test]
fn a_refused_create_leaves_no_placement() {
    let kv = MemoryKv::default();
    let body = r#"{"type":"local","namespaceName":"tiny","retentionTime":"10m"}"#;
    assert_eq!(send(&kv, "POST", "/api/v1/database/create", body).0, 400);
    assert_eq!(send(&kv, "GET", "/api/v1/services/m3db/placement", "").0, 404);
    assert_eq!(ready(kv.list("")).unwrap(), vec![]);
}

#[test]
fn creates_the_cluster_of_the_documentation() {
    let kv = MemoryKv::default();
    let host = |n: u32| {
        json!({ "id": format!("m3db00{n}"), "isolationGroup": format!("us-east1-{n}"),
            "zone": "embedded", "weight": 100, "address": format!("10.142.0.{n}"), "port": 9000 })
    };
    let mut body = json!({ "type": "cluster", "namespaceName": "default", "retentionTime": "48h",
        "numShards": "1024", "replicationFactor": "3", "hosts": [host(1), host(2), host(3)] });
    let create = "/api/v1/database/create";
    let (status, answer) = send(&kv, "POST", create, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    let placement = &answer["placement"]["placement"];
    assert_eq!((&placement["numShards"], &placement["replicaFactor"]), (&json!(1024), &json!(3)));
    let shards = placement["instances"]["m3db002"]["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 1024);
    assert_eq!(placement["instances"]["m3db002"]["endpoint"], "10.142.0.2:9000");

    body["namespaceName"] = json!("second");
    assert_eq!(send(&kv, "POST", create, &body.to_string()).0, 200, "the same hosts are fine");
    body["namespaceName"] = json!("third");
    body["hosts"][0]["weight"] = json!(7);
    assert_eq!(send(&kv, "POST", create, &body.to_string()).0, 400, "other hosts are not");
    body["hosts"] = json!([]);
    assert_eq!(send(&kv, "POST", create, &body.to_string()).0, 200, "without hosts they stay");

    let not_ready = r#"{"name":"third"}"#;
    let (status, answer) = send(&kv, "POST", "/api/v1/services/m3db/namespace/ready", not_ready);
    assert_eq!(status, 500);
    assert!(answer["error"].as_str().unwrap().starts_with("namepace third not yet ready, err:"));
    let forced = r#"{"name":"third","force":true}"#;
    assert_eq!(send(&kv, "POST", "/api/v1/services/m3db/namespace/ready", forced).0, 200);
}

#[test]
fn places_coordinators_freely_and_keeps_shards_in_place() {
    let kv = MemoryKv::default();
    let base = "/api/v1/services/m3coordinator/placement";
    let one = |id: &str| json!({ "id": id, "zone": "embedded", "endpoint": format!("{id}:7507") });
    assert_eq!(send(&kv, "POST", base, &json!({ "instances": [one("a")] }).to_string()).0, 404);
    let init = json!({ "instances": [one("a")] }).to_string();
    assert_eq!(send(&kv, "POST", &format!("{base}/init"), &init).0, 200);
    let (status, answer) = send(&kv, "POST", base, &json!({ "instances": [one("b")] }).to_string());
    assert_eq!((status, &answer["version"]), (200, &json!(2)));
    let elsewhere = json!({ "instances": [{ "id": "c", "zone": "moon" }] }).to_string();
    assert_eq!(
        send(&kv, "POST", base, &elsewhere).1["error"],
        "no new instances found in the valid zone"
    );
    let replace = json!({ "leavingInstanceIDs": ["a"], "candidates": [one("d")] }).to_string();
    let (_, answer) = send(&kv, "POST", &format!("{base}/replace"), &replace);
    let ids: Vec<&String> = answer["placement"]["instances"].as_object().unwrap().keys().collect();
    assert_eq!(ids, ["b", "d"]);
    assert_eq!(send(&kv, "DELETE", &format!("{base}/b"), "").0, 200);
    assert_eq!(send(&kv, "DELETE", &format!("{base}/b"), "").0, 404);

    let base = "/api/v1/services/m3db/placement";
    let init = json!({ "num_shards": 8, "replication_factor": 1,
        "instances": [{ "id": "m3db_local", "isolation_group": "g", "zone": "embedded" }] });
    assert_eq!(send(&kv, "POST", &format!("{base}/init"), &init.to_string()).0, 200);
    let (status, answer) = send(&kv, "DELETE", &format!("{base}/m3db_local"), "");
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().starts_with("this node has no cluster yet"));
}

#[test]
fn sets_a_placement_only_when_confirmed() {
    let kv = MemoryKv::default();
    let base = "/api/v1/services/m3db/placement";
    let create = r#"{"namespaceName":"default"}"#;
    assert_eq!(send(&kv, "POST", "/api/v1/database/create", create).0, 200);
    let mut placement = send(&kv, "GET", base, "").1["placement"].clone();
    placement["instances"]["m3db_local"]["weight"] = json!(9);
    let set = |confirm: bool, placement: &Value| {
        let body = json!({ "placement": placement, "confirm": confirm }).to_string();
        send(&kv, "POST", &format!("{base}/set"), &body)
    };
    let (status, answer) = set(false, &placement);
    assert_eq!((status, &answer["dryRun"], &answer["version"]), (200, &json!(true), &json!(3)));
    assert_eq!(send(&kv, "GET", base, "").1["version"], 2);
    let (status, answer) = set(true, &placement);
    assert_eq!((status, &answer["dryRun"], &answer["version"]), (200, &json!(false), &json!(3)));
    let stored = send(&kv, "GET", base, "").1;
    assert_eq!(stored["placement"]["instances"]["m3db_local"]["weight"], 9);

    placement["replicaFactor"] = json!(2);
    let (status, answer) = set(true, &placement);
    assert_eq!(status, 400);
    assert_eq!(
        answer["error"],
        "unable to validate new placement: shard 0 has 1 owners, expected as many as replicas: 2"
    );
}

#[test]
fn no_body_and_no_header_breaks_a_route() {
    let routes = [
        ("POST", "database/create"),
        ("POST", "services/m3db/namespace"),
        ("PUT", "services/m3db/namespace"),
        ("POST", "services/m3db/namespace/ready"),
        ("DELETE", "services/m3db/namespace/x"),
        ("POST", "services/m3db/placement"),
        ("POST", "services/m3db/placement/init"),
        ("POST", "services/m3aggregator/placement/init"),
        ("POST", "services/m3coordinator/placement/init"),
        ("POST", "services/m3db/placement/set"),
        ("POST", "services/m3db/placement/remove"),
        ("POST", "services/m3db/placement/replace"),
        ("POST", "topic/init"),
        ("POST", "topic"),
        ("PUT", "topic"),
        ("POST", "kvstore"),
    ];
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(ADMIN_BODY_BYTES_MAX));
    let bodies = [
        "",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{}",
        "{\"a\":",
        &deep,
        &huge,
        r#"{"name":"x","options":{"retentionOptions":{"retentionPeriodNanos":9223372036854775808}}}"#,
        r#"{"name":"x","options":{"retentionOptions":{"blockSizeNanos":-9223372036854775808}}}"#,
        r#"{"namespaceName":"x","retentionTime":"-5m"}"#,
        r#"{"namespaceName":"../x"}"#,
        r#"{"namespaceName":"x","numShards":2147483647}"#,
        r#"{"namespaceName":"x","blockSize":{"expectedSeriesDatapointsPerHour":"9223372036854775807"},"numShards":-1,"retentionTime":"1ns"}"#,
        r#"{"num_shards":2147483647,"replication_factor":2147483647,"instances":[{"id":"a"}]}"#,
        r#"{"num_shards":4,"replication_factor":1,"instances":[{"id":"a"},{"id":"a"}]}"#,
        r#"{"num_shards":4,"replication_factor":1,"instances":[{"id":""}]}"#,
        r#"{"num_shards":4,"replication_factor":2,"instances":[{"id":"a","weight":4294967295,"isolation_group":"g"},{"id":"b"}]}"#,
        r#"{"placement":{"instances":{"a":{"shards":[{"id":4294967295}]}},"numShards":4294967295},"confirm":true}"#,
    ];
    for (method, path) in routes {
        for body in bodies {
            let kv = MemoryKv::default();
            let (status, answer) = send(&kv, method, &format!("/api/v1/{path}"), body);
            let shown: String = body.chars().take(80).collect();
            assert!((200..500).contains(&status), "{method} {path} {shown}: {status} {answer}");
            if status >= 400 {
                assert_eq!(answer["status"], "error");
                assert!(!answer["error"].as_str().unwrap().is_empty());
            }
        }
    }
    for name in ["a/b", "\u{7}", &"x".repeat(200)] {
        let mut request = AdminRequest::new(AdminRoute::NamespaceGet);
        request.environment = name.to_string();
        assert_eq!(ask(&MemoryKv::default(), request).status, 400);
    }
}

#[test]
fn a_failure_is_told_as_json_whatever_its_words() {
    let words = "cannot write /data/\u{e34}\u{301}\u{7f}: \"disk\" is\nfull\\";
    let reply = AdminReply::failed(words);
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, reply.changed), (500, false));
    assert_eq!(answer, json!({ "status": "error", "error": words }));
}
