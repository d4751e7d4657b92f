//! Starting: what a person sees who starts a node, rightly or wrongly.

use crate::harness::{Node, TempDir};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

fn run(args: &[&str]) -> (Output, String, String) {
    let dir = TempDir::new("start");
    let output = Command::new(env!("CARGO_BIN_EXE_m3ring"))
        .args(args)
        .current_dir(dir.path())
        .output()
        .expect("the node's program can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

#[test]
fn help_and_version() {
    for flag in ["--help", "-h"] {
        let (output, stdout, _) = run(&[flag]);
        assert!(output.status.success());
        for part in ["--data-dir", "--http.listen", "--metrics.listen", "--cores", "-f FILE"] {
            assert!(stdout.contains(part), "{part} in {stdout}");
        }
        for default in ["./m3ring_data", "0.0.0.0:7201", "0.0.0.0:7203"] {
            assert!(stdout.contains(default), "{default} in {stdout}");
        }
    }
    let (output, stdout, _) = run(&["--version"]);
    assert!(output.status.success());
    assert_eq!(stdout.trim(), concat!("m3ring ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_wrong_is_named() {
    for (args, parts) in [
        (&["--data-dri", "x"][..], &["--data-dri", "--data-dir"][..]),
        (&["--cores", "none"], &["cores", "none"]),
        (&["--http.listen", "here"], &["http.listen", "here"]),
        (&["--data-dir"], &["--data-dir", "value"]),
        (&["-f", "nosuch.yml"], &["nosuch.yml"]),
        (&["serve"], &["serve"]),
    ] {
        let (output, _, stderr) = run(args);
        assert!(!output.status.success(), "{args:?}");
        for part in parts {
            assert!(stderr.contains(part), "{args:?}: {part} in {stderr}");
        }
        assert!(stderr.lines().count() <= 4, "{args:?}: short enough to read: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

#[test]
fn one_node_per_data_directory() {
    let node = Node::start(&["--cores", "0"]);
    let refused = Node::try_start_in(node.dir(), &["--cores", "0"]).unwrap_err();
    assert!(!refused.status.success());
    let data = node.dir().path().join("data");
    assert!(refused.stderr.contains(&*data.to_string_lossy()), "{}", refused.stderr);
    let is_told = refused.stderr.contains("lock") || refused.stderr.contains("another");
    assert!(is_told, "{}", refused.stderr);
    node.client().get("/health").expect(200);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for flag in ["--http.listen", "--metrics.listen"] {
        let dir = Arc::new(TempDir::new("taken"));
        let refused = Node::try_start_in(&dir, &["--cores", "0", flag, &addr]).unwrap_err();
        assert!(!refused.status.success());
        assert!(refused.stderr.contains(&addr), "{}", refused.stderr);
        assert!(refused.stderr.to_lowercase().contains("in use"), "{}", refused.stderr);
    }
    // Not even another node shares it, although cores of one node do.
    let node = Node::start(&["--cores", "0"]);
    let dir = Arc::new(TempDir::new("taken"));
    let api = node.api.to_string();
    let refused = Node::try_start_in(&dir, &["--cores", "0", "--http.listen", &api]).unwrap_err();
    assert!(refused.stderr.contains(&api), "{}", refused.stderr);
}

#[test]
fn one_screen_says_what_runs() {
    let node = Node::start(&["--cores", "0"]);
    let stderr = node.stderr();
    let banner: Vec<&str> = stderr.lines().collect();
    assert!(banner.len() < 25, "{stderr}");
    for part in ["API", "metrics", "data", "cores", "I/O", "commitlog", "remote_write", "query="] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
    assert!(stderr.contains(&*node.dir().path().join("data").to_string_lossy()));
}

#[test]
fn sigterm_ends_it_in_order_and_it_starts_again() {
    let mut node = Node::start(&["--cores", "0,1"]);
    for _ in 0..2 {
        node.client().get("/health").expect(200);
        let (status, took) = node.terminate();
        assert!(status.success(), "{status}\n{}", node.stderr());
        assert!(took < Duration::from_secs(2), "{took:?}");
        node.restart(&["--cores", "0,1"]);
    }
}

#[test]
fn json_logs_are_json() {
    let node = Node::start(&["--cores", "0", "--log.format", "json"]);
    let stderr = node.stderr();
    let serving = stderr.lines().find(|line| line.contains("serving")).unwrap();
    let line: serde_json::Value = serde_json::from_str(serving).unwrap();
    assert_eq!(line["level"], "INFO");
}
