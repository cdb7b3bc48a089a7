//! The log's format and what a cut leaves, on a log made by hand.

use super::cut::{Kind, Player};
use super::log::{Entry, entries_at, parse};
use super::run::{Mended, check_file_system};

fn head(offset: u64, sectors: u64, flags: u64) -> Vec<u8> {
    let mut head: Vec<u8> =
        [offset, sectors, flags, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    head.resize(512, 0);
    head
}

/// Two writes, a flush, a write of two sectors, half an entry.
fn log() -> Vec<u8> {
    let mut log = [0x006a_7366_7773_6872_u64, 1, 0, 512].map(u64::to_le_bytes).concat();
    log.resize(512, 0);
    for (offset, fill) in [(0, 1), (1, 2)] {
        log.extend(head(offset, 1, 0));
        log.extend([fill; 512]);
    }
    log.extend(head(0, 0, 1));
    log.extend(head(1, 2, 0));
    log.extend([3; 1024]);
    log.extend(head(3, 1, 0));
    log.extend([4; 100]);
    log
}

#[test]
fn a_log_is_read_as_far_as_it_is_whole() {
    let entries = parse(&log()).unwrap();
    let shown: Vec<_> = entries.iter().map(|e| (e.offset, e.data.len(), e.is_flush)).collect();
    assert_eq!(shown, [(0, 512, false), (512, 512, false), (0, 0, true), (512, 1024, false)]);
    // Seen when the second entry was being written: the first two may be what it rests on.
    assert_eq!(entries_at(&entries, entries[1].end), 2);
    assert_eq!(entries_at(&entries, entries[1].end - 1), 2);
    assert_eq!(entries_at(&entries, entries[1].end + 1), 3);
    assert!(parse(&[0; 512]).is_err());
}

fn cut(entries: &[Entry], count: usize, kind: Kind, seed: u64) -> [u8; 4] {
    let (disk, _) = Player::new(vec![0; 2048], entries, false).cut(count, kind, seed);
    [disk[0], disk[512], disk[1024], disk[1536]]
}

#[test]
fn what_was_flushed_stays_and_of_the_rest_some() {
    let entries = parse(&log()).unwrap();
    assert_eq!(cut(&entries, 2, Kind::Kept, 0), [1, 2, 0, 0]);
    assert_eq!(cut(&entries, 2, Kind::Lost, 0), [0, 0, 0, 0]);
    assert_eq!(cut(&entries, 3, Kind::Lost, 0), [1, 2, 0, 0]);
    let seen = |count, kind| {
        let mut seen: Vec<_> = (0..64).map(|seed| cut(&entries, count, kind, seed)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(seen(2, Kind::Dropped).len(), 4);
    assert_eq!(seen(4, Kind::Dropped), [[1, 2, 0, 0], [1, 3, 3, 0]]);
    assert_eq!(seen(4, Kind::Torn).len(), 4);
    assert_eq!(seen(2, Kind::Reordered).len(), 4);
    let (lost, open) = Player::new(vec![0; 2048], &entries, true).cut(4, Kind::Lost, 0);
    assert_eq!((lost, open), (vec![0; 2048], 3), "a disk that lies loses what was flushed");
}

#[test]
fn a_torn_superblock_is_mended_from_its_copy() {
    let Ok(clean) = super::clean_disk() else {
        println!("skipped: a_torn_superblock_is_mended_from_its_copy: mke2fs is not installed");
        return;
    };
    let scratch = crate::scratch::Scratch::new("power-superblock").unwrap();
    let file = scratch.join("disk.img");
    std::fs::write(&file, &clean).unwrap();
    assert_eq!(check_file_system(&file), Ok(Mended::No));
    let mut torn = clean;
    torn[1024 + 512..2048].fill(0);
    std::fs::write(&file, torn).unwrap();
    assert_eq!(check_file_system(&file), Ok(Mended::FromCopy));
    assert_eq!(check_file_system(&file), Ok(Mended::No));
}
