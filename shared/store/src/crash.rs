//! A disk in memory that can lose power: what was not synced survives in part, torn at sectors.
//!
//! Guarantees: the same seed gives the same crash. Injected errors: a barrier or a write that
//! fails, a barrier that fails and forgets what it was to make durable, a device without room,
//! the end of all power at a given operation. For tests, simulations and forecasts; no running
//! node uses it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

use crate::disk::Disk;

/// A disk with a live image (what the process sees) and a durable one (what survives for sure).
#[derive(Debug, Default)]
pub struct CrashDisk {
    images: Mutex<Images>,
}

#[derive(Debug, Default)]
struct Images {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that differ from the durable image.
    dirty: BTreeSet<usize>,
    room_bytes: Option<u64>,
    syncs_to_fail: u32,
    /// What a failed barrier leaves of the writes before it.
    forgets: Forgets,
    writes_to_fail: u32,
    /// Writes and barriers until the power goes.
    fuse: Option<u64>,
}

/// What becomes of writes whose barrier has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Forgets {
    /// They wait for the next barrier.
    #[default]
    Nothing,
    /// The system takes them for done (Linux does): they can be read, and no later barrier makes
    /// them durable.
    Durability,
    /// The same, and the memory that held them was needed elsewhere: the old content is read.
    Content,
}

impl Images {
    /// The writes since the last barrier are not to become durable by a later one.
    fn forget(&mut self) {
        let Images { live, durable, dirty, forgets, .. } = self;
        if *forgets == Forgets::Nothing {
            return;
        }
        for sector in core::mem::take(dirty) {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(live.len()).min(durable.len());
            if *forgets == Forgets::Content && start < end {
                live[start..end].copy_from_slice(&durable[start..end]);
            }
        }
    }

    /// One more write or barrier; none comes through once the fuse has burnt.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl CrashDisk {
    /// A disk with this content, all durable.
    #[must_use]
    pub fn new(image: Vec<u8>) -> Self {
        let images = Images { live: image.clone(), durable: image, ..Images::default() };
        Self { images: Mutex::new(images) }
    }

    /// What a power cut now would leave: each sector that was written since the last barrier is
    /// old or new, as `seed` decides; so is the length.
    #[must_use]
    pub fn crash_image(&self, seed: u64) -> Vec<u8> {
        let images = self.images.lock().expect("no holder panics");
        let mut noise = Noise(seed);
        let mut image = images.durable.clone();
        let keep_all = noise.below(8) == 0;
        if images.live.len() != image.len() && (keep_all || noise.below(2) == 0) {
            image.resize(images.live.len(), 0);
        }
        for &sector in &images.dirty {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(images.live.len()).min(image.len());
            if start < end && (keep_all || noise.below(2) == 0) {
                image[start..end].copy_from_slice(&images.live[start..end]);
            }
        }
        image
    }

    /// The live image.
    #[must_use]
    pub fn live_image(&self) -> Vec<u8> {
        self.images.lock().expect("no holder panics").live.clone()
    }

    /// From now on the disk refuses to grow beyond `bytes`, and with 0 to write at all, as a file
    /// system does that copies on write; `None` takes the bound away.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.images.lock().expect("no holder panics").room_bytes = bytes;
    }

    /// The next `count` barriers fail, and make nothing durable.
    pub fn fail_syncs(&self, count: u32) {
        self.images.lock().expect("no holder panics").syncs_to_fail = count;
    }

    /// What failed barriers do to the writes before them, from now on.
    pub fn set_forgets(&self, forgets: Forgets) {
        self.images.lock().expect("no holder panics").forgets = forgets;
    }

    /// The next `count` writes fail, and change nothing.
    pub fn fail_writes(&self, count: u32) {
        self.images.lock().expect("no holder panics").writes_to_fail = count;
    }

    /// After `operations` more writes and barriers the power goes: every later one fails. What
    /// is left then is `crash_image`, or `live_image` where only the process was killed.
    pub fn cut_after(&self, operations: u64) {
        self.images.lock().expect("no holder panics").fuse = Some(operations);
    }

    /// Whether the power that `cut_after` measured out is used up.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.images.lock().expect("no holder panics").fuse == Some(0)
    }
}

impl Disk for CrashDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.images.lock().expect("no holder panics").live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let images = self.images.lock().expect("no holder panics");
        let start = index(offset)?;
        let bytes = images.live.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut images = self.images.lock().expect("no holder panics");
        images.burn()?;
        if images.writes_to_fail > 0 {
            images.writes_to_fail -= 1;
            return Err(io::Error::other("injected failure of a write"));
        }
        if images.room_bytes == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let start = index(offset)?;
        let end = start + data.len();
        if images.live.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        images.live[start..end].copy_from_slice(data);
        images.dirty.extend(start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut images = self.images.lock().expect("no holder panics");
        images.burn()?;
        if images.room_bytes.is_some_and(|room| len > room && len > images.live.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = index(len)?;
        let old = images.live.len().min(len);
        images.live.resize(len, 0);
        images.dirty.extend(old / SECTOR_BYTES..len.div_ceil(SECTOR_BYTES));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut images = self.images.lock().expect("no holder panics");
        images.burn()?;
        if images.syncs_to_fail > 0 {
            images.syncs_to_fail -= 1;
            images.forget();
            return Err(io::Error::other("injected failure of a barrier"));
        }
        let Images { live, durable, dirty, .. } = &mut *images;
        durable.resize(live.len(), 0);
        for sector in core::mem::take(dirty) {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(live.len());
            if start < end {
                durable[start..end].copy_from_slice(&live[start..end]);
            }
        }
        Ok(())
    }
}

/// A small seeded generator, so that a failure can be replayed.
#[derive(Debug, Clone)]
pub struct Noise(pub u64);

impl Noise {
    /// The next 64 bits (splitmix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

/// What a device writes at once.
const SECTOR_BYTES: usize = 512;
