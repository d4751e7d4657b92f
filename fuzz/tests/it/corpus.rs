//! Runs every target on its corpus and on mutations of it.

use crate::mutator::Mutator;
use m3_fuzz::{TARGETS, Target};
use m3_testing::{Random, setting};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Default number of mutations per target.
const MUTATIONS: usize = 300;
/// Bytes of one mutation.
const LEN_MAX: usize = 4096;
/// Most bytes of the whole corpus, so that people can still read it.
const CORPUS_BYTES_MAX: u64 = 1 << 20;
/// Most files of one target.
const CORPUS_FILES_MAX: usize = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A target's corpus: names and contents.
fn corpus(name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = root().join("corpus").join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Runs a target; if it panics, says on which input.
fn run(target: Target, data: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target.1(data))) {
        println!("{}: {what}: {}", target.0, data.escape_ascii());
        resume_unwind(panic);
    }
}

/// Runs a test on a stack as large as a main thread's, where libFuzzer runs. Without optimization
/// the YAML reader takes 50 KiB for each of the 64 levels that it allows, and a test's thread has
/// only 2 MiB.
fn on_a_full_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

#[test]
fn every_file_of_the_corpus_passes() {
    on_a_full_stack(run_corpus);
}

fn run_corpus() {
    let mut bytes = 0;
    for target in TARGETS {
        let files = corpus(target.0);
        assert!(!files.is_empty(), "{} has no corpus", target.0);
        assert!(files.len() <= CORPUS_FILES_MAX, "{}: {} files", target.0, files.len());
        for (path, data) in &files {
            bytes += data.len() as u64;
            run(*target, data, &path.display().to_string());
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn mutations_of_the_corpus_pass() {
    on_a_full_stack(run_mutations);
}

/// The seed, and the number of inputs per target.
fn campaign() -> (u64, usize) {
    let count = setting("M3RING_FUZZ_MUTATIONS", MUTATIONS as u64);
    (Random::new("campaign").seed(), usize::try_from(count).expect("64 bits"))
}

fn run_mutations() {
    let (seed, count) = campaign();
    for target in TARGETS {
        let seeds: Vec<Vec<u8>> = corpus(target.0).into_values().collect();
        let mut mutator = Mutator::new(seed);
        for at in 0..count {
            let data = mutator.make(&seeds, LEN_MAX);
            run(*target, &data, &format!("SEED={seed}, mutation {at}"));
        }
    }
}

#[test]
fn messages_of_true_lengths_pass() {
    let (seed, count) = campaign();
    for target in TARGETS.iter().filter(|target| target.0.starts_with("remote_")) {
        let mut mutator = Mutator::new(seed);
        for at in 0..5 * count {
            let data = mutator.message(2);
            run(*target, &data, &format!("SEED={seed}, message {at}"));
        }
    }
}

#[test]
fn every_target_has_its_program_and_no_corpus_lacks_its_target() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.0).collect();
    let listed = |dir: &str, ending: &str| -> Vec<String> {
        let entries = fs::read_dir(root().join(dir)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect();
        names.sort();
        names
    };
    assert_eq!(listed("libfuzzer/fuzz_targets", ".rs"), names);
    assert_eq!(listed("corpus", ""), names);
    let manifest = fs::read_to_string(root().join("libfuzzer/Cargo.toml")).unwrap();
    for name in names {
        let program = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&program), "libfuzzer/Cargo.toml has no program {name}");
    }
}
