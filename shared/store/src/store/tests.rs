//! One commit after the other on a simulated disk: what is read back, what is refused.

use super::*;
use crate::commit::{ColdWrite, DeadLetter, Mark, MarkWrite, OutboxRow, PositionWrite, StateWrite};
use crate::crash::{CrashDisk, Noise};

fn options() -> Options {
    Options { cache_bytes: 1 << 20, ..Options::new([7; 16], "machine") }
}

fn memory() -> (Arc<CrashDisk>, Store) {
    let disk = Arc::new(CrashDisk::default());
    let store = Store::open_disk(disk.clone(), &options()).unwrap();
    (disk, store)
}

fn frame(channel: u32, seq: u64, len: usize) -> OutboxRow {
    let mut noise = Noise(seq ^ u64::from(channel) << 40);
    let bytes = (0..len).map(|_| noise.bits().to_le_bytes()[0]).collect();
    OutboxRow { channel, seq, bytes }
}

fn letter(number: u64) -> DeadLetter {
    DeadLetter {
        at_ms: 5,
        place: "readings".into(),
        reason: "parse".into(),
        detail: format!("line {number}"),
        bytes: b"{".to_vec(),
    }
}

#[test]
fn everything_committed_is_read_back_after_reopening() {
    let (disk, mut store) = memory();
    let mark = Mark { incarnation: [1; 16], term: 3, seq: 9, ..Mark::default() };
    let mut commit = Commit {
        epoch: 1,
        plan: Some(PlanRecord { fingerprint: 5, operators: vec![("agg".into(), 1)] }),
        state: Some(StateWrite { full: true, pages: vec![vec![1; 5000], vec![], vec![2; 70_000]] }),
        positions: vec![PositionWrite {
            source: "s".into(),
            split: "0".into(),
            value: Some(vec![9, 9]),
        }],
        outbox_put: vec![frame(1, 1, 100), frame(2, 1, 100_000), frame(1, 2, 0)],
        marks: vec![MarkWrite { agent: "a".into(), channel: 1, mark: Some(mark.clone()) }],
        cold: vec![ColdWrite { operator: 1, window_end: -5, chunk: 0, value: Some(vec![4]) }],
        dead_letters: vec![letter(0), letter(1)],
        counters: vec![("late".into(), 17)],
        records: vec![("term".into(), Some(vec![1]))],
        ..Commit::default()
    };
    store.commit(&commit).unwrap();
    commit.epoch = 2;
    commit.state = Some(StateWrite { full: false, pages: vec![vec![3; 10]] });
    (commit.outbox_put, commit.dead_letters) = (vec![], vec![]);
    let stats = store.commit(&commit).unwrap();
    assert_eq!((stats.base_bytes, stats.delta_bytes), (75_012, 14));
    drop(store);

    let store = Store::open_disk(disk, &options()).unwrap();
    assert_eq!(store.head().epoch, 2);
    assert_eq!(store.counters()["late"], 17);
    let snapshot = store.snapshot().unwrap();
    let state = snapshot.load_state().unwrap();
    assert_eq!(state.base, [vec![1; 5000], vec![], vec![2; 70_000]]);
    assert_eq!(state.deltas, [vec![3; 10]]);
    assert_eq!(snapshot.positions().unwrap()[&("s".into(), "0".into())], [9, 9]);
    assert_eq!(snapshot.outbox(1, 0, 1 << 20).unwrap(), [frame(1, 1, 100), frame(1, 2, 0)]);
    assert_eq!(snapshot.outbox(2, 1, 1).unwrap(), [frame(2, 1, 100_000)]);
    assert_eq!(snapshot.ledger().unwrap()[&("a".into(), 1)], mark);
    assert_eq!(snapshot.cold(1, -5).unwrap(), [(0, vec![4])]);
    assert_eq!(snapshot.cold_windows(1, 10).unwrap(), [-5]);
    assert_eq!(snapshot.dead_letters(1, 5).unwrap(), [(1, letter(1))]);
    assert_eq!(snapshot.record("term").unwrap(), Some(vec![1]));
    let other = PlanRecord { fingerprint: 6, operators: vec![("agg".into(), 2)] };
    let refused = store.check_plan(&other).unwrap_err();
    assert!(matches!(&refused, StoreError::OtherPlan { operator } if operator == "agg"));
    assert_eq!(refused.exit_code(), 78);
}

