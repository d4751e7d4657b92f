//! Bodies that ended the node when they were stored: kept on disk, and refused from then on.
//!
//! A sender repeats what got no answer, so a body that makes the node panic while the store changes
//! would end it again after every start. Before the process ends such a body is written to
//! `quarantine/` in the data directory; a node that starts reads what is there, and the door
//! answers 400 to the same bytes, so that the sender goes on with its next body.

use m3_io::panics::Panicked;
use m3_io::{blocking, file, time};
use std::path::{Path, PathBuf};

/// The directory inside the data directory.
const DIRECTORY: &str = "quarantine";
/// Bytes of all bodies together that a node refuses; the newest count.
const BODIES_BYTES_MAX: u64 = 64 << 20;
/// The end of the name of a file that holds a body, exactly as it came.
const BODY_SUFFIX: &str = ".body";

/// The bodies that a node refuses.
#[derive(Debug, Default)]
pub struct Quarantine {
    dir: PathBuf,
    bodies: Vec<(PathBuf, Vec<u8>)>,
}

impl Quarantine {
    /// What is kept in the data directory. What cannot be read is named in the log and left out:
    /// the node must start.
    #[must_use]
    pub fn load(data_dir: &Path) -> Self {
        let dir = data_dir.join(DIRECTORY);
        let mut found = match blocking::list_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "bodies that ended the node before are not known");
                Vec::new()
            }
        };
        found.retain(|entry| entry.name.ends_with(BODY_SUFFIX));
        let mut bodies = Vec::new();
        let mut left = BODIES_BYTES_MAX;
        // Names are times of the same number of digits, so the newest stand last.
        for entry in found.iter().rev() {
            let path = dir.join(&entry.name);
            match blocking::read_file(&path, left) {
                Ok(body) => {
                    left -= body.len() as u64;
                    tracing::warn!(file = %path.display(), "a body is refused: it ended the node");
                    bodies.push((path, body));
                }
                Err(error) => tracing::warn!(%error, "a body that ended the node is not refused"),
            }
        }
        Self { dir, bodies }
    }

    /// The file that holds exactly these bytes.
    #[must_use]
    pub fn find(&self, body: &[u8]) -> Option<&Path> {
        let found = self.bodies.iter().find(|(_, kept)| kept == body);
        found.map(|(path, _)| path.as_path())
    }

    /// Keeps a body that the node is about to end for, and why.
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
            Ok(()) => tracing::error!(file = %path.display(), "kept the body that ends the node"),
            Err(error) => tracing::error!(%error, "the body that ends the node is not kept"),
        }
    }
}
