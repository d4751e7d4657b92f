//! M3DB's storage: namespace -> shard -> series -> buffer, and the commit log under it.
//!
//! The write path in one page: [`namespace::NamespaceStore::write`] takes the records of a batch;
//! [`table::SeriesTable`] finds each record's series by following the series before it (or hashes,
//! or parses a new one); [`series::Hot`] takes the sample into its coded stream; [`commitlog`]
//! takes the same sample into the pending frame, and the request is answered once that frame is
//! synced. The read path: the namespace's index gives ordinals, [`namespace::NamespaceStore::read`]
//! decodes one series' samples over a range.
//!
//! Always holds: everything here belongs to one core. Nothing is shared, nothing is locked.
//! What is in memory can be rebuilt from the commit log.

pub mod arena;
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
    KnownRecord, NamespaceOptions, NamespaceStore, ReadBuffer, Window, WriteStats, Written,
};
pub use owner::ShardMap;
pub use series::SeriesSample;
pub use store::CoreStore;
