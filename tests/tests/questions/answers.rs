//! Answers as rows of texts, and their comparison.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

pub(crate) type Row = BTreeMap<String, String>;
pub(crate) type Table = Vec<Row>;

/// The text of a file, unpacked if need be.
pub(crate) fn text_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if path.extension().is_none_or(|e| e != "gz") {
        return String::from_utf8(bytes).unwrap();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    text
}

/// The fields of a line without quotes.
pub(crate) fn csv(line: &str) -> Vec<String> {
    line.split(',').map(str::to_owned).collect()
}

/// A published answer.
pub(crate) fn expected(dir: &Path, name: &str) -> Table {
    let plain = dir.join(format!("{name}.csv"));
    let text = text_of(&if plain.exists() { plain } else { dir.join(format!("{name}.csv.gz")) });
    let mut lines = text.lines();
    let names = csv(lines.next().unwrap());
    lines.map(|line| names.iter().cloned().zip(csv(line)).collect()).collect()
}

fn row(value: &Value) -> Row {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = value.as_object().unwrap().iter();
    let mut row: Row = fields.map(|(name, value)| (name.clone(), text(value))).collect();
    if let Some(start) = row.remove("window_start") {
        row.insert("window_start_ms".into(), millis(&start).to_string());
    }
    row
}

/// `2022-01-01 00:10:00` in ms since 1970.
fn millis(text: &str) -> i64 {
    let parts: Vec<i64> =
        text.split(['-', ' ', 'T', ':']).map(|part| part.parse().unwrap()).collect();
    let [year, month, day, hour, minute, second] = parts.try_into().unwrap();
    // Days since 0000-03-01 by the usual count of years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    (((days - 719_468) * 24 + hour) * 60 + minute) * 60_000 + second * 1000
}

/// The rows of a result that only appends.
pub(crate) fn rows(path: &Path) -> Table {
    let text = text_of(path);
    text.lines().map(|line| row(&serde_json::from_str(line).unwrap())).collect()
}

/// What a changelog leaves.
pub(crate) fn final_rows(path: &Path) -> Table {
    let mut left: BTreeMap<Row, i64> = BTreeMap::new();
    for mut row in rows(path) {
        let op = row.remove("op").unwrap();
        let by = if matches!(op.as_str(), "+I" | "+U") { 1 } else { -1 };
        let count = left.entry(row).or_default();
        *count += by;
        assert!(*count >= 0, "a row is taken back that is not there");
    }
    left.into_iter().filter(|(_, count)| *count > 0).map(|(row, _)| row).collect()
}

/// Every row of `want` is in `got` and the other way round, equal in the columns that both have.
pub(crate) fn compare(what: &str, got: Table, want: Table, key: &[&str]) {
    let of = |row: &Row| -> Vec<String> { key.iter().map(|name| row[*name].clone()).collect() };
    let mut by_key: BTreeMap<Vec<String>, Row> = BTreeMap::new();
    for row in got {
        let twice = by_key.insert(of(&row), row);
        assert!(twice.is_none(), "{what}: {twice:?} comes twice");
    }
    let count = want.len();
    for row in want {
        let got = by_key.remove(&of(&row));
        let got = got.unwrap_or_else(|| panic!("{what}: no row for {row:?}"));
        for (name, value) in &got {
            let Some(wanted) = row.get(name) else { continue };
            assert!(is_equal(value, wanted), "{what}: {name} is {value}, not {wanted}: {row:?}");
        }
    }
    assert!(by_key.is_empty(), "{what}: {} rows too many, of {count}", by_key.len());
    assert!(count > 0, "{what}: nothing was compared");
}

fn is_equal(got: &str, want: &str) -> bool {
    if got == want || (got == "null" && want.is_empty()) {
        return true;
    }
    match (got.parse::<f64>(), want.parse::<f64>()) {
        // Sums of long windows cancel: the tolerance is that of the published figures.
        (Ok(got), Ok(want)) => (got - want).abs() <= 1e-9 * want.abs().max(1.0),
        _ => false,
    }
}
