//! Compares two answers as multisets of rows, after bringing a changelog to its final content.
//! The order of rows and of fields means nothing; numbers compare by value.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::value::Plain;

/// Rows of one file or answer.
pub type Rows = Vec<Map<String, Value>>;

/// How two answers differ; rows in canonical form.
#[derive(Debug, Default)]
pub struct Difference {
    /// Expected and not there.
    pub missing: Vec<Plain>,
    /// There and not expected.
    pub extra: Vec<Plain>,
}

impl Difference {
    /// Whether the answers are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }

    /// One line: how many rows, and the first of them.
    #[must_use]
    pub fn summary(&self) -> String {
        let first = match (self.missing.first(), self.extra.first()) {
            (Some(row), _) => format!("- {}", row.key()),
            (None, Some(row)) => format!("+ {}", row.key()),
            (None, None) => String::new(),
        };
        let first: String = first.chars().take(300).collect();
        format!("{} missing, {} too many; {first}", self.missing.len(), self.extra.len())
    }
}

/// Reads NDJSON rows.
///
/// # Errors
/// When the file cannot be read or a line is no JSON object; the text names file and line.
pub fn read(path: &Path) -> Result<Rows, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            serde_json::from_str(line).map_err(|e| format!("{}:{}: {e}", path.display(), n + 1))
        })
        .collect()
}

/// The final content of a changelog: rows with `op` (`+I` when absent). With `key` columns the
/// last row per key counts; without, every retraction must find its row.
///
/// # Errors
/// When a row is retracted that is not there, or `op` is none of the four.
pub fn materialise(rows: Rows, key: &[String]) -> Result<Rows, String> {
    let mut kept: HashMap<String, (usize, Map<String, Value>)> = HashMap::new();
    let mut order = Vec::new();
    for mut row in rows {
        let op = row.remove("op");
        let op = op.as_ref().and_then(Value::as_str).unwrap_or("+I");
        let id = identity(&row, key);
        let entry = kept.entry(id.clone());
        if matches!(entry, Entry::Vacant(_)) {
            order.push(id);
        }
        let slot = entry.or_insert_with(|| (0, row.clone()));
        match (op, key.is_empty()) {
            ("+I" | "+U", true) => slot.0 += 1,
            ("+I" | "+U", false) => *slot = (1, row),
            ("-U" | "-D", true) if slot.0 == 0 => {
                let row = Value::Object(row);
                return Err(format!("retracts a row that is not there: {row}"));
            }
            ("-U" | "-D", true) => slot.0 -= 1,
            ("-D", false) => slot.0 = 0,
            ("-U", false) => {}
            _ => return Err(format!("unknown op {op:?}")),
        }
    }
    let rows = order.into_iter().filter_map(|id| kept.remove(&id));
    Ok(rows.flat_map(|(count, row)| std::iter::repeat_n(row, count)).collect())
}

fn identity(row: &Map<String, Value>, key: &[String]) -> String {
    if key.is_empty() {
        return Plain::new(&Value::Object(row.clone())).key();
    }
    let columns = key.iter().map(|column| row.get(column).unwrap_or(&Value::Null).clone());
    Plain::new(&Value::Array(columns.collect())).key()
}

/// The rows that are in one answer only, doubles taken as equal within `rtol`.
#[must_use]
pub fn compare(expected: &Rows, actual: &Rows, rtol: f64) -> Difference {
    let plain = |rows: &Rows| -> Vec<Plain> {
        rows.iter().map(|row| Plain::new(&Value::Object(row.clone()))).collect()
    };
    let (mut missing, mut extra) = (plain(expected), plain(actual));
    remove_equal(&mut missing, &mut extra);
    missing.sort_by(Plain::rough_order);
    extra.sort_by(Plain::rough_order);
    // Candidates agree in all that is not a number.
    let mut candidates: HashMap<String, Vec<Plain>> = HashMap::new();
    for row in extra {
        candidates.entry(row.key_without_numbers()).or_default().push(row);
    }
    missing.retain(|row| {
        let Some(rows) = candidates.get_mut(&row.key_without_numbers()) else { return true };
        let Some(found) = rows.iter().position(|r| row.is_close(r, rtol)) else { return true };
        rows.remove(found);
        false
    });
    let mut extra: Vec<Plain> = candidates.into_values().flatten().collect();
    extra.sort_by(Plain::rough_order);
    Difference { missing, extra }
}

/// Takes rows that are exactly equal off both sides.
fn remove_equal(missing: &mut Vec<Plain>, extra: &mut Vec<Plain>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for row in extra.iter() {
        *counts.entry(row.key()).or_default() += 1;
    }
    let mut matched: HashMap<String, usize> = HashMap::new();
    missing.retain(|row| {
        let key = row.key();
        match counts.get_mut(&key) {
            Some(count @ 1..) => {
                *count -= 1;
                *matched.entry(key).or_default() += 1;
                false
            }
            _ => true,
        }
    });
    extra.retain(|row| match matched.get_mut(&row.key()) {
        Some(count @ 1..) => {
            *count -= 1;
            false
        }
        _ => true,
    });
}

#[cfg(test)]
mod tests;
