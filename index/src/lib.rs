//! m3-index
