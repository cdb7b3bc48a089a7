//! The reading thread: opens files in order, reads chunks, finds lines.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use memchr::{memchr, memchr_iter};

use super::{FilesystemOptions, Item, Position};
use crate::source::{Record, SourceBatch, SourceEvent, Wake};

/// The thread's ends of the channels.
pub(super) struct Channels {
    pub(super) sender: SyncSender<Item>,
    pub(super) recycled: Receiver<SourceBatch>,
    pub(super) wake: Wake,
    pub(super) stop: Arc<AtomicBool>,
}

/// Why the thread ends: its other half is gone, or something failed.
enum End {
    Gone,
    Failed(String),
}

pub(super) struct Reader {
    options: FilesystemOptions,
    start: Option<Position>,
    channels: Channels,
    split: u32,
    /// Begin of a line whose end has not been read.
    carry: Vec<u8>,
    /// Bytes of a line over the limit that were thrown away, beyond the sample in `carry`.
    skipped: u64,
}

/// One open file.
struct Open {
    file: File,
    path: PathBuf,
    name: String,
    inode: u64,
    /// Offset of the next byte to read.
    offset: u64,
}

/// What was found at the end of a file.
enum AtEnd {
    /// Nothing new; look again.
    Wait,
    /// The file is done.
    Done,
    /// Another file has its name, or it was cut: read it from its begin.
    Again,
}

