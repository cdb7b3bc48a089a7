//! Scratch folders and free ports for tests. A folder lies under the build's target folder, so
//! on a real disk, and goes away with its handle unless the test panicked or `HEADWATER_KEEP` is
//! set. Does not reserve a port: another process may take it before it is used.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io, process, thread};

/// A folder of one test, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty folder whose name begins with `name`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(name: &str) -> io::Result<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = target_dir().join("scratch").join(format!("{name}-{}-{n}", process::id()));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Scratch { path })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside the folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() || env::var_os("HEADWATER_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The folder of the running build's profile, such as `target/debug`.
#[must_use]
pub fn profile_dir() -> PathBuf {
    let exe = env::current_exe().expect("a running program has a path");
    let dir = exe.parent().expect("a program lies in a folder");
    let dir = if dir.ends_with("deps") { dir.parent().expect("deps has a parent") } else { dir };
    dir.to_path_buf()
}

/// Cargo's target folder of the running build.
#[must_use]
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a profile's folder lies in the target folder").to_path_buf()
}

/// The root of the workspace's sources.
#[must_use]
pub fn workspace_dir() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests crate lies in the workspace").to_path_buf()
}

/// The folder with shared reference material: `HEADWATER_SHARED`, else `../shared` beside the
/// workspace. `None` when there is none, as on a user's machine.
#[must_use]
pub fn shared_dir() -> Option<PathBuf> {
    let dir = match env::var_os("HEADWATER_SHARED") {
        Some(dir) => PathBuf::from(dir),
        None => workspace_dir().parent()?.join("shared"),
    };
    dir.join("conformance").is_dir().then(|| dir.canonicalize().unwrap_or(dir))
}

/// Where tests look for free ports.
const PORTS: std::ops::Range<u16> = 10_240..32_768;

/// A TCP port on loopback that is free now.
///
/// # Panics
/// When the machine has no free port.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Below those that the system gives to outgoing connections: one of them might take it between
    // now and its use. Programs that run at the same time begin apart, also in name spaces of their
    // own, where their ids are the same.
    let span = PORTS.end - PORTS.start;
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
    let from = u16::try_from(nanos / 64 % u32::from(span)).expect("below the span");
    let ports = (0..span)
        .map(|_| PORTS.start + from.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % span);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("loopback has a free port")
}
