//! The start-up message: one screen on standard error, before the log lines.

use crate::node::Announcement;
use m3_shard::commitlog::Ack;
use std::fmt::Write;
use std::net::SocketAddr;

/// Prints where the node listens, where and how it stores data, which driver it uses, and what to
/// do next.
pub fn print(announcement: &Announcement) {
    eprint!("{}", text(announcement));
    let driver = announcement.driver;
    if let Some(reason) = &driver.reason {
        let remedy = driver.remedy.as_deref().unwrap_or("none needed: io.driver asks for epoll");
        tracing::warn!(driver = %driver.driver, %reason, %remedy, "io_uring is not in use");
    }
}

/// An address as a client on this machine would write it.
fn reachable(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() { format!("localhost:{}", addr.port()) } else { addr.to_string() }
}

fn text(announcement: &Announcement) -> String {
    let Announcement { settings, driver, api, metrics } = announcement;
    let url = reachable(*api);
    let ack = match settings.config.ack {
        Ack::Durable => "durable: a write is answered after the sync that covers it",
        Ack::Buffered => {
            "buffered: a write is answered before it is synced; a power cut loses seconds"
        }
    };
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        out.write_fmt(text).expect("writing to a String succeeds");
        out.push('\n');
    };
    line(format_args!("m3ring {}", env!("CARGO_PKG_VERSION")));
    line(format_args!("  API        http://{api}   (remote write, PromQL, admin)"));
    line(format_args!("  metrics    http://{metrics}/metrics"));
    line(format_args!("  data       {}", settings.config.data_dir.display()));
    line(format_args!("  cores      {} (cpus {:?})", settings.cpus.len(), settings.cpus));
    line(format_args!("  I/O        {}", driver.driver));
    line(format_args!("  commitlog  {ack}"));
    line(format_args!("next: in prometheus.yml"));
    line(format_args!("  remote_write: [{{ url: http://{url}/api/v1/prom/remote/write }}]"));
    line(format_args!(
        "  remote_read:  [{{ url: http://{url}/api/v1/prom/remote/read, read_recent: true }}]"
    ));
    line(format_args!(
        "then: curl 'http://{url}/api/v1/query?query=up'   or Grafana, Prometheus data source, http://{url}"
    ));
    out
}
