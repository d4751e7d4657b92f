//! Every setting that does something: name, flag, unit, bounds, and what it is for.
//!
//! The table is the documentation: `m3ring config` prints it with the values in force, and the
//! defaults are those of [`Config::default`], read through the same table.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use m3_io::driver::DriverChoice;
use m3_io::runtime::parse_cpu_list;
use m3_metric::limits::{BODY_DECODED_BYTES_MAX, LABEL_LITERAL_BYTES_MAX, LABELS_PER_SERIES_MAX};
use m3_shard::commitlog::Ack;

use super::values::{Word, print_duration, print_size, read_address, read_duration, read_size};
use super::{Config, ConfigError, LogFormat, LogLevel, Place};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);
/// About 292 years, the longest time nanoseconds in 64 bits express.
const EVER: Duration = Duration::from_secs(9_223_372_036);

/// A setting.
#[derive(Debug)]
pub struct Knob {
    /// Its names in files; the first is the one to use, the others are M3's or older.
    pub names: &'static [&'static str],
    /// Its flag without the dashes; empty if there is none.
    pub flag: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    target: Target,
}

type Field<T> = fn(&mut Config) -> &mut T;

/// Where a setting is kept, and between what bounds, both included.
#[derive(Debug)]
enum Target {
    Path(Field<PathBuf>),
    Address(Field<SocketAddr>),
    Cores(Field<Option<Vec<usize>>>),
    Driver(Field<DriverChoice>),
    Ack(Field<Ack>),
    Format(Field<LogFormat>),
    Level(Field<LogLevel>),
    Flag(Field<bool>),
    Duration(Field<Duration>, Duration, Duration),
    Size(Field<usize>, usize, usize),
    Count(Field<usize>, usize, usize),
    Number(Field<u64>, u64, u64),
    Rate(Field<u64>, u64, u64),
    Text(Field<String>),
    OneOf(Field<String>, &'static [&'static str]),
    /// M3 knows more values than this node.
    Only(&'static str),
}

impl Target {
    /// What the setting takes, in words.
    fn expected(&self) -> String {
        match self {
            Self::Path(_) => "a path".to_string(),
            Self::Address(_) => "an IP address and a port, as in 0.0.0.0:7201".to_string(),
            Self::Cores(_) => "a list of cpus, as in 0-3,8, or all".to_string(),
            Self::Driver(_) => "auto, io_uring or epoll".to_string(),
            Self::Ack(_) => "durable or buffered".to_string(),
            Self::Format(_) => "text or json".to_string(),
            Self::Level(_) => "error, warn, info, debug or trace".to_string(),
            Self::Flag(_) => "true or false".to_string(),
            Self::Duration(_, min, max) => {
                let (min, max) = (print_duration(*min), print_duration(*max));
                format!("a duration with its unit, from {min} to {max}, as in 30s")
            }
            Self::Size(_, min, max) => {
                let (min, max) = (print_size(*min as u64), print_size(*max as u64));
                format!("bytes from {min} to {max}, as in {min}")
            }
            Self::Count(_, min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(_, min, u64::MAX) => format!("a whole number of at least {min}"),
            Self::Number(_, min, max) => format!("a whole number from {min} to {max}"),
            Self::Rate(_, min, max) => {
                format!("bytes a second from {min} to {}", print_size(*max))
            }
            Self::Text(_) => "a text".to_string(),
            Self::OneOf(_, words) => format!("one of {}", words.join(", ")),
            Self::Only(word) => format!("{word}, all that this node knows"),
        }
    }

    fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        let expected = || self.expected();
        match self {
            Self::Path(_) if text.is_empty() => return Err(expected()),
            Self::Path(field) => *field(config) = PathBuf::from(text),
            Self::Address(field) => {
                *field(config) = read_address(text).ok_or_else(expected)?;
            }
            Self::Cores(field) => {
                *field(config) = match text {
                    "" | "all" => None,
                    list => Some(parse_cpu_list(list).map_err(|_| expected())?),
                };
            }
            Self::Driver(field) => *field(config) = text.parse().map_err(|_| expected())?,
            Self::Ack(field) => *field(config) = Word::read(text).ok_or_else(expected)?,
            Self::Format(field) => *field(config) = Word::read(text).ok_or_else(expected)?,
            Self::Level(field) => *field(config) = Word::read(text).ok_or_else(expected)?,
            Self::Flag(field) => *field(config) = Word::read(text).ok_or_else(expected)?,
            Self::Duration(field, min, max) => {
                let value = read_duration(text).filter(|value| (min..=max).contains(&value));
                *field(config) = value.ok_or_else(expected)?;
            }
            Self::Size(field, min, max) => {
                let value = read_size(text).and_then(|value| usize::try_from(value).ok());
                *field(config) =
                    value.filter(|value| (min..=max).contains(&value)).ok_or_else(expected)?;
            }
            Self::Rate(field, min, max) => {
                let value = read_size(text).filter(|value| (min..=max).contains(&value));
                *field(config) = value.ok_or_else(expected)?;
            }
            Self::Count(field, min, max) => {
                let value = text.parse().ok().filter(|value| (min..=max).contains(&value));
                *field(config) = value.ok_or_else(expected)?;
            }
            Self::Number(field, min, max) => {
                let value = text.parse().ok().filter(|value| (min..=max).contains(&value));
                *field(config) = value.ok_or_else(expected)?;
            }
            Self::Text(field) => *field(config) = text.to_string(),
            Self::OneOf(field, words) if words.contains(&text) => {
                *field(config) = text.to_string();
            }
            Self::Only(word) if *word == text => {}
            Self::OneOf(..) | Self::Only(_) => return Err(expected()),
        }
        Ok(())
    }

