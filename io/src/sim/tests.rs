//! The simulated world itself: what its disk keeps, that seeds replay, how its node ends.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use super::{Crash, Direct, End, Faults, World};
use crate::driver::{Driver, DriverReport};
use crate::file::{self, BLOCK_BYTES, Blocks, File};
use crate::held::Patience;
use crate::net::{Options, Reservation, TcpListener, TcpStream};
use crate::runtime::{self, RING_ENTRIES_DEFAULT, TASKS_MAX_DEFAULT};
use crate::{CoreId, blocking, give_way, spawn, time};

/// Runs `body` on `cores` cores of `world` until they end or are ended.
fn node<F>(world: &Rc<World>, cores: usize, body: F) -> End
where
    F: Fn(CoreId) -> std::pin::Pin<Box<dyn Future<Output = ()>>> + Clone + Send + 'static,
{
    let options = runtime::Options {
        cpus: (0..cores).collect(),
        driver: DriverReport::assume(Driver::IoUring),
        ring_entries: RING_ENTRIES_DEFAULT,
        tasks_max: TASKS_MAX_DEFAULT,
    };
    let ran = catch_unwind(AssertUnwindSafe(|| runtime::run_cores(options, body)));
    assert_eq!(ran.is_ok(), world.end() == End::Returned);
    world.end()
}

fn addr() -> SocketAddr {
    "127.0.0.1:7201".parse().unwrap()
}

/// While the clock stands still, every turn of the event loop is idle.
#[test]
fn who_gives_way_on_an_idle_core_waits_for_nothing() {
    let world = World::new(0);
    let given = Rc::new(Cell::new(0));
    world.enter(|| {
        let count = Rc::clone(&given);
        world.spawn(async move {
            for _ in 0..100 {
                give_way(Duration::from_secs(3600)).await;
                count.set(count.get() + 1);
            }
        });
        let begun = world.polls();
        world.run(|| given.get() < 100 && world.polls() < begun + 1000);
    });
    assert_eq!(given.get(), 100);
}

/// An echo on two cores, and a client that counts what comes back.
fn echo(seed: u64) -> (u64, usize) {
    let world = World::new(seed);
    let back = Rc::new(Cell::new(0));
    world.enter(|| {
        let count = Rc::clone(&back);
        let client = Rc::clone(&world);
        world.spawn(async move {
            time::sleep(Duration::from_millis(1)).await;
            for round in 0..20_u8 {
                let stream = TcpStream::connect(addr()).await.unwrap();
                stream.write_all(vec![round; 3000]).await.0.unwrap();
                stream.shutdown().unwrap();
                let mut all = Vec::with_capacity(4096);
                loop {
                    let (read, buf) = stream.read(all).await;
                    all = buf;
                    if read.unwrap() == 0 {
                        break;
                    }
                }
                assert_eq!(all, vec![round; 3000]);
                count.set(count.get() + all.len());
            }
            client.crash(Crash::Process);
        });
        let body = |_: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
            Box::pin(async {
                let options = Options { reuse_port: true, ..Options::default() };
                let listener = TcpListener::bind(addr(), options).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    spawn(async move {
                        loop {
                            let (read, buf) = stream.read(Vec::with_capacity(500)).await;
                            if read.unwrap() == 0 {
                                break;
                            }
                            stream.write_all(buf).await.0.unwrap();
                        }
                    });
                }
            })
        };
        assert_eq!(node(&world, 2, body), End::Crashed(Crash::Process));
    });
    (world.trace(), back.get())
}

#[test]
fn a_seed_replays_to_the_byte_and_another_differs() {
    let (trace, bytes) = echo(1);
    assert_eq!(bytes, 60_000);
    assert_eq!(echo(1), (trace, bytes));
    assert_ne!(echo(2).0, trace);
}

/// The first byte of each sector of `/data/file` in the world of `seed`, after `life` has created
/// the file and cut the power.
fn left_by_a_cut<F>(seed: u64, life: fn(Rc<World>) -> F) -> Vec<u8>
where
    F: Future<Output = ()> + 'static,
{
    let world = World::new(seed);
    world.enter(|| {
        let cutting = AssertCore(Rc::clone(&world));
        let body = move |_: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
            let cutting = cutting.clone();
            Box::pin(async move {
                file::create_dir_all("/data").await.unwrap();
                life(cutting.0).await;
                time::sleep(Duration::from_secs(1)).await;
            })
        };
        assert_eq!(node(&world, 1, body), End::Crashed(Crash::Power));
        let left = blocking::read_file("/data/file", 1 << 20).unwrap();
        assert!(left.chunks(512).all(|s| s.iter().all(|byte| *byte == s[0])), "torn below 512");
        left.chunks(512).map(|sector| sector[0]).collect()
    })
}

