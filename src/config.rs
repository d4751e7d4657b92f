//! The configuration of a node: what it is, where it comes from, and what is wrong with it.
//!
//! [`Config::load`] reads the command line (`cli`), then the YAML files it names one after the
//! other (`yaml`: variables, places), and applies every key by the table of known ones (`knobs` for
//! those that do something, `foreign` for M3's that do not). `schema` knows the kinds of files that
//! M3 has. `dump` prints the outcome as a file that would give it.
//!
//! Always holds: flags win over files, later files over earlier ones, files over defaults; a key
//! that nobody knows, or a value out of bounds, is an error that names file and line and what would
//! be right. Loading asks for files and variables through its arguments and is otherwise pure.

mod cli;
mod dump;
mod error;
mod foreign;
mod knobs;
mod schema;
mod values;
mod yaml;

pub use error::{ConfigError, Place};
pub use knobs::{KNOBS, Knob};
pub use values::{LogFormat, LogLevel};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use m3_http::ServerLimits;
use m3_io::driver::DriverChoice;
use m3_metric::labels::LabelLimits;
use m3_metric::limits::{BODY_DECODED_BYTES_MAX, QUERY_SAMPLES_MAX, QUERY_SERIES_MAX};
use m3_shard::commitlog::Ack;

/// Bytes of one configuration file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Files on one command line.
pub const FILES_MAX: usize = 16;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run the node.
    Run(Box<Config>),
    /// Print this text and exit with success: help, version, or the effective configuration.
    Print(String),
    /// Say whether a node would start with this configuration.
    Check(Box<Config>),
    /// Ask the node whose API listens here whether it is well.
    Health(SocketAddr),
    /// Give this program's file the one capability it can use.
    Grant,
}

/// The configuration of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where everything is stored.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub http_listen: SocketAddr,
    /// Where `/metrics` listens.
    pub metrics_listen: SocketAddr,
    /// Which cpus get a core; `None` is all that the process may use.
    pub cores: Option<Vec<usize>>,
    /// What carries the I/O.
    pub io_driver: DriverChoice,
    /// When a write is acknowledged.
    pub ack: Ack,
    /// Whether a durable commit log may be written past the page cache.
    pub direct: bool,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: LogLevel,
    /// Bounds of the HTTP servers, per core.
    pub http: ServerLimits,
    /// Bytes of a body after decompression.
    pub body_decoded_bytes_max: usize,
    /// Resident bytes at which writes and queries are refused; 0 is a share of what there is.
    pub memory_limit: u64,
    /// Series of one namespace; 0 is no bound.
    pub series_per_namespace_max: u64,
    /// Labels of a new series.
    pub labels: LabelLimits,
    /// Bounds and defaults of queries.
    pub query: QueryConfig,
    /// The node's name in placements.
    pub host: HostId,
    /// The address a local placement shows the port of; nothing listens there yet.
    pub node_listen: SocketAddr,
    /// Keys that were given and mean nothing to this node: pools and tuning of M3's runtime.
    pub idle: Vec<String>,
    /// Keys that were given and ask for what this version does not do.
    pub later: Vec<String>,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
}

/// Bounds and defaults of queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryConfig {
    /// How long a query may take when it does not say.
    pub timeout: Duration,
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
    /// Samples a query may hold at once.
    pub samples_max: u64,
    /// Series a query may fetch; 0 is no bound.
    pub series_max: u64,
    /// Series times blocks a query may look at in the index; 0 is no bound.
    pub docs_max: u64,
    /// The longest range a query may fetch; zero is no bound.
    pub range_max: Duration,
    /// Whether a query over a bound is refused rather than cut.
    pub require_exhaustive: bool,
    /// Entries of the `M3-Metric-Stats` header.
    pub metric_stats_max: u64,
    /// Whether `/labels` needs `start` and `end`.
    pub labels_need_range: bool,
    /// Whether `/series` needs `start` and `end`.
    pub series_need_range: bool,
    /// What every query is restricted to unless its `M3-Restrict-By-Tags-JSON` says otherwise.
    pub restrict: Option<RestrictTags>,
}

/// A restriction of every query to some series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestrictTags {
    /// What series have to match, all of it.
    pub matchers: Vec<RestrictMatcher>,
    /// Labels that are removed from answers; `None` removes those that are matched.
    pub strip: Option<Vec<String>>,
}

/// One matcher of a restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictMatcher {
    /// The label.
    pub name: String,
    /// M3's word: `EQUAL NOTEQUAL REGEXP NOTREGEXP EXISTS NOTEXISTS`.
    pub kind: String,
    /// The value or regular expression.
    pub value: String,
}

/// How the node finds its name, and the name it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostId {
    /// The name.
    pub id: String,
    /// `config`, `hostname`, `environment` or `file`.
    pub resolver: String,
    /// The variable that holds the name, for `environment`.
    pub variable: String,
    /// The file that holds the name, for `file`.
    pub file: String,
}

