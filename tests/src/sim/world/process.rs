//! What gateways and the core have in common: a machine with clocks and a disk, and a process on it
//! that dies between two effects when its fuse has burnt.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_store::crash::CrashDisk;
use headwater_store::{Commit, CommitStats, StoreError};

use super::broker::Down;
use super::clock::MachineClock;
use crate::sim::Medium;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// SIGKILL: what was written is there, synced or not.
    Killed,
    /// The power is cut: what was not synced survives in part.
    Cut,
}

/// A machine, whether it is on or off.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) clock: MachineClock,
    /// The disk while no process has it.
    pub(super) image: Vec<u8>,
    /// A copy of the disk of an earlier time.
    pub(super) backup: Option<Vec<u8>>,
    /// Processes that have run here.
    pub(super) lives: u64,
}

/// The connection of a process to the broker.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) connection: Option<u64>,
    /// Publishes without PUBACK.
    pub(super) under_way: usize,
    pub(super) attempts: u32,
    pub(super) inbox: VecDeque<Down>,
}

/// A running process.
pub(super) struct Process {
    pub(super) number: u64,
    /// The event of its next turn, and when that is; others are stale.
    pub(super) turn: (u64, u64),
    pub(super) medium: Medium,
    pub(super) port: Port,
    /// A commit that failed and is tried again.
    pub(super) pending: Option<Commit>,
    tries: u32,
    /// Effects until it dies.
    pub(super) fuse: Option<(u64, Ending)>,
    /// How it ends when its disk has no power any more.
    pub(super) cut: Ending,
}

impl Process {
    pub(super) fn start(
        machine: &mut Machine,
        incarnation: [u8; 16],
        machine_id: &str,
    ) -> Result<Process, StoreError> {
        machine.lives += 1;
        let disk = Arc::new(CrashDisk::new(std::mem::take(&mut machine.image)));
        Ok(Process {
            number: machine.lives,
            turn: (0, u64::MAX),
            medium: Medium::open_on(disk, incarnation, machine_id)?,
            port: Port::default(),
            pending: None,
            tries: 0,
            fuse: None,
            cut: Ending::Cut,
        })
    }

    /// One more effect is about to happen, unless the process dies before it.
    pub(super) fn effect(&mut self) -> Result<(), Ending> {
        burn(&mut self.fuse)
    }

    /// Stores a commit; `None` when it failed and is kept to be tried again.
    ///
    /// # Panics
    /// When the store refuses the commit for what is in it.
    pub(super) fn store(
        &mut self,
        commit: Commit,
    ) -> Result<Option<(Commit, CommitStats)>, Ending> {
        self.effect()?;
        if self.tries > 0 && self.medium.store.reopen().is_err() {
            return self.keep(commit);
        }
        match self.medium.store.commit(&commit) {
            Ok(stats) => {
                self.tries = 0;
                Ok(Some((commit, stats)))
            }
            Err(error @ (StoreError::OutOfOrder { .. } | StoreError::OtherPlan { .. })) => {
                panic!("the store refuses a commit: {error}")
            }
            Err(_) => self.keep(commit),
        }
    }

    fn keep(&mut self, commit: Commit) -> Result<Option<(Commit, CommitStats)>, Ending> {
        if self.medium.disk.is_cut() {
            return Err(self.cut);
        }
        self.pending = Some(commit);
        self.tries += 1;
        Ok(None)
    }

    /// How long to wait before a failed commit is tried again, ms.
    pub(super) fn retry_ms(&self) -> u64 {
        (100 << self.tries.min(6)).min(10_000)
    }

    /// The process ends; what is left on the disk.
    pub(super) fn end(self, ending: Ending, seed: u64) -> Vec<u8> {
        // What the store does while it closes is not part of a crash.
        let image = match ending {
            Ending::Killed => self.medium.disk.live_image(),
            Ending::Cut => self.medium.disk.crash_image(seed),
        };
        drop(self.medium.store);
        image
    }
}

/// One effect less.
pub(super) fn burn(fuse: &mut Option<(u64, Ending)>) -> Result<(), Ending> {
    match fuse {
        Some((0, ending)) => Err(*ending),
        Some((left, _)) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}