/// Writes four sectors, syncs them, overwrites them without a sync, and is cut off.
async fn overwrites(world: Rc<World>) {
    let file = File::create_new("/data/file").await.unwrap();
    file.write_all_at(vec![1; 2048], 0).await.0.unwrap();
    file.sync_data().await.unwrap();
    file::sync_dir("/data").await.unwrap();
    file.write_all_at(vec![2; 2048], 0).await.0.unwrap();
    file.write_all_at(vec![3; 2048], 0).await.0.unwrap();
    world.crash(Crash::Power);
}

/// Asserts that the value may move to another core; a world has only one thread.
struct AssertCore<T>(Rc<T>);

impl<T> Clone for AssertCore<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

#[expect(unsafe_code, reason = "a core's body must be Send, and all cores here are one thread")]
// SAFETY: a world runs its cores on the thread that made it; the value never leaves that.
unsafe impl<T> Send for AssertCore<T> {}

#[test]
fn a_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let left = left_by_a_cut(seed, overwrites);
        assert_eq!(left.len(), 4);
        seen.insert(left);
    }
    assert!(seen.contains(&vec![1; 4]) && seen.contains(&vec![3; 4]));
    // There are mixtures: each sector has a state of its own.
    assert!(seen.len() > 20, "{seen:?}");
    assert!(seen.iter().flatten().all(|byte| (1..=3).contains(byte)));
}

/// Writes two blocks directly over others that were synced, and is cut off after the first.
async fn writes_directly(world: Rc<World>) {
    let file = File::create_new("/data/file").await.unwrap();
    file.write_all_at(vec![1; 8192], 0).await.0.unwrap();
    file.sync_all().await.unwrap();
    file::sync_dir("/data").await.unwrap();
    let direct = File::open_direct("/data/file").await.unwrap();
    let block = |value: u8| {
        let mut block = Blocks::default();
        block.extend(&[value; BLOCK_BYTES]);
        block
    };
    direct.write_blocks_at(block(2), 0).await.0.unwrap();
    spawn(async move {
        time::sleep(Duration::from_millis(1)).await;
        world.crash(Crash::Power);
    });
    direct.write_blocks_at(block(3), BLOCK_BYTES as u64).await.0.unwrap();
}

#[test]
fn a_direct_write_is_durable_when_it_returns_and_not_before() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let left = left_by_a_cut(seed, writes_directly);
        assert_eq!((left.len(), &left[..8]), (16, &[2; 8][..]), "seed {seed}");
        seen.insert(left[8..].to_vec());
    }
    assert!(seen.contains(&vec![1; 8]) && seen.contains(&vec![3; 8]) && seen.len() > 5, "{seen:?}");
}

#[test]
fn a_file_system_refuses_direct_writes_when_it_is_told_to_and_bytes_that_are_no_blocks_always() {
    for (direct, opens) in
        [(Direct::Taken, true), (Direct::NotWritten, true), (Direct::NotOpened, false)]
    {
        let world = World::new(1);
        world.set_direct(direct);
        let body = move |_: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
            Box::pin(async move {
                file::create_dir_all("/data").await.unwrap();
                File::create_new("/data/file").await.unwrap();
                let file = match File::open_direct("/data/file").await {
                    Err(error) => return assert!(!opens && file::is_refused(&error), "{error}"),
                    Ok(file) => file,
                };
                assert!(opens);
                let mut bytes = Blocks::default();
                bytes.resize(512);
                let (done, mut bytes) = file.write_blocks_at(bytes, 0).await;
                assert!(file::is_refused(&done.unwrap_err()));
                bytes.resize(BLOCK_BYTES);
                let (done, bytes) = file.write_blocks_at(bytes, 512).await;
                assert!(file::is_refused(&done.unwrap_err()));
                let (done, _) = file.write_blocks_at(bytes, 0).await;
                assert_eq!(done.is_ok(), direct == Direct::Taken);
            })
        };
        assert_eq!(world.enter(|| node(&world, 1, body)), End::Returned);
    }
}

#[test]
fn a_name_without_a_sync_of_its_directory_may_be_lost_and_a_rename_is_whole() {
    let mut kept = [0; 2];
    for seed in 0..100 {
        let world = World::new(seed);
        world.enter(|| {
            let cutting = AssertCore(Rc::clone(&world));
            let body = move |_: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
                let cutting = cutting.clone();
                Box::pin(async move {
                    file::create_dir_all("/data").await.unwrap();
                    file::replace_file("/data/kv", b"old".to_vec()).await.unwrap();
                    let file = File::create_new("/data/next").await.unwrap();
                    file.write_all_at(b"new".to_vec(), 0).await.0.unwrap();
                    file.sync_data().await.unwrap();
                    file::rename("/data/next", "/data/kv").await.unwrap();
                    cutting.0.crash(Crash::Power);
                    time::sleep(Duration::from_secs(1)).await;
                })
            };
            node(&world, 1, body);
            let found = blocking::read_file("/data/kv", 1 << 10).unwrap();
            assert!(found == b"old" || found == b"new", "{found:?}");
            kept[usize::from(found == b"new")] += 1;
        });
    }
    assert!(kept.iter().all(|count| *count > 10), "{kept:?}");
}

