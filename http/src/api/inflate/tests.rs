//! Streams that declare a wrong size, and bytes that are not gzip.

use super::*;
use std::io::Write;

#[test]
fn gzip_bombs_stop_at_the_limit() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 10 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 20_000);
    assert_eq!(inflate(&bomb, 1 << 20).unwrap_err().kind.status(), 413);
    assert_eq!(inflate(&bomb, 10 << 20).unwrap().len(), 10 << 20);
    assert_eq!(inflate(&bomb[..bomb.len() - 9], 10 << 20).unwrap_err().kind.status(), 400);
    assert_eq!(inflate(b"not gzip", 100).unwrap_err().kind.status(), 400);
    assert_eq!(inflate(b"", 100).unwrap_err().kind.status(), 400);
}
