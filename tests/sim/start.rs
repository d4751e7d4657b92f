//! The start of a node: requests that arrive while some of its cores do not serve yet.

use m3_io::sim::End;
use m3_sim::session::Session;

/// The first core that listens may get a request, and ask the others for data, before they are told
/// that the node serves.
#[test]
fn a_request_to_the_first_core_that_listens_is_answered_by_all() {
    let seeds = std::env::var("M3RING_START_SEEDS").map_or(300, |text| text.parse().unwrap());
    for seed in 0..seeds {
        Session::with(seed, |session| {
            let end = session.life(3, |mut client| async move {
                for path in ["query?query=up", "labels", "series?match[]=up"] {
                    let path = format!("/api/v1/{path}");
                    let answer = client.send("GET", &path, &[], b"").await;
                    let answer = answer.unwrap_or_else(|_| panic!("seed {seed}: {path}"));
                    assert_eq!(answer.status, 200, "seed {seed}: {}", answer.text());
                }
            });
            assert_eq!(end, End::Returned, "seed {seed}");
        });
    }
}
