//! headwater-engine: the pure core.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod calendar;
pub mod decimal;
pub mod exact;
pub mod java_double;
