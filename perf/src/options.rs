//! The command line.

use std::path::PathBuf;

/// The text for `--help` and for a wrong command line.
pub(crate) const HELP: &str = "\
m3-perf bounds  [OPTIONS]                the two bounds: decode, find the series, store nothing
m3-perf load    [OPTIONS] --url URL      load a remote-write receiver; with --queries N also ask it
m3-perf pair    [OPTIONS] --url URL --other-url URL -- COMMAND... --- COMMAND...
                                         load two servers in turns, and compare them
m3-perf query   [OPTIONS] --url URL      only ask it, for --seconds
m3-perf restart [OPTIONS] --url URL -- COMMAND...
                                         load the server, kill -9, start it again, time that
m3-perf report  DIRECTORY                tables of the records in DIRECTORY/*.jsonl

`load` and `query` take the server's command after --, too: it is started, waited for and stopped.
A run prints one JSON record, or appends it to --out.

What is sent:
  --shape NAME      cluster, or plain: the older data set without histograms (cluster)
  --series N        series of a round (100000)
  --labels N        labels of a series, on average (13)
  --churn PERCENT   of the targets are replaced in each round (0)
  --late PERCENT    of the samples come after a newer one of their series (0)
  --replay FILE     send a capture instead: lines of [job, unix ms, exposition], .zst or not
  --targets N       targets for each job of the capture (1)
  --seed N          another one gives other values (0)
  --end MS          unix time of the end of the last round (a minute ago)
  --batch N         samples of a request (2000)
  --rounds N        rounds of all series, encoded beforehand and sent in order (20)
  --warm N          rounds that are sent before counting begins (2)
  --memory MIB      most memory for the encoded requests (8192)
How:
  --url URL         http://HOST:PORT/PATH of remote write
  --other-url URL   the same of the second one of `pair`
  --connections N   connections, one request under way on each (4)
  --turn N          rounds of a turn of `pair` (20)
  --rate N          samples a second, open loop; 0 is as fast as answers come (0)
  --seconds N       stop after so long even if rounds are left, of a turn in `pair` (60)
  --queries N       connections that ask meanwhile (0)
  --query-rate N    queries a second over all of them; 0 is as fast as answers come (0)
  --query-path PATH where the Prometheus API is (/api/v1)
  --verify          ask afterwards whether all that was acknowledged is there
  --cpu N           pin the generator to this cpu
  --other-cpu N     the same in the turns of the second one of `pair`
The server:
  --pid N           its process, if it is not started here: its CPU and memory are read
  --ready PATH      answered with 200 when it is ready (/ready)
  --data-dir DIR    its data, whose size on disk is recorded
  --server-log FILE what it prints
The record:
  --out FILE        append to this file
  --section TEXT    the table that it belongs to
  --name TEXT       what it calls the server (server)
  --other-name TEXT what it calls the second one of `pair`
  --durability TEXT what a 2xx of the server means";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Bounds,
    Load,
    Pair,
    Query,
    Restart,
    Report(PathBuf),
    Help,
}

/// Which data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Cluster,
    Plain,
}

/// The command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) action: Action,
    pub(crate) shape: Shape,
    pub(crate) series: usize,
    pub(crate) labels: usize,
    pub(crate) churn: f64,
    pub(crate) late: f64,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) targets: usize,
    pub(crate) seed: u64,
    pub(crate) end_ms: i64,
    pub(crate) batch: usize,
    pub(crate) rounds: usize,
    pub(crate) warm: usize,
    pub(crate) memory_mib: usize,
    pub(crate) url: String,
    pub(crate) other_url: String,
    pub(crate) turn: usize,
    pub(crate) connections: usize,
    pub(crate) rate: f64,
    pub(crate) seconds: u64,
    pub(crate) queries: usize,
    pub(crate) query_rate: f64,
    pub(crate) query_path: String,
    pub(crate) verify: bool,
    pub(crate) cpu: Option<usize>,
    pub(crate) other_cpu: Option<usize>,
    pub(crate) pid: Option<u32>,
    pub(crate) ready: String,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) server_log: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) section: String,
    pub(crate) name: String,
    pub(crate) other_name: String,
    pub(crate) durability: String,
    /// The server's command and its arguments.
    pub(crate) command: Vec<String>,
    /// The same for the second server.
    pub(crate) other_command: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            action: Action::Bounds,
            shape: Shape::Cluster,
            series: 100_000,
            labels: 13,
            churn: 0.0,
            late: 0.0,
            replay: None,
            targets: 1,
            seed: 0,
            end_ms: a_minute_ago_ms(),
            batch: 2000,
            rounds: 20,
            warm: 2,
            memory_mib: 8192,
            url: String::new(),
            other_url: String::new(),
            turn: 20,
            connections: 4,
            rate: 0.0,
            seconds: 60,
            queries: 0,
            query_rate: 0.0,
            query_path: "/api/v1".to_owned(),
            verify: false,
            cpu: None,
            other_cpu: None,
            pid: None,
            ready: "/ready".to_owned(),
            data_dir: None,
            server_log: None,
            out: None,
            section: String::new(),
            name: "server".to_owned(),
            other_name: "other".to_owned(),
            durability: String::new(),
            command: Vec::new(),
            other_command: Vec::new(),
        }
    }
}

/// A minute ago, because some servers do not answer queries about the last half minute.
fn a_minute_ago_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64) - 60_000
}

impl Options {
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = args;
        let action = match args.next().as_deref() {
            Some("bounds") => Action::Bounds,
            Some("load") => Action::Load,
            Some("pair") => Action::Pair,
            Some("query") => Action::Query,
            Some("restart") => Action::Restart,
            Some("report") => Action::Report(args.next().ok_or("which directory?")?.into()),
            Some("help" | "--help" | "-h") => Action::Help,
            other => return Err(format!("what to do? {}", other.unwrap_or_default())),
        };
        let mut options = Self { action, ..Self::default() };
        while let Some(flag) = args.next() {
            match &*flag {
                "--" => {
                    let both: Vec<String> = args.by_ref().collect();
                    let mut commands = both.split(|word| word == "---").map(<[_]>::to_vec);
                    options.command = commands.next().unwrap_or_default();
                    options.other_command = commands.next().unwrap_or_default();
                }
                "--help" => options.action = Action::Help,
                "--verify" => options.verify = true,
                _ => {
                    let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
                    options.set(&flag, value)?;
                }
            }
        }
        options.check()?;
        Ok(options)
    }

    /// The options of the second server of a pair.
    pub(crate) fn other(&self) -> Self {
        Self {
            url: self.other_url.clone(),
            name: self.other_name.clone(),
            command: self.other_command.clone(),
            cpu: self.other_cpu,
            ..self.clone()
        }
    }

    /// The time of the first round, if rounds are `round_ms` apart.
    pub(crate) fn start_ms(&self, round_ms: i64) -> i64 {
        self.end_ms - round_ms * (self.warm + self.rounds) as i64
    }

    fn set(&mut self, flag: &str, value: String) -> Result<(), String> {
        fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("{flag} wants a number, not {value:?}"))
        }
        match flag {
            "--shape" => {
                self.shape = match &*value {
                    "cluster" => Shape::Cluster,
                    "plain" => Shape::Plain,
                    _ => return Err(format!("--shape is cluster or plain, not {value:?}")),
                }
            }
            "--series" => self.series = number(flag, &value)?,
            "--labels" => self.labels = number(flag, &value)?,
            "--churn" => self.churn = number(flag, &value)?,
            "--late" => self.late = number(flag, &value)?,
            "--replay" => self.replay = Some(value.into()),
            "--targets" => self.targets = number(flag, &value)?,
            "--seed" => self.seed = number(flag, &value)?,
            "--end" => self.end_ms = number(flag, &value)?,
            "--batch" => self.batch = number(flag, &value)?,
            "--rounds" => self.rounds = number(flag, &value)?,
            "--warm" => self.warm = number(flag, &value)?,
            "--memory" => self.memory_mib = number(flag, &value)?,
            "--url" => self.url = value,
            "--connections" => self.connections = number(flag, &value)?,
            "--other-url" => self.other_url = value,
            "--other-name" => self.other_name = value,
            "--turn" => self.turn = number(flag, &value)?,
            "--rate" => self.rate = number(flag, &value)?,
            "--seconds" => self.seconds = number(flag, &value)?,
            "--queries" => self.queries = number(flag, &value)?,
            "--query-rate" => self.query_rate = number(flag, &value)?,
            "--query-path" => self.query_path = value,
            "--cpu" => self.cpu = Some(number(flag, &value)?),
            "--other-cpu" => self.other_cpu = Some(number(flag, &value)?),
            "--pid" => self.pid = Some(number(flag, &value)?),
            "--ready" => self.ready = value,
            "--data-dir" => self.data_dir = Some(value.into()),
            "--server-log" => self.server_log = Some(value.into()),
            "--out" => self.out = Some(value.into()),
            "--section" => self.section = value,
            "--name" => self.name = value,
            "--durability" => self.durability = value,
            _ => return Err(format!("unknown flag {flag}")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let labels_min = match self.shape {
            Shape::Cluster => 7,
            Shape::Plain => 4,
        };
        let counts =
            [self.series, self.batch, self.connections, self.targets, self.rounds, self.turn];
        let percents = [self.churn, self.late];
        let rates = [self.rate, self.query_rate];
        if counts.contains(&0) {
            Err("--series, --batch, --connections, --targets, --rounds and --turn are at least 1"
                .to_owned())
        } else if self.labels < labels_min {
            Err(format!("--labels is at least {labels_min} with this --shape"))
        } else if percents.iter().any(|p| !(0.0..=100.0).contains(p)) {
            Err("--churn and --late are from 0 to 100".to_owned())
        } else if rates.iter().any(|r| !r.is_finite() || *r < 0.0) {
            Err("--rate and --query-rate are at least 0".to_owned())
        } else if self.needs_url() && self.url.is_empty() {
            Err("--url is missing".to_owned())
        } else if self.action == Action::Restart && self.command.is_empty() {
            Err("restart wants the server's command after --".to_owned())
        } else if self.action == Action::Pair && !self.is_pair() {
            Err("pair wants --url, --other-url and two commands: -- COMMAND... --- COMMAND..."
                .to_owned())
        } else if self.pid.is_some() && !self.command.is_empty() {
            Err("either --pid or a command after --".to_owned())
        } else {
            Ok(())
        }
    }

    fn is_pair(&self) -> bool {
        let is_other = !self.other_url.is_empty() && self.other_url != self.url;
        is_other && !self.command.is_empty() && !self.other_command.is_empty()
    }

    fn needs_url(&self) -> bool {
        matches!(self.action, Action::Load | Action::Pair | Action::Query | Action::Restart)
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Options, Shape};

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_is_read() {
        let options =
            parse("load --url http://h:1/w --series 7 --verify --shape plain -- a --b c").unwrap();
        assert_eq!((options.action, options.shape), (Action::Load, Shape::Plain));
        assert_eq!((options.series, options.verify), (7, true));
        assert_eq!(options.command, ["a", "--b", "c"]);
        let pair =
            parse("pair --url http://h:1/w --other-url http://h:2/w -- a b --- c --d").unwrap();
        let other = pair.other();
        assert_eq!((&*pair.command[1], &*other.command[1]), ("b", "--d"));
        assert_eq!((&*pair.url, &*other.url), ("http://h:1/w", "http://h:2/w"));
        assert_eq!(parse("report d").unwrap().action, Action::Report("d".into()));
        assert_eq!(parse("load --help").unwrap().action, Action::Help);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, why) in [
            ("", "what to do?"),
            ("lode", "what to do? lode"),
            ("load", "--url is missing"),
            ("bounds --series", "--series wants a value"),
            ("bounds --series x", "--series wants a number, not \"x\""),
            ("bounds --batch 0", "at least 1"),
            ("bounds --labels 3", "--labels is at least 7"),
            ("bounds --churn 101", "from 0 to 100"),
            ("bounds --rate -1", "at least 0"),
            ("bounds --sereis 1", "unknown flag --sereis"),
            ("restart --url http://h:1/w", "after --"),
            ("load --url http://h:1/w --pid 1 -- m3ring", "either --pid"),
            ("pair --url http://h:1/w -- a", "two commands"),
            ("pair --url http://h:1/w --other-url http://h:1/w -- a --- b", "two commands"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(why), "{line:?}: {said}");
        }
    }
}
