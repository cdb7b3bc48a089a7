//! State directories on a real file system: locks, damage, inspection, reset.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::PathBuf;

use headwater_store::{
    Commit, Identity, Inspector, Options, OutboxRow, Soundness, StateWrite, Store, StoreError,
    reset, set_aside, verify,
};

fn dir(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    dir
}

fn options() -> Options {
    Options::new([3; 16], "machine-1")
}

fn commit(epoch: u64) -> Commit {
    let bytes = vec![u8::try_from(epoch % 251).unwrap(); 20_000];
    Commit {
        epoch,
        state: Some(StateWrite { full: epoch % 8 == 1, pages: vec![vec![7; 40_000]] }),
        outbox_put: vec![OutboxRow { channel: 1, seq: epoch, bytes }],
        ..Commit::default()
    }
}

#[test]
fn a_directory_is_made_once_and_locked() {
    let dir = dir("locked");
    let absent = Options { create: false, ..options() };
    assert!(matches!(Store::open(&dir, &absent), Err(StoreError::Missing { .. })));
    let mut store = Store::open(&dir, &options()).unwrap();
    store.commit(&commit(1)).unwrap();
    let refused = Store::open(&dir, &options()).unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert_eq!(refused.exit_code(), 74);
    assert!(matches!(reset(&dir), Err(StoreError::Locked { .. })));
    assert!(matches!(set_aside(&dir), Err(StoreError::Locked { .. })));
    let (mut worst, mut sum) = (0, 0);
    for epoch in 2..=41 {
        let mut next = commit(epoch);
        next.outbox_acked = vec![(1, epoch - 2)];
        next.outbox_delete = vec![(1, epoch.saturating_sub(10))];
        let stats = store.commit(&next).unwrap();
        worst = worst.max(stats.bytes_written);
        sum += stats.bytes_written;
    }
    println!("40 KB of state and 20 KB of frames: {} bytes, at most {worst}", sum / 40);
    assert!(worst <= 150_000, "{worst} bytes");
    assert!(store.has_ballast());
    drop(store);

    // Another incarnation in the options is for a new directory only.
    let other = Options { incarnation: [4; 16], ..options() };
    let store = Store::open(&dir, &other).unwrap();
    assert_eq!((store.identity().incarnation, store.head().epoch), ([3; 16], 41));
    assert!(!store.machine_changed());
    drop(store);
    let store = Store::open(&dir, &Options::new([4; 16], "machine-2")).unwrap();
    assert!(store.machine_changed());
    drop(store);
    reset(&dir).unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(Store::open(&dir, &other).unwrap().identity().incarnation, [4; 16]);
}

#[test]
fn inspection_follows_a_running_node() {
    let dir = dir("beside");
    assert!(matches!(Inspector::open(&dir), Err(StoreError::Missing { .. })));
    let mut store = Store::open(&dir, &options()).unwrap();
    store.commit(&commit(1)).unwrap();
    let inspector = Inspector::open(&dir).unwrap();
    assert!(!inspector.was_crashed());
    let old = inspector.snapshot().unwrap();
    for epoch in 2..40 {
        store.commit(&commit(epoch)).unwrap();
    }
    assert_eq!(old.head().unwrap().epoch, 1);
    assert_eq!(old.outbox(1, 1, 1 << 30).unwrap(), commit(1).outbox_put);
    drop(old);
    let new = inspector.snapshot().unwrap();
    assert_eq!(new.head().unwrap().epoch, 39);
    assert_eq!(new.load_state().unwrap().deltas.len(), 6);

    // What a killed node leaves: the file as it is, without the closing writes.
    let killed = crate::dir("killed");
    fs::create_dir_all(&killed).unwrap();
    fs::copy(dir.join("state.redb"), killed.join("state.redb")).unwrap();
    let before = fs::read(killed.join("state.redb")).unwrap();
    let inspector = Inspector::open(&killed).unwrap();
    assert!(inspector.was_crashed());
    let snapshot = inspector.snapshot().unwrap();
    assert_eq!(snapshot.head().unwrap().epoch, 39);
    assert_eq!(snapshot.outbox(1, 39, 1).unwrap(), commit(39).outbox_put);
    assert_eq!(fs::read(killed.join("state.redb")).unwrap(), before);
    drop((snapshot, inspector));
    assert_eq!(Store::open(&killed, &options()).unwrap().head().epoch, 39);
}

