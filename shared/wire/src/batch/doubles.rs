//! Doubles: most sensors send decimals, which are integers with a scale; the rest is bits.
//!
//! Guarantees: bit for bit. A value counts as `integer / 10^scale` only if that division gives
//! exactly its bits; the few that do not are listed beside the integers.

use alloc::vec::Vec;

use headwater_engine::codec::put_u64;

use super::bits::{take, take_len, take_u8};
use super::ints::{self, Ints};
use crate::error::WireError;

/// Appends the shortest form of the bit patterns.
pub(super) fn encode(out: &mut Vec<u8>, values: &[u64]) {
    if values.is_empty() {
        return;
    }
    let odd_max = values.len() / 8;
    for (scale, power) in (0u8..).zip(POWERS) {
        let Some((scaled, odd)) = scale_all(values, power, odd_max) else { continue };
        out.push(SCALED);
        out.push(scale);
        ints::encode(out, &scaled);
        put_u64(out, odd.len() as u64);
        let mut next = 0;
        for index in odd {
            put_u64(out, (index - next) as u64);
            out.extend_from_slice(&values[index].to_le_bytes());
            next = index + 1;
        }
        return;
    }
    if let Some(singles) = values.iter().map(|&bits| as_single(bits)).collect::<Option<Vec<_>>>() {
        out.push(SINGLE);
        singles.iter().for_each(|bits| out.extend_from_slice(&bits.to_le_bytes()));
    } else {
        out.push(PLAIN);
        values.iter().for_each(|bits| out.extend_from_slice(&bits.to_le_bytes()));
    }
}

/// Reads the bit patterns one after the other.
#[derive(Debug, Clone)]
pub(super) enum Doubles<'a> {
    Plain(&'a [u8]),
    Single(&'a [u8]),
    Scaled {
        power: f64,
        ints: Ints<'a>,
        /// Rows until the next listed value, if there is one.
        until_odd: Option<usize>,
        odd_left: usize,
        odd: &'a [u8],
    },
}

impl<'a> Doubles<'a> {
    /// Finds the `count` values at the front of `bytes`.
    pub(super) fn parse(bytes: &mut &'a [u8], count: usize) -> Result<Self, WireError> {
        if count == 0 {
            return Ok(Self::Plain(&[]));
        }
        match take_u8(bytes)? {
            PLAIN => Ok(Self::Plain(take(bytes, count * 8)?)),
            SINGLE => Ok(Self::Single(take(bytes, count * 4)?)),
            SCALED => {
                let scale = usize::from(take_u8(bytes)?);
                let power = *POWERS.get(scale).ok_or(WireError::malformed("scale"))?;
                let ints = Ints::parse(bytes, count)?;
                let odd_left = take_len(bytes)?;
                let mut odd = *bytes;
                let until_odd = (odd_left > 0).then(|| take_len(&mut odd)).transpose()?;
                // Skip the list: each entry is a varint and eight bytes.
                let mut rest = odd;
                for index in 0..odd_left {
                    if index > 0 {
                        take_len(&mut rest)?;
                    }
                    take(&mut rest, 8)?;
                }
                *bytes = rest;
                Ok(Self::Scaled { power, ints, until_odd, odd_left, odd })
            }
            _ => Err(WireError::malformed("form of doubles")),
        }
    }

    pub(super) fn next(&mut self) -> Result<u64, WireError> {
        match self {
            Self::Plain(bytes) => Ok(u64::from_le_bytes(array(take(bytes, 8)?))),
            Self::Single(bytes) => {
                let single = f32::from_bits(u32::from_le_bytes(array(take(bytes, 4)?)));
                Ok(f64::from(single).to_bits())
            }
            Self::Scaled { power, ints, until_odd, odd_left, odd } => {
                let scaled = ints.next()?;
                match until_odd {
                    Some(0) => {
                        let bits = u64::from_le_bytes(array(take(odd, 8)?));
                        *odd_left -= 1;
                        *until_odd = (*odd_left > 0).then(|| take_len(odd)).transpose()?;
                        return Ok(bits);
                    }
                    Some(rows) => *rows -= 1,
                    None => {}
                }
                Ok(unscale(scaled, *power))
            }
        }
    }
}

/// Integers for all values but at most `odd_max`, and the indices of those; an odd value repeats
/// the integer before it, so that it costs nothing there.
fn scale_all(values: &[u64], power: f64, odd_max: usize) -> Option<(Vec<i64>, Vec<usize>)> {
    let mut scaled = Vec::with_capacity(values.len());
    let mut odd = Vec::new();
    for (index, &bits) in values.iter().enumerate() {
        let integer = scale_one(bits, power).or_else(|| {
            odd.push(index);
            scaled.last().copied().or(Some(0))
        });
        if odd.len() > odd_max {
            return None;
        }
        scaled.extend(integer);
    }
    Some((scaled, odd))
}

#[expect(clippy::cast_possible_truncation, reason = "the bits are compared afterwards")]
fn scale_one(bits: u64, power: f64) -> Option<i64> {
    let product = f64::from_bits(bits) * power;
    if product.abs() >= EXACT_MAX {
        return None;
    }
    let nearest = (product + if product < 0.0 { -0.5 } else { 0.5 }) as i64;
    (unscale(nearest, power) == bits).then_some(nearest)
}

#[expect(clippy::cast_precision_loss, reason = "the encoder checked that nothing is lost")]
fn unscale(scaled: i64, power: f64) -> u64 {
    (scaled as f64 / power).to_bits()
}

#[expect(clippy::cast_possible_truncation, reason = "the bits are compared afterwards")]
fn as_single(bits: u64) -> Option<u32> {
    let single = f64::from_bits(bits) as f32;
    (f64::from(single).to_bits() == bits).then_some(single.to_bits())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("taken with this length")
}

const PLAIN: u8 = 0;
const SINGLE: u8 = 1;
const SCALED: u8 = 2;
/// Largest magnitude below which every integer is a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
const POWERS: [f64; 9] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
