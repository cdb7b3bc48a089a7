//! A file as the content of a table: read as a whole, and again when it has changed.
//!
//! Guarantees: what is handed out between two [`SourceEvent::Loaded`] is the whole content of the
//! file at one moment. A file that changes while it is read is read again. The position is the
//! number and the hash of the last load that was consumed: after a restart an unchanged file is not
//! loaded again, and a load that was cut off begins again. A file that cannot be read later leaves
//! the table as it is. Bounded by [`TABLE_BYTES_MAX`].
//!
//! A thread of its own looks at the file and reads it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::source::{OpenError, PositionError, Record, Source, SourceBatch, SourceEvent, Wake};

/// The largest file that is a table.
pub const TABLE_BYTES_MAX: u64 = 16 << 20;

/// What to read.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The file.
    pub path: PathBuf,
    /// Interval at which to look whether it has changed; `None`: once.
    pub reload: Option<Duration>,
    /// Longest line accepted, bytes.
    pub record_bytes_max: usize,
}

/// The last load that was consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    /// Counts loads, from 1; 0: none yet.
    load: u64,
    hash: u64,
}

/// What the thread sends.
enum Item {
    Content(Vec<u8>),
    Failed(String),
}

/// A load that is being handed out.
struct Load {
    bytes: Vec<u8>,
    next: usize,
    hash: u64,
}

/// The pipeline's half.
pub struct Table {
    items: Receiver<Item>,
    record_bytes_max: usize,
    load: Option<Load>,
    /// A load whose end was handed out, until it is consumed.
    ended: Option<Position>,
    position: Position,
    is_unwell: bool,
    stop: Arc<AtomicBool>,
}

impl Table {
    /// Checks that the file is there and starts to read it.
    pub fn open(
        options: TableOptions,
        position: Option<&[u8]>,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        let position = position.map(decode).transpose()?.unwrap_or_default();
        if position.load == 0 {
            stamp(&options.path).map_err(|error| OpenError::file(&options.path, error))?;
        }
        let (sender, items) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let record_bytes_max = options.record_bytes_max;
        let watch = Watch { options, sender, wake, stop: Arc::clone(&stop) };
        std::thread::Builder::new()
            .name("table-source".into())
            .stack_size(256 << 10)
            .spawn(move || watch.run())
            .map_err(|error| OpenError::option("connector", format!("no thread: {error}")))?;
        let (load, ended) = (None, None);
        Ok(Self { items, record_bytes_max, load, ended, position, is_unwell: false, stop })
    }

    /// The next lines of the load, or its end.
    fn next_lines(&mut self, mut load: Load) -> SourceEvent {
        let mut batch = SourceBatch::default();
        while load.next < load.bytes.len() && batch.bytes.len() < BATCH_BYTES {
            let rest = &load.bytes[load.next..];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let after = load.next + (length + 1).min(rest.len());
            let line = rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]);
            load.next = after;
            if line.len() > self.record_bytes_max {
                if !batch.records.is_empty() {
                    load.next -= (length + 1).min(rest.len());
                    break;
                }
                let sample = line[..line.len().min(SAMPLE_BYTES)].to_vec();
                let bytes_len = line.len() as u64;
                self.load = Some(load);
                let reason = format!("longer than {} bytes", self.record_bytes_max);
                return SourceEvent::Rejected { split: 0, after: 0, reason, sample, bytes_len };
            }
            let start = position_in(&batch.bytes);
            batch.bytes.extend_from_slice(line);
            let end = position_in(&batch.bytes);
            batch.records.push(Record { start, end, after: 0 });
        }
        if !batch.records.is_empty() {
            self.load = Some(load);
            return SourceEvent::Batch(batch);
        }
        let number = self.position.load + 1;
        self.ended = Some(Position { load: number, hash: load.hash });
        SourceEvent::Loaded { load: number }
    }
}

fn position_in(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a table has at most TABLE_BYTES_MAX bytes")
}

