//! The documents in the store: their keys, how to read and change them.

use serde_json::{Value, json};

use super::{AdminError, AdminRequest, Service};
use crate::Error;
use crate::jsonpb::BadDocument;
use crate::kv::{Kv, Versioned};
use crate::limits::{CAS_ATTEMPTS_MAX, SCOPE_NAME_BYTES_MAX};
use crate::namespace::Registry;
use crate::placement::Placement;
use crate::topic::NAMESPACES_SETTING;

/// An environment and zone. Each has keys of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) environment: String,
    pub(crate) zone: String,
}

impl Default for Scope {
    fn default() -> Self {
        Self { environment: "default_env".to_string(), zone: "embedded".to_string() }
    }
}

impl Scope {
    /// The scope that the request's headers name.
    pub(super) fn of(request: &AdminRequest) -> Result<Self, AdminError> {
        let headers = [
            ("Cluster-Environment-Name", &request.environment),
            ("Cluster-Zone-Name", &request.zone),
            ("Topic-Name", &request.topic),
        ];
        for (header, name) in headers {
            // A slash in a name would reach into another scope's keys.
            let is_plain = !name.is_empty()
                && name.len() <= SCOPE_NAME_BYTES_MAX
                && !name.contains('/')
                && !name.chars().any(char::is_control);
            if !is_plain {
                return Err(AdminError::bad_request(format!(
                    "{header} is {name:?}, expected 1 to {SCOPE_NAME_BYTES_MAX} bytes without \
                     slashes and control characters"
                )));
            }
        }
        Ok(Self { environment: request.environment.clone(), zone: request.zone.clone() })
    }

    /// Whether the node serves this scope's namespaces.
    pub(super) fn is_served(&self) -> bool {
        *self == Self::default()
    }

    /// M3's keys. In M3 a zone other than the embedded one has a store of its own; here it has a
    /// prefix.
    fn key(&self, kind: &str, name: &str) -> String {
        let Self { environment, zone } = self;
        match zone.as_str() {
            "embedded" => format!("{kind}/{environment}/{name}"),
            _ => format!("_zone/{zone}/{kind}/{environment}/{name}"),
        }
    }

    pub(super) fn namespaces_key(&self) -> String {
        self.setting_key(NAMESPACES_SETTING)
    }

    pub(super) fn setting_key(&self, setting: &str) -> String {
        self.key("_kv", setting)
    }

    pub(super) fn placement_key(&self, service: Service) -> String {
        self.key("_sd.placement", service.name())
    }

    pub(super) fn topic_key(&self, topic: &str) -> String {
        self.key("_topic", topic)
    }
}

/// The JSON of a stored value.
pub(super) fn parse(key: &str, stored: &Versioned) -> Result<Value, Error> {
    serde_json::from_slice(&stored.value)
        .map_err(|error| Error::BadDocument { key: key.to_string(), reason: error.to_string() })
}

fn unreadable(key: &str, error: &BadDocument) -> Error {
    Error::BadDocument { key: key.to_string(), reason: error.to_string() }
}

/// The registry of a scope and its version; empty and 0 if there is none.
pub(crate) async fn load_registry(kv: &dyn Kv, scope: &Scope) -> Result<(Registry, u64), Error> {
    let key = scope.namespaces_key();
    let Some(stored) = kv.get(&key).await? else { return Ok((Registry::default(), 0)) };
    let registry =
        Registry::from_json(&parse(&key, &stored)?).map_err(|error| unreadable(&key, &error))?;
    Ok((registry, stored.version))
}

/// Changes a scope's registry and returns the result. A change without effect is not written.
pub(super) async fn change_registry(
    kv: &dyn Kv,
    scope: &Scope,
    mut change: impl FnMut(&mut Registry) -> Result<(), AdminError>,
) -> Result<Registry, AdminError> {
    let key = scope.namespaces_key();
    let mut attempt = 0;
    loop {
        let (before, version) = load_registry(kv, scope).await?;
        let mut registry = before.clone();
        change(&mut registry)?;
        if registry == before {
            return Ok(registry);
        }
        let document = registry.to_json().to_string().into_bytes();
        match kv.compare_and_set(&key, version, document).await {
            Ok(_) => return Ok(registry),
            Err(Error::Conflict { .. }) if attempt < CAS_ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A service's placement and its version.
pub(super) async fn load_placement(
    kv: &dyn Kv,
    scope: &Scope,
    service: Service,
) -> Result<Option<(Placement, u64)>, Error> {
    let key = scope.placement_key(service);
    match kv.get(&key).await? {
        Some(stored) => Ok(Some((parse_placement(&key, &stored)?, stored.version))),
        None => Ok(None),
    }
}

/// The placement in a stored value.
pub(super) fn parse_placement(key: &str, stored: &Versioned) -> Result<Placement, Error> {
    Placement::from_json(&parse(key, stored)?).map_err(|error| unreadable(key, &error))
}

/// Writes a placement if its version is `version` (0: if there is none). Returns the new version.
pub(super) async fn store_placement(
    kv: &dyn Kv,
    scope: &Scope,
    service: Service,
    version: u64,
    placement: &Placement,
) -> Result<u64, Error> {
    let document = placement.to_json().to_string().into_bytes();
    kv.compare_and_set(&scope.placement_key(service), version, document).await
}

/// The answer of placement routes.
pub(super) fn placement_document(placement: &Placement, version: u64) -> Value {
    json!({ "placement": placement.to_json(), "version": version })
}
