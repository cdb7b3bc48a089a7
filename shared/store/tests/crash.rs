//! Power cuts between any two writes: what was reported durable is there, and nothing is half.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;

use headwater_store::crash::{CrashDisk, Noise};
use headwater_store::{
    Commit, Disk, Mark, MarkWrite, Options, OutboxRow, PositionWrite, StateWrite, Store,
};

/// Cuts the power at a random write: from then on every write and barrier fails, so that the
/// image of that moment can be taken.
#[derive(Debug)]
struct Fuse {
    disk: CrashDisk,
    left: std::sync::atomic::AtomicI64,
}

impl Fuse {
    fn burn(&self) -> std::io::Result<()> {
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) <= 0 {
            return Err(std::io::Error::other("power is off"));
        }
        Ok(())
    }
}

impl Disk for Fuse {
    fn len(&self) -> std::io::Result<u64> {
        self.disk.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.disk.read(offset, out)
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.burn()?;
        self.disk.write(offset, data)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.burn()?;
        self.disk.set_len(len)
    }
    fn sync(&self) -> std::io::Result<()> {
        self.burn()?;
        self.disk.sync()
    }
}

fn options() -> Options {
    Options { cache_bytes: 1 << 20, ..Options::new([1; 16], "m") }
}

/// Checkpoint `epoch`: all of its parts can be told from those of any other.
fn commit(epoch: u64) -> Commit {
    let mut noise = Noise(epoch);
    let len = usize::try_from(noise.below(30_000)).unwrap();
    let fill = epoch.to_le_bytes().repeat(len / 8 + 1);
    Commit {
        epoch,
        state: Some(StateWrite { full: epoch % 5 == 1, pages: vec![fill.clone()] }),
        positions: vec![PositionWrite {
            source: "s".into(),
            split: "0".into(),
            value: Some(epoch.to_le_bytes().to_vec()),
        }],
        outbox_acked: vec![(1, epoch.saturating_sub(3))],
        outbox_delete: vec![(1, epoch.saturating_sub(6))],
        outbox_put: vec![OutboxRow { channel: 1, seq: epoch, bytes: fill }],
        marks: vec![MarkWrite {
            agent: "a".into(),
            channel: 1,
            mark: Some(Mark { seq: epoch, ..Mark::default() }),
        }],
        counters: vec![("rows".into(), epoch)],
        ..Commit::default()
    }
}

fn check(store: &Store, epoch: u64, seed: u64) {
    let snapshot = store.snapshot().unwrap();
    assert_eq!(store.counters().get("rows"), (epoch > 0).then_some(&epoch), "seed {seed}");
    if epoch == 0 {
        return;
    }
    let position = &snapshot.positions().unwrap()[&("s".into(), "0".into())];
    assert_eq!(*position, epoch.to_le_bytes(), "seed {seed}");
    assert_eq!(snapshot.ledger().unwrap()[&("a".into(), 1)].seq, epoch, "seed {seed}");
    let expected: Vec<OutboxRow> =
        (epoch.saturating_sub(6) + 1..=epoch).flat_map(|e| commit(e).outbox_put).collect();
    assert_eq!(snapshot.outbox(1, 0, 1 << 30).unwrap(), expected, "seed {seed}");
    let state = snapshot.load_state().unwrap();
    let base = (epoch - 1) / 5 * 5 + 1;
    let pages = |epochs: core::ops::RangeInclusive<u64>| -> Vec<Vec<u8>> {
        epochs.flat_map(|e| commit(e).state.unwrap().pages).collect()
    };
    assert_eq!(state.base, pages(base..=base), "seed {seed}");
    assert_eq!(state.deltas, pages(base + 1..=epoch), "seed {seed}");
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_reported_durable() {
    let mut cut = 0;
    for seed in 0..400 {
        let mut noise = Noise(seed);
        let writes = i64::try_from(20 + noise.below(500)).unwrap();
        let fuse = Arc::new(Fuse { disk: CrashDisk::default(), left: (i64::MAX / 2).into() });
        let mut store = Store::open_disk(fuse.clone(), &options()).unwrap();
        fuse.left.store(writes, std::sync::atomic::Ordering::Relaxed);
        let mut durable = 0;
        for epoch in 1..=40 {
            if store.commit(&commit(epoch)).is_err() {
                cut += 1;
                break;
            }
            durable = epoch;
        }
        let image = fuse.disk.crash_image(noise.bits());
        drop(store);

        let disk = Arc::new(CrashDisk::new(image));
        let mut store = Store::open_disk(disk, &options())
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let epoch = store.head().epoch;
        assert!(epoch == durable || epoch == durable + 1, "seed {seed}: {epoch}, {durable}");
        check(&store, epoch, seed);
        store.commit(&commit(epoch + 1)).unwrap();
        check(&store, epoch + 1, seed);
    }
    assert!(cut > 200, "only {cut} runs were cut");
}
