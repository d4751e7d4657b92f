//! Warnings at the start about limits of the process that are too low, with the remedy.

use crate::settings::Settings;
use m3_io::driver::locked_bytes_wanted;
use m3_io::rlimits::ResourceLimits;
use m3_io::runtime::RING_ENTRIES_DEFAULT;

/// Files besides connections: the log, the KV, rings, pipes.
const OWN_FILES: u64 = 1024;
/// Connections above which no warning is given: many cores alone do not mean that so many are
/// needed.
const CONNECTIONS_WANTED_MAX: u64 = 65_536;

/// A warning for each limit that the node may reach. `rings_are_locked` says whether this kernel
/// counts io_uring's rings as locked memory.
#[must_use]
pub fn about_limits(
    settings: &Settings,
    limits: ResourceLimits,
    rings_are_locked: bool,
) -> Vec<String> {
    let mut lines = Vec::new();
    let cores = settings.cpus.len();
    let connections = (settings.config.http.connections as u64).saturating_mul(cores as u64);
    let wanted = connections.min(CONNECTIONS_WANTED_MAX) + OWN_FILES;
    if limits.open_files < wanted {
        lines.push(format!(
            "{} files may be open at once, and http.connectionsMax lets {connections} connections \
             in: connections over the limit will wait. Raise it to {wanted} (LimitNOFILE={wanted} \
             in a systemd unit, docker run --ulimit nofile={wanted}), or lower \
             http.connectionsMax",
            limits.open_files
        ));
    }
    let wanted = locked_bytes_wanted(cores, RING_ENTRIES_DEFAULT);
    if rings_are_locked && limits.locked_bytes < wanted {
        lines.push(format!(
            "{} bytes of memory may be locked, and this kernel counts io_uring's rings among them: \
             {cores} cores may need {wanted}. Raise it (LimitMEMLOCK={wanted} in a systemd unit, \
             docker run --ulimit memlock={wanted}), or start a kernel of 5.12 or later",
            limits.locked_bytes
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::about_limits;
    use crate::config::{Command, Config};
    use crate::settings::Settings;
    use m3_io::rlimits::ResourceLimits;

    fn settings() -> Settings {
        let args = ["--cores", "0,1"].map(str::to_owned);
        let read = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let Ok(Command::Run(config)) = Config::load(args, |_| None, read) else { panic!() };
        Settings::from_config(&config).unwrap()
    }

    #[test]
    fn what_is_too_low_is_named_with_its_remedy() {
        let enough = ResourceLimits { open_files: 1 << 20, locked_bytes: 8 << 20 };
        assert!(about_limits(&settings(), enough, true).is_empty());
        let few = ResourceLimits { open_files: 4096, ..enough };
        let lines = about_limits(&settings(), few, true);
        assert!(lines[0].starts_with("4096 files"), "{lines:?}");
        assert!(lines[0].contains("LimitNOFILE=21024") && lines.len() == 1, "{lines:?}");
        let little = ResourceLimits { locked_bytes: 64 << 10, ..enough };
        let lines = about_limits(&settings(), little, true);
        assert!(lines[0].contains("--ulimit memlock=8388608"), "{lines:?}");
        assert!(about_limits(&settings(), little, false).is_empty());
    }
}
