//! The log that qemu's `blklogwrites` keeps of a disk: every write and every flush, in order, in
//! the format of Linux' dm-log-writes. Read as far as it is whole: its writer was killed.

use std::io;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where the write begins on the disk, bytes.
    pub(super) offset: u64,
    /// What was written; empty for a flush.
    pub(super) data: Vec<u8>,
    /// Everything that was written before it is durable.
    pub(super) is_flush: bool,
    /// The write itself is durable with its completion.
    pub(super) is_durable: bool,
    /// Bytes from the start of the log to the end of this entry.
    pub(super) end: u64,
}

/// All whole entries of a log.
///
/// # Errors
/// When it is no such log, or holds what a file system without discard does not send.
pub(super) fn parse(log: &[u8]) -> io::Result<Vec<Entry>> {
    let bad =
        |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("log of writes: {why}"));
    if number(log, 0) != Some(MAGIC) {
        return Err(bad("it does not begin as one"));
    }
    let sector = SECTOR_BYTES;
    let (mut entries, mut at) = (Vec::new(), sector);
    while let Some(head) = log.get(at..at + sector) {
        let field = |n: usize| number(head, n * 8).expect("a head is a sector long");
        let (offset, sectors, flags) = (field(0), field(1), field(2));
        if (sectors, flags) == (0, 0) {
            break;
        }
        if flags & !(FLUSH | FUA) != 0 {
            return Err(bad(&format!("an entry with flags {flags:#x}")));
        }
        let bytes = usize::try_from(sectors).map_err(io::Error::other)? * sector;
        let Some(data) = log.get(at + sector..at + sector + bytes) else { break };
        at += sector + bytes;
        entries.push(Entry {
            offset: offset * sector as u64,
            data: data.to_vec(),
            is_flush: flags & FLUSH != 0,
            is_durable: flags & FUA != 0,
            end: at as u64,
        });
    }
    Ok(entries)
}

/// How many entries had been begun when the log was `bytes` long: what was seen then is due to
/// no later one.
#[must_use]
pub(super) fn entries_at(entries: &[Entry], bytes: u64) -> usize {
    let whole = entries.partition_point(|entry| entry.end < bytes);
    (whole + 1).min(entries.len())
}

fn number(from: &[u8], at: usize) -> Option<u64> {
    let bytes = from.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
}

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
/// Of the disk, and of the log.
pub(super) const SECTOR_BYTES: usize = 512;