/// A reader beside the node is not in the way of its checkpoints, and the file is made smaller
/// when it has gone.
#[test]
fn a_file_is_not_made_smaller_under_a_reader() {
    let dir = dir("tidied");
    let mut store = Store::open(&dir, &options()).unwrap();
    let frame = |seq| OutboxRow { channel: 1, seq, bytes: vec![1; 100_000] };
    let filled = Commit { epoch: 1, outbox_put: (1..=100).map(frame).collect(), ..commit(1) };
    store.commit(&filled).unwrap();
    let emptied = Commit { epoch: 2, outbox_delete: vec![(1, 99)], ..Commit::default() };
    store.commit(&emptied).unwrap();
    let inspector = Inspector::open(&dir).unwrap();
    let snapshot = inspector.snapshot().unwrap();
    // The last frame stays, at the end: otherwise the file shrinks by itself.
    let next = |store: &mut Store, epochs: core::ops::RangeInclusive<u64>| {
        for epoch in epochs {
            store.commit(&Commit { epoch, ..Commit::default() }).unwrap();
            if let Some(tidied) = store.tidy().unwrap() {
                return Some(tidied);
            }
        }
        None
    };
    assert_eq!(next(&mut store, 3..=100), None, "somebody reads");
    assert_eq!(snapshot.head().unwrap().epoch, 2);
    drop((snapshot, inspector));
    let before = fs::metadata(dir.join("state.redb")).unwrap().len();
    let tidied = next(&mut store, 101..=600);
    let tidied = tidied.unwrap_or_else(|| panic!("nobody reads any more: {before}"));
    let length = fs::metadata(dir.join("state.redb")).unwrap().len();
    assert!(tidied.before_bytes > 10_000_000, "{tidied:?}");
    assert!(tidied.after_bytes < 2_000_000 && length == tidied.after_bytes, "{length} {tidied:?}");
    let epoch = store.head().epoch;
    store.close().unwrap();
    assert_eq!(verify(&dir).unwrap().epoch, epoch);
}