    /// The value in force, as [`Target::set`] reads it.
    fn print(&self, config: &mut Config) -> String {
        match self {
            Self::Path(field) => field(config).display().to_string(),
            Self::Address(field) => field(config).to_string(),
            Self::Cores(field) => field(config).as_ref().map_or("all".to_string(), |cores| {
                let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
                cores.join(",")
            }),
            Self::Driver(field) => field(config).to_string(),
            Self::Ack(field) => field(config).word().to_string(),
            Self::Format(field) => field(config).word().to_string(),
            Self::Level(field) => field(config).word().to_string(),
            Self::Flag(field) => field(config).word().to_string(),
            Self::Duration(field, ..) => print_duration(*field(config)),
            Self::Size(field, ..) => print_size(*field(config) as u64),
            Self::Count(field, ..) => field(config).to_string(),
            Self::Number(field, ..) => field(config).to_string(),
            Self::Rate(field, ..) => print_size(*field(config)),
            Self::Text(field) | Self::OneOf(field, _) => field(config).clone(),
            Self::Only(word) => (*word).to_string(),
        }
    }
}

impl Knob {
    /// The knob of a flag.
    pub(super) fn of_flag(flag: &str) -> Option<&'static Self> {
        KNOBS.iter().find(|knob| !flag.is_empty() && knob.flag == flag)
    }

    /// The knob of a key.
    pub(super) fn of_key(key: &str) -> Option<&'static Self> {
        KNOBS.iter().find(|knob| knob.names.contains(&key))
    }

    /// What the setting takes, in words.
    #[must_use]
    pub fn expected(&self) -> String {
        self.target.expected()
    }

    /// The value of the setting in `config`, as it would be written in a file.
    #[must_use]
    pub fn value(&self, config: &Config) -> String {
        self.target.print(&mut config.clone())
    }

    /// Sets the setting to what `text` says.
    pub(super) fn set(
        &self,
        config: &mut Config,
        text: &str,
        place: &Place,
    ) -> Result<(), ConfigError> {
        self.target.set(config, text).map_err(|expected| ConfigError::BadValue {
            place: place.clone(),
            key: self.names[0].to_string(),
            value: text.to_string(),
            expected,
        })
    }
}

/// A knob without a flag.
const fn key(names: &'static [&'static str], about: &'static str, target: Target) -> Knob {
    Knob { names, flag: "", about, target }
}

