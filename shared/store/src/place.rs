//! Where a database is, and how it comes into being.
//!
//! Guarantees: a directory is made whole or not at all; a database that is gone is reported,
//! never replaced by an empty one. Does not read or write what is in the database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, ConcurrencyMode, Database};

use crate::apply::initialise;
use crate::ballast;
use crate::commit::Identity;
use crate::disk::{Disk, Medium, Meter, Metered};
use crate::error::{Result, StoreError};
use crate::identity;
use crate::journal::{FileDisk, JOURNAL};
use crate::read::ReadError;
use crate::reset::refuse_if_open;
use crate::snapshot::name_error;
use crate::store::Options;

/// Where the database is.
#[derive(Debug)]
pub(crate) enum Place {
    Dir(PathBuf),
    Disk(Arc<dyn Disk>),
}

impl Place {
    /// Makes the directory and the database where they are missing and may be made.
    pub(crate) fn prepare(&self, options: &Options, meter: &Arc<Meter>) -> Result<()> {
        let identity = Identity {
            incarnation: options.incarnation,
            machine_id: options.machine_id.clone(),
            parent: None,
        };
        let dir = match self {
            Self::Dir(dir) => dir,
            Self::Disk(disk) => {
                return if self.wrap(disk.is_empty())? {
                    self.make(Medium::Disk(Arc::clone(disk)), &identity, options, meter)
                } else {
                    Ok(())
                };
            }
        };
        if fs::metadata(dir.join(DATABASE)).is_ok_and(|meta| meta.len() > 0) {
            return Ok(());
        }
        match gone(dir) {
            StoreError::Missing { .. } if options.create => {}
            error => return Err(error),
        }
        self.wrap(fs::create_dir_all(dir))?;
        // Made aside and renamed, so that a crash meanwhile leaves nothing half made.
        let fresh = dir.join(DATABASE_FRESH);
        let medium = |()| Medium::file(&fresh, true).map_err(|e| self.named(e));
        match self.make(medium(())?, &identity, options, meter) {
            Err(StoreError::Damaged { .. }) => {
                self.wrap(fs::remove_file(&fresh))?;
                self.make(medium(())?, &identity, options, meter)?;
            }
            made => made?,
        }
        self.wrap(fs::rename(&fresh, dir.join(DATABASE)).and_then(|()| identity::sync_dir(dir)))
    }

    fn make(
        &self,
        medium: Medium,
        identity: &Identity,
        options: &Options,
        meter: &Arc<Meter>,
    ) -> Result<()> {
        let db = self.build(medium, options, meter)?;
        let made = || -> core::result::Result<(), ReadError> {
            let txn = db.begin_write()?;
            initialise(&txn, identity)?;
            txn.commit()?;
            Ok(())
        };
        made().map_err(|error| name_error(error, &self.path(), meter.is_full()))?;
        db.close().map_err(|error| self.named(error.into()))
    }

    pub(crate) fn open_database(&self, options: &Options, meter: &Arc<Meter>) -> Result<Database> {
        self.build(self.medium()?, options, meter)
    }

    /// Makes what is in the file durable again, whatever became of earlier writes.
    pub(crate) fn rewrite(&self, meter: &Arc<Meter>) -> Result<()> {
        if let Self::Dir(dir) = self {
            refuse_if_open(dir)?;
        }
        let rewritten = self.wrap(Metered::new(self.medium()?, Arc::clone(meter)))?.rewrite();
        let failed = |error: io::Error| ReadError::Redb(error.into());
        rewritten.map_err(|error| name_error(failed(error), &self.path(), meter.is_full()))
    }

    fn medium(&self) -> Result<Medium> {
        match self {
            Self::Dir(dir) => Medium::file(&dir.join(DATABASE), true).map_err(|e| self.named(e)),
            Self::Disk(disk) => Ok(Medium::Disk(Arc::clone(disk))),
        }
    }

    fn build(&self, medium: Medium, options: &Options, meter: &Arc<Meter>) -> Result<Database> {
        let backend = self.wrap(Metered::new(medium, Arc::clone(meter)))?;
        let mut builder = Builder::new();
        builder.set_cache_size(options.cache_bytes);
        builder.set_check_integrity_on_open(
            meter.file_bytes() > 0 && meter.file_bytes() <= options.verify_below_bytes,
        );
        if matches!(self, Self::Dir(_)) {
            // Lets `inspect` read beside the node.
            builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        }
        let opened = builder.create_with_backend(backend);
        opened.map_err(|e| name_error(ReadError::Redb(e.into()), &self.path(), meter.is_full()))
    }

    /// The journal's file; a simulated disk has none.
    pub(crate) fn journal(&self, is_made: bool) -> Result<Option<Arc<dyn Disk>>> {
        let Self::Dir(dir) = self else { return Ok(None) };
        let path = dir.join(JOURNAL);
        if !is_made && !path.exists() {
            return Ok(None);
        }
        let disk = self.wrap(FileDisk::open(&path))?;
        self.wrap(identity::sync_dir(dir))?;
        Ok(Some(Arc::new(disk)))
    }

    /// Gives the reserve up; whether there was one.
    pub(crate) fn release_ballast(&self) -> bool {
        matches!(self, Self::Dir(dir) if ballast::release(dir))
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Dir(dir) => dir.clone(),
            Self::Disk(_) => PathBuf::from("(simulated disk)"),
        }
    }

    pub(crate) fn wrap<T>(&self, result: io::Result<T>) -> Result<T> {
        result.map_err(|error| self.named(error.into()))
    }

    fn named(&self, error: redb::Error) -> StoreError {
        name_error(ReadError::Redb(error), &self.path(), false)
    }
}

/// What it means that there is no database in `dir`, or an empty one.
pub(crate) fn gone(dir: &Path) -> StoreError {
    let path = dir.to_owned();
    match identity::read(dir) {
        Ok(None) => StoreError::Missing { path },
        Ok(Some(_)) => {
            let detail =
                format!("{DATABASE} is gone, but {} shows it was there", identity::SIDECAR);
            StoreError::Damaged { path, detail }
        }
        Err(source) => StoreError::Io { path, source },
    }
}

/// Name of the database in the state directory.
pub(crate) const DATABASE: &str = "state.redb";
const DATABASE_FRESH: &str = "state.redb.new";
