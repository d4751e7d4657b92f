//! Work that panics, in every scope.

use super::{
    Panicked, Scope, catch, catch_future, catch_to_end, caught, ends_process, ends_process_future,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;

fn scope() -> Scope {
    super::SCOPE.get()
}

#[test]
fn work_that_panics_becomes_an_error_and_its_values_are_dropped() {
    struct Held(Rc<Cell<bool>>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let held = Held(Rc::clone(&dropped));
    let before = caught();
    let result: Result<(), Panicked> = catch(move || {
        let _held = held;
        panic!("a query of {}", "death")
    });
    assert!(result.unwrap_err().to_string().starts_with("caught panic: a query of death"));
    assert!(dropped.get());
    assert!(caught() > before);
    assert_eq!(catch(|| 7), Ok(7));
    assert_eq!(scope(), Scope::Ends);
}

#[test]
fn scopes_nest_and_are_restored_when_work_panics() {
    let seen = catch(|| {
        let inner = catch_to_end(|| {
            assert_eq!(scope(), Scope::CaughtToEnd);
            ends_process(|| assert_eq!(scope(), Scope::Ends));
            assert_eq!(scope(), Scope::CaughtToEnd);
            panic!("within");
        });
        assert_eq!(scope(), Scope::Caught);
        inner.unwrap_err().text
    });
    assert!(seen.unwrap().starts_with("within"));
    // Code whose panic ends the process gets through every catcher that respects it. The test must
    // survive, so only the scope is checked here.
    let ended = catch_unwind(AssertUnwindSafe(|| ends_process(|| panic!("the end"))));
    assert!(ended.is_err());
    assert_eq!(scope(), Scope::Ends);
}

#[test]
fn a_future_is_caught_at_whichever_poll_it_panics() {
    let run = |panics_at: u32| {
        let work = async move {
            for turn in 0..3 {
                assert_eq!(scope(), Scope::Caught);
                ends_process_future(pin!(async { assert_eq!(scope(), Scope::Ends) })).await;
                assert_ne!(turn, panics_at, "at a turn");
                crate::yield_now().await;
            }
            panics_at
        };
        crate::runtime::run_here(crate::driver::Driver::Epoll, catch_future(pin!(work)))
            .expect("epoll is there")
    };
    for turn in 0..3 {
        assert!(run(turn).unwrap_err().text.contains("at a turn"));
    }
    assert_eq!(run(9), Ok(9));
    assert_eq!(scope(), Scope::Ends);
}
