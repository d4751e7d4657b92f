//! The metric families and where their values come from.

use super::exposition::{Exposition, escape};
use super::{CoreStats, LATENCY_BOUNDS_S, Latency};
use crate::catalog::Catalog;
use crate::shared::Shared;
use m3_http::server::StatsSnapshot;
use std::collections::BTreeMap;

/// Renders the metrics of all cores.
pub fn render(out: &mut Vec<u8>, shared: &Shared, catalog: &Catalog, cores: &[CoreStats]) {
    let mut text = Exposition::new(out);
    build(&mut text, shared);
    calls(&mut text, cores);
    http(&mut text, cores);
    storage(&mut text, catalog, cores);
    commit_log(&mut text, cores);
    driver(&mut text, shared, cores);
    memory(&mut text, shared);
    process(&mut text);
}

fn build(text: &mut Exposition<'_>, shared: &Shared) {
    let version = format!(
        "{{branch=\"unknown\",build_version=\"{}\",revision=\"{}\"}}",
        escape(env!("CARGO_PKG_VERSION")),
        escape(option_env!("M3RING_REVISION").unwrap_or("unknown"))
    );
    let build = [(version.clone(), 1.0)];
    text.family("coordinator_build_information", "The node's version.", "gauge", build);
    let up = m3_io::time::now().since(shared.started).as_secs_f64();
    text.gauge("m3ring_uptime_seconds", "Seconds since the cores started.", up);
}

fn calls(text: &mut Exposition<'_>, cores: &[CoreStats]) {
    let sum = |of: fn(&CoreStats) -> u64| cores.iter().map(of).sum::<u64>();
    let latency = |of: fn(&CoreStats) -> &Latency| {
        let mut total = Latency::default();
        cores.iter().for_each(|core| total.add(of(core)));
        [(String::new(), total)]
    };
    let success = sum(|c| c.calls.samples);
    text.counter("coordinator_write_success", "Samples stored and acknowledged.", success);
    let kinds = [
        ("{type=\"bad_request\"}".to_owned(), sum(|c| c.calls.samples_bad) as f64),
        ("{type=\"retryable\"}".to_owned(), sum(|c| c.calls.samples_retryable) as f64),
    ];
    text.family("coordinator_write_errors", "Samples not stored.", "counter", kinds);
    let writes = [
        ("{result=\"ok\"}".to_owned(), sum(|c| c.calls.writes) as f64),
        ("{result=\"error\"}".to_owned(), sum(|c| c.calls.write_errors) as f64),
    ];
    text.family("m3ring_write_requests_total", "Write requests.", "counter", writes);
    text.histogram(
        "coordinator_write_batch_latency",
        "Seconds from a decoded write to its acknowledgment.",
        latency(|c| &c.calls.write_latency),
    );
    text.counter("coordinator_fetch_success", "Queries answered.", sum(|c| c.calls.queries));
    text.counter("coordinator_fetch_errors", "Queries failed.", sum(|c| c.calls.query_errors));
    text.histogram(
        "coordinator_engine_all_duration_seconds",
        "Seconds from a query to its answer.",
        latency(|c| &c.calls.query_latency),
    );
}

