//! `PUT .../namespace`: which options of a namespace may change, and the change itself.

use serde_json::{Map, Value};

use super::{BadNamespace, NamespaceOptions, Registry, read_aggregations, unless_empty};
use crate::jsonpb::Canonical;

/// The options that may change: retention period, concurrency, kinds of data, extensions.
const MUTABLE: [&str; 4] =
    ["retentionOptions", "runtimeOptions", "aggregationOptions", "extendedOptions"];

const AGGREGATIONS: &str = "error constructing construction aggregationOptions";
const OPTIONS: &str = "error constructing new metadata: unable to validate options";

impl Registry {
    /// Changes the options of a namespace by a canonical `admin.NamespaceUpdateRequest`.
    ///
    /// # Errors
    /// [`BadNamespace::Missing`] if there is no such namespace; otherwise the option that may not
    /// change, or the rule that the change would break.
    pub fn update(&mut self, request: &Map<String, Value>) -> Result<(), BadNamespace> {
        let refused = |words: &str| {
            BadNamespace::Other(format!("unable to validate update request: {words}"))
        };
        let name = request.text("name");
        if name.is_empty() {
            return Err(refused("must specify namespace name"));
        }
        let empty = "update options cannot be empty";
        let change = request.object("options").ok_or_else(|| refused(empty))?;
        if let Some(field) = immutable_field(change) {
            return Err(refused(&format!("{field}: namespace option field is immutable")));
        }
        if change.values().all(is_zero) {
            return Err(refused(empty));
        }
        let options = self.namespaces.get_mut(name).ok_or(BadNamespace::Missing)?;
        apply(options, change).map_err(|e| within(AGGREGATIONS, e))?;
        options.check().map_err(|e| within(OPTIONS, e))?;
        self.check_policies()
    }
}

/// A broken rule in the words that M3 uses for updates.
fn within(step: &str, error: BadNamespace) -> BadNamespace {
    match error {
        BadNamespace::Metadata(words) => BadNamespace::Other(format!("{step}: {words}")),
        other => other,
    }
}

fn apply(options: &mut NamespaceOptions, change: &Map<String, Value>) -> Result<(), BadNamespace> {
    let period_ns =
        change.object("retentionOptions").map_or(0, |given| given.int("retentionPeriodNanos"));
    if period_ns != 0 {
        options.retention.period_ns = period_ns;
    }
    if let Some(given) = change.object("runtimeOptions") {
        let mut runtime = options.runtime.as_object().cloned().unwrap_or_default();
        for (name, value) in given {
            if !value.is_null() || !runtime.contains_key(name) {
                runtime.insert(name.clone(), value.clone());
            }
        }
        options.runtime = unless_empty(Value::Object(runtime));
    }
    if let Some(given) = change.object("aggregationOptions") {
        options.aggregations =
            Some(read_aggregations(given)?).filter(|aggregations| !aggregations.is_empty());
    }
    if let Some(given) = change.get("extendedOptions").filter(|given| !given.is_null()) {
        options.extended = given.clone();
        options.check_extended().map_err(BadNamespace::Other)?;
    }
    Ok(())
}

/// The first given field that may not change, as M3 names it.
fn immutable_field(change: &Map<String, Value>) -> Option<String> {
    for (name, value) in change {
        // This is the only field that counts as given when it is false.
        let is_given = !is_zero(value) || (name == "cacheBlocksOnRetrieve" && !value.is_null());
        if is_given && !MUTABLE.contains(&name.as_str()) {
            return Some(upper_first(name));
        }
    }
    change
        .object("retentionOptions")?
        .iter()
        .find(|(name, value)| !is_zero(value) && *name != "retentionPeriodNanos")
        .map(|(name, _)| format!("RetentionOptions.{}", upper_first(name)))
}

/// Whether a canonical value stands for a missing field.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Object(_) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(items) => items.is_empty(),
    }
}

fn upper_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + characters.as_str()
    })
}
