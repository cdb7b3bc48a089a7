//! A state directory, open for writing: one commit is one durable transaction.
//!
//! Guarantees: a commit is applied whole or not at all, also across a power cut; a directory is
//! open in one process at a time; after a failed commit the store holds nothing of it, and the
//! same commit can be handed over again after `reopen`. Does not retry, and reads no clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use headwater_engine::mutation::{Mutation, mutated};
use redb::{Database, Durability, ReadableDatabase as _};

use crate::apply::{ApplyError, LogLimits, apply};
use crate::ballast;
use crate::commit::{Commit, CommitStats, Head, Identity, Incarnation, OutboxTotals, PlanRecord};
use crate::disk::{Disk, Meter};
use crate::error::{Result, StoreError};
use crate::identity;
use crate::journal::{Base, Journal};
use crate::place::Place;
use crate::read::{ReadError, View};
use crate::snapshot::{Snapshot, name_error};
use crate::tidy::Tidying;

/// How to open a state directory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory for pages of the database, in bytes.
    pub cache_bytes: usize,
    /// Databases longer than this are committed so that a crash needs no full repair.
    pub quick_repair_above_bytes: u64,
    /// Databases up to this length are verified as a whole when opened.
    pub verify_below_bytes: u64,
    /// Whether to make the directory where there is none.
    pub create: bool,
    /// Random bits for a directory that is made now.
    pub incarnation: Incarnation,
    /// Identity of this machine.
    pub machine_id: String,
    /// Bounds of the lists.
    pub limits: LogLimits,
}

impl Options {
    /// The defaults, for a caller that brings its own randomness and machine id.
    #[must_use]
    pub fn new(incarnation: Incarnation, machine_id: &str) -> Self {
        Self {
            cache_bytes: 4 << 20,
            quick_repair_above_bytes: 32 << 20,
            verify_below_bytes: 32 << 20,
            create: true,
            incarnation,
            machine_id: identity::clean_machine_id(machine_id),
            limits: LogLimits::default(),
        }
    }
}

/// An open state directory.
#[derive(Debug)]
pub struct Store {
    place: Place,
    options: Options,
    /// `None` after an error that closed it, until `reopen`.
    pub(crate) db: Option<Database>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) head: Head,
    counters: BTreeMap<String, u64>,
    identity: Identity,
    plan: Option<PlanRecord>,
    /// Epoch of a failed commit that may have become durable all the same.
    in_doubt: Option<u64>,
    pub(crate) tidying: Tidying,
    journal: Option<Journal>,
    /// What the journal held when the directory was opened.
    journaled: Vec<Vec<u8>>,
}

impl Store {
    /// Opens a state directory, or makes it.
    ///
    /// # Errors
    /// `Locked`, `Damaged`, `NewerVersion`, `Missing`, `Full` or `Io`.
    pub fn open(dir: &Path, options: &Options) -> Result<Self> {
        Self::open_place(Place::Dir(dir.to_owned()), options)
    }

    /// Opens a database on any disk, for tests; there is no sidecar and no ballast then.
    ///
    /// # Errors
    /// As `open`, without `Locked`.
    pub fn open_disk(disk: Arc<dyn Disk>, options: &Options) -> Result<Self> {
        Self::open_place(Place::Disk(disk), options)
    }

    fn open_place(place: Place, options: &Options) -> Result<Self> {
        let meter = Arc::new(Meter::default());
        place.prepare(options, &meter)?;
        let db = match place.open_database(options, &meter) {
            // Opening verifies and repairs, which needs room too.
            Err(StoreError::Full { .. }) if place.release_ballast() => {
                meter.clear_full();
                place.open_database(options, &meter)?
            }
            opened => opened?,
        };
        let mut store = Self {
            place,
            options: options.clone(),
            db: None,
            meter,
            head: Head::default(),
            counters: BTreeMap::new(),
            identity: Identity {
                incarnation: options.incarnation,
                machine_id: options.machine_id.clone(),
                parent: None,
            },
            plan: None,
            in_doubt: None,
            tidying: Tidying::default(),
            journal: None,
            journaled: Vec::new(),
        };
        store.take(db)?;
        store.open_journal(false)?;
        if let Place::Dir(dir) = &store.place {
            // A node may start on a full disk: without the reserve, but it starts.
            let _ = ballast::put(dir);
        }
        Ok(store)
    }

