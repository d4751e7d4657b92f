//! Directories are new, apart, and gone in the end.

#![allow(clippy::disallowed_methods, reason = "a test puts files into a directory")]

use super::TempDir;

#[test]
fn every_directory_is_new_and_goes_with_its_value() {
    let (one, other) = (TempDir::new("same"), TempDir::new("same"));
    let memory = TempDir::in_memory("same");
    let paths = [&one, &other, &memory].map(|dir| dir.path().to_owned());
    assert!(paths[0] != paths[1] && paths[1] != paths[2] && paths[0] != paths[2]);
    for path in &paths {
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
        std::fs::create_dir(path.join("within")).unwrap();
        std::fs::write(path.join("within/file"), b"content").unwrap();
    }
    drop((one, other, memory));
    let is_kept = std::env::var_os("M3RING_KEEP").is_some();
    assert!(is_kept || paths.iter().all(|path| !path.exists()));
}
