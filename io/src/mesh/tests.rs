//! Messages between cores: order, bounds, stopped cores.

use std::time::Duration;

use super::*;
use crate::testing::{drivers, on_each, on_two};
use crate::time::{sleep, timeout};
use crate::{spawn_join, yield_now};
use std::sync::{Arc, Mutex};

#[test]
fn a_full_inbox_holds_the_sender_back_until_there_is_room() {
    on_each(|_| async {
        let ports = mesh(1, 2);
        let port = std::rc::Rc::new(ports.into_iter().next().unwrap());
        let me = CoreId(0);
        port.send(me, 1).await.unwrap();
        port.send(me, 2).await.unwrap();
        assert_eq!(port.try_send(me, 3), Err(NotSent::Full(3)));
        let sender = std::rc::Rc::clone(&port);
        let sent = spawn_join(async move { sender.send(me, 3).await });
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!sent.is_finished(), "the sender should wait for room");
        let mut got = Vec::new();
        assert_eq!(port.recv_batch(&mut got, 1).await, 1);
        assert_eq!(sent.await, Ok(()));
        assert_eq!(port.recv_batch(&mut got, 100).await, 2);
        assert_eq!(got, [1, 2, 3]);
    });
}

#[test]
fn a_batch_takes_at_most_what_was_asked_and_a_dropped_wait_loses_nothing() {
    on_each(|_| async {
        let port = mesh(1, 10).into_iter().next().unwrap();
        let mut got = Vec::new();
        let waited = timeout(Duration::from_millis(5), port.recv_batch(&mut got, 10)).await;
        assert!(waited.is_err() && got.is_empty());
        for n in 0..5 {
            port.send(CoreId(0), n).await.unwrap();
        }
        assert_eq!(port.recv_batch(&mut got, 0).await, 0);
        assert_eq!(port.recv_batch(&mut got, 3).await, 3);
        assert_eq!(port.recv_batch(&mut got, 3).await, 2);
        assert_eq!(got, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_core_that_is_no_more_or_never_was_is_gone() {
    on_each(|_| async {
        let mut ports = mesh(2, 4);
        drop(ports.pop());
        let port = ports.pop().unwrap();
        assert_eq!(port.peers().collect::<Vec<_>>(), [CoreId(0), CoreId(1)]);
        assert_eq!(port.send(CoreId(1), 1).await, Err(Gone));
        assert_eq!(port.send(CoreId(9), 1).await, Err(Gone));
        assert_eq!(port.try_send(CoreId(1), 1), Err(NotSent::Gone(1)));
    });
}

#[test]
fn messages_of_one_sender_arrive_once_and_in_order_across_cores() {
    const COUNT: u64 = 20_000;
    for report in drivers() {
        let ports = mesh::<u64>(2, 16);
        let ports = Arc::new(Mutex::new(ports.into_iter().map(Some).collect::<Vec<_>>()));
        let got = on_two(&report, move |core| {
            let ports = Arc::clone(&ports);
            Box::pin(async move {
                let port = ports.lock().unwrap()[core.index()].take().unwrap();
                let port = std::rc::Rc::new(port);
                let other = CoreId(1 - core.0);
                let sender = std::rc::Rc::clone(&port);
                let sending = spawn_join(async move {
                    for n in 0..COUNT {
                        sender.send(other, n).await.unwrap();
                    }
                });
                let mut got = Vec::new();
                while got.len() < COUNT as usize {
                    port.recv_batch(&mut got, 64).await;
                }
                sending.await;
                // Keeps the inbox open until the other side has sent everything.
                sleep(Duration::from_millis(20)).await;
                got
            })
        });
        for got in got.into_iter().flatten() {
            assert!(got.iter().copied().eq(0..COUNT), "lost, doubled or reordered");
        }
    }
}