fn http(text: &mut Exposition<'_>, cores: &[CoreStats]) {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    let mut latencies: BTreeMap<String, Latency> = BTreeMap::new();
    let servers = || cores.iter().flat_map(|core| [&core.api, &core.metrics]);
    for route in servers().flat_map(|server| &server.routes) {
        let path = escape(route.route);
        for (class, count) in route.by_class.iter().enumerate().filter(|(_, count)| **count > 0) {
            let labels = format!("{{path=\"{path}\",status=\"{}xx\"}}", class + 1);
            *counts.entry(labels).or_default() += *count as f64;
        }
        let sum_s = route.latency_us as f64 / 1e6;
        let one = Latency { buckets: route.buckets, sum_s };
        latencies.entry(format!("path=\"{path}\",")).or_default().add(&one);
    }
    text.family(
        "coordinator_http_handler_http_handler_request",
        "Requests answered.",
        "counter",
        counts,
    );
    text.histogram(
        "coordinator_http_handler_http_handler_latency",
        "Seconds from a request to its answer.",
        latencies,
    );
    let sum = |of: fn(&StatsSnapshot) -> u64| servers().map(of).sum::<u64>();
    let open = sum(|s| s.connections_open) as f64;
    text.gauge("m3ring_http_connections", "Connections open.", open);
    let help = "Connections refused because there were too many.";
    text.counter("m3ring_http_connections_refused_total", help, sum(|s| s.connections_refused));
    let help = "Times the process was out of file descriptors.";
    text.counter("m3ring_http_accept_exhausted_total", help, sum(|s| s.accept_exhausted));
    let help = "Requests refused before they reached a route.";
    text.counter("m3ring_http_bad_requests_total", help, sum(|s| s.bad_requests));
    let help = "Connections closed because the client was too slow.";
    text.counter("m3ring_http_timeouts_total", help, sum(|s| s.timeouts));
    text.counter("m3ring_http_received_bytes_total", "Bytes read.", sum(|s| s.bytes_in));
    text.counter("m3ring_http_sent_bytes_total", "Bytes written.", sum(|s| s.bytes_out));
}

const _: () = assert!(LATENCY_BOUNDS_S.len() == m3_http::server::LATENCY_BOUNDS_US.len());

fn storage(text: &mut Exposition<'_>, catalog: &Catalog, cores: &[CoreStats]) {
    let per_namespace = |of: fn(&super::NamespaceStats) -> u64| {
        let value = move |id| {
            let all = cores.iter().flat_map(|core| &core.namespaces);
            all.filter(|n| n.id == id).map(of).sum::<u64>() as f64
        };
        let named = catalog.namespaces.iter();
        let samples: Vec<_> = named
            .map(|n| (format!("{{namespace=\"{}\"}}", escape(&n.name)), value(n.id)))
            .collect();
        samples
    };
    let mut family = |name: &str, help: &str, kind: &str, of: fn(&super::NamespaceStats) -> u64| {
        text.family(name, help, kind, per_namespace(of));
    };
    family("m3ring_series", "Series held.", "gauge", |n| n.series);
    family("m3ring_memory_bytes", "Memory held, estimated.", "gauge", |n| n.memory_bytes);
    family("m3ring_samples_stored_total", "Samples stored.", "counter", |n| n.writes.accepted);
    family("m3ring_samples_refused_total", "Samples refused for their time.", "counter", |n| {
        n.writes.refused
    });
    family("m3ring_samples_exhausted_total", "Samples refused by a limit.", "counter", |n| {
        n.writes.exhausted
    });
    family("m3ring_samples_late_total", "Samples out of order.", "counter", |n| n.writes.late);
    family("m3ring_samples_duplicate_total", "Samples that were stored already.", "counter", |n| {
        n.writes.duplicate
    });
    family("m3ring_series_followed_total", "Records found as a successor.", "counter", |n| {
        n.writes.found.followed
    });
    family("m3ring_series_looked_up_total", "Records found by hash.", "counter", |n| {
        n.writes.found.looked_up
    });
    family("m3ring_series_parsed_total", "Records whose labels were parsed.", "counter", |n| {
        n.writes.found.parsed
    });
    family("m3ring_broken_streams_total", "Streams that did not decode.", "counter", |n| {
        n.writes.broken_streams
    });
    let expired = cores.iter().map(|core| core.expired_bytes).sum();
    text.counter("m3ring_expired_bytes_total", "Bytes that retention freed.", expired);
}

