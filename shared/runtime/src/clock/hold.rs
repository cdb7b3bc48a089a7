//! Rows that wait until it is known what time they came: a bounded queue, stored in pieces that are
//! written once and removed when their rows have gone on.
//!
//! Guarantees: rows leave in the order in which they came; what a checkpoint stores and what it
//! removes is in one transaction with what the rows have caused. At its bound nothing is dropped:
//! [`Hold::is_full`] tells the driver to let the sources wait.

use std::collections::{BTreeMap, VecDeque};

use headwater_engine::operator::RestoreError;
use serde::{Deserialize, Serialize};

use super::arrival::Arrival;
use crate::task::{read_record, write_record};

/// A row that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Scan of the fragment.
    pub scan: u32,
    /// Split of the source.
    pub split: u32,
    /// When it came.
    pub arrival: Arrival,
    /// Topic, for sources that have topics.
    pub topic: Option<Vec<u8>>,
    /// Its text.
    pub record: Vec<u8>,
}

impl Held {
    fn bytes(&self) -> usize {
        ROW_BYTES + self.topic.as_ref().map_or(0, Vec::len) + self.record.len()
    }
}

/// Where the stored pieces are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    first: u64,
    next: u64,
    /// Rows of the first piece that have gone on.
    gone: u32,
}

/// The queue; see the module's text.
#[derive(Debug, Default)]
pub struct Hold {
    rows: VecDeque<Held>,
    bytes: usize,
    bytes_max: usize,
    by_scan: BTreeMap<u32, u64>,
    by_boot: BTreeMap<u64, u64>,
    index: Index,
    /// Rows left of each stored piece; what is behind them is not stored yet.
    pieces: VecDeque<u32>,
    stored_rows: usize,
    /// Pieces whose rows have all gone on since the last checkpoint.
    spent: Vec<u64>,
    is_changed: bool,
}

impl Hold {
    /// An empty queue for rows of `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Hold { bytes_max, ..Hold::default() }
    }

    /// Reads what is stored: `read` gives a record of the store by its name.
    ///
    /// # Errors
    /// When it is of another version of the program or a piece is missing.
    pub fn restore<E: From<RestoreError>>(
        &mut self,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        self.index = read_record(read(INDEX)?.as_deref(), VERSION)?;
        for number in self.index.first..self.index.next {
            let stored = read(&piece(number))?
                .ok_or_else(|| RestoreError(format!("held rows are missing: piece {number}")))?;
            let rows: Vec<Held> = read_record(Some(&stored), VERSION)?;
            let gone = if number == self.index.first { self.index.gone } else { 0 };
            let rows = rows.into_iter().skip(usize::try_from(gone).unwrap_or(usize::MAX));
            let before = self.rows.len();
            rows.for_each(|row| self.add(row));
            self.pieces.push_back(count(self.rows.len() - before));
        }
        self.stored_rows = self.rows.len();
        Ok(())
    }

    /// Takes a row.
    pub fn push(&mut self, row: Held) {
        self.add(row);
    }

    fn add(&mut self, row: Held) {
        self.bytes += row.bytes();
        *self.by_scan.entry(row.scan).or_default() += 1;
        *self.by_boot.entry(row.arrival.boot_id).or_default() += 1;
        self.rows.push_back(row);
    }

    /// The row that has waited longest.
    pub fn first(&self) -> Option<&Held> {
        self.rows.front()
    }

    /// Lets it go on.
    pub fn pop(&mut self) -> Option<Held> {
        let row = self.rows.pop_front()?;
        self.bytes -= row.bytes();
        less(&mut self.by_scan, row.scan);
        less(&mut self.by_boot, row.arrival.boot_id);
        if let Some(left) = self.pieces.front_mut() {
            *left -= 1;
            self.index.gone += 1;
            self.stored_rows -= 1;
            self.is_changed = true;
            if *left == 0 {
                self.pieces.pop_front();
                self.spent.push(self.index.first);
                (self.index.first, self.index.gone) = (self.index.first + 1, 0);
            }
        }
        Some(row)
    }

    /// Whether sources of rows that wait have to wait too.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// Whether a checkpoint would have something to store.
    pub fn is_dirty(&self) -> bool {
        self.is_changed || self.rows.len() > self.stored_rows
    }

    /// Rows that wait, and their bytes.
    pub fn len(&self) -> (usize, usize) {
        (self.rows.len(), self.bytes)
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether rows of this scan wait.
    pub fn has_scan(&self, scan: usize) -> bool {
        u32::try_from(scan).is_ok_and(|scan| self.by_scan.contains_key(&scan))
    }

    /// Whether rows of this boot wait.
    pub fn has_boot(&self, boot_id: u64) -> bool {
        self.by_boot.contains_key(&boot_id)
    }

    /// Splits of rows that wait, by scan.
    pub fn splits(&self) -> std::collections::BTreeSet<(u32, u32)> {
        self.rows.iter().map(|row| (row.scan, row.split)).collect()
    }

    /// Adds what has changed to the records of a commit.
    pub fn store(&mut self, records: &mut Vec<(String, Option<Vec<u8>>)>) {
        if !self.is_dirty() {
            return;
        }
        records.extend(self.spent.drain(..).map(|number| (piece(number), None)));
        let mut from = self.stored_rows;
        while from < self.rows.len() {
            let mut bytes = 0;
            let fits = |row: &&Held| {
                bytes += row.bytes();
                bytes <= PIECE_BYTES
            };
            let many = self.rows.range(from..).take_while(fits).count().max(1);
            let rows: Vec<&Held> = self.rows.range(from..from + many).collect();
            records.push((piece(self.index.next), Some(write_record(&rows, VERSION))));
            self.pieces.push_back(count(many));
            self.index.next += 1;
            from += many;
        }
        self.stored_rows = self.rows.len();
        self.is_changed = false;
        records.push((INDEX.into(), Some(write_record(&self.index, VERSION))));
    }
}

