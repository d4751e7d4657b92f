//! However many queries there are, one works at a time, and the others' work goes between.

use super::*;
use m3_io::driver::{self, DriverChoice};
use m3_io::{runtime, spawn_join, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

fn run(test: impl Future<Output = ()> + 'static) {
    let entries = runtime::RING_ENTRIES_DEFAULT;
    let report = driver::probe(DriverChoice::Auto, 1, entries).unwrap();
    runtime::run_here(report.driver, test).unwrap();
}

fn work(time: Duration) {
    let begun = time::now();
    while time::now().since(begun) < time {}
}

#[test]
fn writes_get_several_turns_between_two_slices_of_many_queries() {
    run(async {
        let seen = Rc::new(RefCell::new(String::new()));
        let done = Rc::new(Cell::new(0));
        let turns = Turns::default();
        let queries: Vec<_> = (0..4)
            .map(|_| {
                let (turns, seen, done) = (turns.clone(), Rc::clone(&seen), Rc::clone(&done));
                spawn_join(async move {
                    let mut turn = turns.begin().await;
                    for _ in 0..10 {
                        work(SLICE);
                        seen.borrow_mut().push('Q');
                        assert!(turn.is_over());
                        turn.next().await;
                    }
                    done.set(done.get() + 1);
                })
            })
            .collect();
        let (writing, ended) = (Rc::clone(&seen), Rc::clone(&done));
        let write = spawn_join(async move {
            while ended.get() < 4 {
                work(Duration::from_micros(100));
                writing.borrow_mut().push('w');
                yield_now().await;
            }
        });
        for query in queries {
            query.await;
        }
        write.await;
        let seen = seen.borrow();
        // What is written between two slices; fewer where something else has the cpu meanwhile.
        let mut writes: Vec<usize> = seen.split('Q').map(str::len).collect();
        assert_eq!(writes.len(), 41);
        writes.sort();
        assert!(writes[20] >= 4, "{seen}");
    });
}

#[test]
fn an_idle_core_makes_a_query_wait_for_nothing() {
    run(async {
        let turns = Turns::default();
        let mut turn = turns.begin().await;
        let mut quickest = Duration::MAX;
        for _ in 0..100 {
            let begun = time::now();
            turn.next().await;
            quickest = quickest.min(time::now().since(begun));
        }
        // Each would take all of OTHERS_MAX if it waited for others that are not there; some do
        // where something else has the cpu.
        assert!(quickest < OTHERS_MAX, "{quickest:?}");
    });
}

#[test]
fn a_query_that_is_given_up_gives_its_place_up() {
    run(async {
        let turns = Turns::default();
        let turn = turns.begin().await;
        let waiting = time::timeout(Duration::from_millis(5), turns.begin()).await;
        assert!(waiting.is_err());
        drop(turn);
        time::timeout(Duration::from_secs(20), turns.begin()).await.unwrap();
    });
}