/// Every knob, in the order they are shown.
pub static KNOBS: &[Knob] = &[
    Knob {
        names: &["dataDir", "db.filesystem.filePathPrefix"],
        flag: "data-dir",
        about: "Where everything is stored.",
        target: Target::Path(|config| &mut config.data_dir),
    },
    Knob {
        names: &["coordinator.listenAddress"],
        flag: "http.listen",
        about: "Where the API listens: writes, queries and admin routes.",
        target: Target::Address(|config| &mut config.http_listen),
    },
    Knob {
        names: &[
            "coordinator.metrics.prometheus.listenAddress",
            "db.metrics.prometheus.listenAddress",
        ],
        flag: "metrics.listen",
        about: "Where the node's own /metrics listens.",
        target: Target::Address(|config| &mut config.metrics_listen),
    },
    Knob {
        names: &["io.cores"],
        flag: "cores",
        about: "Which cpus get a core with its share of the data; all that the process may use.",
        target: Target::Cores(|config| &mut config.cores),
    },
    Knob {
        names: &["io.driver"],
        flag: "io.driver",
        about: "What carries the I/O; auto is io_uring where the kernel allows it, else epoll.",
        target: Target::Driver(|config| &mut config.io_driver),
    },
    Knob {
        names: &["commitlog.ack", "db.commitlog.ack"],
        flag: "commitlog.ack",
        about: "When a write is acknowledged: durable is when it is on disk, buffered when it is in \
                memory, so that a crash loses the last moments.",
        target: Target::Ack(|config| &mut config.ack),
    },
    Knob {
        names: &["commitlog.direct", "db.commitlog.direct"],
        flag: "commitlog.direct",
        about: "Whether a durable commit log is written past the page cache (O_DIRECT, O_DSYNC) on \
                ext4, XFS, btrfs and f2fs; elsewhere, and if false, it is written and synced.",
        target: Target::Flag(|config| &mut config.direct),
    },
    Knob {
        names: &["logging.encoding", "coordinator.logging.encoding", "db.logging.encoding"],
        flag: "log.format",
        about: "How log lines are written: text for people, json for programs.",
        target: Target::Format(|config| &mut config.log_format),
    },
    Knob {
        names: &["logging.level", "coordinator.logging.level", "db.logging.level"],
        flag: "log.level",
        about: "Which log lines are written.",
        target: Target::Level(|config| &mut config.log_level),
    },
    key(
        &["memory.limit"],
        "Resident bytes at which writes are answered 429 and queries fail; 0 is nine tenths of what \
         the cgroup or the machine has (less of less than a GiB).",
        Target::Number(|config| &mut config.memory_limit, 0, u64::MAX),
    ),
    key(
        &["limits.seriesPerNamespaceMax"],
        "Series of one namespace; samples of new series beyond are answered 429. 0 is no bound.",
        Target::Number(|config| &mut config.series_per_namespace_max, 0, u64::MAX),
    ),
    key(
        &["limits.labelsPerSeriesMax"],
        "Labels of a new series; one with more is answered 400.",
        Target::Count(|config| &mut config.labels.count, 1, LABELS_PER_SERIES_MAX),
    ),
    key(
        &["limits.labelNameBytesMax"],
        "Bytes of the name of a new series' label; a longer one is answered 400.",
        Target::Size(|config| &mut config.labels.name_bytes, 1, LABEL_LITERAL_BYTES_MAX),
    ),
    key(
        &["limits.labelValueBytesMax"],
        "Bytes of the value of a new series' label; a longer one is answered 400.",
        Target::Size(|config| &mut config.labels.value_bytes, 1, LABEL_LITERAL_BYTES_MAX),
    ),
    key(
        &["http.headBytesMax"],
        "Bytes of a request's line and headers; a larger one is answered 431.",
        Target::Size(|config| &mut config.http.head_bytes, 1 << 10, 1 << 20),
    ),
    key(
        &["http.bodyBytesMax"],
        "Bytes of a body as it arrives; a larger one is answered 413.",
        Target::Size(|config| &mut config.http.body_bytes, 1 << 10, 1 << 30),
    ),
    key(
        &["http.bodyDecodedBytesMax"],
        "Bytes of a body after decompression; a larger one is answered 413 before it is unpacked.",
        Target::Size(|config| &mut config.body_decoded_bytes_max, 1 << 10, BODY_DECODED_BYTES_MAX),
    ),
    key(
        &["http.connectionsMax"],
        "Connections a core serves at once; one more is answered 503.",
        Target::Count(|config| &mut config.http.connections, 1, 1_000_000),
    ),
    key(
        &["http.headTimeout"],
        "How long a client may take to send a request's line and headers.",
        Target::Duration(|config| &mut config.http.head_timeout, MILLISECOND, DAY),
    ),
    key(
        &["http.bodyTimeout"],
        "How long a client may take to send a body, however large.",
        Target::Duration(|config| &mut config.http.body_timeout, MILLISECOND, DAY),
    ),
    key(
        &["http.bodyBytesPerSecondMin"],
        "Bytes a second a client has to send on average; a slower one is answered 408.",
        Target::Rate(|config| &mut config.http.body_bytes_per_second, 1, 1 << 30),
    ),
    key(
        &["http.bodyGrace"],
        "How long a body may lag behind http.bodyBytesPerSecondMin.",
        Target::Duration(|config| &mut config.http.body_grace, MILLISECOND, DAY),
    ),
    key(
        &["http.idleTimeout"],
        "How long a connection may idle between requests.",
        Target::Duration(|config| &mut config.http.idle_timeout, MILLISECOND, DAY),
    ),
    key(
        &["http.writeTimeout"],
        "How long a client may take nothing of an answer; it has http.bodyTimeout for all of it.",
        Target::Duration(|config| &mut config.http.write_timeout, MILLISECOND, DAY),
    ),
    key(
        &["http.drainTimeout"],
        "How long requests in progress may take once the node is told to stop.",
        Target::Duration(|config| &mut config.http.drain_timeout, Duration::ZERO, DAY),
    ),
    key(
        &["coordinator.query.timeout"],
        "How long a query may take when it does not say.",
        Target::Duration(|config| &mut config.query.timeout, MILLISECOND, DAY),
    ),
    key(
        &["coordinator.lookbackDuration"],
        "How far back an instant selector looks for a sample.",
        Target::Duration(|config| &mut config.query.lookback, SECOND, EVER),
    ),
    key(
        &["coordinator.query.prometheus.maxSamplesPerQuery"],
        "Samples a query may hold at once.",
        Target::Number(|config| &mut config.query.samples_max, 1, u64::MAX),
    ),
    key(
        &["coordinator.limits.perQuery.maxFetchedSeries"],
        "Series a query may fetch; 0 is no bound.",
        Target::Number(|config| &mut config.query.series_max, 0, u64::MAX),
    ),
    key(
        &["coordinator.limits.perQuery.maxFetchedDocs"],
        "Series times blocks a query may look at in the index; 0 is no bound.",
        Target::Number(|config| &mut config.query.docs_max, 0, u64::MAX),
    ),
    key(
        &["coordinator.limits.perQuery.maxFetchedRange"],
        "The longest range a query may fetch; 0s is no bound.",
        Target::Duration(|config| &mut config.query.range_max, Duration::ZERO, EVER),
    ),
    key(
        &["coordinator.limits.perQuery.requireExhaustive"],
        "Whether a query over a bound is refused; false cuts its answer and says so.",
        Target::Flag(|config| &mut config.query.require_exhaustive),
    ),
    key(
        &["coordinator.limits.perQuery.maxMetricMetadataStats"],
        "Entries of the M3-Metric-Stats header.",
        Target::Number(|config| &mut config.query.metric_stats_max, 0, 10_000),
    ),
    key(
        &["coordinator.query.requireLabelsEndpointStartEndTime"],
        "Whether /api/v1/labels needs start and end.",
        Target::Flag(|config| &mut config.query.labels_need_range),
    ),
    key(
        &["coordinator.query.requireSeriesEndpointStartEndTime"],
        "Whether /api/v1/series needs start and end.",
        Target::Flag(|config| &mut config.query.series_need_range),
    ),
    key(
        &["coordinator.query.defaultEngine"],
        "The engine of queries that name none.",
        Target::Only("prometheus"),
    ),
    key(
        &["coordinator.tagOptions.metricName"],
        "The label that holds a metric's name.",
        Target::Only("__name__"),
    ),
    key(
        &["coordinator.tagOptions.bucketName"],
        "The label that holds a histogram bucket's bound.",
        Target::Only("le"),
    ),
    key(
        &["coordinator.tagOptions.allowTagNameDuplicates"],
        "Whether a series may have a label twice.",
        Target::Only("false"),
    ),
    key(
        &["coordinator.tagOptions.allowTagValueEmpty"],
        "Whether a series may have a label without a value.",
        Target::Only("false"),
    ),
    key(
        &["db.listenAddress"],
        "The address whose port a local placement shows; nothing listens there yet.",
        Target::Address(|config| &mut config.node_listen),
    ),
    key(
        &["db.hostID.resolver"],
        "How the node finds its name in placements.",
        Target::OneOf(
            |config| &mut config.host.resolver,
            &["config", "hostname", "environment", "file"],
        ),
    ),
    key(
        &["db.hostID.value"],
        "The node's name, if db.hostID.resolver is config.",
        Target::Text(|config| &mut config.host.id),
    ),
    key(
        &["db.hostID.envVarName"],
        "The variable that holds the node's name, if db.hostID.resolver is environment.",
        Target::Text(|config| &mut config.host.variable),
    ),
    key(
        &["db.hostID.file.path"],
        "The file that holds the node's name, if db.hostID.resolver is file.",
        Target::Text(|config| &mut config.host.file),
    ),
];
