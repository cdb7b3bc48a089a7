use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::*;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hw-source-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path, follow: bool, limit: usize, position: Option<&[u8]>) -> Filesystem {
    let options = FilesystemOptions {
        path: path.into(),
        follow: follow.then(|| Duration::from_millis(5)),
        record_bytes_max: limit,
    };
    Filesystem::open(options, position, Wake::new()).unwrap()
}

/// Consumes until `count` lines or the end; rejected lines as `!length`, gaps as `gap`.
fn take(source: &mut Filesystem, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let start = Instant::now();
    while lines.len() < count && start.elapsed() < Duration::from_secs(20) {
        match source.poll() {
            Some(SourceEvent::Batch(batch)) => {
                for (index, record) in batch.records.iter().enumerate() {
                    lines.push(String::from_utf8(batch.record(index).to_vec()).unwrap());
                    source.consumed(batch.split, record.after);
                    if lines.len() == count {
                        return lines;
                    }
                }
                source.recycle(batch);
            }
            Some(SourceEvent::Rejected { split, after, bytes_len, .. }) => {
                lines.push(format!("!{bytes_len}"));
                source.consumed(split, after);
            }
            Some(SourceEvent::Gap { .. }) => lines.push("gap".into()),
            Some(SourceEvent::Failed { reason }) => lines.push(reason),
            Some(SourceEvent::End) => break,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    lines
}

#[test]
fn every_line_once_wherever_reading_is_taken_up_again() {
    let dir = Dir::new("resume");
    fs::write(dir.0.join("b"), "three\r\n\nfour").unwrap();
    fs::write(dir.0.join("a"), "one\ntwo\n").unwrap();
    fs::write(dir.0.join(".hidden"), "no\n").unwrap();
    let all = ["one", "two", "three", "four"];
    for count in 0..=4 {
        let mut source = open(&dir.0, false, 100, None);
        let mut lines = take(&mut source, count);
        let mut position = Vec::new();
        source.position(&mut |_, value| position = value);
        drop(source);
        let mut source = open(&dir.0, false, 100, Some(&position));
        lines.extend(take(&mut source, 9));
        assert_eq!(lines, all, "after {count}");
    }
}

#[test]
fn large_files_are_cut_only_at_line_ends() {
    let dir = Dir::new("large");
    let path = dir.0.join("f");
    let lines: Vec<String> =
        (0..60_000).map(|n| format!("line {n} {}", "x".repeat(n % 50))).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    let mut source = open(&path, false, 100, None);
    assert_eq!(take(&mut source, usize::MAX), lines);
}

#[test]
fn a_long_line_is_rejected_and_the_rest_arrives() {
    let dir = Dir::new("long");
    let path = dir.0.join("f");
    for long in [101, 300, 5000, 300_000, 1_000_000] {
        let text =
            format!("a\n{}\nb\n{}\nc\n{}", "x".repeat(long), "y".repeat(100), "z".repeat(long));
        fs::write(&path, text).unwrap();
        let mut source = open(&path, false, 100, None);
        let last = format!("!{long}");
        let expected = ["a", &last, "b", &"y".repeat(100), "c", &last];
        assert_eq!(take(&mut source, 9), expected, "{long}");
        let mut source = open(&path, false, 100, None);
        take(&mut source, 2);
        let mut position = Vec::new();
        source.position(&mut |_, value| position = value);
        let mut source = open(&path, false, 100, Some(&position));
        assert_eq!(take(&mut source, 9), expected[2..], "{long}");
    }
}

#[test]
fn a_followed_file_may_grow_be_rotated_and_be_cut() {
    let dir = Dir::new("follow");
    let path = dir.0.join("f");
    let mut source = open(&path, true, 100, None);
    fs::write(&path, "one\ntw").unwrap();
    assert_eq!(take(&mut source, 1), ["one"]);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"o\nthr").unwrap();
    assert_eq!(take(&mut source, 1), ["two"]);
    fs::rename(&path, dir.0.join("f.1")).unwrap();
    file.write_all(b"ee\nlast").unwrap();
    fs::write(&path, "four\n").unwrap();
    assert_eq!(take(&mut source, 3), ["three", "last", "four"]);
    let mut position = Vec::new();
    source.position(&mut |_, value| position = value);
    fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    assert_eq!(take(&mut source, 1), ["gap"]);
    drop(source);
    let mut source = open(&path, true, 100, Some(&position));
    assert_eq!(take(&mut source, 1), ["gap"]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let dir = Dir::new("errors");
    let options = FilesystemOptions { path: dir.0.join("none"), follow: None, record_bytes_max: 9 };
    assert!(Filesystem::open(options.clone(), None, Wake::new()).is_err());
    fs::write(dir.0.join("none"), "x\n").unwrap();
    assert!(Filesystem::open(options.clone(), Some(&[7]), Wake::new()).is_err());
    let mut position = vec![1];
    position.extend_from_slice(&99_u64.to_le_bytes());
    position.extend_from_slice(&0_u64.to_le_bytes());
    position.extend_from_slice(b"none");
    let mut source = Filesystem::open(options, Some(&position), Wake::new()).unwrap();
    assert!(take(&mut source, 1)[0].contains("99 were read before"));
}
