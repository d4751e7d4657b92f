//! The mutants' patches must apply to the code they break; `sim/mutants/run` shows that each is
//! caught.

use std::path::Path;
use std::process::Command;

#[test]
fn every_mutant_fits_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join(".git").exists() {
        println!("SKIPPED: not a git checkout");
        return;
    }
    let mut count = 0;
    for entry in root.join("sim/mutants").read_dir().expect("the mutants") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let mut git = Command::new("git");
            git.current_dir(root).args(["apply", "--check"]).arg(&path);
            let output = git.output().expect("git runs");
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} does not fit: {text}", path.display());
            count += 1;
        }
    }
    assert!(count >= 8, "{count} mutants");
}
