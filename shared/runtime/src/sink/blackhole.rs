//! Sink `blackhole`: confirms everything and keeps nothing. For measurements.

use crate::sink::{Chunk, Delivery, Sink, SinkError};

/// The sink that throws away.
#[derive(Debug, Default)]
pub struct Blackhole;

impl Sink for Blackhole {
    fn start(&mut self, stored: Option<u64>) -> Result<u64, SinkError> {
        Ok(stored.unwrap_or(0))
    }

    fn deliver(&mut self, _chunk: Chunk<'_>) -> Result<Delivery, SinkError> {
        Ok(Delivery::Confirmed)
    }

    fn confirmed(&mut self) -> Option<u64> {
        None
    }
}