#[test]
fn outbox_numbers_follow_puts_acks_and_deletes() {
    let (_, mut store) = memory();
    let put = (1..=10).map(|seq| frame(1, seq, 100)).collect();
    store.commit(&Commit { epoch: 1, outbox_put: put, ..Commit::default() }).unwrap();
    let acked = Commit { epoch: 2, outbox_acked: vec![(1, 4), (1, 3)], ..Commit::default() };
    store.commit(&acked).unwrap();
    let totals = store.outbox_totals();
    assert_eq!((totals.rows, totals.bytes), (10, 1000));
    assert_eq!((totals.unacked_rows, totals.unacked_bytes), (6, 600));
    let deleted = Commit { epoch: 3, outbox_delete: vec![(1, 3)], ..Commit::default() };
    store.commit(&deleted).unwrap();
    let totals = store.outbox_totals();
    assert_eq!((totals.rows, totals.bytes), (7, 700));
    assert_eq!((totals.unacked_rows, totals.unacked_bytes), (6, 600));
    // Dropping the oldest without acknowledgement, and acknowledging what is gone.
    let mixed = Commit {
        epoch: 4,
        outbox_delete: vec![(1, 7)],
        outbox_acked: vec![(1, 5)],
        outbox_put: vec![frame(1, 11, 50)],
        ..Commit::default()
    };
    store.commit(&mixed).unwrap();
    let channel = store.head().channels[&1];
    assert_eq!((channel.oldest_seq, channel.first_unacked(), channel.next_seq), (8, 8, 12));
    assert_eq!((channel.unacked_rows(), channel.unacked_bytes()), (4, 350));
    let found = store.snapshot().unwrap().outbox(1, 9, 150).unwrap();
    assert_eq!(found, [frame(1, 9, 100)]);

    let gap = Commit { epoch: 5, outbox_put: vec![frame(1, 13, 1)], ..Commit::default() };
    assert!(matches!(store.commit(&gap), Err(StoreError::OutOfOrder { expected: 12, .. })));
    let repeated = Commit { epoch: 4, ..Commit::default() };
    assert!(matches!(store.commit(&repeated), Err(StoreError::OutOfOrder { expected: 5, .. })));
    let parent = Some(([7; 16], vec![(1, 9)]));
    let identity = Identity { incarnation: [8; 16], machine_id: "machine".into(), parent };
    let minted = Commit {
        epoch: 5,
        identity: Some(identity.clone()),
        outbox_put: vec![frame(1, 12, 10)],
        ..Commit::default()
    };
    store.commit(&minted).unwrap();
    assert_eq!((store.outbox_totals().rows, store.identity()), (5, &identity));
    let skipped = Commit {
        epoch: 6,
        outbox_remove: vec![(1, 8, 19), (2, 1, 2)],
        outbox_put: vec![frame(1, 20, 10), frame(2, 3, 7)],
        ..Commit::default()
    };
    store.commit(&skipped).unwrap();
    let totals = store.outbox_totals();
    assert_eq!((totals.rows, totals.unacked_rows, totals.unacked_bytes), (2, 2, 17));
    assert_eq!(store.snapshot().unwrap().outbox(1, 0, 1 << 20).unwrap(), [frame(1, 20, 10)]);
}

