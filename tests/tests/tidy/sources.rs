//! Rules for one source file.

use std::fs;
use std::path::Path;

const CODE_LINES_MAX: usize = 400;
/// STYLE says "about 100": what is a little longer may stay.
const INLINE_TEST_LINES_MAX: usize = 150;
const COLUMNS_MAX: usize = 100;

/// What no file of the project may hold, in two halves so that this one may name it.
const FORBIDDEN: [(&str, &str); 8] = [
    ("to", "do!("),
    ("unimple", "mented!("),
    ("db", "g!("),
    ("FIX", "ME"),
    ("XX", "X:"),
    // Paths of one machine.
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/home", "/"),
];

/// A file of the project.
pub(crate) struct Source {
    /// Path from the workspace's root.
    pub(crate) path: String,
    /// Its content.
    pub(crate) text: String,
}

impl Source {
    /// Every text file under version control would be: all but build results and test data.
    pub(crate) fn read_all(root: &Path) -> Vec<Source> {
        let mut sources = Vec::new();
        read(root, root, &mut sources);
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }
}

fn read(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(dir).expect("a folder of the workspace can be read");
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let skipped = ["target", ".git", "cases", "data"].contains(&name.as_str());
        if path.is_dir() && !skipped {
            read(root, &path, sources);
        }
        let kinds = ["rs", "toml", "sql", "sh", "md", "service"];
        let known = path.extension().and_then(|e| e.to_str()).is_some_and(|e| kinds.contains(&e));
        if path.is_file() && (known || path.ends_with(".ci/run")) {
            let text = fs::read_to_string(&path).expect("a source is UTF-8");
            let path = path.strip_prefix(root).expect("a file lies in the workspace");
            sources.push(Source { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

/// What is wrong with `source`, each fault with its place.
pub(crate) fn check_source(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        for (a, b) in FORBIDDEN {
            if line.contains(&format!("{a}{b}")) {
                faults.push(format!("{path}:{number}: {a}{b}"));
            }
        }
        let columns = line.chars().count();
        if path.ends_with(".rs") && columns > COLUMNS_MAX {
            faults.push(format!("{path}:{number}: {columns} columns, at most {COLUMNS_MAX}"));
        }
    }
    if path.ends_with(".rs") {
        check_rust(path, text, &mut faults);
    }
    faults
}

fn check_rust(path: &str, text: &str, faults: &mut Vec<String>) {
    if path.ends_with("mod.rs") {
        faults.push(format!("{path}: a module is name.rs beside name/, not mod.rs"));
    }
    // A file tests.rs says by its name what it is.
    if !text.starts_with("//!") && !path.ends_with("/tests.rs") {
        faults.push(format!("{path}: does not open with a module comment"));
    }
    let (code, tests) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((text, ""));
    let code = code_lines(code);
    if code > CODE_LINES_MAX {
        faults.push(format!("{path}: {code} lines of code, at most {CODE_LINES_MAX}"));
    }
    let tests = code_lines(tests);
    if tests > INLINE_TEST_LINES_MAX {
        faults.push(format!("{path}: {tests} lines of tests: move them to a sibling tests.rs"));
    }
}

fn code_lines(text: &str) -> usize {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    text.lines().filter(is_code).count()
}
