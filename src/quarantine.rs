//! Request bodies that ended the node when they were stored: saved to disk, and refused from then
//! on.
//!
//! A sender repeats a request that got no answer. So a body that makes the node panic while the
//! store changes would end it again after every start. Before the process ends, such a body is
//! written to `quarantine/` in the data directory. At its start a node reads that directory, and
//! the HTTP layer answers 400 to the same bytes, so that the sender goes on with its next body.

use m3_io::panics::Panicked;
use m3_io::{blocking, file, time};
use std::path::{Path, PathBuf};

/// The directory inside the data directory.
const DIRECTORY: &str = "quarantine";
/// Total bytes of the bodies that a node refuses; the newest come first.
const BODIES_BYTES_MAX: u64 = 64 << 20;
/// The suffix of a file that holds a body exactly as it was received.
const BODY_SUFFIX: &str = ".body";

/// The bodies that a node refuses.
#[derive(Debug, Default)]
pub struct Quarantine {
    dir: PathBuf,
    bodies: Vec<(PathBuf, Vec<u8>)>,
}

impl Quarantine {
    /// Loads the bodies in the data directory. Files that cannot be read are named in the log and
    /// skipped, because the node must start.
    #[must_use]
    pub fn load(data_dir: &Path) -> Self {
        let dir = data_dir.join(DIRECTORY);
        let mut found = match blocking::list_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "cannot list bodies that ended the node");
                Vec::new()
            }
        };
        found.retain(|entry| entry.name.ends_with(BODY_SUFFIX));
        let mut bodies = Vec::new();
        let mut left = BODIES_BYTES_MAX;
        // Names are times with the same number of digits, so the newest are last.
        for entry in found.iter().rev() {
            let path = dir.join(&entry.name);
            match blocking::read_file(&path, left) {
                Ok(body) => {
                    left -= body.len() as u64;
                    tracing::warn!(file = %path.display(), "this body ended the node: refused");
                    bodies.push((path, body));
                }
                Err(error) => tracing::warn!(%error, "cannot read a body that ended the node"),
            }
        }
        Self { dir, bodies }
    }

    /// The file with exactly these bytes.
    #[must_use]
    pub fn find(&self, body: &[u8]) -> Option<&Path> {
        let found = self.bodies.iter().find(|(_, kept)| kept == body);
        found.map(|(path, _)| path.as_path())
    }

    /// Saves a body for which the node is about to end, and the reason.
    pub async fn keep(&self, body: Vec<u8>, panicked: &Panicked) {
        let name = format!("{:020}", time::wall_ns());
        let path = self.dir.join(format!("{name}{BODY_SUFFIX}"));
        let reason = self.dir.join(format!("{name}.txt"));
        let why = format!("{}\n", panicked.text).into_bytes();
        let kept = async {
            file::create_dir_all(&self.dir).await?;
            file::replace_file(&path, body).await.map_err(std::io::Error::other)?;
            file::replace_file(&reason, why).await.map_err(std::io::Error::other)
        };
        match kept.await {
            Ok(()) => tracing::error!(file = %path.display(), "saved the body that ends the node"),
            Err(error) => tracing::error!(%error, "cannot save the body that ends the node"),
        }
    }
}
