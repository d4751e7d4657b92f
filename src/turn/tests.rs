//! However many queries there are, one runs at a time, and other tasks run in between.

use super::*;
use m3_io::driver::{self, DriverChoice};
use m3_io::{runtime, spawn_join, yield_now};
use std::cell::RefCell;
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
fn writes_have_the_core_between_two_slices_of_many_queries() {
    run(async {
        let slices = Rc::new(RefCell::new(Vec::new()));
        let writes = Rc::new(RefCell::new(Vec::new()));
        let turns = QueryTurns::default();
        let queries: Vec<_> = (0..4)
            .map(|_| {
                let (turns, slices) = (turns.clone(), Rc::clone(&slices));
                spawn_join(async move {
                    let mut turn = turns.begin().await;
                    for _ in 0..10 {
                        let begun = time::now();
                        work(SLICE);
                        slices.borrow_mut().push((begun, time::now()));
                        assert!(turn.is_over());
                        turn.next().await;
                    }
                })
            })
            .collect();
        let (written, asked) = (Rc::clone(&writes), Rc::clone(&slices));
        let write = spawn_join(async move {
            while asked.borrow().len() < 40 {
                written.borrow_mut().push(time::now());
                work(OTHERS_MAX / 8);
                yield_now().await;
            }
        });
        for query in queries {
            query.await;
        }
        write.await;
        let (slices, writes) = (slices.borrow(), writes.borrow());
        assert_eq!(slices.len(), 40);
        for two in slices.windows(2) {
            let between = two[0].1..two[1].0;
            assert!(between.end.since(between.start) >= OTHERS_MAX, "{between:?}");
            assert!(writes.iter().any(|begun| between.contains(begun)), "{between:?}");
        }
    });
}

#[test]
fn a_query_that_is_given_up_gives_its_place_up() {
    run(async {
        let turns = QueryTurns::default();
        let turn = turns.begin().await;
        let waiting = time::timeout(Duration::from_millis(5), turns.begin()).await;
        assert!(waiting.is_err());
        drop(turn);
        time::timeout(Duration::from_secs(20), turns.begin()).await.unwrap();
    });
}
