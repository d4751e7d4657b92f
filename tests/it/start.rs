//! Starting a node, in the right and in the wrong way, as a person sees it.

use crate::harness::{Client, Node, Output, PATIENCE, STOP_MAX, STOP_TAKES, TempDir, program};
use crate::harness::{now_ms, signal, until, write_body};
use m3_shard::commitlog::segment;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

fn run(args: &[&str]) -> (std::process::Output, String, String) {
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
    assert!(refused.stderr.contains("(waited "), "{}", refused.stderr);
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
    // Not even another node shares one, although cores of one node do.
    let node = Node::start(&["--cores", "0"]);
    let (api, metrics) = (node.api.to_string(), node.metrics.to_string());
    let cases = [
        ("--http.listen", &addr),
        ("--metrics.listen", &addr),
        ("--http.listen", &api),
        ("--metrics.listen", &metrics),
    ];
    std::thread::scope(|scope| {
        for (flag, addr) in cases {
            scope.spawn(move || {
                let dir = Arc::new(TempDir::new("taken"));
                let refused = Node::try_start_in(&dir, &["--cores", "0", flag, addr]).unwrap_err();
                assert!(!refused.status.success());
                for part in [addr.as_str(), "already in use", "(waited "] {
                    assert!(refused.stderr.contains(part), "{part} in {}", refused.stderr);
                }
            });
        }
    });
}

/// What a start says while it waits for what another holds.
const WAITS: &str = "trying again for 5s";

/// The kernel may hold ports and directory for some milliseconds after the process has ended.
#[test]
fn a_start_right_after_a_kill_succeeds() {
    let times = std::env::var("M3RING_RESTARTS").map_or(12, |times| times.parse().unwrap());
    let mut node = Node::start(&["--cores", "0,1"]);
    let (api, metrics) = (node.api.to_string(), node.metrics.to_string());
    let args = ["--cores", "0,1", "--http.listen", &api, "--metrics.listen", &metrics];
    let mut waited = 0;
    for time in 0..times {
        // Connections on which the kernel waits for the next request.
        let mut clients = [node.client(), node.client(), Client::new(node.metrics)];
        clients[0].get("/health").expect(200);
        clients[1].get("/health").expect(200);
        clients[2].get("/metrics").expect(200);
        let dir = Arc::clone(node.dir());
        if time % 2 == 0 {
            node.kill();
        } else {
            // The next one begins before the last has quite ended.
            signal(node.pid(), "KILL");
        }
        let next = Node::start_in(&dir, &args);
        node = next;
        waited += usize::from(node.stderr().contains(WAITS));
    }
    println!("{times} starts, {waited} of them had to wait");
}