impl Source for Table {
    fn poll(&mut self) -> Option<SourceEvent> {
        // The number of the next load follows from the one before.
        if self.ended.is_some() {
            return None;
        }
        if let Some(load) = self.load.take() {
            return Some(self.next_lines(load));
        }
        loop {
            match self.items.try_recv() {
                Ok(Item::Content(bytes)) => {
                    let hash = xxh3_64(&bytes);
                    if std::mem::take(&mut self.is_unwell) {
                        // Told once; the content is looked at next.
                        self.load = (!self.is_known(hash)).then_some(Load { bytes, next: 0, hash });
                        return Some(SourceEvent::Connected { up: true, detail: String::new() });
                    }
                    if !self.is_known(hash) {
                        return Some(self.next_lines(Load { bytes, next: 0, hash }));
                    }
                }
                Ok(Item::Failed(reason)) if self.position.load == 0 => {
                    return Some(SourceEvent::Failed { reason });
                }
                Ok(Item::Failed(detail)) => {
                    self.is_unwell = true;
                    return Some(SourceEvent::Connected { up: false, detail });
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }

    fn consumed(&mut self, _: u32, after: u64) {
        if let Some(ended) = self.ended.filter(|ended| ended.load == after) {
            self.position = ended;
            self.ended = None;
        }
    }

    fn position(&mut self, put: &mut dyn FnMut(String, Vec<u8>)) {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.position.load.to_le_bytes());
        out.extend_from_slice(&self.position.hash.to_le_bytes());
        put(String::new(), out);
    }

    fn committed(&mut self) {}

    fn recycle(&mut self, _: SourceBatch) {}
}

impl Table {
    /// Whether the table has this content.
    fn is_known(&self, hash: u64) -> bool {
        self.position.load > 0 && self.position.hash == hash
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What tells a changed file from an unchanged one without reading it.
type Stamp = (u64, u64, i64, i64);

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if metadata.len() > TABLE_BYTES_MAX {
        let bytes = metadata.len();
        return Err(io::Error::other(format!("{bytes} bytes are more than {TABLE_BYTES_MAX}")));
    }
    Ok((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

/// The thread's half.
struct Watch {
    options: TableOptions,
    sender: SyncSender<Item>,
    wake: Wake,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn run(self) {
        let mut last = None;
        let mut problem = String::new();
        while !self.stop.load(Ordering::Relaxed) {
            let item = match self.read(&mut last) {
                Ok(Some(content)) => {
                    problem.clear();
                    Some(Item::Content(content))
                }
                Ok(None) => None,
                Err(error) => {
                    let text = format!("{}: {error}", self.options.path.display());
                    let is_new = text != problem;
                    problem.clone_from(&text);
                    is_new.then_some(Item::Failed(text))
                }
            };
            if let Some(item) = item {
                if self.sender.send(item).is_err() {
                    return;
                }
                self.wake.notify();
            }
            let Some(interval) = self.options.reload else { return };
            let until = Instant::now() + interval;
            while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_MAX.min(interval));
            }
        }
    }

    /// The content, if the file is another than before.
    fn read(&self, last: &mut Option<Stamp>) -> io::Result<Option<Vec<u8>>> {
        for _ in 0..TRIES {
            let before = stamp(&self.options.path).inspect_err(|_| *last = None)?;
            if *last == Some(before) {
                return Ok(None);
            }
            let content = fs::read(&self.options.path)?;
            if stamp(&self.options.path)? == before {
                *last = Some(before);
                return Ok(Some(content));
            }
        }
        Err(io::Error::other("it changes faster than it can be read; replace it by renaming"))
    }
}

/// A stored position in words, if it is one of this source.
pub(super) fn describe(bytes: &[u8]) -> Option<serde_json::Value> {
    let Position { load, hash } = decode(bytes).ok()?;
    let text = format!("load {load}, content {hash:016x}");
    Some(serde_json::json!({ "kind": "table", "text": text, "load": load }))
}

fn decode(bytes: &[u8]) -> Result<Position, PositionError> {
    let rest = bytes.strip_prefix(&[VERSION]);
    let unknown = || PositionError("it is not one of a table that is looked up".into());
    let (load, rest) = rest.and_then(|rest| rest.split_first_chunk()).ok_or_else(unknown)?;
    let hash: [u8; 8] = rest.try_into().map_err(|_| unknown())?;
    Ok(Position { load: u64::from_le_bytes(*load), hash: u64::from_le_bytes(hash) })
}

/// First byte of a position; those of the other sources begin with small numbers.
const VERSION: u8 = b'T';
const BATCH_BYTES: usize = 64 << 10;
const SAMPLE_BYTES: usize = 256;
/// How often a file that changes while it is read is read again.
const TRIES: usize = 5;
/// Longest sleep of the thread, so that it ends soon.
const LOOK_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
