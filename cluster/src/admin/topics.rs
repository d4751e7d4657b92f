//! The routes of topics and of node-wide settings.

use serde_json::{Map, Value, json};

use super::store::{Scope, parse};
use super::{AdminError, AdminReply, AdminRequest};
use crate::Error;
use crate::jsonpb::{self, Canonical};
use crate::kv::Kv;
use crate::namespace::Registry;
use crate::topic::{
    ADD_REQUEST, INIT_REQUEST, NAMESPACES_SETTING, SETTING_REQUEST, TOPIC, UPDATE_REQUEST,
    consumer_of, setting_message,
};

fn reply(topic: &Map<String, Value>, version: u64) -> AdminReply {
    AdminReply::json(&json!({ "topic": topic, "version": version }))
}

/// The topic the request names, canonical, and its version.
async fn load(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<(Map<String, Value>, u64), AdminError> {
    let key = scope.topic_key(&request.topic);
    let stored = kv.get(&key).await?.ok_or_else(|| AdminError::new(404, "key not found"))?;
    let topic = jsonpb::read(&parse(&key, &stored)?, &TOPIC)
        .map_err(|error| Error::BadDocument { key, reason: error.to_string() })?;
    Ok((topic, stored.version))
}

/// Writes a topic where `version` stands (0: where there is none).
async fn store(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
    version: u64,
    topic: &Map<String, Value>,
) -> Result<AdminReply, AdminError> {
    let document = serde_json::to_vec(topic).expect("a JSON map has only string keys");
    let key = scope.topic_key(&request.topic);
    let version = kv.compare_and_set(&key, version, document).await?;
    Ok(reply(topic, version))
}

/// `GET /api/v1/topic`.
pub(super) async fn show(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let (topic, version) = load(kv, request, scope).await?;
    Ok(reply(&topic, version))
}

/// `POST /api/v1/topic/init`.
pub(super) async fn init(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&INIT_REQUEST)?;
    let shards = canonical.uint("numberOfShards");
    if shards == 0 {
        return Err(AdminError::bad_request("numberOfShards is 0, expected at least 1"));
    }
    let topic = json!({ "name": request.topic, "numberOfShards": shards, "consumerServices": [] });
    let topic = topic.as_object().expect("an object was just made");
    store(kv, request, scope, 0, topic).await
}

/// `POST /api/v1/topic`: adds a consumer.
pub(super) async fn add(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&ADD_REQUEST)?;
    let added = canonical
        .object("consumerService")
        .ok_or_else(|| AdminError::bad_request("missing required field: consumerService"))?;
    let (mut topic, version) = load(kv, request, scope).await?;
    let id = consumer_of(added)
        .ok_or_else(|| AdminError::bad_request("consumerService.serviceId needs a name"))?;
    if topic.objects("consumerServices").any(|service| consumer_of(service) == Some(id)) {
        let name = id.text("name");
        return Err(AdminError::new(409, format!("consumer {name} is already in the topic")));
    }
    if let Some(services) = topic.get_mut("consumerServices").and_then(Value::as_array_mut) {
        services.push(Value::Object(added.clone()));
    }
    store(kv, request, scope, version, &topic).await
}

/// `PUT /api/v1/topic`: replaces the consumers.
pub(super) async fn update(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&UPDATE_REQUEST)?;
    let (mut topic, _) = load(kv, request, scope).await?;
    let services = canonical.get("consumerServices").cloned().unwrap_or_else(|| json!([]));
    topic.insert("consumerServices".to_string(), services);
    let version = u64::try_from(canonical.int("version"))
        .ok()
        .filter(|version| *version > 0)
        .ok_or_else(|| AdminError::bad_request("version: give the version that is replaced"))?;
    store(kv, request, scope, version, &topic).await
}

/// `DELETE /api/v1/topic`.
pub(super) async fn delete(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    match kv.delete(&scope.topic_key(&request.topic)).await? {
        Some(_) => Ok(AdminReply::empty()),
        None => Err(AdminError::new(
            404,
            format!("error deleting service '{}': key not found", request.topic),
        )),
    }
}

/// `POST /api/v1/kvstore`: shows what a setting is and, if `commit` is true, sets it.
pub(super) async fn write_setting(
    kv: &dyn Kv,
    request: &AdminRequest,
    scope: &Scope,
) -> Result<AdminReply, AdminError> {
    let canonical = request.read(&SETTING_REQUEST)?;
    let setting = canonical.text("key");
    let message = setting_message(setting)
        .ok_or_else(|| AdminError::bad_request(format!("unsupported kvstore key {setting}")))?;
    let value = canonical.get("value").cloned().unwrap_or(Value::Null);
    let read = jsonpb::read(&value, message)?;
    let is_registry = setting == NAMESPACES_SETTING;
    let document = if is_registry {
        Registry::from_json(&Value::Object(read))?.to_json()
    } else {
        value.clone()
    };
    let key = scope.setting_key(setting);
    let old = match kv.get(&key).await? {
        Some(stored) => parse(&key, &stored)?,
        None => json!({}),
    };
    let is_committed = canonical.flag("commit");
    let version =
        if is_committed { kv.set(&key, document.to_string().into_bytes()).await? } else { 0 };
    let shown = json!({ "key": setting, "old": old, "new": value, "version": version });
    let changed = is_committed && is_registry && scope.is_served();
    Ok(AdminReply::json(&shown).changed(changed))
}
