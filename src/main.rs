//! temporary entry
use m3ring::node::*;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let get =
        |n: &str, d: &str| a.iter().position(|x| x == n).map_or(d.to_owned(), |i| a[i + 1].clone());
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let cores = get("--cores", "");
    let s = Settings {
        data_dir: get("--data-dir", "./m3ring_data").into(),
        http_listen: get("--http.listen", "0.0.0.0:7201").parse().unwrap(),
        metrics_listen: get("--metrics.listen", "0.0.0.0:7203").parse().unwrap(),
        cpus: if cores.is_empty() {
            m3_io::runtime::affinity()
        } else {
            m3_io::runtime::parse_cpu_list(&cores).unwrap()
        },
        driver: get("--io.driver", "auto").parse().unwrap(),
        ack: get("--commitlog.ack", "durable").parse().unwrap(),
        hash_seed: 0,
        server: Default::default(),
        body_decoded_bytes_max: 64 << 20,
        query: Default::default(),
    };
    if let Err(e) = run(&s) {
        eprintln!("m3ring: {e}");
        std::process::exit(1);
    }
}