#[test]
fn a_directory_that_an_earlier_life_made_in_vain_is_made_durable_by_the_next() {
    for seed in 0..100 {
        let world = World::new(seed);
        world.enter(|| {
            world.set_faults(Faults { sync: 700, ..Faults::default() });
            let _ = blocking::create_dir_all("/data/kv");
            world.set_faults(Faults::default());
            blocking::create_dir_all("/data/kv").unwrap();
            world.crash(Crash::Power);
            assert!(blocking::list_dir("/data/kv").is_ok(), "seed {seed}");
        });
    }
}

#[test]
fn a_replacement_that_failed_late_is_in_doubt_and_one_that_failed_early_changed_nothing() {
    let mut seen = [0; 3];
    for seed in 0..300 {
        let world = World::new(seed);
        let said = Rc::new(Cell::new(3));
        world.enter(|| {
            let (tell, failing) = (AssertCore(Rc::clone(&said)), AssertCore(Rc::clone(&world)));
            let body = move |_: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
                let (tell, failing) = (tell.clone(), failing.clone());
                Box::pin(async move {
                    file::replace_file("/kv", b"old".to_vec()).await.unwrap();
                    failing.0.set_faults(Faults { write: 200, sync: 300, ..Faults::default() });
                    tell.0.set(match file::replace_file("/kv", b"new".to_vec()).await {
                        Ok(()) => 0,
                        Err(file::ReplaceError::Unchanged(_)) => 1,
                        Err(file::ReplaceError::InDoubt(_)) => 2,
                    });
                })
            };
            node(&world, 1, body);
            world.set_faults(Faults::default());
            let found = blocking::read_file("/kv", 1 << 10).unwrap();
            match said.get() {
                0 => assert_eq!(found, b"new"),
                1 => assert_eq!(found, b"old"),
                _ => assert!(found == b"old" || found == b"new", "{found:?}"),
            }
        });
        seen[said.get()] += 1;
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}

#[test]
fn a_panic_on_a_core_ends_the_node_with_its_text() {
    let world = World::new(7);
    world.enter(|| {
        let body = |core: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
            Box::pin(async move {
                time::sleep(Duration::from_millis(5)).await;
                assert!(core.0 == 0, "core {core} is unwell");
                time::sleep(Duration::from_secs(3600)).await;
            })
        };
        let End::Panicked(text) = node(&world, 2, body) else { panic!("{:?}", world.end()) };
        assert!(text.contains("core 1 is unwell"), "{text}");
    });
}

#[test]
fn faults_are_answered_and_counted_and_a_failed_sync_is_never_made_good() {
    let world = World::new(3);
    let seen = Rc::new(RefCell::new(Vec::new()));
    world.enter(|| {
        world.set_faults(Faults { sync: 1000, ..Faults::default() });
        let cutting = AssertCore(Rc::clone(&world));
        let body = move |_: CoreId| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
            let cutting = cutting.clone();
            Box::pin(async move {
                let file = File::create_new("/file").await.unwrap();
                let faults = Faults::default();
                cutting.0.set_faults(faults);
                file.sync_data().await.unwrap();
                file::sync_dir("/").await.unwrap();
                file.write_all_at(vec![9; 512], 0).await.0.unwrap();
                cutting.0.set_faults(Faults { sync: 1000, ..faults });
                let error = file.sync_data().await.unwrap_err();
                assert!(error.to_string().contains("/file"), "{error}");
                cutting.0.set_faults(faults);
                // As with a real kernel, the next sync finds nothing to write and succeeds.
                file.sync_data().await.unwrap();
                cutting.0.crash(Crash::Power);
                time::sleep(Duration::from_secs(1)).await;
            })
        };
        node(&world, 1, body);
        seen.borrow_mut().push(blocking::read_file("/file", 1 << 10).unwrap());
        assert_eq!(world.injected(), 1);
    });
    assert_eq!(*seen.borrow(), [Vec::<u8>::new()]);
}

/// A start that waits for what it does not get takes the world's time and none of ours.
#[test]
fn waiting_before_the_cores_run_takes_the_worlds_time() {
    let world = World::new(0);
    world.enter(|| {
        let held = Reservation::take(addr()).unwrap();
        let begun = world.now();
        let mut patience = Patience::new(Duration::from_secs(3600));
        assert!(patience.until_free(|| Reservation::take(addr())).is_err());
        assert!(world.now() >= begun + 3_600_000_000_000);
        drop(held);
        assert!(patience.until_free(|| Reservation::take(addr())).is_ok());
    });
}
