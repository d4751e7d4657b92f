//! What the README tells a reader to type does what the README says of it.

use crate::harness::{Client, Node, now_ms, write_body};

const MINUTE_MS: i64 = 60_000;

/// Path and body of the POST in the README whose path ends with `route`.
fn command(route: &str) -> (String, String) {
    let readme = include_str!("../../README.md");
    let line = readme
        .split("curl -X POST http://localhost:7201")
        .find(|text| text.split_whitespace().next().is_some_and(|path| path.ends_with(route)));
    let line = line.unwrap_or_else(|| panic!("the README has no command for {route}"));
    let path = line.split_whitespace().next().unwrap().to_owned();
    (path, line.split('\'').nth(1).expect("a body in quotes").to_owned())
}

/// Types the command.
fn create(client: &mut Client, route: &str) {
    let (path, body) = command(route);
    // As curl sends it unless told otherwise.
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    client.send("POST", &path, &headers, body.as_bytes()).expect(200);
}

/// Writes a sample so old; the status and text of the answer.
fn write(client: &mut Client, name: &str, age_ms: i64) -> (u16, String) {
    let body =
        write_body(&[(&[("__name__", "reading"), ("sensor", name)], &[(now_ms() - age_ms, 1.0)])]);
    let answer = client.remote_write(&body);
    (answer.status, answer.text())
}

/// How many samples of all series the last 31 days have.
fn count(client: &mut Client) -> String {
    let query = "sum(count_over_time(reading[31d]))";
    let at = now_ms() as f64 / 1e3;
    let answer = client.query(query, at).expect(200).json();
    answer["data"]["result"][0]["value"][1].as_str().unwrap().to_owned()
}

#[test]
fn a_namespace_of_the_short_command_refuses_late_samples_and_says_what_takes_them() {
    let node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    create(&mut client, "database/create");
    assert_eq!(write(&mut client, "late", 9 * MINUTE_MS), (200, String::new()));
    for age in [11 * MINUTE_MS, 180 * MINUTE_MS] {
        let (status, text) = write(&mut client, "late", age);
        assert_eq!(status, 400);
        for part in ["datapoint too far in past: id={__name__", "coldWritesEnabled"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    assert_eq!(count(&mut client), "1");
}

#[test]
fn a_namespace_of_the_other_command_takes_late_samples() {
    let mut node = Node::start(&["--cores", "0"]);
    let mut client = node.client();
    assert_eq!(write(&mut client, "before", 300 * MINUTE_MS).0, 200, "nothing is created yet");
    create(&mut client, "services/m3db/namespace");
    for (count, age) in [0, 11, 180, 719 * 60].into_iter().enumerate() {
        let answer = write(&mut client, "late", age * MINUTE_MS);
        assert_eq!(answer, (200, String::new()), "{count}: {age} minutes");
    }
    let (status, text) = write(&mut client, "late", 721 * 60 * MINUTE_MS);
    assert_eq!(status, 400);
    assert!(text.contains("out of retention") && !text.contains("coldWrites"), "{text}");
    assert_eq!(count(&mut client), "5", "what was there before is in it");
    node.restart(&["--cores", "0"]);
    assert_eq!(count(&mut node.client()), "5");
}
