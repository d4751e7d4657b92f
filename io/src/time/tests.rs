//! Clocks, sleeps and deadlines.

use super::*;
use crate::testing::on_each;
use std::pin::pin;
use std::task::{Context, Waker};

#[test]
fn sleep_takes_at_least_its_time_and_a_past_deadline_none() {
    on_each(|_| async {
        let start = now();
        sleep(Duration::from_millis(20)).await;
        assert!(now().since(start) >= Duration::from_millis(20));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(sleep_until(Monotonic(0))).poll(&mut cx).is_ready());
        assert!(pin!(sleep(Duration::ZERO)).poll(&mut cx).is_ready());
    });
}

#[test]
fn timeout_gives_the_value_or_the_end_of_time() {
    on_each(|_| async {
        let quick = timeout(Duration::from_secs(10), async { 5 }).await;
        assert_eq!(quick, Ok(5));
        let never = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
        assert_eq!(never, Err(Elapsed));
        // A ready future wins even with no time at all, and the longest time does not overflow.
        assert_eq!(timeout(Duration::ZERO, async { 6 }).await, Ok(6));
        assert_eq!(timeout(Duration::MAX, async { 7 }).await, Ok(7));
    });
}

#[test]
fn moments_saturate() {
    assert_eq!(Monotonic(5).plus(Duration::MAX), Monotonic(u64::MAX));
    assert_eq!(Monotonic(5).since(Monotonic(9)), Duration::ZERO);
    assert_eq!(Monotonic(9).since(Monotonic(5)), Duration::from_nanos(4));
    // Between 2020-01-01 and 2200-01-01.
    assert!((1_577_836_800_000_000_000..7_258_118_400_000_000_000).contains(&wall_ns()));
}
