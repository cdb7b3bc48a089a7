//! Sink `filesystem`: appends committed chunks to one file.
//!
//! Guarantees: every byte exactly once. A chunk carries its offset, so whatever lies beyond it
//! in the file (a chunk half written when the power went) is cut off before it is written
//! again. A chunk is confirmed after fsync of the file, and after fsync of its directory when
//! the file is new. Does not rotate files.
//!
//! The option `path` names the file itself; when it ends in `/` or is an existing directory,
//! the file is `part-0` in it. Missing parent directories are made.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::sink::{Chunk, Delivery, Sink, SinkError};
use crate::source::OpenError;

/// One file that grows by whole chunks.
#[derive(Debug)]
pub struct Filesystem {
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

/// The file that the option `path` means.
pub fn file_of(path: &str) -> PathBuf {
    let given = Path::new(path);
    if path.ends_with('/') || given.is_dir() { given.join("part-0") } else { given.into() }
}

impl Filesystem {
    /// The sink for the option `path`. Nothing is created before the first call of `start`.
    pub fn new(path: &str) -> Result<Self, OpenError> {
        if path.is_empty() {
            return Err(OpenError::option("path", "is empty; name a file or a directory"));
        }
        Ok(Self { path: file_of(path), file: None, length: 0 })
    }

    /// The file written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            fs::create_dir_all(parent)?;
            let file =
                OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
            self.length = file.metadata()?.len();
            File::open(parent)?.sync_all()?;
            self.file = Some(file);
        }
        Ok(self.file.as_mut().expect("opened above"))
    }

    fn write(&mut self, chunk: Chunk<'_>) -> io::Result<()> {
        self.open()?;
        if self.length < chunk.offset {
            let text = format!("is {} bytes long, expected {}", self.length, chunk.offset);
            return Err(io::Error::other(format!(
                "{text}; somebody shortened it: restore it, or reset the state directory"
            )));
        }
        let file = self.file.as_mut().expect("opened above");
        if self.length > chunk.offset {
            file.set_len(chunk.offset)?;
            self.length = chunk.offset;
        }
        file.seek(SeekFrom::Start(chunk.offset))?;
        file.write_all(chunk.bytes)?;
        file.sync_data()?;
        self.length = chunk.offset + chunk.bytes.len() as u64;
        Ok(())
    }

    fn error(&mut self, error: &io::Error) -> SinkError {
        // Opened afresh at the next try: the length known may be wrong after a failed write.
        self.file = None;
        SinkError(format!("{}: {error}", self.path.display()))
    }
}

impl Sink for Filesystem {
    fn start(&mut self, stored: Option<u64>) -> Result<u64, SinkError> {
        if let Some(offset) = stored {
            return Ok(offset);
        }
        match self.open().map(|_| ()) {
            Ok(()) => Ok(self.length),
            Err(error) => Err(self.error(&error)),
        }
    }

    fn deliver(&mut self, chunk: Chunk<'_>) -> Result<Delivery, SinkError> {
        self.write(chunk).map(|()| Delivery::Confirmed).map_err(|error| self.error(&error))
    }

    fn confirmed(&mut self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("hw-sink-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_chunk_written_half_before_a_crash_is_there_once() {
        let directory = directory("once");
        let path = directory.join("a/b/out.ndjson");
        let mut sink = Filesystem::new(path.to_str().unwrap()).unwrap();
        assert_eq!(sink.start(None).unwrap(), 0);
        let first = Chunk { seq: 1, offset: 0, bytes: b"one\n" };
        assert_eq!(sink.deliver(first).unwrap(), Delivery::Confirmed);
        drop(sink);
        fs::write(&path, b"one\ntw").unwrap();
        let mut sink = Filesystem::new(path.to_str().unwrap()).unwrap();
        assert_eq!(sink.start(Some(4)).unwrap(), 4);
        sink.deliver(Chunk { seq: 2, offset: 4, bytes: b"two\n" }).unwrap();
        sink.deliver(Chunk { seq: 2, offset: 4, bytes: b"two\n" }).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_new_state_appends_and_a_shortened_file_is_an_error() {
        let directory = directory("append");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("part-0"), b"old\n").unwrap();
        let mut sink = Filesystem::new(directory.to_str().unwrap()).unwrap();
        assert_eq!(sink.start(None).unwrap(), 4);
        sink.deliver(Chunk { seq: 1, offset: 4, bytes: b"new\n" }).unwrap();
        assert_eq!(fs::read(directory.join("part-0")).unwrap(), b"old\nnew\n");
        let error = sink.deliver(Chunk { seq: 2, offset: 99, bytes: b"x\n" }).unwrap_err();
        assert!(error.to_string().contains("8 bytes long, expected 99"), "{error}");
        fs::remove_dir_all(&directory).unwrap();
    }
}
