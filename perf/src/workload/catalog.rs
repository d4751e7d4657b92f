//! The 500 series of one target in the cluster, by family, as in an exposition.

use super::model::SERIES_PER_TARGET;

/// How the value of a series changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Never.
    Constant,
    /// Grows by whole numbers; half of them do not change.
    Counter,
    /// Grows by hundredths.
    Seconds,
    /// A small number; half of them do not change.
    Level,
    /// Whole pages.
    Bytes,
    /// Two decimals.
    Ratio,
    /// A bucket or the count of a histogram; `share` is the share of observations in it.
    Bucket { group: u32, share: f64 },
    /// A histogram's sum.
    Sum { group: u32, mean: f64 },
}

/// A series within its target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    /// Labels of this series only.
    pub(crate) own: Vec<(&'static str, String)>,
    pub(crate) kind: Kind,
}

/// The default buckets of Prometheus' client libraries.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const HANDLERS: [&str; 5] = ["/", "/api/v1/orders", "/api/v1/items", "/login", "/healthz"];
const METHODS: [&str; 2] = ["GET", "POST"];
const CODES: [&str; 5] = ["200", "204", "400", "404", "500"];
const CALLS: [&str; 4] = ["Get", "List", "Put", "Watch"];
const RESULTS: [&str; 6] =
    ["OK", "NotFound", "Canceled", "DeadlineExceeded", "Internal", "Unavailable"];
const DEVICES: [&str; 2] = ["nvme0n1", "nvme1n1"];
const OPERATIONS: [&str; 4] = ["select", "insert", "update", "delete"];
const TABLES: [&str; 6] = ["orders", "items", "users", "sessions", "events", "audit"];
const TOPICS: [&str; 3] = ["orders", "events", "audit"];
const STATES: [&str; 3] = ["idle", "active", "waiting"];
const POOLS: [&str; 4] = ["primary", "replica", "cache", "queue"];

const NETWORK: [&str; 6] = [
    "container_network_receive_bytes_total",
    "container_network_receive_errors_total",
    "container_network_receive_packets_total",
    "container_network_transmit_bytes_total",
    "container_network_transmit_errors_total",
    "container_network_transmit_packets_total",
];
const DISK: [&str; 3] = [
    "container_fs_io_time_seconds_total",
    "container_fs_reads_bytes_total",
    "container_fs_writes_bytes_total",
];
const GO_COUNTERS: [&str; 4] = [
    "go_memstats_alloc_bytes_total",
    "go_memstats_frees_total",
    "go_memstats_lookups_total",
    "go_memstats_mallocs_total",
];
const BYTES: [&str; 28] = [
    "container_memory_cache",
    "container_memory_mapped_file",
    "container_memory_rss",
    "container_memory_swap",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "go_memstats_alloc_bytes",
    "go_memstats_buck_hash_sys_bytes",
    "go_memstats_gc_sys_bytes",
    "go_memstats_heap_alloc_bytes",
    "go_memstats_heap_idle_bytes",
    "go_memstats_heap_inuse_bytes",
    "go_memstats_heap_released_bytes",
    "go_memstats_heap_sys_bytes",
    "go_memstats_mcache_inuse_bytes",
    "go_memstats_mcache_sys_bytes",
    "go_memstats_mspan_inuse_bytes",
    "go_memstats_mspan_sys_bytes",
    "go_memstats_next_gc_bytes",
    "go_memstats_other_sys_bytes",
    "go_memstats_stack_inuse_bytes",
    "go_memstats_stack_sys_bytes",
    "go_memstats_sys_bytes",
    "process_heap_bytes",
    "process_network_receive_bytes",
    "process_network_transmit_bytes",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
];
const LEVELS: [&str; 6] = [
    "container_processes",
    "container_threads",
    "go_goroutines",
    "go_memstats_heap_objects",
    "go_threads",
    "process_open_fds",
];

/// All of them.
pub(crate) fn slots() -> Vec<Slot> {
    let mut list = List::default();
    list.histograms();
    list.counters();
    list.gauges();
    let flags = SERIES_PER_TARGET - list.slots.len();
    for flag in 0..flags {
        list.add("feature_enabled", Kind::Constant, [("feature", format!("flag-{flag}"))]);
    }
    list.slots.sort_by_key(|slot| slot.name);
    list.slots
}

#[derive(Default)]
struct List {
    slots: Vec<Slot>,
    groups: u32,
}

