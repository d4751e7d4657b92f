//! Between two cores: a message there and back, a stream of messages, and many wakes at once.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use m3_io::mesh::{Port, mesh};
use m3_io::{CoreId, PendingReply, ReplyTo, oneshot};

use super::{Size, done, figure, ns_each};
use crate::runtime::Runtime;

/// Messages an inbox holds, and messages taken at once.
const INBOX: usize = 1024;
const BATCH: usize = 256;
/// Tasks that each core wakes of the other.
const TASKS: usize = 512;

/// The ports of a mesh until their cores take them.
pub(super) struct Ports<M>(Arc<Mutex<Vec<Option<Port<M>>>>>);

impl<M> Clone for Ports<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Send> Ports<M> {
    pub(super) fn of_two() -> Self {
        Self(Arc::new(Mutex::new(mesh(2, INBOX).into_iter().map(Some).collect())))
    }

    pub(super) fn take(&self, core: usize) -> Port<M> {
        let port = self.0.lock().expect("no core panicked")[core].take();
        port.expect("each core takes its port once")
    }
}

enum Message {
    /// To be sent back.
    Ping,
    /// One of many; only the last is sent back.
    Part { is_last: bool },
}

pub(super) fn hop<R: Runtime>(size: Size) -> Result<(), String> {
    let ports = Ports::of_two();
    R::run(2, move |core| {
        let port = ports.take(core);
        Box::pin(async move { if core == 0 { ask(port, size).await } else { answer(port).await } })
    })?;
    done()
}

async fn ask(port: Port<Message>, size: Size) {
    let mut answers = Vec::new();
    // The first exchanges wait until the other core has started.
    let warm_up = size.count(1000);
    let count = size.count(20_000);
    let mut begun = Instant::now();
    for number in 0..warm_up + count {
        if number == warm_up {
            begun = Instant::now();
        }
        port.send(CoreId(1), Message::Ping).await.expect("the other core listens");
        port.recv_batch(&mut answers, BATCH).await;
        answers.clear();
    }
    figure("a message there and back, ns", ns_each(begun, count));
    let count = size.count(2_000_000);
    let begun = Instant::now();
    for number in 0..count {
        let part = Message::Part { is_last: number + 1 == count };
        port.send(CoreId(1), part).await.expect("the other core listens");
    }
    port.recv_batch(&mut answers, BATCH).await;
    figure("a message of a stream, ns", ns_each(begun, count));
    done()
}

async fn answer(port: Port<Message>) {
    let mut messages = Vec::with_capacity(BATCH);
    loop {
        port.recv_batch(&mut messages, BATCH).await;
        for message in messages.drain(..) {
            if let Message::Ping | Message::Part { is_last: true } = message {
                port.send(CoreId(0), Message::Ping).await.expect("the other core waits");
            }
        }
    }
}

pub(super) fn storm<R: Runtime>(size: Size) -> Result<(), String> {
    let ports = Ports::of_two();
    R::run(2, move |core| {
        let port = ports.take(core);
        Box::pin(wake_each_other::<R>(core, port, size))
    })?;
    done()
}

/// Hands the other core the ends of `TASKS` sleeping tasks, and wakes all of its tasks in one go.
async fn wake_each_other<R: Runtime>(core: usize, port: Port<Vec<ReplyTo<()>>>, size: Size) {
    let other = CoreId(1 - core as u16);
    let rounds = size.count(200);
    let mut inbox = Vec::new();
    let mut begun = Instant::now();
    for round in 0..=rounds {
        if round == 1 {
            begun = Instant::now();
        }
        let (wakes, sleeps): (Vec<ReplyTo<()>>, Vec<PendingReply<()>>) =
            (0..TASKS).map(|_| oneshot()).unzip();
        let (all_awake, awake) = oneshot();
        let left = Rc::new(Cell::new(TASKS));
        let all_awake = Rc::new(Cell::new(Some(all_awake)));
        for sleep in sleeps {
            let (left, all_awake) = (Rc::clone(&left), Rc::clone(&all_awake));
            R::spawn(async move {
                sleep.await.expect("the other core wakes everyone");
                left.set(left.get() - 1);
                if left.get() == 0 {
                    all_awake.take().into_iter().for_each(|all: ReplyTo<()>| all.send(()));
                }
            });
        }
        // All tasks must be asleep, or waking them has no effect.
        R::yield_now().await;
        port.send(other, wakes).await.expect("the other core listens");
        port.recv_batch(&mut inbox, 1).await;
        inbox.drain(..).flatten().for_each(|wake: ReplyTo<()>| wake.send(()));
        awake.await.expect("the last task says so");
    }
    if core == 0 {
        figure("512 wakes each way, ns a wake", ns_each(begun, rounds * TASKS as u64));
        // The other core may have a last wake to go.
        R::sleep(std::time::Duration::from_millis(50)).await;
        done()
    }
    std::future::pending().await
}
