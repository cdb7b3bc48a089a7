//! Read-only look into a state directory, also beside a running node.
//!
//! Guarantees: writes nothing to the directory. Beside a node it follows the node's commits; a
//! directory that was left by a crash is repaired in memory only.

use core::ops::Range;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase as _,
    StorageBackend as _,
};

use crate::disk::{Disk, Medium, Meter, Metered};
use crate::error::{Result, StoreError};
use crate::place::{DATABASE, gone};
use crate::read::{ReadError, View};
use crate::snapshot::{Snapshot, name_error};

/// A state directory, open for reading.
pub struct Inspector {
    path: PathBuf,
    db: Opened,
}

impl core::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inspector").field("path", &self.path).finish_non_exhaustive()
    }
}

enum Opened {
    Beside(ReadOnlyDatabase),
    Overlaid { db: Database, was_crashed: bool },
}

impl Inspector {
    /// Opens a directory.
    ///
    /// # Errors
    /// `Missing`, `Damaged`, `NewerVersion`, `Locked` (for moments, while a node starts), `Io`.
    pub fn open(dir: &Path) -> Result<Self> {
        match Self::open_beside(dir)? {
            Some(db) => Self::checked(dir, Opened::Beside(db)),
            None => Self::open_overlaid(dir, true, false),
        }
    }

    /// `None` when the last writer did not close the database.
    fn open_beside(dir: &Path) -> Result<Option<ReadOnlyDatabase>> {
        let file = dir.join(DATABASE);
        if !fs::metadata(&file).is_ok_and(|meta| meta.len() > 0) {
            return Err(gone(dir));
        }
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        match builder.open_read_only(&file) {
            Ok(db) => Ok(Some(db)),
            Err(DatabaseError::RepairAborted) => Ok(None),
            Err(error) => Err(name_error(ReadError::Redb(error.into()), dir, false)),
        }
    }

    /// Opens a directory that no process uses, and checks every page of it.
    pub(crate) fn open_whole(dir: &Path) -> Result<Self> {
        let was_crashed = Self::open_beside(dir)?.is_none();
        Self::open_overlaid(dir, was_crashed, true)
    }

    fn open_overlaid(dir: &Path, was_crashed: bool, is_whole: bool) -> Result<Self> {
        let named = |error| name_error(ReadError::Redb(error), dir, false);
        let overlay = Overlay::new(&dir.join(DATABASE)).map_err(|error| named(error.into()))?;
        let medium = Medium::Disk(Arc::new(overlay));
        let backend = Metered::new(medium, Arc::new(Meter::default()));
        let backend = backend.map_err(|error| named(error.into()))?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        builder.set_check_integrity_on_open(is_whole);
        let db = builder.create_with_backend(backend).map_err(|error| named(error.into()))?;
        Self::checked(dir, Opened::Overlaid { db, was_crashed })
    }

    fn checked(dir: &Path, db: Opened) -> Result<Self> {
        let inspector = Self { path: dir.to_owned(), db };
        let known = inspector.snapshot()?.view.check_format();
        match known.map_err(|error| name_error(error, dir, false))? {
            true => Ok(inspector),
            false => Err(StoreError::Missing { path: inspector.path }),
        }
    }

    /// The last commit. Take a new one to see later commits.
    ///
    /// # Errors
    /// `Io`.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let txn = match &self.db {
            Opened::Beside(db) => db.begin_read(),
            Opened::Overlaid { db, .. } => db.begin_read(),
        };
        let txn =
            txn.map_err(|error| name_error(ReadError::Redb(error.into()), &self.path, false))?;
        Ok(Snapshot { view: View(txn), path: self.path.clone() })
    }

    /// Whether the directory was left by a crash and repaired in memory.
    #[must_use]
    pub fn was_crashed(&self) -> bool {
        matches!(self.db, Opened::Overlaid { was_crashed: true, .. })
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        fs::metadata(self.path.join(DATABASE)).map_or(0, |meta| meta.len())
    }
}

/// A file whose changes stay in memory.
#[derive(Debug)]
struct Overlay {
    base: FileBackend,
    base_len: u64,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    fn new(file: &Path) -> io::Result<Self> {
        let Ok(Medium::File(base)) = Medium::file(file, false) else {
            return Err(io::Error::other("cannot read the database"));
        };
        let base_len = base.len()?;
        let changes = Mutex::new(Changes { len: base_len, blocks: BTreeMap::new() });
        Ok(Self { base, base_len, changes })
    }

    fn base_block(&self, block: u64) -> io::Result<Box<[u8]>> {
        let mut bytes = vec![0; BLOCK_BYTES];
        let start = block * BLOCK_BYTES as u64;
        if start < self.base_len {
            let len = (self.base_len - start).min(BLOCK_BYTES as u64);
            let len = usize::try_from(len).expect("at most a block");
            self.base.read(start, &mut bytes[..len])?;
        }
        Ok(bytes.into())
    }

    /// Calls `visit` with each touched block, the range in it and the range in the request.
    fn each_block(
        offset: u64,
        len: usize,
        mut visit: impl FnMut(u64, Range<usize>, Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let within = usize::try_from(at % BLOCK_BYTES as u64).expect("below a block");
            let part = (BLOCK_BYTES - within).min(len - done);
            visit(at / BLOCK_BYTES as u64, within..within + part, done..done + part)?;
            done += part;
        }
        Ok(())
    }
}

impl Disk for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes.lock().expect("no holder panics").len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes.lock().expect("no holder panics");
        if offset + out.len() as u64 > changes.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::each_block(offset, out.len(), |block, within, part| {
            match changes.blocks.get(&block) {
                Some(bytes) => out[part].copy_from_slice(&bytes[within]),
                None => out[part].copy_from_slice(&self.base_block(block)?[within]),
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes.lock().expect("no holder panics");
        Self::each_block(offset, data.len(), |block, within, part| {
            let bytes = match changes.blocks.entry(block) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(self.base_block(block)?)
                }
            };
            bytes[within].copy_from_slice(&data[part]);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.changes.lock().expect("no holder panics").len = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

const CACHE_BYTES: usize = 4 << 20;
const BLOCK_BYTES: usize = 4096;
