//! Texts and bytes: each different value once, and which one stands in which row.

use alloc::vec::Vec;

use hashbrown::HashTable;
use headwater_engine::context::Context;
use headwater_engine::hash::hash_bytes;
use headwater_engine::slot::Slot;

use super::bits::{take, take_len, take_u8};
use super::ints::{self, Ints};
use crate::error::WireError;

/// Collects the values of a column.
#[derive(Debug, Default)]
pub(super) struct BytesColumn {
    index: HashTable<u32>,
    /// End of each different value in `data`.
    ends: Vec<usize>,
    data: Vec<u8>,
    codes: Vec<i64>,
}

impl BytesColumn {
    /// Adds a value; returns the bytes that it may add to the payload at most.
    pub(super) fn push(&mut self, value: &[u8]) -> usize {
        let hash = hash_bytes(value);
        let (ends, data) = (&self.ends, &self.data);
        let found = self.index.find(hash, |&code| entry(ends, data, code as usize) == value);
        if let Some(&code) = found {
            self.codes.push(i64::from(code));
            return CODE_BYTES_MAX;
        }
        let code = u32::try_from(self.ends.len()).expect("rows are far below 2^32");
        self.data.extend_from_slice(value);
        self.ends.push(self.data.len());
        let (ends, data) = (&self.ends, &self.data);
        self.index.insert_unique(hash, code, |&c| hash_bytes(entry(ends, data, c as usize)));
        self.codes.push(i64::from(code));
        CODE_BYTES_MAX + CODE_BYTES_MAX + value.len()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if self.codes.is_empty() {
            return;
        }
        let count = self.ends.len();
        headwater_engine::codec::put_u64(out, count as u64);
        let starts = core::iter::once(&0).chain(&self.ends);
        let lens: Vec<i64> = self
            .ends
            .iter()
            .zip(starts)
            .map(|(end, start)| i64::try_from(end - start).expect("lengths are far below 2^63"))
            .collect();
        ints::encode(out, &lens);
        if let Some(len) = planes(&lens) {
            // Byte planes: what is alike in all values (an exponent, say) becomes one run.
            for plane in 0..len {
                out.extend(self.data.iter().skip(plane).step_by(len));
            }
        } else {
            out.extend_from_slice(&self.data);
        }
        if count == self.codes.len() {
            out.push(ALL_DIFFERENT);
        } else {
            out.push(CODED);
            ints::encode(out, &self.codes);
        }
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.ends.clear();
        self.data.clear();
        self.codes.clear();
    }
}

fn entry<'a>(ends: &[usize], data: &'a [u8], code: usize) -> &'a [u8] {
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &data[start..ends[code]]
}

/// Their common length, if values of these lengths are stored in byte planes.
fn planes(lens: &[i64]) -> Option<usize> {
    let len = usize::try_from(*lens.first()?).ok()?;
    let fits = (2..=PLANES_MAX).contains(&len) && lens.iter().all(|l| *l == lens[0]);
    fits.then_some(len)
}

/// Reads the values one after the other.
#[derive(Debug, Clone)]
pub(super) struct Texts<'a> {
    layout: Layout,
    data: &'a [u8],
    /// Different values.
    count: usize,
    codes: Option<Ints<'a>>,
    next: usize,
}

#[derive(Debug, Clone)]
enum Layout {
    /// End of each value.
    Ends(Vec<u32>),
    /// All of this length, one after the other.
    Equal(usize),
    /// All of this length, byte plane by byte plane.
    Planes(usize),
}

