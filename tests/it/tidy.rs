//! Rules of this repository that no other tool checks, as tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file.
const FILE_LINES_MAX: usize = 800;
/// Most characters of a line of Rust. Lines with text in quotes may be longer, since texts are
/// searched for, and so may rows of tables. `rustfmt` limits everything else but comments.
const LINE_CHARS_MAX: usize = 100;

/// Most lines of ARCHITECTURE.md, and most characters of one.
const MAP_LINES_MAX: usize = 150;
const MAP_LINE_CHARS_MAX: usize = 120;

/// Our crates that each crate may use; the root may use all.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("metric", &[]),
    ("io", &[]),
    ("index", &["metric"]),
    ("query", &["metric"]),
    ("http", &["metric", "io"]),
    ("shard", &["metric", "io", "index"]),
    ("cluster", &["metric", "io"]),
    ("testing", &[]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files with the extension `extension`, except in hidden and build directories.
fn files(extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

fn none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let bare = |text: &str| !text.starts_with("//!");
    let broken = files("rs").into_iter().filter(|(_, text)| bare(text));
    none(
        &broken
            .map(|(path, _)| format!("{}: no //! at its start", path.display()))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn files_and_lines_are_short() {
    let mut broken = Vec::new();
    for (path, text) in files("rs") {
        let path = path.display();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{path}: {lines} lines"));
        }
        let mut is_in_text = false;
        for (number, line) in text.lines().enumerate() {
            let chars = line.chars().count();
            let may = is_in_text || line.contains('"') || line.starts_with("//! |");
            is_in_text = line.ends_with('\\');
            if chars > LINE_CHARS_MAX && !may {
                broken.push(format!("{path}:{}: {chars} characters", number + 1));
            }
        }
    }
    none(&broken);
}

#[test]
fn nothing_is_left_for_later() {
    // Assembled here, so that this file does not contain them.
    let words =
        ["FIX", "TO"].map(|start| format!("{start}{}", if start == "TO" { "DO" } else { "ME" }));
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let mut broken = Vec::new();
    for (path, text) in files("rs") {
        for (number, line) in text.lines().enumerate() {
            if words.iter().chain(&macros).any(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none(&broken);
}

/// Without `-g`, curl takes brackets in an address for a range and sends no request.
#[test]
fn what_readers_may_copy_is_taken_by_curl() {
    let mut broken = Vec::new();
    for (path, text) in files("md") {
        for line in text.lines().filter(|line| line.starts_with("curl ")) {
            let url = line.split_whitespace().find(|word| word.contains("http://"));
            if url.is_some_and(|url| url.contains(['[', '{'])) && !line.contains(" -g ") {
                broken.push(format!("{}: curl -g for {line}", path.display()));
            }
        }
    }
    none(&broken);
}

/// Other protocols, rules and other nodes ask the same engine as HTTP does.
#[test]
fn the_engine_and_what_it_stands_on_know_no_http() {
    let rooms = ["engine", "engine.rs", "dbnode.rs", "memory.rs", "message.rs", "catalog.rs"];
    let is_below =
        |path: &Path| rooms.iter().any(|room| path.starts_with(Path::new("src").join(room)));
    let mut broken = Vec::new();
    for (path, text) in files("rs").into_iter().filter(|(path, _)| is_below(path)) {
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains("m3_http"));
        broken.extend(lines.map(|(n, line)| format!("{}:{}: {line}", path.display(), n + 1)));
    }
    none(&broken);
}

/// The runtime can be replaced inside `io` only as long as nobody else knows which one it is.
#[test]
fn only_io_names_the_runtime() {
    let may = |path: &Path| ["io", "benches"].iter().any(|dir| path.starts_with(dir));
    let mut broken = Vec::new();
    for (path, text) in files("rs") {
        let names = ["compio::", "io_uring::", "extern crate compio"];
        if !may(&path) && path != Path::new("tests/it/tidy.rs") {
            let lines = text.lines().enumerate();
            let named = lines.filter(|(_, line)| names.iter().any(|name| line.contains(name)));
            broken.extend(named.map(|(n, line)| format!("{}:{}: {line}", path.display(), n + 1)));
        }
    }
    for (path, text) in files("toml") {
        let is_root = path == Path::new("Cargo.toml");
        let is_manifest = path.ends_with("Cargo.toml") && !is_root && !may(&path);
        // The load generator is a separate process and asks the system for its CPU time.
        let is_load = path.starts_with("perf");
        let names = ["compio", "io-uring", "socket2", "flume", "libc"];
        let named = |line: &&str| {
            names.iter().any(|name| line.starts_with(name) && !(is_load && *name == "libc"))
        };
        if is_manifest {
            let lines = text.lines().filter(named);
            broken.extend(lines.map(|line| format!("{}: {line}", path.display())));
        }
    }
    none(&broken);
}

/// The map must be readable in ten minutes, and must stay true when files move.
#[test]
fn the_map_is_short_and_its_paths_exist() {
    let mut broken = Vec::new();
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "README.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let is_map = name == "ARCHITECTURE.md";
        if is_map && text.lines().count() > MAP_LINES_MAX {
            broken.push(format!("{name}: more than {MAP_LINES_MAX} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            if is_map && line.chars().count() > MAP_LINE_CHARS_MAX {
                broken.push(format!("{name}:{}: over {MAP_LINE_CHARS_MAX} chars", number + 1));
            }
            // Words in backticks are the odd ones. One of our paths begins with one of our folders.
            for word in line.split('`').skip(1).step_by(2) {
                let is_path = word.contains('/') && !word.contains([' ', '*', '{', ':']);
                let folder = word.split('/').next().unwrap();
                let is_ours = is_path && !folder.is_empty() && root().join(folder).is_dir();
                // M3's own folders begin with `src`, too.
                let is_row = line.starts_with("| `src/");
                if is_ours && !is_row && !root().join(word).exists() {
                    broken.push(format!("{name}:{}: no {word}", number + 1));
                }
            }
        }
    }
    none(&broken);
}

#[test]
fn every_decision_is_listed() {
    let folder = root().join("docs/decisions");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap()).filter(|name| name != "README.md");
    let mut broken = Vec::new();
    for name in names {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let has_parts = ["## Question", "## Choice", "## Figures", "## What would change it"]
            .iter()
            .all(|part| text.contains(part));
        if !list.contains(&format!("({name})")) || !has_parts {
            broken.push(format!("{name}: not in the list, or a part is missing"));
        }
    }
    none(&broken);
}

#[test]
fn crates_keep_their_order() {
    let mut broken = Vec::new();
    for (name, allowed) in DEPENDENCIES {
        let text = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let (section, _) = sections(&text);
        for dependency in section.get("dependencies").into_iter().flatten() {
            let ours =
                dependency.strip_prefix("m3-").or((dependency == "m3ring").then_some("m3ring"));
            if ours.is_some_and(|ours| !allowed.contains(&ours)) {
                broken.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    none(&broken);
}

/// No program of ours contains what only its tests need.
#[test]
fn only_tests_use_the_testing_crate() {
    let may = |path: &Path| ["fuzz", "benches"].iter().any(|dir| path.starts_with(dir));
    let manifests = files("toml").into_iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    let mut broken = Vec::new();
    for (path, text) in manifests.filter(|(path, _)| !may(path)) {
        let (section, _) = sections(&text);
        if section.get("dependencies").into_iter().flatten().any(|name| name == "m3-testing") {
            broken.push(format!("{}: m3-testing is for dev-dependencies", path.display()));
        }
    }
    none(&broken);
}

/// Random numbers, directories and files from outside come from one crate: `SEED`, `M3RING_KEEP`
/// and `M3RING_REQUIRE_PEERS` then mean the same in every test.
#[test]
fn tests_share_their_plumbing() {
    let may = |path: &Path| {
        ["testing", "benches", "perf"].iter().any(|dir| path.starts_with(dir))
            || path == Path::new("tests/it/tidy.rs")
    };
    let own =
        ["temp_dir()", "\"SEED\"", "\"M3RING_SHARED\"", "\"M3RING_REQUIRE_PEERS\"", "struct Rng"];
    let mut broken = Vec::new();
    for (path, text) in files("rs").into_iter().filter(|(path, _)| !may(path)) {
        let is_world = path == Path::new("io/src/sim/rng.rs");
        let found = own.iter().filter(|word| text.contains(**word) && !is_world);
        broken.extend(found.map(|word| format!("{}: {word} belongs to testing", path.display())));
    }
    none(&broken);
}

#[test]
fn every_dependency_has_its_reason() {
    // A separate workspace cannot take its dependencies from ours.
    let apart = ["fuzz/libfuzzer/Cargo.toml", "benches/runtimes/Cargo.toml"].map(Path::new);
    let mut broken = Vec::new();
    for (path, section) in [(Path::new("Cargo.toml"), "[workspace.dependencies]")]
        .into_iter()
        .chain(apart.map(|path| (path, "[dependencies]")))
    {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let mut before = "";
        let mut is_inside = false;
        for line in text.lines() {
            if line.starts_with('[') {
                is_inside = line == section;
            } else if is_inside && line.contains('=') && !line.starts_with('#') {
                let is_ours = line.starts_with("m3");
                if !is_ours && !before.starts_with("# ") {
                    broken.push(format!("{}: no reason above: {line}", path.display()));
                }
            }
            before = line;
        }
    }
    none(&broken);
    for (path, text) in files("toml") {
        if path.ends_with("Cargo.toml")
            && path != Path::new("Cargo.toml")
            && !apart.contains(&path.as_path())
        {
            let (_, versioned) = sections(&text);
            broken.extend(versioned.iter().map(|line| format!("{}: {line}", path.display())));
        }
    }
    none(&broken);
}

/// The keys of every section like `[dependencies]`, and the lines in them that do not come from the
/// workspace.
fn sections(text: &str) -> (BTreeMap<String, Vec<String>>, Vec<String>) {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut versioned = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies")
            && !line.starts_with('#')
            && let Some((key, value)) = line.split_once('=')
        {
            let name = key.trim().trim_end_matches(".workspace").to_owned();
            let is_shared = key.contains(".workspace") || value.contains("workspace = true");
            if !is_shared {
                versioned.push(line.to_owned());
            }
            keys.entry(section.clone()).or_default().push(name);
        }
    }
    (keys, versioned)
}
