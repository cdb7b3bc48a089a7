//! The pure core of Headwater: rows, time, expressions, operators, aggregates, pipeline.
//!
//! Guarantees: no clock, no randomness, no thread, no file, no socket, no allocation per row in
//! steady state; the same rows and watermarks give the same bytes on every CPU. It does not parse
//! SQL (`headwater-plan`), store (`headwater-store`) or talk to anything (`headwater-runtime`).
//!
//! The map: a planner fills a [`fragment::Fragment`]; [`pipeline::Pipeline`] runs it; what it does
//! to rows is in [`operators`], what it computes in [`expr`], [`functions`] and [`aggregate`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aggregate;
pub mod arena;
pub mod calendar;
pub mod cast;
pub mod codec;
pub mod compare;
pub mod context;
pub mod decimal;
mod due;
pub mod exact;
pub mod expiry;
pub mod expr;
pub mod fragment;
pub mod functions;
pub mod hash;
mod inbox;
pub mod java_double;
pub mod keys;
pub mod limits;
mod memory;
pub mod mutation;
pub mod operator;
pub mod operators;
mod packed;
pub mod pipeline;
pub mod row;
pub mod rows;
pub mod slot;
pub mod symbols;
#[cfg(test)]
mod testkit;
pub mod types;
pub mod windows;
