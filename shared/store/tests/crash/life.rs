//! A store's life in phases, and what must be found of it.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_store::crash::{CrashDisk, Forgets, Noise};
use headwater_store::{
    Commit, Mark, MarkWrite, Options, OutboxRow, PositionWrite, StateWrite, Store, StoreError,
};

pub(crate) fn options() -> Options {
    // Some files are longer: those are committed for a quick repair, and not verified as a whole.
    let quick = 1 << 20;
    let options = Options::new([1; 16], "m");
    let cache_bytes = 1 << 20;
    Options { cache_bytes, quick_repair_above_bytes: quick, verify_below_bytes: quick, ..options }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Small changes, as much deleted as put.
    Steady,
    /// Frames up to 200 KB stay.
    Grow,
    /// Most of the outbox goes.
    Drain,
    Compact,
    /// Closed and opened again.
    Restart,
    /// A barrier or a write fails, once or several times.
    Fail,
}

/// What a store holds after a checkpoint; contents follow from the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    seed: u64,
    pub(crate) epoch: u64,
    /// Seq and length of the frames.
    outbox: VecDeque<(u64, usize)>,
    next_seq: u64,
    /// Epoch and length of the base and of the deltas after it.
    base: Option<(u64, usize)>,
    deltas: Vec<(u64, usize)>,
}

impl Model {
    fn bytes(&self, number: u64, len: usize) -> Vec<u8> {
        Noise(self.seed ^ number << 20).bits().to_le_bytes().repeat(len / 8 + 1)[..len].to_vec()
    }

    /// The next checkpoint, and what the store holds after it.
    pub(crate) fn next(&mut self, noise: &mut Noise, phase: Phase) -> Commit {
        self.epoch += 1;
        let mut below = |n| usize::try_from(noise.below(n)).unwrap();
        let big = if phase == Phase::Grow { 200_000 } else { 8_000 };
        let (puts, len) = (below(4), below(big));
        let keep = match phase {
            Phase::Grow => usize::MAX,
            Phase::Drain => below(3),
            _ => 3 + below(6),
        };
        let full = self.base.is_none() || below(6) == 0;
        let pages = (self.epoch, below(if full { 40_000 } else { 3_000 }));
        let mut commit = Commit { epoch: self.epoch, ..Commit::default() };
        for _ in 0..puts {
            self.next_seq += 1;
            self.outbox.push_back((self.next_seq, len));
            let bytes = self.bytes(self.next_seq, len);
            commit.outbox_put.push(OutboxRow { channel: 1, seq: self.next_seq, bytes });
        }
        if self.outbox.len() > keep.max(puts) {
            self.outbox.drain(..self.outbox.len() - keep.max(puts));
            let upto = self.outbox.front().map_or(self.next_seq, |(seq, _)| seq - 1);
            commit.outbox_acked = vec![(1, upto)];
            commit.outbox_delete = vec![(1, upto)];
        }
        if full {
            self.deltas.clear();
            self.base = Some(pages);
        } else {
            self.deltas.push(pages);
        }
        let blob = self.bytes(pages.0 << 32, pages.1);
        commit.state = Some(StateWrite { full, pages: vec![blob] });
        commit.positions = vec![PositionWrite {
            source: "s".into(),
            split: "0".into(),
            value: Some(self.epoch.to_le_bytes().to_vec()),
        }];
        let mark = Some(Mark { seq: self.epoch, ..Mark::default() });
        commit.marks = vec![MarkWrite { agent: "a".into(), channel: 1, mark }];
        commit.counters = vec![("rows".into(), self.epoch)];
        commit
    }

