//! Synchronization between tasks of one core.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::testing::on_each;
use crate::time::{sleep, timeout};
use crate::{spawn, spawn_join, yield_now};

#[test]
fn a_notification_between_the_look_and_the_wait_is_not_lost() {
    on_each(|_| async {
        let notify = Notify::new();
        let wait = notify.notified();
        notify.notify_waiters();
        wait.await;
        let late = timeout(Duration::from_millis(5), notify.notified()).await;
        assert!(late.is_err(), "a wait made later sees only what comes later");
        assert_eq!(format!("{notify:?}"), "Notify { waiting: 0 }");
    });
}

#[test]
fn everyone_waiting_is_woken() {
    on_each(|_| async {
        let notify = Notify::new();
        let handles: Vec<_> = (0..10).map(|_| spawn_join(notify.notified())).collect();
        yield_now().await;
        notify.notify_waiters();
        for handle in handles {
            timeout(Duration::from_secs(5), handle).await.unwrap();
        }
    });
}

#[test]
fn permits_bound_what_runs_at_once_and_nobody_is_passed_over() {
    on_each(|_| async {
        let permits = Semaphore::new(3);
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut handles = Vec::new();
        for (id, count) in [1usize, 2, 3, 1, 99, 1].into_iter().enumerate() {
            let (permits, order) = (permits.clone(), Rc::clone(&order));
            let (running, most) = (Rc::clone(&running), Rc::clone(&most));
            handles.push(spawn_join(async move {
                let permit = permits.acquire(count).await;
                order.borrow_mut().push(id);
                running.set(running.get() + permit.count());
                most.set(most.get().max(running.get()));
                sleep(Duration::from_millis(3)).await;
                running.set(running.get() - permit.count());
            }));
        }
        for handle in handles {
            timeout(Duration::from_secs(5), handle).await.unwrap();
        }
        assert_eq!(most.get(), 3);
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 5]);
        assert_eq!((permits.available(), permits.waiting()), (3, 0));
    });
}

#[test]
fn a_waiter_that_gives_up_lets_the_next_one_through() {
    on_each(|_| async {
        let permits = Semaphore::new(2);
        let mut held = permits.try_acquire(2).unwrap();
        assert!(permits.try_acquire(1).is_none());
        let big = permits.clone();
        let gives_up =
            spawn_join(
                async move { timeout(Duration::from_millis(20), big.acquire(2)).await.is_err() },
            );
        yield_now().await;
        let small = permits.clone();
        let next = spawn_join(async move { small.acquire(1).await.count() });
        yield_now().await;
        held.shrink(1);
        assert!(permits.try_acquire(1).is_none(), "who waits comes first");
        assert!(gives_up.await);
        assert_eq!(timeout(Duration::from_secs(5), next).await, Ok(1));
        drop(held);
        assert_eq!(permits.available(), 2);
    });
}

#[test]
fn a_gate_waits_for_all_who_entered_and_lets_nobody_in_after() {
    on_each(|_| async {
        let gate = Gate::new();
        let finished = Rc::new(Cell::new(0));
        for n in 0..5 {
            let pass = gate.enter().unwrap();
            let finished = Rc::clone(&finished);
            spawn(async move {
                pass.gate().closed().await;
                sleep(Duration::from_millis(n)).await;
                finished.set(finished.get() + 1);
            });
        }
        assert!(timeout(Duration::from_millis(10), gate.drained()).await.is_err());
        gate.close();
        assert!(gate.enter().is_none() && gate.is_closed());
        timeout(Duration::from_secs(5), gate.drained()).await.unwrap();
        assert_eq!((finished.get(), gate.inside()), (5, 0));
    });
}
