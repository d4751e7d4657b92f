//! The guards of the scheduler, on both drivers: `starve`, `storm`, panics, stopping.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::*;
use crate::mesh::{Port, mesh};
use crate::net::{TcpListener, TcpStream};
use crate::testing::{drivers, is_child, on_two, options, run_child};
use crate::{PendingReply, ReplyTo, oneshot, spawn, spawn_join, yield_now};

#[test]
fn lists_of_cpus() {
    let read = |text| parse_cpu_list(text).map_err(|e| e.to_string());
    assert_eq!(read("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
    assert_eq!(read(" 5 , 1-2, 2"), Ok(vec![1, 2, 5]));
    for (bad, why) in [
        ("", "a number is missing"),
        ("1,,2", "a number is missing"),
        ("1-", "a number is missing"),
        ("3-1", "3-1 runs backwards"),
        ("x", "\"x\" is not a number"),
        ("0-4000000000", "there is no cpu 4000000000"),
        ("-1", "a number is missing"),
    ] {
        let text = read(bad).unwrap_err();
        assert!(text.contains(why) && text.contains("write it as 0-3,8"), "{bad}: {text}");
    }
    assert_eq!(crate::error::format_cpus(&[0, 1, 2, 5, 8, 9]), "0-2,5,8-9");
}

#[test]
fn options_out_of_bounds_are_refused_before_any_body_runs() {
    let report = DriverReport::assume(Driver::Epoll);
    let refused = |change: fn(&mut Options)| {
        let mut options = options(&report, 1);
        change(&mut options);
        run_cores(options, |_| Box::pin(async { panic!("a body ran") })).unwrap_err().to_string()
    };
    assert!(refused(|o| o.cpus.clear()).contains("number of cores is 0"));
    assert!(refused(|o| o.cpus.push(o.cpus[0])).contains("each cpu once"));
    assert!(refused(|o| o.cpus[0] = 60_000).contains("not among the cpus"));
    assert!(refused(|o| o.ring_entries = 1000).contains("a power of two"));
    assert!(refused(|o| o.tasks_max = 0).contains("tasks_max"));
}

#[test]
fn each_core_is_pinned_to_its_own_cpu() {
    for report in drivers() {
        let cpus = options(&report, 2).cpus;
        let seen = on_two(&report, |core| {
            Box::pin(async move {
                let status = blocking::read_text("/proc/thread-self/status").unwrap();
                let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
                let name = thread::current().name().map(str::to_owned);
                (current_core(), core, current_driver(), name, list.unwrap().trim().to_owned())
            })
        });
        for (i, seen) in seen.into_iter().flatten().enumerate() {
            let core = CoreId(i as u16);
            let name = Some(format!("core-{i}"));
            assert_eq!(seen, (Some(core), core, report.driver, name, cpus[i].to_string()));
        }
    }
    assert_eq!(current_core(), None);
}

type Ping = ReplyTo<()>;

/// Gives each core its port of a mesh, from the closure they share.
struct Ports<M>(Arc<Mutex<Vec<Option<Port<M>>>>>);

impl<M: Send> Ports<M> {
    fn new(capacity: usize) -> Self {
        Ports(Arc::new(Mutex::new(mesh(2, capacity).into_iter().map(Some).collect())))
    }

    fn take(&self, core: CoreId) -> Port<M> {
        self.0.lock().unwrap()[core.index()].take().unwrap()
    }
}

impl<M> Clone for Ports<M> {
    fn clone(&self) -> Self {
        Ports(Arc::clone(&self.0))
    }
}

/// The longest delay and the number of rounds that one kind of client saw.
#[derive(Clone, Copy, Debug, Default)]
struct Delays {
    worst: Duration,
    rounds: u32,
}

impl Delays {
    fn add(&mut self, took: Duration) {
        self.worst = self.worst.max(took);
        self.rounds += 1;
    }
}

const BUSY: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_millis(5);
/// One busy task of short slices.
pub(crate) const SHORT: &[Duration] = &[Duration::from_micros(100)];
/// Several busy tasks of long slices, as several long queries would be.
const LONG: &[Duration] = &[Duration::from_millis(1); 4];

/// Uses the cpu in slices for [`BUSY`] and yields after each.
async fn busy(slice: Duration) {
    let end = time::now().plus(BUSY);
    while time::now() < end {
        let next = time::now().plus(slice);
        while time::now() < next {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
}

/// The busy core: answers pings and echoes while its tasks use the cpu, and watches its own timer.
async fn starved(port: Port<Ping>, slices: &[Duration], tell: mpsc::Sender<SocketAddr>) -> Delays {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap(), Default::default()).unwrap();
    tell.send(listener.local_addr()).unwrap();
    spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut buf = Vec::with_capacity(64);
        while let (Ok(1..), got) = stream.read(buf).await {
            let (_, back) = stream.write_all(got).await;
            buf = back;
            buf.clear();
        }
    });
    spawn(async move {
        let mut pings = Vec::new();
        loop {
            port.recv_batch(&mut pings, 64).await;
            pings.drain(..).for_each(|ping| ping.send(()));
        }
    });
    let burning: Vec<_> = slices.iter().map(|slice| spawn_join(busy(*slice))).collect();
    let mut delays = Delays::default();
    let end = time::now().plus(BUSY);
    while time::now() < end {
        let due = time::now().plus(BEAT);
        time::sleep_until(due).await;
        delays.add(time::now().since(due));
    }
    for task in burning {
        task.await;
    }
    // The other core may still be waiting for a last answer.
    time::sleep(Duration::from_millis(100)).await;
    delays
}

/// The idle core: pings the busy one by message and by socket. Returns both delays.
async fn guests(port: Port<Ping>, addr: SocketAddr) -> (Delays, Delays) {
    let end = time::now().plus(BUSY);
    let echoes = spawn_join(async move {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut delays = Delays::default();
        while time::now() < end {
            let start = time::now();
            stream.write_all(b"ping".to_vec()).await.0.unwrap();
            stream.read(Vec::with_capacity(64)).await.0.unwrap();
            delays.add(time::now().since(start));
            time::sleep(BEAT).await;
        }
        delays
    });
    let mut delays = Delays::default();
    while time::now() < end {
        let start = time::now();
        let (ping, pong) = oneshot();
        port.send(CoreId(0), ping).await.unwrap();
        pong.await.unwrap();
        delays.add(time::now().since(start));
        time::sleep(BEAT).await;
    }
    (delays, echoes.await)
}

/// A busy core that yields lets messages, timers and sockets through.
///
/// With a fault they starve for the whole second, every time. A machine with other work to do may
/// delay them now and then, so the best of three runs counts.
pub(crate) fn starve(report: &DriverReport, slices: &'static [Duration]) {
    let mut faults = Vec::new();
    for _ in 0..3 {
        faults = measure_starving(report, slices);
        if faults.is_empty() {
            return;
        }
    }
    panic!("starved on {}: {faults:?}", report.driver);
}

fn measure_starving(report: &DriverReport, slices: &'static [Duration]) -> Vec<String> {
    let ports = Ports::<Ping>::new(64);
    let (tell, told) = mpsc::channel();
    let told = Arc::new(Mutex::new(told));
    let seen = on_two(report, move |core| {
        let (ports, tell, told) = (ports.clone(), tell.clone(), Arc::clone(&told));
        Box::pin(async move {
            let port = ports.take(core);
            if core == CoreId(0) {
                return vec![("timer", starved(port, slices, tell).await)];
            }
            let addr = told.lock().unwrap().recv().unwrap();
            let (messages, echoes) = guests(port, addr).await;
            vec![("message", messages), ("tcp", echoes)]
        })
    });
    let mut faults = Vec::new();
    for (what, delays) in seen.into_iter().flatten().flatten() {
        eprintln!("starve {} {slices:?}: {what} {delays:?}", report.driver);
        if delays.worst >= Duration::from_millis(500) || delays.rounds < 10 {
            faults.push(format!("{what} {delays:?} in {BUSY:?}"));
        }
    }
    faults
}

#[test]
fn starve_with_short_slices() {
    for report in drivers() {
        starve(&report, SHORT);
    }
}

#[test]
fn starve_with_several_long_tasks() {
    for report in drivers() {
        starve(&report, LONG);
    }
}

/// Both cores wake `tasks` tasks of the other from one poll, again and again.
pub(crate) fn storm(report: &DriverReport, tasks: usize) {
    const ROUNDS: usize = 20;
    let ports = Ports::<Vec<Ping>>::new(4);
    let woken = on_two(report, move |core| {
        let ports = ports.clone();
        Box::pin(async move {
            let port = ports.take(core);
            let other = CoreId(1 - core.0);
            let woken = Rc::new(Cell::new(0));
            let mut inbox = Vec::new();
            for _ in 0..ROUNDS {
                let (pings, pongs): (Vec<Ping>, Vec<PendingReply<()>>) =
                    (0..tasks).map(|_| oneshot()).unzip();
                let waiting = pongs.into_iter().map(|pong| {
                    let woken = Rc::clone(&woken);
                    spawn_join(async move {
                        pong.await.unwrap();
                        woken.set(woken.get() + 1);
                    })
                });
                let waiting: Vec<_> = waiting.collect();
                // All tasks must be asleep, or waking them has no effect.
                yield_now().await;
                port.send(other, pings).await.unwrap();
                while inbox.is_empty() {
                    port.recv_batch(&mut inbox, 1).await;
                }
                inbox.drain(..).flatten().for_each(|ping| ping.send(()));
                for task in waiting {
                    task.await;
                }
            }
            time::sleep(Duration::from_millis(20)).await;
            woken.get()
        })
    });
    for woken in woken.into_iter().flatten() {
        assert_eq!(woken, tasks * ROUNDS);
    }
}

#[test]
fn storm_of_512() {
    drivers().iter().for_each(|report| storm(report, 512));
}

#[test]
fn storm_of_4096() {
    drivers().iter().for_each(|report| storm(report, 4096));
}

#[test]
fn a_panic_on_one_core_ends_the_process() {
    const SELF: &str = "runtime::tests::a_panic_on_one_core_ends_the_process";
    if is_child(SELF) {
        let report = DriverReport::assume(Driver::Epoll);
        let _ = on_two::<(), _>(&report, |core| {
            Box::pin(async move {
                time::sleep(Duration::from_millis(50)).await;
                if core == CoreId(1) {
                    spawn(async { panic!("the shard is torn") });
                }
                // This core would serve half of a node for ever.
                std::future::pending::<()>().await;
            })
        });
        return;
    }
    if affinity().len() < 2 {
        return;
    }
    let start = time::now();
    let (passed, stderr) = run_child(SELF);
    assert!(!passed, "the process should have failed: {stderr}");
    assert!(time::now().since(start) < Duration::from_secs(30));
    assert!(stderr.contains("core 1 panicked at"), "{stderr}");
    assert!(stderr.contains("the shard is torn; stopping the process"), "{stderr}");
}

#[test]
fn sigterm_is_seen_once_and_the_cores_end_in_order() {
    const SELF: &str = "runtime::tests::sigterm_is_seen_once_and_the_cores_end_in_order";
    if is_child(SELF) {
        let report = drivers().pop().unwrap();
        run_cores(options(&report, 1), |_| {
            Box::pin(async {
                let gate = crate::Gate::new();
                let pass = gate.enter().unwrap();
                spawn(async move {
                    pass.gate().closed().await;
                    time::sleep(Duration::from_millis(20)).await;
                    eprintln!("work is done");
                    drop(pass);
                });
                let stop = spawn_join(crate::signal::terminate());
                yield_now().await;
                let pid = std::process::id().to_string();
                let kill = std::process::Command::new("kill").args(["-TERM", &pid]).status();
                assert!(kill.unwrap().success());
                eprintln!("stopping on {:?}", stop.await.unwrap());
                gate.close();
                gate.drained().await;
                eprintln!("stopped");
            })
        })
        .unwrap();
        return;
    }
    let (passed, stderr) = run_child(SELF);
    assert!(passed, "{stderr}");
    let lines = ["stopping on Terminate", "work is done", "stopped"];
    let at: Vec<_> = lines.iter().map(|line| stderr.find(line)).collect();
    assert!(at.is_sorted() && at[0].is_some(), "{stderr}");
}

#[test]
fn every_sighup_is_told_and_none_kills() {
    const SELF: &str = "runtime::tests::every_sighup_is_told_and_none_kills";
    if is_child(SELF) {
        run_here(Driver::Epoll, async {
            let mut hangups = crate::signal::Hangups::new().unwrap();
            let pid = std::process::id().to_string();
            for n in 0..3 {
                let kill = std::process::Command::new("kill").args(["-HUP", &pid]).status();
                assert!(kill.unwrap().success());
                hangups.next().await.unwrap();
                eprintln!("reload {n}");
            }
        })
        .unwrap();
        return;
    }
    let (passed, stderr) = run_child(SELF);
    assert!(passed && stderr.contains("reload 2"), "{stderr}");
}
