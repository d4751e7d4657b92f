//! One answer to one question, and questions whose asker or answerer is gone.

use super::*;
use crate::testing::on_each;
use crate::{spawn, yield_now};

#[test]
fn an_answer_arrives_whether_it_comes_before_or_after_the_wait() {
    on_each(|_| async {
        let (to, reply) = oneshot();
        to.send(1);
        assert_eq!(reply.await, Ok(1));

        let (to, reply) = oneshot();
        spawn(async move {
            yield_now().await;
            to.send(2);
        });
        assert_eq!(reply.await, Ok(2));
    });
}

#[test]
fn a_dropped_answerer_is_gone_and_a_dropped_asker_is_seen() {
    on_each(|_| async {
        let (to, reply) = oneshot::<u32>();
        drop(to);
        assert_eq!(reply.await, Err(Gone));

        let (to, reply) = oneshot::<u32>();
        spawn(async move {
            yield_now().await;
            drop(to);
        });
        assert_eq!(reply.await, Err(Gone));

        let (to, reply) = oneshot::<u32>();
        assert!(!to.is_abandoned());
        drop(reply);
        assert!(to.is_abandoned());
        to.send(1);
    });
}

#[test]
fn an_answer_is_taken_once() {
    let (to, mut reply) = oneshot();
    assert_eq!(reply.try_take(), Ok(None));
    to.send(7);
    assert_eq!(reply.try_take(), Ok(Some(7)));
    assert_eq!(reply.try_take(), Err(Gone));
}
