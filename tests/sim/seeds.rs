//! Runs seeds of the simulator: `M3RING_SIM_SEEDS` of them, from `M3RING_SIM_FROM` on. For many
//! seeds, `cargo run --profile sim -p m3-sim -- --seeds COUNT` is faster.

use m3_sim::{Report, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of seeds by default.
const SEEDS: u64 = 20;
const THREADS: u64 = 2;

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
        Err(_) => otherwise,
    }
}

#[test]
fn acknowledged_is_readable_and_readable_was_sent() {
    let from = number("M3RING_SIM_FROM", 0);
    let end = from + number("M3RING_SIM_SEEDS", SEEDS);
    let next = AtomicU64::new(from);
    let total = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < end
                {
                    match run(seed) {
                        Ok(report) => total.lock().unwrap().add(&report),
                        Err(failure) => panic!("{failure}"),
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("seeds {from} to {end}: {total:?}");
    // A simulator in which nothing happens would break no promise.
    if end - from >= SEEDS {
        assert!(total.acked > 10_000 && total.read > 10_000, "{total:?}");
        let ends = [total.kills, total.cuts, total.stops, total.faults];
        assert!(ends.iter().all(|count| *count > 0), "{total:?}");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 1000..1002 {
        let first = run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        let again = run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(first, again, "seed {seed} ran differently the second time");
    }
}