impl<'a> Texts<'a> {
    /// Finds the `rows` values at the front of `bytes`; checks that texts are UTF-8.
    pub(super) fn parse(
        bytes: &mut &'a [u8],
        rows: usize,
        is_text: bool,
    ) -> Result<Self, WireError> {
        let layout = Layout::Equal(0);
        let mut texts = Self { layout, data: &[], count: 0, codes: None, next: 0 };
        if rows == 0 {
            return Ok(texts);
        }
        texts.count = take_len(bytes)?;
        if !(1..=rows).contains(&texts.count) {
            return Err(WireError::malformed("number of texts"));
        }
        texts.parse_entries(bytes)?;
        if is_text {
            for code in 0..texts.count {
                let mut buffer = [0; PLANES_MAX];
                core::str::from_utf8(texts.value(code, &mut buffer))
                    .map_err(|_| WireError::malformed("text"))?;
            }
        }
        match take_u8(bytes)? {
            ALL_DIFFERENT if texts.count == rows => {}
            CODED => texts.codes = Some(Ints::parse(bytes, rows)?),
            _ => return Err(WireError::malformed("form of texts")),
        }
        Ok(texts)
    }

    fn parse_entries(&mut self, bytes: &mut &'a [u8]) -> Result<(), WireError> {
        let lens = Ints::parse(bytes, self.count)?;
        // First the sum, so that a claim of many texts takes no memory before it is checked.
        let (mut total, mut equal, mut first) = (0usize, true, None);
        let mut all = lens.clone();
        for _ in 0..self.count {
            let len = usize::try_from(all.next()?).unwrap_or(usize::MAX);
            equal &= *first.get_or_insert(len) == len;
            total = total.saturating_add(len);
        }
        self.data = take(bytes, total)?;
        let len = first.unwrap_or_default();
        self.layout = match equal {
            true if (2..=PLANES_MAX).contains(&len) => Layout::Planes(len),
            true => Layout::Equal(len),
            false if self.count > total + 1 => return Err(WireError::malformed("empty texts")),
            false => Layout::Ends(ends(lens, self.count)?),
        };
        Ok(())
    }

    /// The next code, checked.
    pub(super) fn next_code(&mut self) -> Result<usize, WireError> {
        let code = match &mut self.codes {
            None => self.next,
            Some(codes) => {
                usize::try_from(codes.next()?).map_err(|_| WireError::malformed("text code"))?
            }
        };
        self.next += 1;
        if code < self.count { Ok(code) } else { Err(WireError::malformed("text code")) }
    }

    /// Copies the next value into the arena.
    pub(super) fn next(&mut self, context: &mut Context) -> Result<Slot, WireError> {
        let code = self.next_code()?;
        let mut buffer = [0; PLANES_MAX];
        let value = self.value(code, &mut buffer);
        let (found, max) = (value.len(), context.arena.capacity());
        let (offset, len) = context.arena.push(value).ok_or(WireError::TooLarge {
            what: "text of a row",
            found,
            max,
        })?;
        Ok(Slot::arena(offset, len))
    }

    fn value<'b>(&self, code: usize, buffer: &'b mut [u8; PLANES_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        match &self.layout {
            Layout::Ends(ends) => {
                let start = if code == 0 { 0 } else { ends[code - 1] };
                &self.data[start as usize..ends[code] as usize]
            }
            Layout::Equal(len) => &self.data[code * len..(code + 1) * len],
            Layout::Planes(len) => {
                let bytes = self.data.iter().skip(code).step_by(self.count);
                for (to, from) in buffer.iter_mut().zip(bytes) {
                    *to = *from;
                }
                &buffer[..*len]
            }
        }
    }
}

fn ends(mut lens: Ints<'_>, count: usize) -> Result<Vec<u32>, WireError> {
    let mut end = 0i64;
    let mut ends = Vec::with_capacity(count);
    for _ in 0..count {
        end += lens.next()?;
        ends.push(u32::try_from(end).map_err(|_| WireError::malformed("length of a text"))?);
    }
    Ok(ends)
}

const ALL_DIFFERENT: u8 = 0;
const CODED: u8 = 1;
/// Longest value that is stored in byte planes.
const PLANES_MAX: usize = 64;
/// Longest varint of a code or a length.
const CODE_BYTES_MAX: usize = 5;
