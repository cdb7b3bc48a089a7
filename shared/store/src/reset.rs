//! Removing a state directory's content, or setting a damaged database aside.
//!
//! Guarantees: touches only files that this crate makes; refuses while a node has them open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ballast::BALLAST;
use crate::commit::Identity;
use crate::disk::Medium;
use crate::error::{Result, StoreError};
use crate::identity::{self, SIDECAR};
use crate::journal::JOURNAL;
use crate::place::DATABASE;

/// A damaged database that was moved out of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// Who the directory was, where the sidecar still says so.
    pub previous: Option<Identity>,
}

/// Removes all state in `dir`: positions, operator state, unsent frames, ledger, dead letters.
///
/// Every file name is in docs/formats/state.md; other files in the directory are left alone.
///
/// # Errors
/// `Locked` while a node uses it; `Io`.
pub fn reset(dir: &Path) -> Result<()> {
    refuse_if_open(dir)?;
    let names = [DATABASE, "state.redb.new", DAMAGED, SIDECAR, "identity.toml.new"];
    for name in names.into_iter().chain([BALLAST, "ballast.new", JOURNAL]) {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Io { path: dir.to_owned(), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Moves a damaged database aside, so that the next open makes a new one with a new incarnation.
///
/// One is kept: an earlier one is replaced.
///
/// # Errors
/// `Locked` while a node uses it; `Missing`; `Io`.
pub fn set_aside(dir: &Path) -> Result<SetAside> {
    refuse_if_open(dir)?;
    let failed = |source| StoreError::Io { path: dir.to_owned(), source };
    let previous = identity::read(dir).ok().flatten();
    let path = dir.join(DAMAGED);
    match fs::rename(dir.join(DATABASE), &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && previous.is_none() => {
            return Err(StoreError::Missing { path: dir.to_owned() });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let gone = fs::remove_file(dir.join(SIDECAR));
    if let Err(error) = gone
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    identity::sync_dir(dir).map_err(failed)?;
    Ok(SetAside { path, previous })
}

/// Takes the writer's locks for a moment, without reading the content: it may be damaged.
pub(crate) fn refuse_if_open(dir: &Path) -> Result<()> {
    use redb::StorageBackend as _;
    let file = dir.join(DATABASE);
    if !file.exists() {
        return Ok(());
    }
    let named =
        |error| crate::snapshot::name_error(crate::read::ReadError::Redb(error), dir, false);
    let Medium::File(backend) = Medium::file(&file, true).map_err(named)? else {
        unreachable!("a file was asked for");
    };
    let free = backend.try_lock_range(core::ops::Bound::Unbounded, core::ops::Bound::Unbounded);
    let free = free.map_err(|error| named(error.into()))?;
    backend.close().map_err(|error| named(error.into()))?;
    if free { Ok(()) } else { Err(StoreError::Locked { path: dir.to_owned() }) }
}

pub(crate) const DAMAGED: &str = "state.redb.damaged";
