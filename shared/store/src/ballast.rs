//! One MiB kept in reserve, so that a full disk can still be emptied: deleting rows from the
//! database needs new pages first.
//!
//! Guarantees: the file's blocks are really allocated. Does not watch the free space.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes the ballast file where it is missing; needs twice its size free, so that it does not
/// take back at once what was given up.
pub(crate) fn put(dir: &Path) -> io::Result<()> {
    let path = dir.join(BALLAST);
    if fs::metadata(&path).is_ok_and(|meta| meta.len() >= BALLAST_BYTES as u64) {
        return Ok(());
    }
    let fresh = dir.join("ballast.new");
    let result = write(&fresh).and_then(|()| fs::rename(&fresh, &path));
    if result.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    result
}

/// Gives the reserve up; whether there was one.
pub(crate) fn release(dir: &Path) -> bool {
    fs::remove_file(dir.join(BALLAST)).is_ok()
}

/// Whether the reserve is there.
pub(crate) fn is_there(dir: &Path) -> bool {
    dir.join(BALLAST).exists()
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    // Noise, because a compressing file system would keep nothing of zeros.
    let mut block = [0u8; 4096];
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..2 * BALLAST_BYTES / block.len() {
        for word in block.chunks_exact_mut(8) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            word.copy_from_slice(&noise.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.sync_all()?;
    file.set_len(BALLAST_BYTES as u64)?;
    file.sync_all()
}

/// Name of the reserve in the state directory.
pub(crate) const BALLAST: &str = "ballast";
const BALLAST_BYTES: usize = 1 << 20;
