//! Rows of one frame, column by column.
//!
//! Guarantees: rows and watermark raises come out in the order they went in, bit for bit; a
//! payload is checked as a whole before the first row comes out, so that a frame is applied
//! entirely or not at all; decoding any bytes returns an error instead of panicking. Compression
//! is the frame's business.
//!
//! Columns, because neighbours in a column are alike: the same window, a counter near the last
//! one, a text that was there before. Each column is written in the form that is shortest for
//! what it holds in this frame.

mod bits;
mod bytes;
mod decode;
mod doubles;
mod encode;
mod ints;

pub use decode::{BatchDecoder, BatchItem};
pub use encode::BatchEncoder;

/// Most rows in one batch.
pub const BATCH_ROWS_MAX: usize = 1 << 18;

/// Version of the payload format.
const VERSION: u8 = 1;

/// How a column says which of its rows are NULL.
const NULLS_NONE: u8 = 0;
const NULLS_BITMAP: u8 = 1;

#[cfg(test)]
mod tests;
