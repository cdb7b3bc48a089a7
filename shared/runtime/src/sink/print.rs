//! Sink `print`: writes lines to standard output.
//!
//! A line may be printed again after a crash: a terminal cannot be cut back.

use std::io::{self, Write};

use crate::sink::{Chunk, Delivery, Sink, SinkError};

/// The sink that prints, with an optional text before each line.
#[derive(Debug, Default)]
pub struct Print {
    prefix: String,
}

impl Print {
    /// A sink that puts `print-identifier` and `> ` before each line, as Flink does, or nothing.
    pub fn new(identifier: Option<&str>) -> Self {
        Self { prefix: identifier.map(|text| format!("{text}> ")).unwrap_or_default() }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.prefix.is_empty() {
            out.write_all(bytes)?;
        } else {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                out.write_all(self.prefix.as_bytes())?;
                out.write_all(line)?;
            }
        }
        out.flush()
    }
}

impl Sink for Print {
    fn start(&mut self, stored: Option<u64>) -> Result<u64, SinkError> {
        Ok(stored.unwrap_or(0))
    }

    fn deliver(&mut self, chunk: Chunk<'_>) -> Result<Delivery, SinkError> {
        self.write(chunk.bytes)
            .map(|()| Delivery::Confirmed)
            .map_err(|error| SinkError(format!("standard output: {error}")))
    }

    fn confirmed(&mut self) -> Option<u64> {
        None
    }
}