#[test]
fn damage_is_never_taken_for_an_empty_directory() {
    let dir = dir("damaged");
    let mut store = Store::open(&dir, &options()).unwrap();
    for epoch in 1..20 {
        store.commit(&commit(epoch)).unwrap();
    }
    store.close().unwrap();
    let file = dir.join("state.redb");
    let good = fs::read(&file).unwrap();

    for bad in [&b"not a database"[..], &good[..good.len() / 2], &good[..4096], &[0; 100_000]] {
        fs::write(&file, bad).unwrap();
        let refused = Store::open(&dir, &options()).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{} bytes: {refused}", bad.len());
        assert_eq!(refused.exit_code(), 74);
    }
    for emptied in [true, false] {
        if emptied {
            fs::write(&file, b"").unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
        let refused = Store::open(&dir, &options()).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    }
    let aside = set_aside(&dir).unwrap();
    assert_eq!(aside.previous.unwrap().incarnation, [3; 16]);
    let renewed = Options { incarnation: [5; 16], ..options() };
    let identity = Store::open(&dir, &renewed).unwrap().identity().clone();
    let expected = Identity { incarnation: [5; 16], machine_id: "machine-1".into(), parent: None };
    assert_eq!(identity, expected);
}

#[test]
fn flipped_bits_are_found_or_harmless() {
    let dir = dir("flipped");
    let mut store = Store::open(&dir, &options()).unwrap();
    for epoch in 1..10 {
        store.commit(&commit(epoch)).unwrap();
    }
    store.close().unwrap();
    let file = dir.join("state.redb");
    let good = fs::read(&file).unwrap();
    let mut found = 0;
    let step = good.len() / 150;
    for index in 0..150 {
        let mut bad = good.clone();
        bad[index * step + index % 97] ^= 1 << (index % 8);
        fs::write(&file, &bad).unwrap();
        match Store::open(&dir, &options()) {
            Ok(store) => {
                let snapshot = store.snapshot().unwrap();
                assert_eq!(store.head().epoch, 9, "flip {index}");
                let rows = snapshot.outbox(1, 1, 1 << 30).unwrap();
                assert!((1..10).all(|e| rows[e - 1] == commit(e as u64).outbox_put[0]));
                assert_eq!(snapshot.load_state().unwrap().base, [vec![7; 40_000]]);
            }
            Err(StoreError::Damaged { .. }) => found += 1,
            Err(other) => panic!("flip {index}: {other}"),
        }
    }
    assert!(found > 30, "only {found} of 150 flips hit something that matters");
}

/// What `verify` says of a directory with these bytes as its database.
fn verified(dir: &std::path::Path, bytes: &[u8]) -> Result<Soundness, StoreError> {
    fs::write(dir.join("state.redb"), bytes).unwrap();
    verify(dir)
}

#[test]
fn a_directory_is_verified_as_a_whole() {
    let dir = dir("verified");
    assert!(matches!(verify(&dir), Err(StoreError::Missing { .. })));
    let mut store = Store::open(&dir, &options()).unwrap();
    for epoch in 1..10 {
        store.commit(&commit(epoch)).unwrap();
    }
    let sound = verify(&dir).unwrap();
    assert_eq!((sound.epoch, sound.is_in_use, sound.was_crashed), (9, true, false));
    assert!(sound.values_bytes > 9 * 20_000 + 40_000, "{sound:?}");
    assert_eq!(sound.remarks, [""; 0]);
    let crashed = fs::read(dir.join("state.redb")).unwrap();
    store.close().unwrap();
    let file = dir.join("state.redb");
    let good = fs::read(&file).unwrap();
    let whole = verified(&dir, &good).unwrap();
    assert_eq!((whole.is_in_use, whole.was_crashed, whole.epoch), (false, false, 9));
    assert!(verified(&dir, &crashed).unwrap().was_crashed);
    assert_eq!(fs::read(&file).unwrap(), crashed, "nothing is written");

    for bad in [&b""[..], &b"not a database"[..], &good[..good.len() / 2], &[0; 100_000]] {
        for refused in [verified(&dir, bad).unwrap_err(), Inspector::open(&dir).unwrap_err()] {
            assert!(
                matches!(refused, StoreError::Damaged { .. }),
                "{} bytes: {refused}",
                bad.len()
            );
        }
    }
    fs::remove_file(dir.join("identity.toml")).unwrap();
    fs::remove_file(dir.join("ballast")).unwrap();
    assert_eq!(verified(&dir, &good).unwrap().remarks.len(), 2);
    assert!(matches!(verified(&dir, b""), Err(StoreError::Missing { .. })));
}

const FLIPS: usize = 200;

/// A bit that is flipped where it matters is found, also in a page that only an opening reads;
/// after it is found, `set_aside` gives the directory free.
#[test]
fn every_flipped_bit_is_found_or_harmless_to_every_value() {
    let dir = dir("verified-flips");
    let mut store = Store::open(&dir, &options()).unwrap();
    for epoch in 1..10 {
        store.commit(&commit(epoch)).unwrap();
    }
    let crashed = fs::read(dir.join("state.redb")).unwrap();
    store.close().unwrap();
    let good = fs::read(dir.join("state.redb")).unwrap();
    for (image, name) in [(good, "closed"), (crashed, "left by a crash")] {
        let (mut found, mut sound) = (0, 0);
        for index in 0..FLIPS {
            let mut bad = image.clone();
            // The first pages hold what everything rests on.
            let at = if index < 50 { index * 197 } else { index * (image.len() / FLIPS) + index };
            bad[at] ^= 1 << (index % 8);
            match verified(&dir, &bad) {
                Ok(_) => {
                    sound += 1;
                    let store = Store::open(&dir, &options()).unwrap();
                    // An older checkpoint may be all that a crash has left.
                    assert!(store.head().epoch >= 8, "flip {index} at {at}, {name}");
                    let rows = store.snapshot().unwrap().outbox(1, 1, 1 << 30).unwrap();
                    assert!((1..9).all(|e| rows[e - 1] == commit(e as u64).outbox_put[0]));
                }
                Err(StoreError::Damaged { .. }) => found += 1,
                Err(other) => panic!("flip {index} at {at}, {name}: {other}"),
            }
        }
        println!("{name}: {found} flips found, {sound} harmless");
        assert!(found > 20, "{name}: only {found} of {FLIPS}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let dir = dir("newer");
    Store::open(&dir, &options()).unwrap().close().unwrap();
    let db = redb::Database::create(dir.join("state.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    let meta: redb::TableDefinition<&str, &[u8]> = redb::TableDefinition::new("meta");
    txn.open_table(meta).unwrap().insert("format", &b"headwater-state\x02\0\0\0"[..]).unwrap();
    txn.commit().unwrap();
    drop(db);
    let refused = Store::open(&dir, &options()).unwrap_err();
    assert!(matches!(refused, StoreError::NewerVersion { found: 2, known: 1, .. }), "{refused}");
    let refused = Inspector::open(&dir).unwrap_err();
    assert!(matches!(refused, StoreError::NewerVersion { .. }), "{refused}");
}
