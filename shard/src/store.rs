//! All namespaces of one core.

use crate::namespace::{NamespaceStore, StoreOptions};
use crate::owner::ShardMap;
use m3_metric::labels::LabelLimits;
use m3_metric::{CoreId, NamespaceId};
use std::collections::BTreeMap;

/// The data of one core.
pub struct CoreStore {
    core: CoreId,
    shards: ShardMap,
    series_max: u32,
    label_limits: LabelLimits,
    namespaces: BTreeMap<NamespaceId, NamespaceStore>,
}

impl CoreStore {
    /// A core without namespaces.
    #[must_use]
    pub fn new(core: CoreId, shards: ShardMap) -> Self {
        let label_limits = LabelLimits::default();
        Self { core, shards, series_max: u32::MAX, label_limits, namespaces: BTreeMap::new() }
    }

    /// From now on each namespace on this core refuses new series beyond `series_max`.
    pub fn set_series_max(&mut self, series_max: u32) {
        self.series_max = series_max;
        self.namespaces.values_mut().for_each(|store| store.set_series_max(series_max));
    }

    /// From now on each namespace refuses new series whose labels exceed `limits`.
    pub fn set_label_limits(&mut self, limits: LabelLimits) {
        self.label_limits = limits;
        self.namespaces.values_mut().for_each(|store| store.set_label_limits(limits));
    }

    /// Makes these the only namespaces: new ones are added, others changed, missing ones dropped
    /// with all their data.
    ///
    /// # Panics
    /// If a block size is under a minute; callers check options first.
    pub fn set_namespaces(&mut self, wanted: &[(NamespaceId, StoreOptions)]) {
        self.namespaces.retain(|id, _| wanted.iter().any(|(w, _)| w == id));
        for &(id, options) in wanted {
            match self.namespaces.get_mut(&id) {
                Some(store) => store.set_options(options),
                None => {
                    let mut store = NamespaceStore::new(id, options, self.shards, self.core);
                    store.set_series_max(self.series_max);
                    store.set_label_limits(self.label_limits);
                    self.namespaces.insert(id, store);
                }
            }
        }
    }

    /// The namespace `id`.
    #[must_use]
    pub fn namespace(&self, id: NamespaceId) -> Option<&NamespaceStore> {
        self.namespaces.get(&id)
    }

    /// The namespace `id`, mutable.
    pub fn namespace_mut(&mut self, id: NamespaceId) -> Option<&mut NamespaceStore> {
        self.namespaces.get_mut(&id)
    }

    /// All namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &NamespaceStore> {
        self.namespaces.values()
    }

    /// Drops samples that are older than each namespace's retention. Returns the bytes freed.
    pub fn expire(&mut self, now_ns: i64) -> u64 {
        self.namespaces.values_mut().map(|store| store.expire(now_ns)).sum()
    }
}