    /// Writes everything of `commit`, durably, in one transaction.
    ///
    /// After `Full`, `Io` or `NeedsReopen` call `reopen`, then hand the same commit over again.
    ///
    /// # Errors
    /// `OutOfOrder` when epoch or a seq is not the next one; `Full`, `Io`, `NeedsReopen`,
    /// `Damaged`. Nothing of the commit is applied then.
    pub fn commit(&mut self, commit: &Commit) -> Result<CommitStats> {
        if self.in_doubt == Some(commit.epoch) && self.head.epoch == commit.epoch {
            // It was reported as failed (a failing barrier, say) but had reached the medium.
            self.in_doubt = None;
            self.write_sidecar(commit);
            return Ok(CommitStats { was_durable: true, ..self.stats(0) });
        }
        let before = self.meter.flash_bytes_written();
        let (head, counters) = match self.transact(commit) {
            Ok(done) => done,
            Err(ApplyError::OutOfOrder { what, expected, found }) => {
                return Err(StoreError::OutOfOrder { what, expected, found });
            }
            Err(ApplyError::Read(error)) => {
                self.db = None;
                self.in_doubt = Some(commit.epoch);
                return Err(self.named(error));
            }
        };
        (self.head, self.counters, self.in_doubt) = (head, counters, None);
        if let Some(plan) = &commit.plan {
            self.plan = Some(plan.clone());
        }
        if let Some(identity) = &commit.identity {
            self.identity = identity.clone();
        }
        self.write_sidecar(commit);
        Ok(self.stats(self.meter.flash_bytes_written() - before))
    }

    /// Writes `content` ahead of the next checkpoint, durably. Bytes written to the medium;
    /// `None` when a checkpoint is needed first.
    ///
    /// # Errors
    /// `Full` or `Io`: it was not written, and a checkpoint may still succeed.
    pub fn append_journal(&mut self, content: &[u8]) -> Result<Option<u64>> {
        if self.journal.is_none() {
            self.open_journal(true)?;
        }
        let base = self.journal_base();
        let Some(journal) = &mut self.journal else { return Ok(None) };
        let appended = journal.append(base, content);
        appended.map_err(|error| self.named(ReadError::Redb(error.into())))
    }

