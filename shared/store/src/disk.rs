//! What the database writes to: a file, a simulated disk, or a copy-on-write view of a file.
//!
//! Guarantees: every byte on its way to the medium passes `Metered` and is counted, and an error
//! that means "no room" is remembered. Does not buffer or order anything.

use std::fmt::Debug;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// A disk that a test can fake: positioned reads and writes, and a barrier.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Length of the content in bytes.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn len(&self) -> io::Result<u64>;
    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` beyond the end, else whatever the medium reports.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Cuts or extends (with zeros) to `len` bytes.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Returns when everything written before is durable.
    ///
    /// # Errors
    /// Whatever the medium reports; nothing written since the last sync is then certain.
    fn sync(&self) -> io::Result<()>;
    /// Whether the content is empty.
    ///
    /// # Errors
    /// As `len`.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Counts of what reached the medium, shared with the metrics.
#[derive(Debug, Default)]
pub struct Meter {
    bytes_written: AtomicU64,
    syncs: AtomicU64,
    file_bytes: AtomicU64,
    full: AtomicBool,
    barrier_failed: AtomicBool,
}

impl Meter {
    /// Bytes written so far, each write rounded up to the 4 KiB blocks that it touches.
    #[must_use]
    pub fn flash_bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    /// Barriers so far.
    #[must_use]
    pub fn syncs_count(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Length of the database in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// Whether the last failure meant "no room".
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(crate) fn clear_full(&self) {
        self.full.store(false, Ordering::Relaxed);
    }

    /// Whether a barrier has failed: the system may take what it was for as written.
    pub(crate) fn has_barrier_failed(&self) -> bool {
        self.barrier_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_barrier_failed(&self, failed: bool) {
        self.barrier_failed.store(failed, Ordering::Relaxed);
    }

    pub(crate) fn count_write(&self, offset: u64, len: usize) {
        if len == 0 {
            return;
        }
        let end = offset + len as u64;
        let blocks = end.div_ceil(BLOCK_BYTES) - offset / BLOCK_BYTES;
        self.bytes_written.fetch_add(blocks * BLOCK_BYTES, Ordering::Relaxed);
    }

    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && is_no_room(error)
        {
            self.full.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// Whether an error says that the device (or a quota on it) has no room left.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The database's file: its locks are the operating system's, so they end with the process.
#[derive(Debug)]
pub(crate) enum Medium {
    File(FileBackend),
    Disk(Arc<dyn Disk>),
}

impl Medium {
    /// Opens a file; `write` also creates it.
    pub(crate) fn file(path: &Path, write: bool) -> Result<Self, redb::Error> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true);
        if write {
            options.write(true).create(true).truncate(false);
        }
        Ok(Self::File(FileBackend::new(options.open(path)?)?))
    }
}

/// A medium whose writes are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    medium: Medium,
    meter: Arc<Meter>,
}

impl Metered {
    pub(crate) fn new(medium: Medium, meter: Arc<Meter>) -> io::Result<Self> {
        let metered = Self { medium, meter };
        metered.meter.file_bytes.store(StorageBackend::len(&metered)?, Ordering::Relaxed);
        Ok(metered)
    }
}

impl Metered {
    /// Writes the whole content once more, durably. After a failed barrier the system may hold
    /// content that it shows and will never write: a later barrier answers for none of it.
    pub(crate) fn rewrite(&self) -> io::Result<()> {
        let len = StorageBackend::len(self)?;
        let mut chunk = vec![0; REWRITE_BYTES];
        let mut at = 0;
        while at < len {
            let part = usize::try_from(len - at).map_or(REWRITE_BYTES, |l| l.min(REWRITE_BYTES));
            StorageBackend::read(self, at, &mut chunk[..part])?;
            StorageBackend::write(self, at, &chunk[..part])?;
            at += part as u64;
        }
        self.sync_data()
    }
}

impl StorageBackend for Metered {
    fn len(&self) -> io::Result<u64> {
        match &self.medium {
            Medium::File(file) => file.len(),
            Medium::Disk(disk) => disk.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &self.medium {
            Medium::File(file) => file.read(offset, out),
            Medium::Disk(disk) => disk.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.meter.watch(match &self.medium {
            Medium::File(file) => file.set_len(len),
            Medium::Disk(disk) => disk.set_len(len),
        })?;
        self.meter.file_bytes.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.meter.syncs.fetch_add(1, Ordering::Relaxed);
        let synced = self.meter.watch(match &self.medium {
            Medium::File(file) => file.sync_data(),
            Medium::Disk(disk) => disk.sync(),
        });
        if synced.is_err() {
            self.meter.set_barrier_failed(true);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.meter.count_write(offset, data.len());
        self.meter.watch(match &self.medium {
            Medium::File(file) => file.write(offset, data),
            Medium::Disk(disk) => disk.write(offset, data),
        })
    }

    fn close(&self) -> io::Result<()> {
        match &self.medium {
            Medium::File(file) => file.close(),
            Medium::Disk(_) => Ok(()),
        }
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locking<bool> {
        match &self.medium {
            Medium::File(file) => file.try_lock_range(start, end),
            Medium::Disk(_) => Err(BackendError::Unsupported),
        }
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locking<bool> {
        match &self.medium {
            Medium::File(file) => file.try_lock_shared_range(start, end),
            Medium::Disk(_) => Err(BackendError::Unsupported),
        }
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locking<()> {
        match &self.medium {
            Medium::File(file) => file.lock_range(start, end),
            Medium::Disk(_) => Err(BackendError::Unsupported),
        }
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locking<()> {
        match &self.medium {
            Medium::File(file) => file.lock_shared_range(start, end),
            Medium::Disk(_) => Err(BackendError::Unsupported),
        }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locking<()> {
        match &self.medium {
            Medium::File(file) => file.unlock_range(start, end),
            Medium::Disk(_) => Err(BackendError::Unsupported),
        }
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locking<bool> {
        match &self.medium {
            Medium::File(file) => file.query_lock_range(start, end),
            Medium::Disk(_) => Err(BackendError::Unsupported),
        }
    }
}

type Locking<T> = core::result::Result<T, BackendError>;

const REWRITE_BYTES: usize = 64 << 10;
/// What file systems and flash write at least.
const BLOCK_BYTES: u64 = 4096;
