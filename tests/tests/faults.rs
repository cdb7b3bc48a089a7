//! The table of faults in `tests/README.md`: each test that it names exists.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::path::PathBuf;

use headwater_tests::scratch::workspace_dir;

/// The words of a text that stand between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Where a test program lies: `name.rs` here, `store: name.rs` in that crate.
fn path(place: &str) -> PathBuf {
    match place.split_once(": ") {
        Some((part, file)) => workspace_dir().join("shared").join(part).join("tests").join(file),
        None => workspace_dir().join("tests/tests").join(place),
    }
}

#[test]
fn every_fault_has_its_tests() {
    let readme = fs::read_to_string(workspace_dir().join("tests/README.md")).unwrap();
    let (_, section) = readme.split_once("## Where each fault is tested").unwrap();
    let (table, _) = section.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter(|row| row.starts_with(|c: char| c.is_ascii_digit()));
    let mut tests_count = 0;
    for row in rows {
        let mut source = String::new();
        for word in quoted(row) {
            if word.ends_with(".rs") {
                source = fs::read_to_string(path(word)).unwrap_or_else(|e| panic!("{word}: {e}"));
            } else {
                assert!(source.contains(&format!("fn {word}(")), "no test {word}: {row}");
                tests_count += 1;
            }
        }
    }
    assert!(tests_count >= 20, "only {tests_count} tests are named");
}