/// Starts a node on `dir` that finds something taken, has it given up when the node says that it
/// waits, and returns all that the node has said until it serves.
fn start_while_held(dir: &TempDir, args: &[&str], give_up: impl FnOnce()) -> String {
    let mut child = Command::new(program())
        .args(["--http.listen", "127.0.0.1:0", "--metrics.listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path().join("data"))
        .args(args)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the node's program can be run");
    let stderr = Output::collect(child.stderr.take().unwrap());
    let said = |words: &str| stderr.text().contains(words).then_some(());
    until("a start that waits", PATIENCE, || said(WAITS));
    give_up();
    until("a node that serves", PATIENCE, || said("serving"));
    child.kill().unwrap();
    child.wait().unwrap();
    stderr.text()
}

#[test]
fn a_start_waits_for_what_is_given_up_and_says_so_once() {
    let dir = TempDir::new("given-up");
    for flag in ["--http.listen", "--metrics.listen"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap().to_string();
        let stderr = start_while_held(&dir, &[flag, &addr], || drop(taken));
        assert_eq!(stderr.matches(WAITS).count(), 1, "{stderr}");
        assert!(stderr.contains(&format!("address {addr} is already in use")), "{stderr}");
    }
    let mut holder = Node::start(&["--cores", "0"]);
    let data = Arc::clone(holder.dir());
    let api = holder.api.to_string();
    let stderr = start_while_held(&data, &["--http.listen", &api], || holder.kill());
    assert_eq!(stderr.matches(WAITS).count(), 1, "both were held: {stderr}");
    assert!(stderr.contains(&format!("is locked by the running process {}", holder.pid())));
}

/// As a crash on some file systems leaves it, or a person.
#[test]
fn an_empty_segment_behind_the_last_is_no_damage() {
    let mut node = Node::start(&["--cores", "0"]);
    let log = node.dir().path().join("data/commitlog");
    let now = now_ms();
    let mut sent = 0;
    for (content, is_killed) in [(0, true), (0, false), (8192, true), (8192, false)] {
        let sample = [(now + sent, 1.0)];
        let body = write_body(&[(&[("__name__", "kept")], &sample)]);
        node.client().remote_write(&body).expect(200);
        sent += 1;
        if is_killed {
            node.kill();
        } else {
            node.terminate();
        }
        let names = std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name());
        let id = names.filter_map(|name| match segment::parse_name(name.to_str()?) {
            Some(segment::Name::Segment(id)) => Some(id),
            _ => None,
        });
        let mut id = id.max().unwrap();
        id.seq += 1;
        std::fs::write(segment::path(&log, id), vec![0; content]).unwrap();
        for _ in 0..2 {
            node.restart(&["--cores", "0"]);
            let stderr = node.stderr();
            assert!(!stderr.contains("ERROR"), "{stderr}");
            let metrics = node.metrics_text();
            assert!(metrics.contains("\nm3ring_commitlog_damage_total 0\n"), "{metrics}");
            let at = (now + sent) as f64 / 1e3;
            let found = node.client().query("count_over_time(kept[1h])", at).expect(200).json();
            assert_eq!(found["data"]["result"][0]["value"][1], sent.to_string());
        }
    }
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
    let mut quickest = STOP_MAX;
    for _ in 0..2 {
        node.client().get("/health").expect(200);
        let (status, took) = node.terminate();
        assert!(status.success(), "{status}\n{}", node.stderr());
        assert!(took < STOP_MAX, "{took:?}");
        quickest = quickest.min(took);
        node.restart(&["--cores", "0,1"]);
    }
    assert!(quickest < STOP_TAKES, "{quickest:?}");
}

#[test]
fn json_logs_are_json() {
    let node = Node::start(&["--cores", "0", "--log.format", "json"]);
    let stderr = node.stderr();
    let serving = stderr.lines().find(|line| line.contains("serving")).unwrap();
    let line: serde_json::Value = serde_json::from_str(serving).unwrap();
    assert_eq!(line["level"], "INFO");
}

#[test]
fn a_configuration_is_checked_without_a_node() {
    let (output, stdout, _) = run(&["--check"]);
    assert!(output.status.success());
    assert!(stdout.contains("the configuration is good (the defaults)"), "{stdout}");

    let dir = TempDir::new("check");
    std::fs::create_dir_all(dir.path()).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.yml", "db:\n  filesystem:\n    filePathPrefix: /nowhere/at/all\n");
    let (output, stdout, stderr) = run(&["--check", "-f", &good]);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("good.yml"), "{stdout}");
    assert!(!std::path::Path::new("/nowhere").exists(), "nothing is started or made");

    // The file of a coordinator apart has no section around its keys.
    let text = "listenAddress: 127.0.0.1:7301\nlookbackDuration: 60m\nclusters: []\n";
    let coordinator = file("m3coordinator.yml", text);
    let (output, stdout, stderr) = run(&["--check", "-f", &coordinator, "-f", &good]);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("does not do what these keys ask for: coordinator.clusters\n"));
    let (_, stdout, _) = run(&["config", "-f", &coordinator]);
    assert!(stdout.contains("lookbackDuration: 1h\n") && stdout.contains("127.0.0.1:7301"));

    let bad = file("bad.yml", "db:\n  fileystem:\n    filePathPrefix: /x\n");
    let (output, stdout, stderr) = run(&["-f", &bad, "--check"]);
    assert_eq!(output.status.code(), Some(64), "{stdout}");
    assert!(stderr.contains("bad.yml:2") && stderr.contains("fileystem"), "{stderr}");
}