fn commit_log(text: &mut Exposition<'_>, cores: &[CoreStats]) {
    let sum = |of: fn(&CoreStats) -> u64| cores.iter().map(of).sum::<u64>();
    text.counter("m3ring_commitlog_frames_total", "Frames written.", sum(|c| c.log.frames));
    text.counter("m3ring_commitlog_bytes_total", "Bytes written.", sum(|c| c.log.bytes));
    text.counter("m3ring_commitlog_syncs_total", "Syncs done.", sum(|c| c.log.syncs));
    let seconds = sum(|c| c.log.commit_ns) as f64 / 1e9;
    let help = "Seconds spent writing and syncing.";
    text.family("m3ring_commitlog_seconds_total", help, "counter", [(String::new(), seconds)]);
    text.counter("m3ring_commitlog_segments_total", "Segments begun.", sum(|c| c.log.segments));
    let help = "Logs whose frames are written past the page cache, durable at once.";
    let direct = sum(|c| u64::from(c.log.is_direct));
    text.gauge("m3ring_commitlog_direct", help, direct as f64);
    let replayed = sum(|c| c.replay.samples);
    text.counter("m3ring_replay_samples_total", "Samples replayed at the start.", replayed);
    let damage = sum(|c| c.replay.damage.len() as u64);
    let help = "Damaged places found at the start; the log names file and offset.";
    text.counter("m3ring_commitlog_damage_total", help, damage);
    let cut = sum(|c| c.replay.cut_bytes);
    let help = "Bytes of torn tails cut at the start; nothing in them was acknowledged.";
    text.counter("m3ring_commitlog_cut_bytes_total", help, cut);
}

fn driver(text: &mut Exposition<'_>, shared: &Shared, cores: &[CoreStats]) {
    let reason = shared.driver.reason.as_deref().unwrap_or("");
    let labels = format!("{{driver=\"{}\",reason=\"{}\"}}", shared.driver.driver, escape(reason));
    text.family("m3ring_io_driver", "The I/O driver in use, and why.", "gauge", [(labels, 1.0)]);
    text.gauge("m3ring_cores", "Cores of the node.", cores.len() as f64);
    let panics = cores.iter().map(|core| core.panics).sum();
    let help = "Requests that failed because their work panicked; see the log.";
    text.counter("m3ring_request_panics_total", help, panics);
    let of_core = |at: usize| format!("{{core=\"{at}\"}}");
    let tasks = cores.iter().enumerate().map(|(at, core)| (of_core(at), core.tasks as f64));
    text.family("m3ring_tasks", "Tasks alive.", "gauge", tasks.collect::<Vec<_>>());
    let backlog = cores.iter().enumerate().map(|(at, core)| (of_core(at), core.backlog as f64));
    let help = "Messages from other cores that are waiting.";
    text.family("m3ring_mesh_backlog", help, "gauge", backlog.collect::<Vec<_>>());
}

fn memory(text: &mut Exposition<'_>, shared: &Shared) {
    let limit = shared.memory.limit() as f64;
    text.gauge("m3ring_memory_limit_bytes", "Resident bytes allowed; 0 is no limit.", limit);
    let (writes, queries) = shared.memory.refused();
    let refused = [
        ("{what=\"write\"}".to_owned(), writes as f64),
        ("{what=\"query\"}".to_owned(), queries as f64),
    ];
    let refused_promises = shared.memory.budget().refused();
    let help = "Bodies and answers refused because they are more than the memory limit leaves.";
    text.counter("m3ring_memory_promises_refused_total", help, refused_promises);
    let help = "Requests refused because the memory limit was reached.";
    text.family("m3ring_memory_refused_total", help, "counter", refused);
}

fn process(text: &mut Exposition<'_>) {
    let usage = m3_io::process::usage();
    let seconds = [(String::new(), usage.cpu_seconds)];
    text.family("process_cpu_seconds_total", "User and system time.", "counter", seconds);
    text.gauge("process_open_fds", "Open file descriptors.", usage.open_fds as f64);
    text.gauge("process_max_fds", "Limit of file descriptors.", usage.max_fds as f64);
    let resident = usage.resident_bytes as f64;
    text.gauge("process_resident_memory_bytes", "Memory in RAM.", resident);
    text.gauge("process_virtual_memory_bytes", "Address space.", usage.virtual_bytes as f64);
    text.gauge("process_virtual_memory_max_bytes", "Limit of address space, -1 for none.", -1.0);
    text.gauge("process_start_time_seconds", "Start time in unix seconds.", usage.start_seconds);
}
