//! Every input that the fuzzers start from, and every input that once made something panic
//! (`vnf/fuzz`), through the same judgement without a fuzzer.

// Not every judgement is of use here.
#[allow(dead_code)]
#[path = "properties/oracle.rs"]
mod oracle;
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

/// Runs a target on all its inputs.
fn replay(name: &str, target: impl Fn(&[u8])) {
    let inputs = inputs(name);
    assert!(inputs.len() >= 10, "the corpus of {name} has {} inputs", inputs.len());
    for path in inputs {
        // A failure's output ends with the input's name.
        println!("{}", path.display());
        target(&fs::read(&path).unwrap());
    }
}

/// The corpus and the crashes of a target.
fn inputs(name: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let files = |kind: &str| fs::read_dir(fuzz.join(kind).join(name)).into_iter().flatten();
    let mut paths: Vec<PathBuf> =
        files("corpus").chain(files("crashes")).map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn frames_from_the_internet() {
    replay("frame_external", targets::frame_external);
}

#[test]
fn frames_from_the_access_network() {
    replay("frame_internal", targets::frame_internal);
}

#[test]
fn sequences_of_frames() {
    replay("fragments", targets::fragments);
}

#[test]
fn configurations() {
    replay("config", targets::config);
}

#[test]
fn requests_to_the_api() {
    replay("api", targets::api);
}

#[test]
fn table_files() {
    replay("table_file", targets::table_file);
}

#[test]
fn control_connections() {
    replay("control", targets::control);
}

/// What is kept is small enough to live in the repository.
#[test]
fn the_corpus_is_small() {
    let names =
        ["frame_external", "frame_internal", "fragments", "config", "table_file", "control"];
    let all: Vec<PathBuf> = names.into_iter().flat_map(inputs).collect();
    let bytes: u64 = all.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(all.len() <= 200 && bytes <= 500_000, "{} files, {bytes} bytes", all.len());
}