    /// Everything in the store is as it was written.
    pub(crate) fn check(&self, store: &Store) {
        let (epoch, snapshot) = (self.epoch, store.snapshot().unwrap());
        assert_eq!(store.head().epoch, epoch);
        assert_eq!(store.counters().get("rows"), (epoch > 0).then_some(&epoch));
        let outbox = snapshot.outbox(1, 0, usize::MAX).unwrap();
        assert_eq!(outbox.len(), self.outbox.len());
        for (found, (seq, len)) in outbox.iter().zip(&self.outbox) {
            assert_eq!(found.seq, *seq);
            assert!(found.bytes == self.bytes(*seq, *len), "frame {seq}");
        }
        let state = snapshot.load_state().unwrap();
        let pages = |list: &[(u64, usize)]| -> Vec<Vec<u8>> {
            list.iter().map(|(epoch, len)| self.bytes(epoch << 32, *len)).collect()
        };
        assert!(state.base == pages(self.base.as_slice()), "base of {epoch}");
        assert!(state.deltas == pages(&self.deltas), "deltas of {epoch}");
        if epoch > 0 {
            let position = &snapshot.positions().unwrap()[&("s".into(), "0".into())];
            assert_eq!(*position, epoch.to_le_bytes());
            assert_eq!(snapshot.ledger().unwrap()[&("a".into(), 1)].seq, epoch);
        }
    }
}

pub(crate) struct Life {
    pub(crate) disk: Arc<CrashDisk>,
    /// After the last commit that was reported durable.
    pub(crate) model: Model,
    /// After a commit that was begun and not reported.
    begun: Option<Model>,
    /// The power went while it lived, not at its end.
    pub(crate) was_cut: bool,
    pub(crate) compactions: u64,
    pub(crate) failed_barriers: u64,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Life {
        let disk = Arc::new(CrashDisk::default());
        Store::open_disk(disk.clone(), &options()).unwrap().close().unwrap();
        let model = Model { seed, ..Model::default() };
        Life { disk, model, begun: None, was_cut: false, compactions: 0, failed_barriers: 0 }
    }

    /// What may be found: the last durable checkpoint, or the one that was under way.
    pub(crate) fn possible(&self) -> Vec<Model> {
        [Some(self.model.clone()), self.begun.clone()].into_iter().flatten().collect()
    }

    /// Lives until the power goes, or for some phases. The store is never dropped with power on
    /// and something left to write: a drop writes too.
    pub(crate) fn live(&mut self, noise: &mut Noise) {
        let Ok(mut store) = Store::open_disk(self.disk.clone(), &options()) else { return };
        for _ in 0..12 {
            let phases = [
                Phase::Steady,
                Phase::Steady,
                Phase::Grow,
                Phase::Drain,
                Phase::Compact,
                Phase::Restart,
                Phase::Fail,
            ];
            let phase = phases[usize::try_from(noise.below(7)).unwrap()];
            let went_on = match phase {
                Phase::Compact => store.compact().map(|_| self.compactions += 1).is_ok(),
                Phase::Restart => {
                    let closed = store.close();
                    let Ok(opened) = Store::open_disk(self.disk.clone(), &options()) else {
                        return self.leave(None);
                    };
                    store = opened;
                    closed.is_ok()
                }
                _ => (0..1 + noise.below(8)).all(|_| self.step(&mut store, noise, phase)),
            };
            if !went_on {
                break;
            }
        }
        self.leave(Some(store));
    }

    /// The end without a drop that writes: what the disk holds is what the cut has left.
    fn leave(&mut self, store: Option<Store>) {
        self.was_cut = self.disk.is_cut();
        self.disk.cut_after(0);
        drop(store);
    }

    /// One checkpoint, repeated until it is stored. False when the power has gone.
    fn step(&mut self, store: &mut Store, noise: &mut Noise, phase: Phase) -> bool {
        let mut after = self.model.clone();
        let commit = after.next(noise, phase);
        if phase == Phase::Fail {
            let forgets = [Forgets::Nothing, Forgets::Durability, Forgets::Content];
            self.disk.set_forgets(forgets[usize::try_from(noise.below(3)).unwrap()]);
            let fails = u32::try_from(1 + noise.below(3)).unwrap();
            if noise.below(4) == 0 {
                self.disk.fail_writes(fails)
            } else {
                self.disk.fail_syncs(fails)
            }
        }
        self.begun = Some(after.clone());
        loop {
            match store.commit(&commit) {
                Ok(_) => break,
                Err(error) if self.disk.is_cut() => {
                    assert!(!matches!(error, StoreError::Damaged { .. }), "{error}");
                    return false;
                }
                Err(_) => self.failed_barriers += 1,
            }
            while store.reopen().is_err() {
                if self.disk.is_cut() {
                    return false;
                }
            }
        }
        self.disk.fail_syncs(0);
        self.disk.fail_writes(0);
        (self.model, self.begun) = (after, None);
        true
    }
}