    /// What was written ahead of the checkpoint that this directory was opened with, in order.
    #[must_use]
    pub fn take_journaled(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.journaled)
    }

    fn open_journal(&mut self, is_made: bool) -> Result<()> {
        let Some(disk) = self.place.journal(is_made)? else { return Ok(()) };
        let opened = Journal::open(disk, Arc::clone(&self.meter), self.journal_base());
        let (journal, entries) =
            opened.map_err(|error| self.named(ReadError::Redb(error.into())))?;
        (self.journal, self.journaled) = (Some(journal), entries);
        Ok(())
    }

    fn journal_base(&self) -> Base {
        let (lineage, _) = self.identity.incarnation.split_first_chunk().expect("16 bytes");
        Base { epoch: self.head.epoch, lineage: u64::from_le_bytes(*lineage) }
    }

    /// Opens the database again after an error; gives up the ballast if the disk was full. After a
    /// failed barrier the whole file is written once more first: what was read back from it need
    /// not be on the medium, and a second barrier would not say so.
    ///
    /// # Errors
    /// As `open`. May be called again.
    pub fn reopen(&mut self) -> Result<()> {
        self.db = None;
        if self.meter.is_full() {
            self.place.release_ballast();
            self.meter.clear_full();
        }
        if self.meter.has_barrier_failed() {
            self.place.rewrite(&self.meter)?;
            self.meter.set_barrier_failed(false);
        }
        let db = self.place.open_database(&self.options, &self.meter)?;
        self.take(db)
    }

    /// Puts the reserve back after it was given up; needs 2 MiB free. Try it now and then.
    ///
    /// # Errors
    /// `Full` or `Io`; the state is not touched.
    pub fn restore_ballast(&mut self) -> Result<()> {
        let Place::Dir(dir) = &self.place else { return Ok(()) };
        ballast::put(dir).map_err(|error| self.named(ReadError::Redb(error.into())))
    }

    /// Closes the database, so that the next open need not repair it.
    ///
    /// # Errors
    /// `Io` or `Full`; everything committed is durable all the same.
    pub fn close(mut self) -> Result<()> {
        let Some(db) = self.db.take() else { return Ok(()) };
        db.close().map_err(|error| self.named(ReadError::Redb(error.into())))
    }

    /// The last commit, to read from.
    ///
    /// # Errors
    /// `NeedsReopen` or `Io`.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let db = self.db.as_ref().ok_or_else(|| self.closed())?;
        let txn = db.begin_read().map_err(|e| self.named(ReadError::Redb(e.into())))?;
        Ok(Snapshot { view: View(txn), path: self.place.path() })
    }

    /// Refuses a plan that the stored state does not belong to; any plan is good for no state.
    ///
    /// # Errors
    /// `OtherPlan`, naming the first operator that differs.
    pub fn check_plan(&self, plan: &PlanRecord) -> Result<()> {
        self.plan.as_ref().map_or(Ok(()), |stored| stored.check(plan))
    }

    /// Numbers of the last commit: epoch, state sizes, outbox by channel, lists.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Sums over all channels of the outbox.
    #[must_use]
    pub fn outbox_totals(&self) -> OutboxTotals {
        self.head.outbox_totals()
    }

    /// Totals that survive restarts.
    #[must_use]
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        &self.counters
    }

    /// Who this directory is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether the directory was made on another machine: mint an incarnation before sending.
    /// A machine without a name is no other one.
    #[must_use]
    pub fn machine_changed(&self) -> bool {
        let (made_on, here) = (&self.identity.machine_id, &self.options.machine_id);
        !made_on.is_empty() && !here.is_empty() && made_on != here
    }

    /// The machine as the options name it.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.options.machine_id
    }

    /// The plan whose state this is.
    #[must_use]
    pub fn plan(&self) -> Option<&PlanRecord> {
        self.plan.as_ref()
    }

    /// Bytes written and file length, live; may be shared with the metrics.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// Whether a call of `reopen` is needed.
    #[must_use]
    pub fn needs_reopen(&self) -> bool {
        self.db.is_none()
    }

    /// Whether the reserve for a full disk is in place.
    #[must_use]
    pub fn has_ballast(&self) -> bool {
        matches!(&self.place, Place::Dir(dir) if ballast::is_there(dir))
    }

    fn transact(
        &self,
        commit: &Commit,
    ) -> core::result::Result<(Head, BTreeMap<String, u64>), ApplyError> {
        let db = self.db.as_ref().ok_or(redb::Error::PreviousIo)?;
        let mut txn = db.begin_write()?;
        if mutated(Mutation::CommitNotDurable) {
            txn.set_durability(Durability::None)?;
        }
        txn.set_quick_repair(self.meter.file_bytes() > self.options.quick_repair_above_bytes);
        let done = apply(&txn, commit, &self.head, &self.counters, &self.options.limits)?;
        txn.commit()?;
        Ok(done)
    }

    /// Reads what is kept in memory from a database that was just opened.
    fn take(&mut self, db: Database) -> Result<()> {
        let read = || {
            let view = View(db.begin_read()?);
            if !view.check_format()? {
                return Err(ReadError::Damaged("the database is empty".into()));
            }
            Ok((view.head()?, view.counters()?, view.identity()?, view.plan()?))
        };
        let found = read().map_err(|error| self.named(error))?;
        (self.head, self.counters, self.identity, self.plan) = found;
        self.db = Some(db);
        if let Place::Dir(dir) = &self.place {
            let sidecar = identity::read(dir).ok().flatten();
            let same = sidecar.is_some_and(|sidecar| {
                sidecar.incarnation == self.identity.incarnation
                    && sidecar.machine_id == self.identity.machine_id
            });
            if !same {
                self.place.wrap(identity::write(dir, &self.identity))?;
            }
        }
        Ok(())
    }

    /// The database is the truth, so a sidecar that cannot be written is repaired by the next
    /// open instead of failing a commit that is durable.
    fn write_sidecar(&self, commit: &Commit) {
        if let (Some(identity), Place::Dir(dir)) = (&commit.identity, &self.place) {
            let _ = identity::write(dir, identity);
        }
    }

    fn stats(&self, bytes_written: u64) -> CommitStats {
        CommitStats {
            bytes_written,
            base_bytes: self.head.base_bytes,
            delta_bytes: self.head.delta_bytes,
            was_durable: false,
        }
    }

    pub(crate) fn closed(&self) -> StoreError {
        StoreError::NeedsReopen { path: self.place.path() }
    }

    pub(crate) fn named(&self, error: ReadError) -> StoreError {
        name_error(error, &self.place.path(), self.meter.is_full())
    }
}

#[cfg(test)]
mod tests;
