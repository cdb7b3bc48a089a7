//! A device without room: the node keeps what is committed, empties its outbox, and goes on.
//!
//! Needs a small file system of its own (4 to 16 MiB) named by HEADWATER_SMALL_DISK; skipped
//! elsewhere: a full disk cannot be had by other means on a real file system.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::PathBuf;

use headwater_store::{Commit, Options, OutboxRow, Store, StoreError};

fn put(epoch: u64) -> Commit {
    let bytes = vec![u8::try_from(epoch % 251).unwrap(); 100_000];
    Commit {
        epoch,
        outbox_put: vec![OutboxRow { channel: 1, seq: epoch, bytes }],
        ..Commit::default()
    }
}

#[test]
fn a_full_disk_is_emptied_with_the_help_of_the_ballast() {
    let Some(small) = std::env::var_os("HEADWATER_SMALL_DISK") else {
        println!("skipped: HEADWATER_SMALL_DISK names no small file system");
        return;
    };
    let dir = PathBuf::from(small).join("state");
    let _ = std::fs::remove_dir_all(&dir);
    let mut store = Store::open(&dir, &Options::new([1; 16], "m")).unwrap();
    assert!(store.has_ballast());
    let mut epoch = 1;
    let refused = loop {
        match store.commit(&put(epoch)) {
            Ok(_) => epoch += 1,
            Err(error) => break error,
        }
        assert!(epoch < 1000, "the file system is not small");
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    // A node that is killed now starts again, on the full disk.
    drop(store);
    let mut store = Store::open(&dir, &Options::new([1; 16], "m")).unwrap();
    assert_eq!(store.outbox_totals().rows, epoch - 1);
    if let Err(error) = store.commit(&put(epoch)) {
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        store.reopen().unwrap();
        assert!(!store.has_ballast());
    } else {
        epoch += 1;
    }
    assert_eq!(store.head().epoch, epoch - 1);
    assert_eq!(store.outbox_totals().rows, epoch - 1);

    let delete = Commit { epoch, outbox_delete: vec![(1, epoch - 5)], ..Commit::default() };
    store.commit(&delete).unwrap();
    // Room within the file is used again; the epoch goes on while seqs stay dense.
    for more in 0..3 {
        let mut next = put(epoch + more);
        next.epoch += 1;
        store.commit(&next).unwrap();
    }
    store.compact().unwrap();
    store.restore_ballast().unwrap();
    assert!(store.has_ballast());
    let rows = store.snapshot().unwrap().outbox(1, 0, 1 << 30).unwrap();
    assert_eq!(rows.first().unwrap().seq, epoch - 4);
    assert_eq!(rows.last().unwrap(), &put(epoch + 2).outbox_put[0]);
    println!("full after {} frames of 100 kB", epoch - 1);
}
