//! M3DB's storage: namespace -> shard -> series -> buffer, and the commit log below.
//!
//! The write path: [`namespace::NamespaceStore::write`] takes the records of a batch.
//! [`table::SeriesTable`] finds each record's series by following the previous series, by hash, or
//! by parsing a new one. [`series::Hot`] appends the sample to its encoded stream. [`commitlog`]
//! appends the same sample to the pending frame, and the request is answered when that frame is
//! synced. The read path: the namespace's index gives ordinals, and
//! [`namespace::NamespaceStore::read`] decodes one series' samples in a range.
//!
//! Always holds: everything here belongs to one core. Nothing is shared or locked. Memory can be
//! rebuilt from the commit log.

pub mod arena;
mod blocks;
pub mod cells;
pub mod codec;
pub mod commitlog;
pub mod late;
pub mod namespace;
pub mod owner;
pub mod series;
pub mod store;
pub mod table;

pub use namespace::{
    KnownRecord, NamespaceStore, ReadBuffer, StoreOptions, StoreOutcome, Window, WriteStats,
};
pub use owner::ShardMap;
pub use series::SeriesSample;
pub use store::CoreStore;
