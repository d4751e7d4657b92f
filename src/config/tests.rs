//! What a person who configures a node notices.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use m3_io::driver::DriverChoice;

use m3_shard::commitlog::Ack;

use super::{Command, Config, KNOBS, LogFormat, LogLevel, RestrictMatcher};

/// A realistic m3dbnode file: most keys that M3's own samples and documents use.
const M3_FULL: &str = r#"
coordinator:
  listenAddress: 0.0.0.0:7201
  logging:
    level: ${M3_LOG_LEVEL:info}
  metrics:
    scope:
      prefix: "coordinator"
    prometheus:
      handlerPath: /metrics
      listenAddress: 0.0.0.0:7203
    sanitization: prometheus
    samplingRate: 1.0
    extended: none
  tagOptions:
    idScheme: quoted
  limits:
    perQuery:
      maxFetchedSeries: 250000
      requireExhaustive: false
  query:
    timeout: 45s
    restrictTags:
      match:
        - name: tenant
          type: EQUAL
          value: "a"
      strip: []
  lookbackDuration: 10m
  carbon:
    ingester:
      listenAddress: 0.0.0.0:7204
      rules:
        - pattern: .*
          aggregation: {type: mean}
          policies: [{resolution: 1m, retention: 48h}]

db:
  logging:
    level: info
  metrics:
    prometheus:
      handlerPath: /metrics
    sanitization: prometheus
    samplingRate: 1.0
    extended: detailed
  listenAddress: 0.0.0.0:9000
  clusterListenAddress: 0.0.0.0:9001
  httpNodeListenAddress: 0.0.0.0:9002
  httpClusterListenAddress: 0.0.0.0:9003
  debugListenAddress: 0.0.0.0:9004
  hostID:
    resolver: config
    value: ${M3DB_HOST_ID:"m3db_local"}
  client:
    writeConsistencyLevel: majority
    readConsistencyLevel: unstrict_majority
    writeTimeout: 10s
    fetchRetry: {initialBackoff: 500ms, backoffFactor: 3, maxRetries: 2, jitter: true}
  gcPercentage: 100
  writeNewSeriesAsync: true
  writeNewSeriesBackoffDuration: 2ms
  bootstrap:
    commitlog:
      returnUnfulfilledForCorruptCommitLogFiles: false
  cache:
    series:
      policy: lru
    postingsList:
      size: 262144
  commitlog:
    flushMaxBytes: 524288
    flushEvery: 1s
    queue: {calculationType: fixed, size: 2097152}
  filesystem:
    filePathPrefix: /var/lib/m3db
    writeBufferSize: 65536
    throughputLimitMbps: 100.0
    newFileMode: 0666
  repair:
    enabled: false
    throttle: 2m
  pooling:
    blockAllocSize: 16
    type: simple
    bytesPool:
      buckets:
        - capacity: 16
          size: 524288
          lowWatermark: 0.7
  discovery:
    config:
      service:
        env: default_env
        zone: embedded
        service: m3db
        cacheDir: /var/lib/m3kv
        etcdClusters:
          - zone: embedded
            endpoints: ["127.0.0.1:2379"]
      seedNodes:
        initialCluster:
          - hostID: m3db_local
            endpoint: http://127.0.0.1:2380
  tchannel: {maxIdleTime: 1m}
"#;

fn load_with(
    args: &[&str],
    files: &[(&str, &str)],
    env: &[(&str, &str)],
) -> Result<Command, String> {
    let args = args.iter().map(|arg| (*arg).to_string());
    let env = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_string())
    };
    let read = |path: &Path| {
        let found = files.iter().find(|(known, _)| Path::new(known) == path);
        found.map(|(_, text)| (*text).to_string()).ok_or(io::ErrorKind::NotFound.into())
    };
    Config::load(args, env, read).map_err(|error| error.to_string())
}

