//! Seeded data sets shared by all benches.
