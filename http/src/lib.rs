//! m3-http