fn run(args: &[&str], files: &[(&str, &str)]) -> Config {
    match load_with(args, files, &[]) {
        Ok(Command::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn file(text: &str) -> Result<Config, String> {
    match load_with(&["-f", "c.yml"], &[("c.yml", text)], &[])? {
        Command::Run(config) => Ok(*config),
        other => panic!("{other:?}"),
    }
}

fn text(args: &[&str], files: &[(&str, &str)]) -> String {
    match load_with(args, files, &[]) {
        Ok(Command::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_enough() {
    let config = run(&[], &[]);
    assert_eq!(config, Config::default());
    assert_eq!(config.http_listen.to_string(), "0.0.0.0:7201");
    assert_eq!(config.metrics_listen.to_string(), "0.0.0.0:7203");
    assert_eq!(config.data_dir, PathBuf::from("./m3ring_data"));
    assert_eq!(config.ack, Ack::Durable);
    for minimal in ["coordinator: {}\n\ndb: {}\n", "coordinator:\ndb:\n", "", "# nothing\n"] {
        let mut config = file(minimal).unwrap();
        config.files.clear();
        assert_eq!(config, Config::default(), "{minimal:?}");
    }
}

#[test]
fn a_whole_m3_file_loads() {
    let config = file(M3_FULL).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/m3db"));
    assert_eq!(config.query.series_max, 250_000);
    assert!(!config.query.require_exhaustive);
    assert_eq!(config.query.timeout, Duration::from_secs(45));
    assert_eq!(config.query.lookback, Duration::from_secs(600));
    assert_eq!(config.host.id, "m3db_local");
    let restrict = config.query.restrict.as_ref().unwrap();
    let matcher = RestrictMatcher {
        name: "tenant".to_string(),
        kind: "EQUAL".to_string(),
        value: "a".to_string(),
    };
    assert_eq!(restrict.matchers, [matcher]);
    assert_eq!(restrict.strip, Some(vec![]));
    let idle = config.idle_line().unwrap();
    for key in ["db.pooling", "db.tchannel", "db.gcPercentage", "db.cache"] {
        assert!(idle.contains(key), "{idle}");
    }
    let later = config.later_line().unwrap();
    for key in ["coordinator.carbon", "db.discovery", "db.repair", "db.httpNodeListenAddress"] {
        assert!(later.contains(key), "{later}");
    }
}

#[test]
fn flags_win_over_later_files_over_earlier_ones() {
    let files = [
        (
            "a.yml",
            "coordinator:\n  listenAddress: 0.0.0.0:1\n  query: {timeout: 1s}\ndb:\n  \
                   logging: {level: debug}\n",
        ),
        ("b.yml", "coordinator:\n  listenAddress: 127.0.0.1:2\n  limits:\ndataDir: /b\n"),
    ];
    let config = run(&["-f", "a.yml", "-f=b.yml"], &files);
    assert_eq!(config.http_listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.query.timeout, Duration::from_secs(1), "maps merge key by key");
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.data_dir, PathBuf::from("/b"));
    let args = [
        "--http.listen=:3",
        "-f",
        "a.yml",
        "--data-dir",
        "/c",
        "--cores",
        "0-2,4",
        "--io.driver",
        "epoll",
        "--commitlog.ack=buffered",
        "--log.format",
        "json",
        "--log.level",
        "error",
        "--metrics.listen",
        "localhost:9",
    ];
    let config = run(&args, &files);
    assert_eq!(config.http_listen.to_string(), "0.0.0.0:3");
    assert_eq!(config.metrics_listen.to_string(), "127.0.0.1:9");
    assert_eq!(config.data_dir, PathBuf::from("/c"));
    assert_eq!(config.cores, Some(vec![0, 1, 2, 4]));
    assert_eq!(config.io_driver, DriverChoice::Epoll);
    assert_eq!(config.ack, Ack::Buffered);
    assert_eq!((config.log_format, config.log_level), (LogFormat::Json, LogLevel::Error));
}

#[test]
fn variables_are_replaced() {
    let yaml = "db:\n  hostID: {value: ${NAME:\"none\"}}\n  # not ${THIS}\n  filesystem:\n    \
                filePathPrefix: ${DIR}/m3\n  logging: {level: ${LEVEL:warn}} # nor ${THIS}\n";
    let load = |env: &[(&str, &str)]| load_with(&["-f", "c.yml"], &[("c.yml", yaml)], env);
    let Ok(Command::Run(config)) = load(&[("DIR", "/data"), ("LEVEL", "debug")]) else {
        panic!("it loads");
    };
    assert_eq!(config.host.id, "none");
    assert_eq!(config.data_dir, PathBuf::from("/data/m3"));
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(
        load(&[]).unwrap_err(),
        "c.yml:5: the variable DIR is not set; set it, or give a default as in ${DIR:default}"
    );
    assert_eq!(
        file("a: 1\nb: ${X").unwrap_err(),
        "c.yml:2: not YAML: a variable starts with ${ and has no }"
    );
    assert_eq!(file("db:\n  hostID: {value: \"a$${b}#${X:c}\"}\n").unwrap().host.id, "a${b}#c");
}

#[test]
fn the_node_finds_its_name() {
    let env = [("POD", "m3db-0")];
    let files = [
        ("e.yml", "db: {hostID: {resolver: environment, envVarName: POD}}"),
        ("h.yml", "db: {hostID: {resolver: hostname}}"),
        ("f.yml", "db: {hostID: {resolver: file, file: {path: /etc/id, timeout: 1m}}}"),
        ("/proc/sys/kernel/hostname", "box\n"),
        ("/etc/id", " from-file \n"),
    ];
    let id = |name: &str| match load_with(&["-f", name], &files, &env) {
        Ok(Command::Run(config)) => Ok(config.host.id),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    assert_eq!(id("e.yml").unwrap(), "m3db-0");
    assert_eq!(id("h.yml").unwrap(), "box");
    assert_eq!(id("f.yml").unwrap(), "from-file");
    let unset = load_with(&["-f", "e.yml"], &files, &[]).unwrap_err();
    assert!(unset.contains("the variable \"POD\" of db.hostID.envVarName is not set"), "{unset}");
}

#[test]
fn mistakes_are_named_with_place_and_remedy() {
    let cases = [
        (
            "db:\n  filesytem: {}\n",
            "c.yml:2: unknown key db.filesytem; did you mean db.filesystem?",
        ),
        (
            "coordinator:\n  limits:\n    perQuery:\n      maxFetchedSerie: 1\n",
            "c.yml:4: unknown key coordinator.limits.perQuery.maxFetchedSerie; did you mean \
             coordinator.limits.perQuery.maxFetchedSeries?",
        ),
        (
            "db: {}\nlistenAddress: 0.0.0.0:7201\n",
            "c.yml:2: unknown key listenAddress; did you mean coordinator.listenAddress?",
        ),
        ("xyzzy: 1\n", "c.yml:1: unknown key xyzzy; m3ring config prints the keys there are"),
        (
            "io:\n  driver: uring\n",
            "c.yml:2: io.driver is \"uring\", expected auto, io_uring or epoll",
        ),
        (
            "coordinator:\n  query:\n    timeout: 30\n",
            "c.yml:3: coordinator.query.timeout is \"30\", expected a duration with its unit, from \
             1ms to 24h, as in 30s",
        ),
        (
            "http: {headBytesMax: 2MiB}",
            "c.yml:1: http.headBytesMax is \"2MiB\", expected bytes from 1KiB to 1MiB, as in 1KiB",
        ),
        (
            "http: {connectionsMax: 0}",
            "c.yml:1: http.connectionsMax is \"0\", expected a whole number from 1 to 1000000",
        ),
        (
            "db:\n  commitlog: {ack: maybe}",
            "c.yml:2: db.commitlog.ack is \"maybe\", expected durable or buffered",
        ),
        (
            "coordinator: {tagOptions: {metricName: name}}",
            "c.yml:1: coordinator.tagOptions.metricName is \"name\", expected __name__, all that \
             this node knows",
        ),
        (
            "coordinator:\n  query:\n    restrictTags:\n      match:\n        - {name: a, type: IS}\n",
            "c.yml:5: coordinator.query.restrictTags.match.type is \"IS\", expected one of EQUAL, \
             NOTEQUAL, REGEXP, NOTREGEXP, EXISTS, NOTEXISTS",
        ),
        ("io: [1]\n", "c.yml:1: io is \"a list\", expected keys such as cores, driver"),
        ("dataDir: {a: 1}\n", "c.yml:1: dataDir is \"keys\", expected a path"),
        (
            "coordinator:\n  listenAddress: host:1\n",
            "c.yml:2: coordinator.listenAddress is \"host:1\", expected an IP address and a port, \
             as in 0.0.0.0:7201",
        ),
    ];
    for (yaml, words) in cases {
        assert_eq!(file(yaml).unwrap_err(), words);
    }
    for (yaml, start) in [
        ("a: [\n", "c.yml:1: not YAML: "),
        ("io:\n  driver: auto\n  driver: epoll\n", "c.yml:3: not YAML: "),
        ("a: 1\n---\nb: 2\n", "c.yml:3: not YAML: "),
        ("- 1\n", "c.yml:1: the file is \"a list\", expected keys such as "),
    ] {
        let error = file(yaml).unwrap_err();
        assert!(error.starts_with(start), "{error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
    let large = format!("# {}", "x".repeat(super::FILE_BYTES_MAX));
    assert!(file(&large).unwrap_err().contains("the limit is 1048576"));
    let missing = load_with(&["-f", "no.yml"], &[], &[]).unwrap_err();
    assert!(missing.starts_with("cannot read no.yml: "), "{missing}");
    let same = load_with(&["--http.listen", ":5", "--metrics.listen", ":5"], &[], &[]).unwrap_err();
    assert!(same.starts_with("the API and /metrics cannot both listen on 0.0.0.0:5"), "{same}");
}

#[test]
fn flags_are_checked() {
    let help = "; m3ring --help shows what there is";
    let cases: [(&[&str], &str); 8] = [
        (&["--htp.listen", "x"], "unknown flag --htp.listen; did you mean --http.listen?"),
        (&["-x"], "unknown flag -x"),
        (&["--"], "unknown flag --"),
        (&["--cores"], "--cores needs a value"),
        (&["--help=1"], "--help takes no value"),
        (&["file.yml"], "unexpected argument \"file.yml\"; files are given with -f"),
        (&["confg"], "unknown command \"confg\"; did you mean config?"),
        (&["-f"], "-f needs a value"),
    ];
    for (args, words) in cases {
        assert_eq!(load_with(args, &[], &[]).unwrap_err(), format!("{words}{help}"));
    }
    assert_eq!(
        load_with(&["--cores", "3-1"], &[], &[]).unwrap_err(),
        "--cores: io.cores is \"3-1\", expected a list of cpus, as in 0-3,8, or all"
    );
    let help = text(&["--help"], &[]);
    for knob in KNOBS.iter().filter(|knob| !knob.flag.is_empty()) {
        assert!(help.contains(&format!("--{} ", knob.flag)), "{help}");
    }
    assert!(text(&["--version"], &[]).starts_with("m3ring 0."));
}

#[test]
fn the_dump_gives_the_same_configuration() {
    let args = ["-f", "m3.yml", "--cores=0,2", "--http.listen", "[::1]:7201"];
    let files = [("m3.yml", M3_FULL)];
    let config = run(&args, &files);
    let mut dumping = vec!["config"];
    dumping.extend(args);
    let dumped = text(&dumping, &files);
    assert!(dumped.contains("# From m3.yml and the flags."), "{dumped}");
    assert!(dumped.contains("  listenAddress: \"[::1]:7201\"\n"), "{dumped}");
    let mut again = run(&["-f", "dump.yml"], &[("dump.yml", &dumped)]);
    assert_eq!((again.idle.len(), again.later.len()), (0, 0));
    again.idle.clone_from(&config.idle);
    again.later.clone_from(&config.later);
    again.files.clone_from(&config.files);
    assert_eq!(again, config);
    let mut strange = vec!["-d", "--data-dir", "/a: b \"c\" ${d} \\e #"];
    let again = text(&strange, &[]);
    let loaded = run(&["-f", "d.yml"], &[("d.yml", &again)]);
    assert_eq!(loaded.data_dir, PathBuf::from(strange.remove(2)));
}

/// What the file of a coordinator apart holds, as M3's documents show them.
const COORDINATOR: &str = r#"
listenAddress: ${COORDINATOR_LISTEN:"127.0.0.1:7301"}
logging:
  level: ${LOG_LEVEL:warn}
  fields: {team: storage}
metrics:
  scope: {prefix: coordinator}
  prometheus:
    handlerPath: /metrics
    listenAddress: 127.0.0.1:7303
  sanitization: prometheus
  samplingRate: 1.0
http:
  enableH2C: true
  bodyTimeout: 2m
tagOptions:
  idScheme: quoted
lookbackDuration: 60m
limits:
  perQuery:
    maxFetchedSeries: 7000
    requireExhaustive: false
  labelsPerSeriesMax: 50
query:
  timeout: 90s
  restrictTags:
    match: [{name: tenant, type: EQUAL, value: a}]
clusters:
  - namespaces:
      - {namespace: default, type: unaggregated, retention: 48h}
      - {namespace: by_minute, type: aggregated, retention: 60d, resolution: 1m}
    client:
      config:
        service:
          env: default_env
          zone: embedded
          service: m3db
          etcdClusters: [{zone: embedded, endpoints: [etcd0:2379, etcd1:2379]}]
      writeConsistencyLevel: majority
clusterManagement:
  etcd: {env: default_env, zone: embedded}
downsample:
  rules: {mappingRules: []}
"#;

/// A query service before remote clusters.
const QUERY: &str = r"
listenAddress: 0.0.0.0:7221
filter: {read: allow_all, write: allow_none}
rpc:
  remotes:
    - {name: far, remoteListenAddresses: [far:7202], errorBehavior: warn}
query: {consolidation: {matchType: tags}}
readWorkerPoolPolicy: {grow: true, size: 10}
";

const AGGREGATOR: &str = r"
logging: {level: error, encoderConfig: {timeKey: at}}
metrics:
  prometheus: {listenAddress: 0.0.0.0:6002}
http: {listenAddress: 0.0.0.0:6001, readTimeout: 60s}
m3msg: {server: {listenAddress: 0.0.0.0:6000}}
kvClient:
  etcd: {env: default_env, zone: embedded, service: m3aggregator}
runtimeOptions: {kvConfig: {environment: default_env}}
aggregator: {hostID: {resolver: environment, envVarName: NOT_SET}}
";

#[test]
fn the_file_of_a_coordinator_apart_says_the_same_without_the_section() {
    let config = file(COORDINATOR).unwrap();
    assert_eq!(config.http_listen.to_string(), "127.0.0.1:7301");
    assert_eq!(config.metrics_listen.to_string(), "127.0.0.1:7303");
    assert_eq!(config.log_level, LogLevel::Warn);
    assert_eq!(config.query.lookback, Duration::from_secs(3600));
    assert_eq!(config.query.timeout, Duration::from_secs(90));
    assert_eq!(config.query.series_max, 7000);
    assert!(!config.query.require_exhaustive);
    assert_eq!(config.query.restrict.as_ref().unwrap().matchers[0].name, "tenant");
    // Our own keys have their place in it, also where M3 has a section of that name.
    assert_eq!((config.labels.count, config.http.body_timeout), (50, Duration::from_secs(120)));
    let within: String = COORDINATOR.lines().map(|line| format!("  {line}\n")).collect();
    let within = within.replace("bodyTimeout: 2m", "").replace("labelsPerSeriesMax: 50", "");
    let within = format!(
        "coordinator:{within}http: {{bodyTimeout: 2m}}\nlimits: {{labelsPerSeriesMax: 50}}\n"
    );
    assert_eq!(file(&within).unwrap(), config, "as a section of a node's file");
    let idle = config.idle_line().unwrap();
    for key in ["metrics.scope", "http.enableH2C", "tagOptions.idScheme", "logging.fields"] {
        assert!(idle.contains(&format!(" coordinator.{key}")), "{key} in {idle}");
    }
    let later = config.later_line().unwrap();
    for key in ["coordinator.clusters", "coordinator.downsample"] {
        assert!(later.contains(key), "{key} in {later}");
    }
}

#[test]
fn the_files_of_query_services_and_aggregators_load() {
    let query = file(QUERY).unwrap();
    assert_eq!(query.http_listen.to_string(), "0.0.0.0:7221");
    assert_eq!(query.later, ["coordinator.filter", "coordinator.rpc"]);
    let aggregator = file(AGGREGATOR).unwrap();
    assert_eq!(aggregator.log_level, LogLevel::Error);
    let mut expected = Config { log_level: LogLevel::Error, ..Config::default() };
    expected.idle = vec!["m3aggregator.logging.encoderConfig".to_string()];
    expected.later = ["metrics", "http.listenAddress", "http.readTimeout", "m3msg", "kvClient"]
        .into_iter()
        .chain(["runtimeOptions", "aggregator"])
        .map(|key| format!("m3aggregator.{key}"))
        .collect();
    expected.files = vec![PathBuf::from("c.yml")];
    assert_eq!(aggregator, expected, "it says nothing about ports of ours");
}

#[test]
fn files_of_all_kinds_go_together_and_later_ones_win() {
    let node = "coordinator:\n  lookbackDuration: 1m\n  query: {timeout: 1s, restrictTags: \
                {match: [{name: a}], strip: [b]}}\ndb:\n  hostID: {value: n1}\n";
    let again = "coordinator:\n  lookbackDuration: 3m\n";
    let part = "query:\n  restrictTags: {match: [{name: c}]}\nlookbackDuration: 2m\n";
    let files = [
        ("n.yml", node),
        ("c.yml", part),
        ("q.yml", QUERY),
        ("a.yml", AGGREGATOR),
        ("l.yml", again),
    ];
    let load = |names: &[&str]| {
        let args: Vec<&str> = names.iter().flat_map(|name| ["-f", name]).collect();
        run(&args, &files)
    };
    let config = load(&["n.yml", "c.yml", "q.yml", "a.yml", "l.yml"]);
    assert_eq!(config.query.lookback, Duration::from_secs(180));
    assert_eq!(config.query.timeout, Duration::from_secs(1));
    assert_eq!(config.host.id, "n1");
    assert_eq!((config.http_listen.port(), config.metrics_listen.port()), (7221, 7203));
    let restrict = config.query.restrict.unwrap();
    assert_eq!((restrict.matchers.len(), &*restrict.matchers[0].name), (1, "c"));
    assert_eq!(restrict.strip, Some(vec!["b".to_string()]), "maps merge key by key");
    assert_eq!(load(&["n.yml", "c.yml"]).query.lookback, Duration::from_secs(120));
    assert_eq!(load(&["c.yml", "n.yml"]).query.lookback, Duration::from_secs(60));
    let once = load(&["q.yml", "q.yml"]);
    assert_eq!(once.later, ["coordinator.filter", "coordinator.rpc"], "named once");
}

#[test]
fn a_mistake_in_a_file_without_sections_is_named_as_it_stands_there() {
    for (yaml, words) in [
        (
            "listenAddress: :1\nlookbackDuraton: 5m\n",
            "c.yml:2: unknown key lookbackDuraton; did you mean lookbackDuration?",
        ),
        (
            "limits:\n  perQuery:\n    maxFetchedSerie: 1\n",
            "c.yml:3: unknown key limits.perQuery.maxFetchedSerie; did you mean \
             limits.perQuery.maxFetchedSeries?",
        ),
        (
            "listenAddress: :1\nfilesystem: {}\n",
            "c.yml:2: unknown key filesystem; did you mean db.filesystem?",
        ),
        (
            "lookbackDuration: 5\n",
            "c.yml:1: lookbackDuration is \"5\", expected a duration with its unit, from 1s to \
             2562047h47m16s, as in 30s",
        ),
        (
            "query: 5\n",
            "c.yml:1: query is \"5\", expected keys such as consolidation, defaultEngine, \
          prometheus, requireLabelsEndpointStartEndTime, requireSeriesEndpointStartEndTime, \
          restrictTags, timeout",
        ),
        (
            "query:\n  restrictTags:\n    match: [{name: a, kind: b}]\n",
            "c.yml:3: unknown key query.restrictTags.match.kind; m3ring config prints the keys there \
             are",
        ),
        (
            "kvClient: {}\nlookbackDuration: 1m\n",
            "c.yml:2: unknown key lookbackDuration; did you mean coordinator.lookbackDuration?",
        ),
        (
            "coordinator: {}\nkvClient: {}\n",
            "c.yml:2: unknown key kvClient; did you mean m3aggregator.kvClient?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\n",
            "c.yml:1: unknown key apiVersion; this is an object of Kubernetes: give the file that \
             it holds (m3dbnode.yml of a ConfigMap) as a file of its own",
        ),
        (
            "listenAddress: :1\n---\nlistenAddress: :2\n",
            "c.yml:3: not YAML: a second document begins here, and a configuration is one; give \
             each in a file of its own",
        ),
    ] {
        assert_eq!(file(yaml).unwrap_err(), words);
    }
    // A file that a later one corrects is still wrong.
    let files = [("a.yml", "lookbackDuration: x\n"), ("b.yml", "lookbackDuration: 1m\n")];
    let error = load_with(&["-f", "a.yml", "-f", "b.yml"], &files, &[]).unwrap_err();
    assert!(error.starts_with("a.yml:1: lookbackDuration is \"x\""), "{error}");
}

#[test]
fn every_knob_is_documented_and_reads_what_it_prints() {
    let defaults = Config::default();
    for knob in KNOBS {
        assert!(knob.about.ends_with('.') && knob.about.len() > 20, "{:?}", knob.names);
        let yaml = knob.names.iter().map(|name| {
            let depth = name.split('.').count();
            let mut yaml = String::new();
            for (indent, part) in name.split('.').enumerate() {
                let end = if indent + 1 == depth { ' ' } else { '\n' };
                yaml.push_str(&format!("{}{part}:{end}", "  ".repeat(indent)));
            }
            format!("{yaml}\"{}\"\n", knob.value(&defaults))
        });
        for yaml in yaml {
            let mut config = file(&yaml).unwrap();
            config.files.clear();
            assert_eq!(config, defaults, "{yaml}");
        }
    }
}
