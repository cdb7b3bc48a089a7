//! What a power cut leaves of a disk: of the writes that no flush has followed, some.
//!
//! Guarantees: what a flush, or the write itself, has made durable is whole; the same seed gives
//! the same disk.

use headwater_store::crash::Noise;

use super::log::{Entry, SECTOR_BYTES};

/// What became of the writes that were not yet durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// All were done: the disk is as the log says.
    Kept,
    /// None was.
    Lost,
    /// Each one or not.
    Dropped,
    /// Each of their sectors or not.
    Torn,
    /// Each one or not, and in any order.
    Reordered,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Kept, Kind::Lost, Kind::Dropped, Kind::Torn, Kind::Reordered];
}

/// A disk on which a log is played, from the first entry on.
#[derive(Debug)]
pub(super) struct Player<'a> {
    entries: &'a [Entry],
    /// Everything that is durable after `played` entries.
    durable: Vec<u8>,
    played: usize,
    /// The disk reports a flush and does not do it: a canary, as no promise holds on such a disk.
    is_lying: bool,
    /// Entries that may or may not be on the disk.
    open: Vec<usize>,
}

impl<'a> Player<'a> {
    /// Begins with a clean disk.
    #[must_use]
    pub(super) fn new(clean: Vec<u8>, entries: &'a [Entry], is_lying: bool) -> Player<'a> {
        Player { entries, durable: clean, played: 0, is_lying, open: Vec::new() }
    }

    /// The disk after a cut behind the first `count` entries, and how many writes were open.
    /// Cuts are asked for from the first to the last.
    ///
    /// # Panics
    /// When one is asked for that lies before the last one.
    #[must_use]
    pub(super) fn cut(&mut self, count: usize, kind: Kind, seed: u64) -> (Vec<u8>, usize) {
        assert!(count >= self.played, "cuts go forwards");
        for index in self.played..count {
            let entry = &self.entries[index];
            if entry.is_flush && !self.is_lying {
                for open in core::mem::take(&mut self.open) {
                    write(&mut self.durable, &self.entries[open]);
                }
            }
            if entry.is_durable {
                // Older open writes below it must not come after it.
                self.open.retain(|open| !overlap(&self.entries[*open], entry));
                write(&mut self.durable, entry);
            } else if !entry.data.is_empty() {
                self.open.push(index);
            }
        }
        self.played = count;
        let mut noise = Noise(seed);
        let mut open = self.open.clone();
        if kind == Kind::Reordered {
            for last in (1..open.len()).rev() {
                let other = noise.below(last as u64 + 1);
                open.swap(last, usize::try_from(other).expect("an index"));
            }
        }
        let mut disk = self.durable.clone();
        for index in &open {
            let entry = &self.entries[*index];
            match kind {
                Kind::Kept => write(&mut disk, entry),
                Kind::Lost => {}
                Kind::Dropped | Kind::Reordered if noise.below(2) == 0 => write(&mut disk, entry),
                Kind::Dropped | Kind::Reordered => {}
                Kind::Torn => tear(&mut disk, entry, &mut noise),
            }
        }
        (disk, open.len())
    }
}

fn write(disk: &mut [u8], entry: &Entry) {
    write_at(disk, entry.offset, &entry.data);
}

fn tear(disk: &mut [u8], entry: &Entry, noise: &mut Noise) {
    for (number, sector) in entry.data.chunks(SECTOR_BYTES).enumerate() {
        if noise.below(2) == 0 {
            write_at(disk, entry.offset + (number * SECTOR_BYTES) as u64, sector);
        }
    }
}

fn write_at(disk: &mut [u8], offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).expect("a small disk");
    disk[start..start + data.len()].copy_from_slice(data);
}

fn overlap(a: &Entry, b: &Entry) -> bool {
    a.offset < b.offset + b.data.len() as u64 && b.offset < a.offset + a.data.len() as u64
}