/// The files that a path means, in name order.
pub(super) fn files(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    if !path.is_dir() {
        File::open(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![(name, path.into())]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) && entry.path().is_file() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

impl Reader {
    pub(super) fn new(
        options: FilesystemOptions,
        start: Option<Position>,
        channels: Channels,
    ) -> Self {
        let start = start.filter(|position| !position.name.is_empty());
        Self { options, start, channels, split: 0, carry: Vec::new(), skipped: 0 }
    }

    pub(super) fn run(mut self) {
        let event = match self.read_all() {
            Ok(()) => SourceEvent::End,
            Err(End::Gone) => return,
            Err(End::Failed(reason)) => SourceEvent::Failed { reason },
        };
        let _ = self.send(Item::Event(event));
    }

    fn read_all(&mut self) -> Result<(), End> {
        let mut last: Option<String> = self.start.as_ref().map(|start| start.name.clone());
        let mut resume = self.start.take();
        loop {
            let next = self.next_file(last.as_deref(), resume.is_some())?;
            let Some((name, path)) = next else {
                if self.options.follow.is_none() {
                    return Ok(());
                }
                self.pause()?;
                continue;
            };
            last = Some(name.clone());
            self.read_name(name, path, resume.take())?;
        }
    }

    /// The file after `last`, or `last` itself when reading resumes in it.
    fn next_file(
        &self,
        last: Option<&str>,
        resume: bool,
    ) -> Result<Option<(String, PathBuf)>, End> {
        let found = match files(&self.options.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.following() => Vec::new(),
            Err(error) => return Err(self.failed(&self.options.path, &error)),
        };
        Ok(found.into_iter().find(|(name, _)| match last {
            None => true,
            Some(last) if resume => name.as_str() >= last,
            Some(last) => name.as_str() > last,
        }))
    }

    /// Reads everything that is and comes under one name.
    fn read_name(
        &mut self,
        name: String,
        path: PathBuf,
        resume: Option<Position>,
    ) -> Result<(), End> {
        let mut resume = resume.filter(|position| position.name == name);
        loop {
            let mut open = match self.open(&name, &path, resume.take()) {
                Err(End::Failed(_)) if self.following() && !path.exists() => return Ok(()),
                other => other?,
            };
            let at_end = self.read_file(&mut open)?;
            self.last_line(&mut open)?;
            self.send(Item::Event(SourceEvent::SplitEnd { split: self.split }))?;
            self.split += 1;
            match at_end {
                AtEnd::Again => {}
                AtEnd::Done | AtEnd::Wait => return Ok(()),
            }
        }
    }

    fn open(&mut self, name: &str, path: &Path, resume: Option<Position>) -> Result<Open, End> {
        let mut file = File::open(path).map_err(|error| self.failed(path, &error))?;
        let metadata = file.metadata().map_err(|error| self.failed(path, &error))?;
        let mut offset = 0;
        if let Some(position) = resume {
            let same = position.inode == metadata.ino() || !self.following();
            if same && position.offset <= metadata.len() {
                offset = position.offset;
            } else if self.following() {
                let reason = format!("{} was replaced or cut while nobody read it", path.display());
                self.send(Item::Event(SourceEvent::Gap { split: self.split, reason }))?;
            } else {
                return Err(End::Failed(format!(
                    "{}: has {} bytes, but {} were read before; restore it, or reset the state",
                    path.display(),
                    metadata.len(),
                    position.offset
                )));
            }
        }
        file.seek(SeekFrom::Start(offset)).map_err(|error| self.failed(path, &error))?;
        let inode = metadata.ino();
        self.send(Item::Opened { split: self.split, name: name.into(), inode })?;
        Ok(Open { file, path: path.into(), name: name.into(), inode, offset })
    }

    fn read_file(&mut self, open: &mut Open) -> Result<AtEnd, End> {
        loop {
            let mut batch = self.channels.recycled.try_recv().unwrap_or_default();
            batch.clear();
            batch.bytes.reserve(CHUNK + self.carry.len());
            batch.bytes.append(&mut self.carry);
            let begin = open.offset - batch.bytes.len() as u64;
            let count = (&mut open.file)
                .take(CHUNK as u64)
                .read_to_end(&mut batch.bytes)
                .map_err(|error| self.failed(&open.path, &error))?;
            open.offset += count as u64;
            if count > 0 {
                self.lines(batch, begin - self.skipped, open.offset)?;
                continue;
            }
            self.carry = batch.bytes;
            if !self.following() {
                return Ok(AtEnd::Done);
            }
            match self.at_end(open)? {
                AtEnd::Wait => self.pause()?,
                other => return Ok(other),
            }
        }
    }

    /// Looks at the end of a followed file for what to do next.
    fn at_end(&self, open: &mut Open) -> Result<AtEnd, End> {
        let length = open.file.metadata().map_err(|error| self.failed(&open.path, &error))?.len();
        if length > open.offset {
            return Ok(AtEnd::Wait);
        }
        if length < open.offset {
            let reason = format!("{} was cut from {} bytes", open.path.display(), open.offset);
            self.send(Item::Event(SourceEvent::Gap { split: self.split, reason }))?;
            return Ok(AtEnd::Again);
        }
        match fs::metadata(&open.path) {
            Ok(now) if now.ino() != open.inode => return Ok(AtEnd::Again),
            _ => {}
        }
        let later =
            self.options.path.is_dir() && self.next_file(Some(&open.name), false)?.is_some();
        Ok(if later { AtEnd::Done } else { AtEnd::Wait })
    }

    /// Hands out the whole lines of a chunk and keeps the rest. `begin` is the file offset of
    /// the line that the chunk starts with, `end` the offset after the chunk.
    fn lines(&mut self, mut batch: SourceBatch, begin: u64, end: u64) -> Result<(), End> {
        let mut at = 0;
        if self.skipped > 0 {
            at = match self.skip(&batch, begin, end)? {
                Some(at) => at,
                None => return Ok(()),
            };
        }
        let base = end - batch.bytes.len() as u64;
        let limit = self.options.record_bytes_max;
        batch.split = self.split;
        let bytes = std::mem::take(&mut batch.bytes);
        let begin = at;
        for newline in memchr_iter(b'\n', &bytes[begin..]) {
            let newline = begin + newline;
            if newline - at > limit {
                self.long_line(&mut batch.records, &bytes, at, newline, base)?;
            } else {
                push(&mut batch.records, &bytes, at, newline, base + newline as u64 + 1);
            }
            at = newline + 1;
        }
        self.carry.extend_from_slice(&bytes[at..]);
        batch.bytes = bytes;
        if self.carry.len() > limit && self.carry.len() > SAMPLE {
            self.skipped = (self.carry.len() - SAMPLE) as u64;
            self.carry.truncate(SAMPLE);
        }
        self.hand_out(batch)
    }

    /// A whole line over the limit within a chunk: what was before it goes first.
    fn long_line(
        &self,
        records: &mut Vec<Record>,
        bytes: &[u8],
        at: usize,
        newline: usize,
        base: u64,
    ) -> Result<(), End> {
        self.hand_out(SourceBatch {
            split: self.split,
            bytes: bytes[..at].to_vec(),
            records: std::mem::take(records),
            topics: Vec::new(),
        })?;
        let sample = bytes[at..newline.min(at + SAMPLE)].to_vec();
        self.reject(sample, (newline - at) as u64, base + newline as u64 + 1)
    }

    /// Goes on throwing away a line over the limit. Returns where the next line starts.
    fn skip(&mut self, batch: &SourceBatch, begin: u64, end: u64) -> Result<Option<usize>, End> {
        // The sample is at the front of the chunk, as carried.
        let sample = SAMPLE;
        let Some(newline) = memchr(b'\n', &batch.bytes[sample..]).map(|index| index + sample)
        else {
            self.carry.extend_from_slice(&batch.bytes[..sample]);
            self.skipped += (batch.bytes.len() - sample) as u64;
            return Ok(None);
        };
        self.skipped = 0;
        let after = end - (batch.bytes.len() - newline - 1) as u64;
        self.reject(batch.bytes[..sample].to_vec(), after - 1 - begin, after)?;
        Ok(Some(newline + 1))
    }

    fn reject(&self, sample: Vec<u8>, bytes_len: u64, after: u64) -> Result<(), End> {
        let limit = self.options.record_bytes_max;
        self.send(Item::Event(SourceEvent::Rejected {
            split: self.split,
            after,
            reason: format!("line of {bytes_len} bytes is over the limit of {limit}"),
            sample,
            bytes_len,
        }))
    }

    /// The last line of a file may have no line end.
    fn last_line(&mut self, open: &mut Open) -> Result<(), End> {
        let bytes = std::mem::take(&mut self.carry);
        if bytes.len() > self.options.record_bytes_max {
            let bytes_len = bytes.len() as u64 + std::mem::take(&mut self.skipped);
            return self.reject(bytes, bytes_len, open.offset);
        }
        let mut records = Vec::new();
        push(&mut records, &bytes, 0, bytes.len(), open.offset);
        let topics = Vec::new();
        self.hand_out(SourceBatch { split: self.split, bytes, records, topics })
    }

    fn hand_out(&self, batch: SourceBatch) -> Result<(), End> {
        if batch.records.is_empty() {
            return Ok(());
        }
        self.send(Item::Event(SourceEvent::Batch(batch)))
    }

    fn send(&self, item: Item) -> Result<(), End> {
        self.channels.sender.send(item).map_err(|_| End::Gone)?;
        self.channels.wake.notify();
        Ok(())
    }

    fn pause(&self) -> Result<(), End> {
        if self.channels.stop.load(Ordering::Relaxed) {
            return Err(End::Gone);
        }
        std::thread::sleep(self.options.follow.unwrap_or_default());
        Ok(())
    }

    fn following(&self) -> bool {
        self.options.follow.is_some()
    }

    fn failed(&self, path: &Path, error: &io::Error) -> End {
        End::Failed(format!("{}: {error}", path.display()))
    }
}

/// Adds a line; empty lines are no records.
fn push(records: &mut Vec<Record>, bytes: &[u8], start: usize, newline: usize, after: u64) {
    let return_before = newline > start && bytes[newline - 1] == b'\r';
    let end = if return_before { newline - 1 } else { newline };
    if end > start {
        let small = |at: usize| u32::try_from(at).expect("a chunk is far below 4 GiB");
        records.push(Record { start: small(start), end: small(end), after });
    }
}

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;
/// Bytes kept of a line over the limit.
const SAMPLE: usize = 256;