impl List {
    fn add<const N: usize>(
        &mut self,
        name: &'static str,
        kind: Kind,
        own: [(&'static str, String); N],
    ) {
        self.slots.push(Slot { name, own: own.into(), kind });
    }

    fn histograms(&mut self) {
        for handler in HANDLERS {
            for method in METHODS {
                let names = [
                    "http_request_duration_seconds_bucket",
                    "http_request_duration_seconds_count",
                    "http_request_duration_seconds_sum",
                ];
                self.histogram(names, [("handler", handler), ("method", method)]);
            }
        }
        for call in CALLS {
            let names = [
                "grpc_server_handling_seconds_bucket",
                "grpc_server_handling_seconds_count",
                "grpc_server_handling_seconds_sum",
            ];
            self.histogram(names, [("grpc_method", call), ("grpc_service", "store.v1.Store")]);
        }
    }

    /// Twelve buckets, count and sum of exponentially distributed observations.
    fn histogram(&mut self, names: [&'static str; 3], own: [(&'static str, &str); 2]) {
        let group = self.groups;
        self.groups += 1;
        let mean = 0.01 * f64::from(group + 1);
        let [a, b] = own.map(|(name, value)| (name, value.to_owned()));
        for bound in BOUNDS {
            let share = 1.0 - (-bound / mean).exp();
            let le = ("le", bound.to_string());
            self.add(names[0], Kind::Bucket { group, share }, [a.clone(), le, b.clone()]);
        }
        let all = Kind::Bucket { group, share: 1.0 };
        self.add(names[0], all, [a.clone(), ("le", "+Inf".to_owned()), b.clone()]);
        self.add(names[1], all, [a.clone(), b.clone()]);
        self.add(names[2], Kind::Sum { group, mean }, [a, b]);
    }

    fn counters(&mut self) {
        let text = |value: &str| value.to_owned();
        for code in CODES {
            for handler in HANDLERS {
                for method in METHODS {
                    let own = [("code", text(code)), ("handler", text(handler))];
                    let [a, b] = own;
                    self.add(
                        "http_requests_total",
                        Kind::Counter,
                        [a, b, ("method", text(method))],
                    );
                }
            }
        }
        for call in CALLS {
            for result in RESULTS {
                let own = [
                    ("grpc_code", text(result)),
                    ("grpc_method", text(call)),
                    ("grpc_service", text("store.v1.Store")),
                ];
                self.add("grpc_server_handled_total", Kind::Counter, own);
            }
        }
        for name in NETWORK {
            for interface in 0..4 {
                self.add(name, Kind::Counter, [("interface", format!("eth{interface}"))]);
            }
        }
        for name in DISK {
            for device in DEVICES {
                self.add(name, Kind::Counter, [("device", text(device))]);
            }
        }
        for operation in OPERATIONS {
            for table in TABLES {
                let own = [("operation", text(operation)), ("table", text(table))];
                self.add("db_queries_total", Kind::Counter, own);
            }
        }
        for topic in TOPICS {
            for partition in 0..8 {
                let own = [("partition", partition.to_string()), ("topic", text(topic))];
                self.add("kafka_consumer_records_total", Kind::Counter, own);
            }
        }
        for cpu in 0..4 {
            let own = [("cpu", format!("cpu{cpu:02}"))];
            self.add("container_cpu_usage_seconds_total", Kind::Seconds, own);
        }
        self.add("process_cpu_seconds_total", Kind::Seconds, []);
        for name in GO_COUNTERS {
            self.add(name, Kind::Counter, []);
        }
    }

    fn gauges(&mut self) {
        for name in BYTES {
            self.add(name, Kind::Bytes, []);
        }
        for name in LEVELS {
            self.add(name, Kind::Level, []);
        }
        for pool in POOLS {
            for state in STATES {
                let own = [("pool", pool.to_owned()), ("state", state.to_owned())];
                self.add("db_connections", Kind::Level, own);
            }
        }
        for queue in 0..20 {
            self.add("queue_depth", Kind::Level, [("queue", format!("queue-{queue}"))]);
        }
        for cache in 0..10 {
            let own = [("cache", format!("cache-{cache}"))];
            self.add("cache_bytes", Kind::Bytes, own.clone());
            self.add("cache_hit_percent", Kind::Ratio, own);
        }
        self.add("up", Kind::Constant, []);
    }
}
