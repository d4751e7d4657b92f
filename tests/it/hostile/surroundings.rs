//! Input that does not come by socket: configuration files, signals.

use super::{Arena, Bounds, FLAT_MIB, get, scaled, shoot};
use crate::harness::{TempDir, program};
use std::process::Command;
use std::time::Instant;

/// Starts a node with the configuration `text` in 1 GiB of address space, and returns its output.
fn refusal(name: &str, text: &str) -> String {
    let dir = TempDir::new("yaml");
    let file = dir.path().join("m3ring.yml");
    std::fs::write(&file, text).unwrap();
    let begun = Instant::now();
    // If the node accepted it, `--check` would only check.
    let line = "ulimit -v 1048576; exec \"$0\" --check -f \"$1\"";
    let output = Command::new("sh").args(["-c", line, &program()]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{name}: {} {said:.400}", output.status);
    let said: String = said.lines().next().unwrap_or_default().chars().take(160).collect();
    println!("HOSTILE | {name} | refused in {} ms: {said} |", begun.elapsed().as_millis());
    said
}

#[test]
fn configuration_bombs() {
    let mut laughs = String::from("a0: &a0 [lol, lol]\n");
    for n in 1..40 {
        let before = format!("*a{}", n - 1);
        laughs.push_str(&format!("a{n}: &a{n} [{}]\n", [before.as_str(); 9].join(", ")));
    }
    refusal("YAML: a billion laughs", &laughs);
    refusal("YAML: 100,000 [", &"[".repeat(100_000));
    refusal("YAML: 100,000 maps in maps", &"{a: ".repeat(100_000));
    let deep: String = (0..3000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    refusal("YAML: 3,000 levels by indentation", &deep);
    refusal("YAML: 64 MiB", &"#".repeat(64 << 20));
    refusal("YAML: an alias of itself", "a: &a [*a]\n");
    refusal("YAML: variables in variables", &"${A:".repeat(50_000));
    refusal("YAML: a merge of itself", "a: &a { <<: *a }\n");
}

#[test]
fn signal_storm() {
    let arena = Arena::start("");
    let count = scaled(1000, 100_000);
    let bounds = Bounds { stays_mib: FLAT_MIB, peak_mib: 64 };
    arena.case(&format!("SIGHUP, {count} times"), bounds, |arena| {
        let line = "i=0; while [ $i -lt $0 ]; do kill -HUP $1; i=$((i+1)); done";
        let (count, pid) = (count.to_string(), arena.node.pid().to_string());
        assert!(Command::new("sh").args(["-c", line, &count, &pid]).status().unwrap().success());
        shoot(arena.addr(), &get("/health")).expect("after it", &[200], "uptime")
    });
}