impl Default for Config {
    fn default() -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            data_dir: PathBuf::from("./m3ring_data"),
            http_listen: any(7201),
            metrics_listen: any(7203),
            cores: None,
            io_driver: DriverChoice::Auto,
            ack: Ack::Durable,
            direct: true,
            log_format: LogFormat::Text,
            log_level: LogLevel::Info,
            http: ServerLimits::default(),
            body_decoded_bytes_max: BODY_DECODED_BYTES_MAX,
            memory_limit: 0,
            series_per_namespace_max: 0,
            labels: LabelLimits::default(),
            query: QueryConfig::default(),
            host: HostId::default(),
            node_listen: any(9000),
            idle: Vec::new(),
            later: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            lookback: Duration::from_secs(300),
            samples_max: QUERY_SAMPLES_MAX,
            series_max: QUERY_SERIES_MAX,
            docs_max: 0,
            range_max: Duration::ZERO,
            require_exhaustive: true,
            metric_stats_max: 4,
            labels_need_range: false,
            series_need_range: false,
            restrict: None,
        }
    }
}

impl QueryConfig {
    /// The lookback in milliseconds.
    #[must_use]
    pub fn lookback_ms(&self) -> i64 {
        in_ms(self.lookback)
    }

    /// The longest range in milliseconds; 0 is no bound.
    #[must_use]
    pub fn range_max_ms(&self) -> i64 {
        in_ms(self.range_max)
    }
}

fn in_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Default for HostId {
    fn default() -> Self {
        Self {
            id: "m3db_local".to_string(),
            resolver: "config".to_string(),
            variable: String::new(),
            file: String::new(),
        }
    }
}

impl Config {
    /// What the command line `args` (without the program's name) asks for. `env` answers
    /// variables, `read_file` the text of files.
    ///
    /// # Errors
    /// The first flag, file, key or value that is wrong.
    pub fn load(
        args: impl IntoIterator<Item = String>,
        env: impl Fn(&str) -> Option<String>,
        read_file: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Command, ConfigError> {
        let flags = cli::parse(args)?;
        if let Some(text) = flags.text {
            return Ok(Command::Print(text));
        }
        if flags.is_grant {
            return Ok(Command::Grant);
        }
        let mut config = Self::default();
        for path in &flags.files {
            let text = read_file(path)
                .map_err(|error| ConfigError::Read { file: path.clone(), reason: error })?;
            schema::apply(&mut config, &yaml::parse(path, &text, &env)?)?;
            config.files.push(path.clone());
        }
        for (flag, value) in &flags.settings {
            let knob = Knob::of_flag(flag).expect("the parser knows the same flags");
            let place = Place::Flag(format!("--{flag}"));
            knob.set(&mut config, value, &place)?;
        }
        config.resolve_host(&env, &read_file)?;
        if config.http_listen.port() != 0 && config.http_listen == config.metrics_listen {
            return Err(ConfigError::Contradiction(format!(
                "the API and /metrics cannot both listen on {}: give one of \
                 coordinator.listenAddress (--http.listen) and \
                 coordinator.metrics.prometheus.listenAddress (--metrics.listen) another port",
                config.http_listen
            )));
        }
        if flags.is_dump {
            return Ok(Command::Print(dump::dump(&config)));
        }
        if flags.is_check {
            return Ok(Command::Check(Box::new(config)));
        }
        if flags.is_health {
            return Ok(Command::Health(config.http_listen));
        }
        Ok(Command::Run(Box::new(config)))
    }

    /// Finds the node's name as `db.hostID.resolver` says.
    fn resolve_host(
        &mut self,
        env: &impl Fn(&str) -> Option<String>,
        read_file: &impl Fn(&Path) -> io::Result<String>,
    ) -> Result<(), ConfigError> {
        let read = |path: &Path| match read_file(path) {
            Ok(text) => Ok(text.trim().to_string()),
            Err(reason) => Err(ConfigError::Read { file: path.to_path_buf(), reason }),
        };
        match self.host.resolver.as_str() {
            "environment" => {
                let name = &self.host.variable;
                self.host.id = env(name).ok_or_else(|| {
                    ConfigError::Contradiction(format!(
                        "db.hostID.resolver is environment, but the variable {name:?} of \
                         db.hostID.envVarName is not set"
                    ))
                })?;
            }
            "hostname" => self.host.id = read(Path::new("/proc/sys/kernel/hostname"))?,
            "file" => self.host.id = read(Path::new(&self.host.file))?,
            _ => {}
        }
        if self.host.id.is_empty() {
            return Err(ConfigError::Contradiction(format!(
                "the node has no name: db.hostID.resolver is {}, and what it finds is empty",
                self.host.resolver
            )));
        }
        Ok(())
    }

    /// A line for the log on M3's keys that mean nothing here, if some were given.
    #[must_use]
    pub fn idle_line(&self) -> Option<String> {
        (!self.idle.is_empty()).then(|| {
            format!(
                "these keys tune M3's own runtime and do nothing here: {}",
                self.idle.join(", ")
            )
        })
    }

    /// A line for the log on keys that ask for what this version does not do, if some were given.
    #[must_use]
    pub fn later_line(&self) -> Option<String> {
        (!self.later.is_empty()).then(|| {
            format!("this version does not do what these keys ask for: {}", self.later.join(", "))
        })
    }
}

#[cfg(test)]
mod tests;