fn less<K: Ord + Copy>(counts: &mut BTreeMap<K, u64>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

fn piece(number: u64) -> String {
    format!("{INDEX}/{number}")
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).expect("the queue is bounded")
}

/// Name of the record that says where the pieces are; each is a record of its own.
const INDEX: &str = "held";
/// Rows of one piece: it fills a page of 64 KiB.
const PIECE_BYTES: usize = 63 << 10;
/// What a row takes in memory besides its texts.
const ROW_BYTES: usize = size_of::<Held>();
/// Format version of the records.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u8) -> Held {
        let arrival = Arrival { boot_id: 1, boot_ms: number.into() };
        Held { scan: 0, split: 2, arrival, topic: None, record: vec![number; 20_000] }
    }

    /// A store of records.
    #[derive(Default)]
    struct Records(BTreeMap<String, Vec<u8>>);

    impl Records {
        fn commit(&mut self, hold: &mut Hold) {
            let mut records = Vec::new();
            hold.store(&mut records);
            for (name, value) in records {
                match value {
                    Some(value) => {
                        assert!(self.0.insert(name.clone(), value).is_none() || name == INDEX)
                    }
                    None => assert!(self.0.remove(&name).is_some(), "{name} was stored"),
                }
            }
        }

        fn restore(&self) -> Hold {
            let mut hold = Hold::new(1 << 20);
            hold.restore(|name| Ok::<_, RestoreError>(self.0.get(name).cloned())).unwrap();
            hold
        }
    }

    fn numbers(hold: &Hold) -> Vec<u8> {
        hold.rows.iter().map(|row| row.record[0]).collect()
    }

    #[test]
    fn rows_are_stored_once_and_come_back_in_order() {
        let (mut hold, mut records) = (Hold::new(1 << 20), Records::default());
        (0..5).for_each(|n| hold.push(row(n)));
        records.commit(&mut hold);
        assert!(!hold.is_dirty());
        assert_eq!(records.0.len(), 3, "two pieces and their index");
        (5..7).for_each(|n| hold.push(row(n)));
        records.commit(&mut hold);
        let mut hold = records.restore();
        assert_eq!(numbers(&hold), [0, 1, 2, 3, 4, 5, 6]);
        // The middle of a piece is a good place to stop too.
        (0..4).for_each(|n| assert_eq!(hold.pop().unwrap().record[0], n));
        records.commit(&mut hold);
        let mut hold = records.restore();
        assert_eq!(numbers(&hold), [4, 5, 6]);
        hold.push(row(7));
        while hold.pop().is_some() {}
        assert!(!hold.has_scan(0) && !hold.has_boot(1));
        records.commit(&mut hold);
        assert_eq!(records.0.len(), 1, "only the index is left");
        assert!(records.restore().is_empty());
    }

    #[test]
    fn the_bound_is_seen_and_nothing_goes() {
        let mut hold = Hold::new(50_000);
        (0..3).for_each(|n| hold.push(row(n)));
        assert!(hold.is_full());
        hold.pop();
        assert!(!hold.is_full());
        assert_eq!(numbers(&hold), [1, 2]);
        assert!(hold.has_scan(0) && !hold.has_scan(1));
    }

    #[test]
    fn records_of_version_1_are_read() {
        let mut records = Records::default();
        records.0.insert(INDEX.into(), b"\x01\x03\x04\x01".to_vec());
        let piece = b"\
            \x01\x02\x00\x02\x07\x80\xf1\x04\x01\x03a/b\x08{\x22id\x22:0}\
            \x00\x02\x07\x82\xf1\x04\x00\x08{\x22id\x22:1}";
        records.0.insert("held/3".into(), piece.to_vec());
        let mut hold = records.restore();
        assert_eq!(hold.len().0, 1, "the first row of the piece has gone on");
        let row = hold.pop().unwrap();
        assert_eq!((row.scan, row.split, row.topic), (0, 2, None));
        assert_eq!(row.arrival, Arrival { boot_id: 7, boot_ms: 40_001 });
        assert_eq!(row.record, b"{\"id\":1}");
    }

    #[test]
    fn a_missing_piece_is_no_empty_queue() {
        let (mut hold, mut records) = (Hold::new(1 << 20), Records::default());
        hold.push(row(1));
        records.commit(&mut hold);
        records.0.remove("held/0");
        let read = |name: &str| Ok::<_, RestoreError>(records.0.get(name).cloned());
        assert!(Hold::new(1).restore(read).is_err());
    }
}
