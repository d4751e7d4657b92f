//! m3-cluster