#[test]
fn a_limit_that_is_too_low_is_named_with_its_remedy() {
    let dir = Arc::new(TempDir::new("nofile"));
    let low = ["sh", "-c", "ulimit -Sn 256; ulimit -Hn 2048; exec \"$@\"", "sh"];
    let mut node = Node::try_start_through(&low, &dir, &["--cores", "0"]).unwrap();
    node.client().get("/health").expect(200);
    // The soft limit was raised to the hard one, which is still too low.
    assert!(node.metrics_text().contains("\nprocess_max_fds 2048\n"), "{}", node.metrics_text());
    node.kill();
    let stderr = node.stderr();
    assert!(stderr.contains("2048 files may be open"), "{stderr}");
    assert!(stderr.contains("LimitNOFILE=") && stderr.contains("--ulimit nofile="), "{stderr}");
}

#[test]
fn the_log_level_is_changed_while_the_node_runs() {
    let mut node = Node::start(&["--cores", "0,1"]);
    let mut client = node.client();
    let path = "/debug/log/level";
    let level = |client: &mut Client| {
        client.get(path).expect(200).json()["data"]["level"].as_str().unwrap().to_owned()
    };
    assert_eq!(level(&mut client), "info");
    // A refused admin request is a line of the level debug.
    let refused = |client: &mut Client| {
        client.send("DELETE", "/api/v1/services/m3db/namespace/nosuch", &[], b"").expect(404);
    };
    refused(&mut client);
    assert!(!node.stderr().contains("DEBUG"), "{}", node.stderr());

    client.send("PUT", "/debug/log/level?level=debug", &[], b"").expect(200);
    assert_eq!(level(&mut client), "debug");
    refused(&mut client);
    until("a line of the new level", Duration::from_secs(20), || {
        node.stderr().contains("DEBUG").then_some(())
    });
    client.post_form(path, &[("level", "error")]).expect(200);
    assert_eq!(level(&mut client), "error");

    let wrong = client.post_form(path, &[("level", "loud")]).expect(400);
    assert!(wrong.text().contains("error, warn, info, debug, trace"), "{}", wrong.text());
    client.send("PUT", path, &[], b"").expect(400);
    assert_eq!(level(&mut client), "error");
    node.kill();
}

#[test]
fn an_empty_directory_that_root_made_is_taken_over() {
    let as_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !as_root || Command::new("setpriv").arg("--version").output().is_err() {
        eprintln!("SKIPPED: this wants root and setpriv");
        return;
    }
    let dir = Arc::new(TempDir::new("taken"));
    let program = dir.path().join("m3ring");
    std::fs::copy(env!("CARGO_BIN_EXE_m3ring"), &program).unwrap();
    let nobody = format!(
        "shift; exec setpriv --reuid 65532 --regid 65532 --clear-groups {} \"$@\"",
        program.display()
    );
    let through = ["sh", "-c", nobody.as_str(), "sh"];
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let refused = Node::try_start_through(&through, &dir, &["--cores", "0"]).err().unwrap();
    assert!(refused.stderr.contains("give this user the right to write there"), "{refused:?}");

    let granted = Command::new(&program).arg("grant").output().unwrap();
    assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
    let node = Node::try_start_through(&through, &dir, &["--cores", "0"]).unwrap();
    node.client().get("/health").expect(200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let held =
        status.lines().filter(|line| line.starts_with("CapPrm") || line.starts_with("CapEff"));
    assert!(
        held.clone().count() == 2 && held.clone().all(|line| line.ends_with("\t0000000000000000"))
    );
    drop(node);

    // What is not empty may be somebody's: it stays his.
    let other = Arc::new(TempDir::new("taken"));
    std::fs::create_dir(other.path().join("data")).unwrap();
    std::fs::write(other.path().join("data/theirs"), "").unwrap();
    assert!(Node::try_start_through(&through, &other, &["--cores", "0"]).is_err());
}
