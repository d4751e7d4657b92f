//! The command line.

/// What `--help` and a wrong command line show.
pub(crate) const HELP: &str = "\
m3-perf [OPTIONS]                      the two bounds: decode, find the series, store nothing
m3-perf --url http://HOST:PORT/PATH    load a remote-write receiver

  --series N        series (100000)
  --labels N        labels of a series, at least 4 (13)
  --batch N         samples of a request (2000)
  --rounds N        rounds of all series, encoded beforehand and sent in order (20)
  --connections N   connections, one request under way on each (4)
  --seconds N       stop after so long even if rounds are left (60)
  --warm N          rounds that are sent before counting begins (2)
  --rate N          samples a second, open loop; 0 is as fast as answers come (0)
  --pid N           the server's process: its CPU and memory are read
  --cpu N           pin the generator to this cpu
  --name TEXT       what the record calls the server";

/// What to do.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) url: Option<String>,
    pub(crate) series: usize,
    pub(crate) labels: usize,
    pub(crate) batch: usize,
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) warm: usize,
    pub(crate) rate: f64,
    pub(crate) pid: Option<u32>,
    pub(crate) cpu: Option<usize>,
    pub(crate) name: String,
}

impl Options {
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            url: None,
            series: 100_000,
            labels: 13,
            batch: 2000,
            rounds: 20,
            connections: 4,
            seconds: 60,
            warm: 2,
            rate: 0.0,
            pid: None,
            cpu: None,
            name: "server".to_owned(),
        };
        let mut args = args;
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
            options.set(&flag, &value)?;
        }
        if options.labels < 4 || options.batch == 0 || options.series == 0 {
            return Err("--labels is at least 4, --batch and --series at least 1".to_owned());
        }
        Ok(options)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("{flag} wants a number, not {value:?}"))
        }
        match flag {
            "--url" => self.url = Some(value.to_owned()),
            "--name" => self.name = value.to_owned(),
            "--series" => self.series = number(flag, value)?,
            "--labels" => self.labels = number(flag, value)?,
            "--batch" => self.batch = number(flag, value)?,
            "--rounds" => self.rounds = number(flag, value)?,
            "--connections" => self.connections = number(flag, value)?,
            "--seconds" => self.seconds = number(flag, value)?,
            "--warm" => self.warm = number(flag, value)?,
            "--rate" => self.rate = number(flag, value)?,
            "--pid" => self.pid = Some(number(flag, value)?),
            "--cpu" => self.cpu = Some(number(flag, value)?),
            _ => return Err(format!("unknown flag {flag}")),
        }
        Ok(())
    }
}
