//! The namespaces as storage and queries see them: their numbers, and their options in the
//! registry.
//!
//! A namespace's number is assigned once and never reused. Number 0 is the implicit namespace,
//! which exists before any call of an admin route. The first unaggregated namespace that is created
//! adopts the implicit one, including its data.
//!
//! Always holds: there is exactly one implicit or adopted namespace that is the default for writes.

use m3_cluster::namespace::{Aggregation, NamespaceMetadata};
use m3_metric::{NamespaceId, Span};
use m3_shard::{StoreOptions, Window};
use std::collections::BTreeMap;

/// Retention of the implicit namespace: a hundred years, so nothing is dropped as long as no one
/// has said what may be. A namespace that adopts it brings its own retention.
pub const IMPLICIT_RETENTION: Span = Span::from_s(100 * 365 * 24 * 3600);
/// Block size of the implicit namespace: M3's choice for any retention over thirty days.
pub const IMPLICIT_BLOCK: Span = Span::from_s(24 * 3600);
/// The name of the implicit namespace in metrics and headers.
pub const IMPLICIT_NAME: &str = "implicit";

/// One namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// Its number in files and messages.
    pub id: NamespaceId,
    /// Its name.
    pub name: String,
    /// The options that storage needs.
    pub options: StoreOptions,
    /// The resolution of an aggregated namespace; `None` is unaggregated.
    pub resolution: Option<Span>,
    /// Whether it is in the registry.
    pub registered: bool,
}

/// All namespaces of the node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// In the order of their numbers.
    pub namespaces: Vec<Namespace>,
}

/// The assigned numbers; kept in the KV beside the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// All numbers below this have been assigned.
    pub next: u32,
    /// The implicit namespace's number, as long as there is one.
    pub implicit: Option<u32>,
    /// Numbers of registered namespaces.
    pub by_name: BTreeMap<String, u32>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { next: 1, implicit: Some(0), by_name: BTreeMap::new() }
    }
}

impl Numbers {
    /// Assigns a number to every registered namespace that has none and drops those of namespaces
    /// that are gone. Returns whether anything changed.
    pub fn reconcile(&mut self, registered: &[NamespaceMetadata]) -> bool {
        let before = self.clone();
        self.by_name.retain(|name, _| registered.iter().any(|n| n.name == *name));
        for namespace in registered {
            if self.by_name.contains_key(&namespace.name) {
                continue;
            }
            let adopted = if resolution(namespace).is_none() { self.implicit.take() } else { None };
            let number = adopted.unwrap_or_else(|| self.give());
            self.by_name.insert(namespace.name.clone(), number);
        }
        let any = registered.iter().any(|n| resolution(n).is_none());
        if !any && self.implicit.is_none() {
            self.implicit = Some(self.give());
        }
        *self != before
    }

    /// The numbers as a document for the KV, one line each.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("next {}\n", self.next);
        if let Some(implicit) = self.implicit {
            text.push_str(&format!("implicit {implicit}\n"));
        }
        for (name, number) in &self.by_name {
            text.push_str(&format!("namespace {number} {name}\n"));
        }
        text.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut numbers = Self { next: 0, implicit: None, by_name: BTreeMap::new() };
        for line in text.lines() {
            match line.split_once(' ')? {
                ("next", number) => numbers.next = number.parse().ok()?,
                ("implicit", number) => numbers.implicit = Some(number.parse().ok()?),
                ("namespace", rest) => {
                    let (number, name) = rest.split_once(' ')?;
                    numbers.by_name.insert(name.to_owned(), number.parse().ok()?);
                }
                _ => return None,
            }
        }
        (numbers.next > 0).then_some(numbers)
    }

    fn give(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }
}

impl Catalog {
    /// The catalog of the registered namespaces with their `numbers`.
    #[must_use]
    pub fn new(registered: &[NamespaceMetadata], numbers: &Numbers) -> Self {
        let mut namespaces: Vec<_> = registered
            .iter()
            .filter_map(|n| numbers.by_name.get(&n.name).map(|id| namespace_of(n, *id)))
            .collect();
        if let Some(id) = numbers.implicit {
            namespaces.push(Namespace {
                id: NamespaceId(id),
                name: IMPLICIT_NAME.to_owned(),
                options: StoreOptions {
                    retention: IMPLICIT_RETENTION,
                    block: IMPLICIT_BLOCK,
                    window: None,
                },
                resolution: None,
                registered: false,
            });
        }
        namespaces.sort_by_key(|n| n.id);
        Self { namespaces }
    }

    /// The namespace for writes and queries that name none: the unaggregated one with the lowest
    /// number.
    ///
    /// # Panics
    /// On an empty catalog; [`Numbers::reconcile`] ensures that there is such a namespace.
    #[must_use]
    pub fn unaggregated(&self) -> &Namespace {
        self.namespaces
            .iter()
            .find(|n| n.resolution.is_none())
            .expect("there is always an unaggregated namespace, be it the implicit one")
    }

    /// The aggregated namespace with this resolution and retention.
    #[must_use]
    pub fn aggregated(&self, resolution: Span, retention: Span) -> Option<&Namespace> {
        let fits =
            |n: &&Namespace| n.resolution == Some(resolution) && n.options.retention == retention;
        self.namespaces.iter().find(fits)
    }

    /// The namespaces that each core's store is to have.
    #[must_use]
    pub fn storage(&self) -> Vec<(NamespaceId, StoreOptions)> {
        self.namespaces.iter().map(|n| (n.id, n.options)).collect()
    }
}

/// The resolution of an aggregated namespace; `None` for an unaggregated one.
fn resolution(metadata: &NamespaceMetadata) -> Option<Span> {
    let aggregations = metadata.options.aggregations.as_ref()?;
    aggregations.iter().find_map(|aggregation| match aggregation {
        Aggregation::Unaggregated => None,
        Aggregation::Aggregated { resolution_ns, .. } => Some(Span(*resolution_ns)),
    })
}

fn namespace_of(metadata: &NamespaceMetadata, id: u32) -> Namespace {
    let retention = &metadata.options.retention;
    let options = StoreOptions {
        retention: Span(retention.period_ns),
        block: Span(retention.block_size_ns.max(BLOCK_MIN.0)),
        window: Some(Window {
            past: Span(retention.buffer_past_ns),
            future: Span(retention.buffer_future_ns),
            cold_writes: metadata.options.cold_writes_enabled,
            future_retention: Span(retention.future_period_ns),
        }),
    };
    Namespace {
        id: NamespaceId(id),
        name: metadata.name.clone(),
        options,
        resolution: resolution(metadata),
        registered: true,
    }
}

/// Storage blocks have at least this length. A registry may ask for shorter ones; answers are the
/// same.
const BLOCK_MIN: Span = Span::from_s(60);

#[cfg(test)]
mod tests;
