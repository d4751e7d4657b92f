//! The helper of a core: order of jobs, results, how it ends.

use std::time::Duration;

use super::*;
use crate::runtime::affinity;
use crate::testing::on_each;
use crate::time::timeout;

#[test]
fn a_helper_takes_owned_data_and_gives_it_back() {
    on_each(|_| async {
        let helper = Helper::start(affinity()[0]).unwrap();
        let mut data = vec![3u64, 1, 2];
        for _ in 0..100 {
            data = helper
                .run(move || {
                    data.sort_unstable();
                    data
                })
                .await
                .unwrap();
        }
        assert_eq!(data, [1, 2, 3]);
        let name = helper.run(|| thread::current().name().map(str::to_owned)).await.unwrap();
        assert_eq!(name, Some(format!("idle-{}", affinity()[0])));
    });
}

#[test]
fn a_helper_survives_a_panic_and_a_queue_that_is_full() {
    on_each(|_| async {
        let helper = Helper::start(affinity()[0]).unwrap();
        let lost = helper.run(|| -> u32 { panic!("on purpose") }).await;
        assert_eq!(lost, Err(Gone));
        let jobs: Vec<_> =
            (0..QUEUE_MAX * 3).map(|n| crate::spawn_join(helper.run(move || n))).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(timeout(Duration::from_secs(20), job).await, Ok(Ok(n)));
        }
        assert_eq!(helper.backlog(), 0);
    });
}
