//! A panic in the work of one request: which ones end the request only, and which end the node.

use m3_http::proto::write::WriteRequestWriter;
use m3_io::sim::{End, World};
use m3_io::time;
use m3_sim::client::{Answer, Client};
use m3_sim::session::Session;
use std::rc::Rc;

/// One sample of the series `up{which="..."}`, as a remote write.
fn body(which: &str) -> Vec<u8> {
    let mut writer = WriteRequestWriter::default();
    let now_ms = time::wall_ns() / 1_000_000;
    writer.push(&[("__name__", "up"), ("which", which)], &[(now_ms, 1.0)]);
    writer.body()
}

async fn write(client: &mut Client, body: &[u8]) -> Option<Answer> {
    client.send("POST", "/api/v1/prom/remote/write", &[], body).await.ok()
}

async fn query(client: &mut Client, query: &str) -> Answer {
    let path = format!("/api/v1/query?query={query}");
    client.send("GET", &path, &[], b"").await.expect("the node answers")
}

async fn metric(name: &str) -> f64 {
    let mut client = Client::new("127.0.0.1:7203".parse().expect("an address"));
    let answer = client.send("GET", "/metrics", &[], b"").await.expect("the node answers").text();
    let line =
        answer.lines().find_map(|line| line.strip_prefix(name)).expect("the metric is there");
    line.trim().parse().expect("a number")
}

/// A world in which failpoint `name` panics for data that contains `bytes`, as a bug would.
fn arm(world: &Rc<World>, name: &str, bytes: &str) {
    world.arm(name, bytes.as_bytes());
}

#[test]
fn a_query_that_panics_fails_alone() {
    for cores in [1, 2, 3] {
        Session::with(7, |session| {
            let world = Rc::clone(session.world());
            let end = session.life(cores, |mut client| async move {
                assert_eq!(write(&mut client, &body("a")).await.unwrap().status, 200);
                let before = metric("m3ring_request_panics_total").await;
                for place in ["route", "fetch", "evaluate", "render"] {
                    arm(&world, place, "");
                    let answer = query(&mut client, "up").await;
                    world.disarm(place);
                    assert_eq!(answer.status, 500, "{place}: {}", answer.text());
                    assert!(answer.text().contains("caught panic: "), "{}", answer.text());
                    let answer = query(&mut client, "up").await;
                    assert!(
                        answer.text().contains("\"which\":\"a\""),
                        "{place}: {}",
                        answer.text()
                    );
                }
                assert!(metric("m3ring_request_panics_total").await >= before + 4.0);
                assert_eq!(write(&mut client, &body("b")).await.unwrap().status, 200);
            });
            assert_eq!(end, End::Returned, "{cores} cores");
        });
    }
}

#[test]
fn reading_a_body_or_an_admin_document_that_panics_fails_alone() {
    Session::with(8, |session| {
        let world = Rc::clone(session.world());
        let end = session.life(2, |mut client| async move {
            arm(&world, "route", "");
            assert_eq!(write(&mut client, &body("a")).await.unwrap().status, 500);
            world.disarm("route");
            arm(&world, "admin", "");
            let create = br#"{"type":"local","namespaceName":"raw","retentionTime":"48h"}"#;
            let path = "/api/v1/database/create";
            let answer = client.send("POST", path, &[], create).await.unwrap();
            assert_eq!(answer.status, 500, "{}", answer.text());
            world.disarm("admin");
            let answer = client.send("POST", path, &[], create).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(write(&mut client, &body("a")).await.unwrap().status, 200);
        });
        assert_eq!(end, End::Returned);
    });
}

/// A body that ends the node is refused after the next start, and all samples acknowledged before
/// are there.
#[test]
fn a_body_that_ended_the_node_does_not_end_it_again() {
    for (seed, cores) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (7, 3), (8, 3)] {
        Session::with(seed, |session| {
            let poisoned = body("poison");
            arm(session.world(), "store", "poison");
            let again = poisoned.clone();
            let end = session.life(cores, |mut client| async move {
                assert_eq!(write(&mut client, &body("before")).await.unwrap().status, 200);
                assert!(
                    write(&mut client, &again).await.is_none(),
                    "a node that ends does not answer"
                );
            });
            let End::Panicked(text) = end else { panic!("seed {seed}: {end:?}") };
            assert!(text.contains("failpoint store"), "{text}");
            let end = session.life(cores, |mut client| async move {
                let answer = write(&mut client, &poisoned).await.expect("the node lives");
                assert_eq!(answer.status, 400, "{}", answer.text());
                assert!(answer.text().contains("ended the node"), "{}", answer.text());
                assert_eq!(write(&mut client, &body("after")).await.unwrap().status, 200);
                let answer = query(&mut client, "count(up)").await.text();
                assert!(answer.contains("\"2\""), "both samples are there: {answer}");
            });
            assert_eq!(end, End::Returned, "seed {seed}, {cores} cores");
        });
    }
}
