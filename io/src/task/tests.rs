//! Tasks: races, yielding, what is dropped.

use std::cell::RefCell;

use super::*;
use crate::driver::Driver;
use crate::runtime::run_here;
use crate::testing::on_each;
use crate::time::sleep;

#[test]
fn a_task_ends_although_its_handle_was_dropped() {
    on_each(|_| async {
        let done = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&done);
        drop(spawn_join(async move {
            sleep(Duration::from_millis(5)).await;
            theirs.set(true);
        }));
        sleep(Duration::from_millis(200)).await;
        assert!(done.get());
        assert_eq!(spawn_join(async { 3 }).await, 3);
    });
}

#[test]
fn tasks_are_counted_and_bounded() {
    let options = crate::driver::DriverReport::assume(Driver::Epoll);
    let mut options = crate::testing::options(&options, 1);
    options.tasks_max = 3;
    let (tell, told) = std::sync::mpsc::channel();
    crate::runtime::run_cores(options, move |_| {
        let tell = tell.clone();
        Box::pin(async move {
            let before = live_tasks();
            let results: Vec<bool> = (0..5).map(|_| try_spawn(yield_now()).is_ok()).collect();
            let refused = try_spawn(async {}).unwrap_err();
            sleep(Duration::from_millis(50)).await;
            tell.send((before, results, refused.to_string(), live_tasks())).unwrap();
        })
    })
    .unwrap();
    let (before, results, refused, after) = told.recv().unwrap();
    assert_eq!((before, after), (1, 1), "only the body's task is left");
    assert_eq!(results, [true, true, false, false, false]);
    assert!(refused.contains("3 tasks"), "{refused}");
}

#[test]
fn giving_way_lets_the_others_run_in_turn() {
    on_each(|_| async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let handles: Vec<_> = (0..3)
            .map(|id| {
                let order = Rc::clone(&order);
                spawn_join(async move {
                    for _ in 0..4 {
                        order.borrow_mut().push(id);
                        yield_now().await;
                    }
                })
            })
            .collect();
        for handle in handles {
            handle.await;
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    });
}

#[test]
fn the_left_wins_a_tie_and_the_loser_is_dropped() {
    on_each(|_| async {
        assert_eq!(race(async { 1 }, async { 2 }).await, Either::Left(1));
        let guard = Rc::new(());
        let theirs = Rc::clone(&guard);
        let slow = async move {
            std::future::pending::<()>().await;
            drop(theirs);
        };
        assert_eq!(race(slow, async { 2 }).await, Either::Right(2));
        assert_eq!(Rc::strong_count(&guard), 1);
    });
}

#[test]
#[should_panic(expected = "a task of this runtime panicked")]
fn a_panic_in_a_task_is_not_swallowed() {
    let _ = run_here(Driver::Epoll, async {
        spawn(async { panic!("on purpose") });
        std::future::pending::<()>().await;
    });
}
