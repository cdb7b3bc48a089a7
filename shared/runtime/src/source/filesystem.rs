//! Source `filesystem`: lines of a file, or of the files of a directory in name order.
//!
//! Guarantees: every line exactly once from the stored position on; a line longer than the
//! limit is rejected without being held in memory; a last line without line end counts. When
//! followed, new lines, new files, rotation (another file under the name) and truncation are
//! noticed by looking again at an interval; a followed directory is read in name order, a file
//! is left when a later one is there. Hidden files (`.` or `_` first) are skipped.
//!
//! A thread of its own reads large chunks and finds the line ends; at most a few chunks wait.

mod reader;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use crate::source::{OpenError, PositionError, Source, SourceBatch, SourceEvent, Wake};

/// What to read.
#[derive(Clone, Debug)]
pub struct FilesystemOptions {
    /// A file or a directory.
    pub path: PathBuf,
    /// Interval at which to look again at the end; `None` for a bounded source.
    pub follow: Option<Duration>,
    /// Longest line accepted, bytes.
    pub record_bytes_max: usize,
}

/// Where reading stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    name: String,
    inode: u64,
    offset: u64,
}

/// What the reading thread sends.
#[derive(Debug)]
enum Item {
    Opened { split: u32, name: String, inode: u64 },
    Event(SourceEvent),
}

/// The pipeline's half.
#[derive(Debug)]
pub struct Filesystem {
    items: Receiver<Item>,
    spare: SyncSender<SourceBatch>,
    /// Files opened and not yet left behind by what was consumed.
    files: VecDeque<(u32, String, u64)>,
    position: Position,
    stop: Arc<AtomicBool>,
    ended: bool,
}

impl Filesystem {
    /// Checks that there is something to read and starts to read it at the stored position.
    pub fn open(
        options: FilesystemOptions,
        position: Option<&[u8]>,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        if options.follow.is_none() || options.path.exists() {
            reader::files(&options.path).map_err(|error| OpenError::file(&options.path, error))?;
        }
        let position = position.map(decode).transpose()?;
        let (sender, items) = sync_channel(CHUNKS_MAX);
        let (spare, recycled) = sync_channel(CHUNKS_MAX + 2);
        let stop = Arc::new(AtomicBool::new(false));
        let reader = reader::Reader::new(
            options,
            position.clone(),
            reader::Channels { sender, recycled, wake, stop: Arc::clone(&stop) },
        );
        std::thread::Builder::new()
            .name("file-source".into())
            .stack_size(256 << 10)
            .spawn(move || reader.run())
            .map_err(|error| OpenError::option("connector", format!("no thread: {error}")))?;
        Ok(Self {
            items,
            spare,
            files: VecDeque::new(),
            position: position.unwrap_or_default(),
            stop,
            ended: false,
        })
    }
}

impl Source for Filesystem {
    fn poll(&mut self) -> Option<SourceEvent> {
        loop {
            match self.items.try_recv() {
                Ok(Item::Opened { split, name, inode }) => {
                    self.files.push_back((split, name, inode));
                }
                Ok(Item::Event(event)) => {
                    self.ended |= matches!(event, SourceEvent::End | SourceEvent::Failed { .. });
                    return Some(event);
                }
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) if self.ended => return None,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    return Some(SourceEvent::Failed { reason: "the reader died".into() });
                }
            }
        }
    }

    fn consumed(&mut self, split: u32, after: u64) {
        while self.files.front().is_some_and(|(first, ..)| *first < split) {
            self.files.pop_front();
        }
        if let Some((first, name, inode)) = self.files.front()
            && *first == split
        {
            if self.position.name != *name {
                self.position.name.clone_from(name);
            }
            self.position.inode = *inode;
            self.position.offset = after;
        }
    }

    fn position(&mut self, put: &mut dyn FnMut(String, Vec<u8>)) {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.position.offset.to_le_bytes());
        out.extend_from_slice(&self.position.inode.to_le_bytes());
        out.extend_from_slice(self.position.name.as_bytes());
        put(String::new(), out);
    }

    fn committed(&mut self) {}

    fn recycle(&mut self, mut batch: SourceBatch) {
        batch.clear();
        // When the reader has enough of them, this one is let go.
        let _ = self.spare.try_send(batch);
    }
}

impl Drop for Filesystem {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A stored position in words, if it is one of this source.
pub(super) fn describe(bytes: &[u8]) -> Option<serde_json::Value> {
    let Position { name, inode, offset } = decode(bytes).ok()?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return None;
    }
    let text = format!("{name}, byte {offset}");
    let shown = serde_json::json!({
        "kind": "filesystem", "text": text, "file": name, "offset": offset, "inode": inode,
    });
    Some(shown)
}

fn decode(bytes: &[u8]) -> Result<Position, PositionError> {
    let short = || PositionError("it is cut short".into());
    let (version, rest) = bytes.split_first().ok_or_else(short)?;
    if *version != VERSION {
        return Err(PositionError(format!("its version {version} is not known")));
    }
    let (offset, rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (inode, name) = rest.split_first_chunk().ok_or_else(short)?;
    let name = String::from_utf8(name.to_vec())
        .map_err(|_| PositionError("its file name is not UTF-8".into()))?;
    Ok(Position { name, inode: u64::from_le_bytes(*inode), offset: u64::from_le_bytes(*offset) })
}

/// Chunks that may wait for the pipeline.
const CHUNKS_MAX: usize = 2;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
