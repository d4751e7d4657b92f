//! m3-io