#[test]
fn a_range_in_the_middle_is_removed() {
    let (_, mut store) = memory();
    let frames: Vec<_> = (1..=6).map(|seq| frame(1, seq, 100)).collect();
    store.commit(&Commit { epoch: 1, outbox_put: frames, ..Commit::default() }).unwrap();
    let removed = Commit {
        epoch: 2,
        outbox_remove: vec![(1, 3, 4), (1, 7, 8)],
        outbox_put: vec![frame(1, 9, 100)],
        ..Commit::default()
    };
    store.commit(&removed).unwrap();
    let left = |store: &Store| {
        let rows = store.snapshot().unwrap().outbox(1, 0, 1 << 20).unwrap();
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(left(&store), [1, 2, 5, 6, 9]);
    // An acknowledgement within a range counts what lies before it.
    let acked = Commit {
        epoch: 3,
        outbox_acked: vec![(1, 4)],
        outbox_delete: vec![(1, 4)],
        ..Commit::default()
    };
    store.commit(&acked).unwrap();
    assert_eq!((left(&store), store.head().channels[&1].oldest_seq), (vec![5, 6, 9], 5));
    let all = Commit { epoch: 4, outbox_delete: vec![(1, 9)], ..Commit::default() };
    store.commit(&all).unwrap();
    assert_eq!((left(&store), store.outbox_totals().bytes), (vec![], 0));
    let ahead = Commit { epoch: 5, outbox_remove: vec![(1, 12, 13)], ..Commit::default() };
    assert!(matches!(store.commit(&ahead), Err(StoreError::OutOfOrder { expected: 10, .. })));
}

#[test]
fn lists_keep_the_newest_entries() {
    let (_, mut store) = memory();
    store.options.limits.dead_letters_max = 100;
    for epoch in 1..=10 {
        let dead_letters = (0..50).map(|n| letter(epoch * 50 + n)).collect();
        store.commit(&Commit { epoch, dead_letters, ..Commit::default() }).unwrap();
    }
    let log = store.head().dead_letters;
    assert_eq!((log.next, log.dropped + log.count()), (500, 500));
    assert!((90..=132).contains(&log.count()), "{log:?}");
    let all = store.snapshot().unwrap().dead_letters(0, 1000).unwrap();
    assert_eq!(all.len() as u64, log.count());
    assert_eq!(all.last().unwrap(), &(499, letter(549)));
}

#[test]
fn a_failed_commit_is_handed_over_again() {
    let (disk, mut store) = memory();
    let first = Commit { epoch: 1, outbox_put: vec![frame(1, 1, 10)], ..Commit::default() };
    store.commit(&first).unwrap();
    let big = Commit { epoch: 2, outbox_put: vec![frame(1, 2, 2 << 20)], ..Commit::default() };
    disk.set_room(Some(disk.len().unwrap()));
    assert!(matches!(store.commit(&big), Err(StoreError::Full { .. })));
    assert!(matches!(
        store.commit(&big),
        Err(StoreError::NeedsReopen { .. } | StoreError::Full { .. })
    ));
    store.reopen().unwrap();
    assert_eq!(store.snapshot().unwrap().outbox(1, 0, 1 << 30).unwrap(), first.outbox_put);
    assert!(matches!(store.commit(&big), Err(StoreError::Full { .. })));
    disk.set_room(None);
    store.reopen().unwrap();
    store.commit(&big).unwrap();

    let third = Commit { epoch: 3, outbox_put: vec![frame(1, 3, 10)], ..Commit::default() };
    disk.fail_syncs(1);
    assert!(matches!(store.commit(&third), Err(StoreError::Io { .. })));
    assert!(store.needs_reopen());
    store.reopen().unwrap();
    store.commit(&third).unwrap();
    assert_eq!(store.snapshot().unwrap().outbox(1, 3, 1).unwrap(), third.outbox_put);
    assert_eq!(store.head().channels[&1].next_seq, 4);
}

#[test]
fn a_checkpoint_stays_within_its_share_of_flash() {
    let (_, mut store) = memory();
    let mut worst = 0;
    for epoch in 1..=60 {
        let full = epoch % 8 == 1;
        let mut noise = Noise(epoch);
        let page: Vec<u8> = (0..40_000).map(|_| noise.bits().to_le_bytes()[0]).collect();
        let commit = Commit {
            epoch,
            state: Some(StateWrite { full, pages: vec![page] }),
            positions: vec![PositionWrite {
                source: "readings".into(),
                split: "sensors/#".into(),
                value: Some(vec![1; 200]),
            }],
            outbox_acked: vec![(1, epoch.saturating_sub(2))],
            outbox_delete: vec![(1, epoch.saturating_sub(20))],
            outbox_put: vec![frame(1, epoch, 20_000)],
            counters: vec![("readings_total".into(), epoch * 8000)],
            ..Commit::default()
        };
        let stats = store.commit(&commit).unwrap();
        if epoch > 1 {
            worst = worst.max(stats.bytes_written);
        }
    }
    assert!(worst <= 150_000, "{worst} bytes");
    println!("worst commit: {worst} bytes, file: {} bytes", store.meter().file_bytes());
}
