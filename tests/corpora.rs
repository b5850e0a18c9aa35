//! Replays what the fuzz targets of `proto-tests/fuzz` have found worth keeping: the least inputs that reach what was reached, and
//! every input that ever broke something.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "the bodies are a crate's of their own")]

#[path = "../proto-tests/fuzz/src/bodies/mod.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

// The conversation's model of a server, which is the room's own, finds the rooms by these names.
use pgveil::{flow, mask, wire};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto-tests/fuzz")
}

/// The inputs of a target: those of its pack, each by its place there, and its findings by their names.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let packed = std::fs::read(folder().join(format!("corpus/{target}.pack"))).unwrap();
    let (mut rest, mut inputs) = (packed.as_slice(), Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (input, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        inputs.push((format!("{target}.pack at {}", packed.len() - rest.len()), input.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty(), "{target}.pack is cut off");
    for entry in std::fs::read_dir(folder().join("findings").join(target)).into_iter().flatten() {
        let path = entry.unwrap().path();
        inputs.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    inputs
}

#[test]
fn what_was_found_stays_fixed() {
    let mut broken = Vec::new();
    for (target, body) in bodies::ALL {
        let inputs = inputs(target);
        assert!(inputs.len() > 20, "{target} has {} inputs", inputs.len());
        for (name, input) in inputs {
            if catch_unwind(AssertUnwindSafe(|| body(&input))).is_err() {
                broken.push(name);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
