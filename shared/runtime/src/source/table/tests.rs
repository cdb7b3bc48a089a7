use std::fs;
use std::path::PathBuf;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("headwater-table-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("t.ndjson")
    }

    /// As a careful writer does it.
    fn replace(&self, content: &str) {
        fs::write(self.0.join("new"), content).unwrap();
        fs::rename(self.0.join("new"), self.file()).unwrap();
    }

    fn open(&self, reload: bool, position: Option<&[u8]>) -> Table {
        let options = TableOptions {
            path: self.file(),
            reload: reload.then_some(Duration::from_millis(1)),
            record_bytes_max: 20,
        };
        Table::open(options, position, Wake::new()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn next(table: &mut Table) -> SourceEvent {
    for _ in 0..5000 {
        if let Some(event) = table.poll() {
            return event;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the source says nothing");
}

/// Lines up to the end of a load, and its number; the load is consumed.
fn load(table: &mut Table) -> (Vec<String>, u64) {
    let mut lines = Vec::new();
    loop {
        match next(table) {
            SourceEvent::Batch(batch) => {
                let text = |i| String::from_utf8(batch.record(i).to_vec()).unwrap();
                lines.extend((0..batch.records.len()).map(text));
            }
            SourceEvent::Loaded { load } => {
                table.consumed(0, load);
                return (lines, load);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn position(table: &mut Table) -> Vec<u8> {
    let mut out = Vec::new();
    table.position(&mut |_, bytes| out = bytes);
    out
}

fn is_silent(table: &mut Table) -> bool {
    std::thread::sleep(Duration::from_millis(50));
    table.poll().is_none()
}

#[test]
fn the_whole_file_is_a_load_and_a_changed_one_the_next() {
    let folder = Folder::new("whole");
    folder.replace("a\r\nb\n\nc");
    let mut table = folder.open(true, None);
    assert_eq!(load(&mut table), (vec!["a".into(), "b".into(), "".into(), "c".into()], 1));
    assert!(is_silent(&mut table));
    folder.replace("d\n");
    assert_eq!(load(&mut table), (vec!["d".into()], 2));
    folder.replace("");
    assert_eq!(load(&mut table), (vec![], 3));
    // The same content in another file is no change.
    folder.replace("");
    assert!(is_silent(&mut table));
}

#[test]
fn a_restart_loads_what_has_changed_and_what_was_cut_off() {
    let folder = Folder::new("restart");
    folder.replace("a\n");
    let mut table = folder.open(false, None);
    assert!(matches!(next(&mut table), SourceEvent::Batch(_)));
    // The load is not consumed: it begins again.
    let stored = position(&mut table);
    let mut table = folder.open(false, Some(&stored));
    assert_eq!(load(&mut table), (vec!["a".into()], 1));
    let stored = position(&mut table);
    let shown = describe(&stored).unwrap();
    assert_eq!((&shown["kind"], &shown["load"]), (&"table".into(), &1.into()));
    assert!(is_silent(&mut folder.open(false, Some(&stored))));
    folder.replace("b\n");
    assert_eq!(load(&mut folder.open(false, Some(&stored))), (vec!["b".into()], 2));
    assert!(
        Table::open(
            TableOptions { path: folder.file(), reload: None, record_bytes_max: 20 },
            Some(&[1, 2, 3]),
            Wake::new()
        )
        .is_err()
    );
}

#[test]
fn a_file_that_goes_leaves_the_table_as_it_is() {
    let folder = Folder::new("gone");
    folder.replace("a\n");
    let mut table = folder.open(true, None);
    assert_eq!(load(&mut table).1, 1);
    fs::remove_file(folder.file()).unwrap();
    assert!(matches!(next(&mut table), SourceEvent::Connected { up: false, .. }));
    assert!(is_silent(&mut table), "told once");
    folder.replace("a\n");
    assert!(matches!(next(&mut table), SourceEvent::Connected { up: true, .. }));
    assert!(is_silent(&mut table));
    folder.replace("b\n");
    assert_eq!(load(&mut table), (vec!["b".into()], 2));
}

#[test]
fn what_is_too_large_is_refused() {
    let folder = Folder::new("large");
    folder.replace(&format!("a\n{}\nb\n", "x".repeat(21)));
    let mut table = folder.open(false, None);
    assert!(matches!(next(&mut table), SourceEvent::Batch(batch) if batch.records.len() == 1));
    let rejected = next(&mut table);
    assert!(matches!(rejected, SourceEvent::Rejected { bytes_len: 21, .. }), "{rejected:?}");
    assert_eq!(load(&mut table), (vec!["b".into()], 1));
    let file = fs::File::create(folder.file()).unwrap();
    file.set_len(TABLE_BYTES_MAX + 1).unwrap();
    let options = TableOptions { path: folder.file(), reload: None, record_bytes_max: 20 };
    assert!(Table::open(options.clone(), None, Wake::new()).is_err());
    fs::remove_file(folder.file()).unwrap();
    assert!(Table::open(options, None, Wake::new()).is_err());
}
