//! Records between two checkpoints, written ahead: a few KiB and one barrier each, where a
//! checkpoint costs twenty times that.
//!
//! Guarantees: an entry whose append has returned is there after a power cut, as long as no
//! checkpoint has been committed since; entries come back in order, without a hole. Each belongs
//! to the checkpoint it follows: the next commit makes all of them void, without a write. Blocks
//! are never shared by two entries, so that a torn write cannot reach back. Bounded; does not know
//! what is in an entry.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, Meter};

/// Which checkpoint of which state directory an entry follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) epoch: u64,
    /// The beginning of the directory's incarnation: a state that was put in the place of
    /// another one does not take over its entries.
    pub(crate) lineage: u64,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    meter: Arc<Meter>,
    base: Base,
    /// Where the next entry goes, and its number.
    offset: u64,
    number: u32,
}

impl Journal {
    /// Opens it and reads the entries that follow `base`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        meter: Arc<Meter>,
        base: Base,
    ) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let mut journal = Self { disk, meter, base, offset: 0, number: 0 };
        let mut entries = Vec::new();
        while let Some(entry) = journal.read_next()? {
            journal.offset += blocks_bytes(entry.len());
            journal.number += 1;
            entries.push(entry);
        }
        Ok((journal, entries))
    }

    /// Appends an entry, durably. Bytes written to the medium; `None` when there is no room
    /// before the next checkpoint.
    pub(crate) fn append(&mut self, base: Base, content: &[u8]) -> io::Result<Option<u64>> {
        if base != self.base {
            (self.base, self.offset, self.number) = (base, 0, 0);
        }
        let length = blocks_bytes(content.len());
        if self.offset + length > CAPACITY_BYTES {
            return Ok(None);
        }
        self.reserve()?;
        let mut block = self.head(content).to_vec();
        block.extend_from_slice(content);
        block.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        self.meter.count_write(self.offset, block.len());
        // After an error the next entry takes the same place: there is no hole.
        self.disk.write(self.offset, &block)?;
        self.disk.sync()?;
        self.offset += length;
        self.number += 1;
        Ok(Some(length))
    }

    /// Writes the whole file once, so that an append changes no metadata of the file system.
    fn reserve(&self) -> io::Result<()> {
        let mut from = self.disk.len()?;
        if from >= CAPACITY_BYTES {
            return Ok(());
        }
        self.disk.set_len(CAPACITY_BYTES)?;
        let zeros = [0; 1 << 14];
        while from < CAPACITY_BYTES {
            let step = (CAPACITY_BYTES - from).min(zeros.len() as u64);
            let part = usize::try_from(step).map_err(io::Error::other)?;
            self.meter.count_write(from, part);
            self.disk.write(from, &zeros[..part])?;
            from += step;
        }
        self.disk.sync()
    }

    fn head(&self, content: &[u8]) -> [u8; HEAD_BYTES] {
        let length = u32::try_from(content.len()).expect("an entry is within the capacity");
        let mut head = [0; HEAD_BYTES];
        head[0..4].copy_from_slice(&MAGIC);
        head[4..8].copy_from_slice(&length.to_le_bytes());
        head[8..16].copy_from_slice(&self.base.epoch.to_le_bytes());
        head[16..24].copy_from_slice(&self.base.lineage.to_le_bytes());
        head[24..28].copy_from_slice(&self.number.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head[..28]);
        hasher.update(content);
        head[28..].copy_from_slice(&hasher.finalize().to_le_bytes());
        head
    }

    /// The entry at the present place, if a whole one that follows the base is there.
    fn read_next(&self) -> io::Result<Option<Vec<u8>>> {
        let end = self.disk.len()?;
        let content_at = self.offset + HEAD_BYTES as u64;
        if content_at > end {
            return Ok(None);
        }
        let mut head = [0; HEAD_BYTES];
        self.disk.read(self.offset, &mut head)?;
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if head[..4] != MAGIC || content_at + u64::from(length) > end {
            return Ok(None);
        }
        let mut content = vec![0; length as usize];
        self.disk.read(content_at, &mut content)?;
        Ok((self.head(&content) == head).then_some(content))
    }
}

fn blocks_bytes(content_len: usize) -> u64 {
    ((content_len + HEAD_BYTES) as u64).next_multiple_of(BLOCK_BYTES)
}

/// A file as a disk.
#[derive(Debug)]
pub(crate) struct FileDisk(File);

impl FileDisk {
    /// Opens the journal's file, and makes it where there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Self(options.open(path)?))
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Name of the journal in the state directory.
pub(crate) const JOURNAL: &str = "intake.journal";
const MAGIC: [u8; 4] = *b"HWJ1";
const HEAD_BYTES: usize = 32;
const BLOCK_BYTES: u64 = 4096;
/// 256 entries of one block; then a checkpoint is due.
const CAPACITY_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::{CrashDisk, Noise};

    fn base(epoch: u64) -> Base {
        Base { epoch, lineage: 7 }
    }

    fn open(image: Vec<u8>, epoch: u64) -> (Arc<CrashDisk>, Journal, Vec<Vec<u8>>) {
        let disk = Arc::new(CrashDisk::new(image));
        let (journal, entries) =
            Journal::open(Arc::clone(&disk) as Arc<dyn Disk>, Arc::default(), base(epoch)).unwrap();
        (disk, journal, entries)
    }

    /// Power cuts: what was appended after the last checkpoint is there, in order.
    #[test]
    fn entries_survive_power_cuts_and_end_with_the_next_checkpoint() {
        for seed in 0..300 {
            let mut noise = Noise(seed);
            let (mut disk, mut journal, _) = open(Vec::new(), 0);
            let (mut epoch, mut expected) = (0, Vec::new());
            for _ in 0..noise.below(60) {
                match noise.below(8) {
                    0 => {
                        epoch += 1;
                        expected.clear();
                    }
                    1 => {
                        let image = disk.crash_image(noise.bits());
                        let entries;
                        (disk, journal, entries) = open(image, epoch);
                        // One that was not acknowledged may be there all the same.
                        assert!(entries.starts_with(&expected), "seed {seed}");
                        assert!(entries.len() <= expected.len() + 1, "seed {seed}");
                        expected = entries;
                    }
                    2 => {
                        disk.fail_syncs(1);
                        let length = usize::try_from(noise.below(9000)).unwrap();
                        let _ = journal.append(base(epoch), &vec![9; length]);
                        disk.fail_syncs(0);
                    }
                    _ => {
                        let length = usize::try_from(noise.below(9000)).unwrap();
                        let entry = vec![u8::try_from(noise.below(256)).unwrap(); length];
                        if journal.append(base(epoch), &entry).unwrap().is_some() {
                            expected.push(entry);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_bounded_and_another_states_entries_are_not_read() {
        let (disk, mut journal, _) = open(Vec::new(), 1);
        let mut count = 0;
        while let Some(written) = journal.append(base(1), &[1; 2000]).unwrap() {
            assert_eq!(written, BLOCK_BYTES);
            count += 1;
        }
        assert_eq!(count, 256);
        assert_eq!(disk.len().unwrap(), CAPACITY_BYTES);
        assert!(journal.append(base(2), &[1; 2000]).unwrap().is_some(), "room again");
        assert_eq!(open(disk.live_image(), 2).2.len(), 1);
        assert!(open(disk.live_image(), 1).2.is_empty(), "the first one is gone");
        let other = Base { epoch: 2, lineage: 8 };
        let image = Arc::new(CrashDisk::new(disk.live_image()));
        assert!(Journal::open(image, Arc::default(), other).unwrap().1.is_empty());
    }
}
