//! Giving room back: the database grows by doubling, and keeps what it has once had.
//!
//! Guarantees: a file is made smaller only when two thirds of it are free, so that what is moved
//! was paid for by at least twice as many bytes written before; at most [`TIDY_BYTES_MAX`] of
//! content are moved at a time, which bounds the pause. Every step is a transaction: a crash
//! leaves the checkpoint as it was. Content is estimated, not counted.

use redb::{CompactionError, ReadableDatabase as _, ReadableTableMetadata as _, TableError};

use crate::error::{Result, StoreError};
use crate::read::ReadError;
use crate::store::Store;
use crate::tables::COLD;

/// When the next look is worth it.
#[derive(Debug, Default)]
pub(crate) struct Tidying {
    not_before_epoch: u64,
    wait_epochs: u64,
    /// Since when the file has been loose without a break.
    loose_since_epoch: Option<u64>,
}

/// What was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tidied {
    /// Length of the file before.
    pub before_bytes: u64,
    /// Length of the file now.
    pub after_bytes: u64,
    /// Bytes written for it, in 4 KiB blocks.
    pub bytes_written: u64,
}

impl Store {
    /// Makes the file smaller where that is worth it; to be called between checkpoints.
    ///
    /// # Errors
    /// `Io` or `Full`; call `reopen` then. The last commit is untouched.
    pub fn tidy(&mut self) -> Result<Option<Tidied>> {
        let before_bytes = self.meter.file_bytes();
        let epoch = self.head.epoch;
        if before_bytes < TIDY_ABOVE_BYTES || epoch < self.tidying.not_before_epoch {
            return Ok(None);
        }
        let live = self.live_bytes()?;
        if live > TIDY_BYTES_MAX || before_bytes / LOOSE < live {
            self.tidying.loose_since_epoch = None;
            return Ok(None);
        }
        // A backlog that drains has less to be moved in a while.
        if epoch < *self.tidying.loose_since_epoch.get_or_insert(epoch) + SETTLE_EPOCHS {
            return Ok(None);
        }
        let written = self.meter.flash_bytes_written();
        if !self.compact()? {
            // Somebody reads: later.
            self.tidying.not_before_epoch = epoch + WAIT_EPOCHS.start;
            return Ok(None);
        }
        let after_bytes = self.meter.file_bytes();
        // An estimate that was wrong is not tried again soon.
        let helped = after_bytes <= before_bytes / 2;
        let wait = if helped { 0 } else { self.tidying.wait_epochs * 2 };
        self.tidying.wait_epochs = wait.clamp(WAIT_EPOCHS.start, WAIT_EPOCHS.end);
        self.tidying.not_before_epoch = epoch + self.tidying.wait_epochs;
        let bytes_written = self.meter.flash_bytes_written() - written;
        Ok(Some(Tidied { before_bytes, after_bytes, bytes_written }))
    }

    /// Gives unused room back to the file system, whatever it takes. False when a reader is in
    /// the way.
    ///
    /// # Errors
    /// `Io` or `Full`; call `reopen` then.
    pub fn compact(&mut self) -> Result<bool> {
        let Some(db) = &mut self.db else { return Err(self.closed()) };
        match db.compact() {
            Ok(_) => Ok(true),
            Err(CompactionError::TransactionInProgress) => Ok(false),
            Err(error) => {
                self.db = None;
                Err(self.named(ReadError::Redb(error.into())))
            }
        }
    }

    /// About how much of the file is content.
    fn live_bytes(&self) -> Result<u64> {
        let db = self.db.as_ref().ok_or_else(|| self.closed())?;
        let cold_rows = || -> core::result::Result<u64, redb::Error> {
            match db.begin_read()?.open_table(COLD) {
                Ok(table) => Ok(table.len()?),
                Err(TableError::TableDoesNotExist(_)) => Ok(0),
                Err(error) => Err(error.into()),
            }
        };
        let cold_rows =
            cold_rows().map_err(|error| -> StoreError { self.named(ReadError::Redb(error)) })?;
        let head = &self.head;
        let lists = [&head.dead_letters, &head.quarantine, &head.gaps];
        let entries: u64 = lists.map(crate::commit::LogState::count).iter().sum();
        let state = head.base_bytes + head.delta_bytes + head.outbox_totals().bytes;
        Ok(state + cold_rows * COLD_ROW_BYTES + entries * ENTRY_BYTES)
    }
}

/// Content that is moved at a time: two seconds of a slow card.
pub const TIDY_BYTES_MAX: u64 = 16 << 20;
/// Shorter files are left alone.
const TIDY_ABOVE_BYTES: u64 = 4 << 20;
/// Length of a file over its content, from which on it is made smaller.
const LOOSE: u64 = 3;
/// Checkpoints between two tries: an hour, at most a day of them at 10 s.
const WAIT_EPOCHS: core::ops::Range<u64> = 360..8640;
/// Checkpoints for which a file must have been loose: ten minutes at 10 s.
const SETTLE_EPOCHS: u64 = 60;
/// A row of cold state is a few KB.
const COLD_ROW_BYTES: u64 = 4096;
const ENTRY_BYTES: u64 = 256;
