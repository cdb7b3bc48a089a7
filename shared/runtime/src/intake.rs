//! Recognises MQTT messages that are delivered again, by packet id, DUP and content.
//!
//! A pure data structure. It remembers the packet ids of the last `window_max` messages with 16
//! bits of their hash, also after they were acknowledged (an acknowledgement may be lost). A
//! message with DUP=1, a remembered id and the same hash was applied before: acknowledge it, do
//! not apply it. The encoded form covers the messages consumed so far and goes into the
//! checkpoint, so that a crash between commit and acknowledgement counts nothing twice. It is a
//! head and a ring of blocks, of which a checkpoint writes those that have changed: 65,535
//! messages are 128 KB, and a checkpoint on flash should not cost that.
//!
//! Does not help at QoS 0, with a server that renumbers or omits DUP, or after the server has
//! lost the session ([`Intake::forget`]): then only an identity in the payload does.

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::source::PositionError;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Apply it.
    Apply,
    /// It was applied, or is to be applied, as the message with this receipt number:
    /// acknowledge it once that one is committed.
    Repeated {
        /// Receipt number of its first delivery.
        receipt: u64,
    },
}

/// Memory of what was received; see the module's text.
#[derive(Clone, Debug)]
pub struct Intake {
    window_max: usize,
    /// Packet ids in order of receipt; 0 for what cannot come again.
    ids: VecDeque<u16>,
    /// Receipt number of the first entry of `ids`.
    first: u64,
    /// Receipt number up to which everything is consumed.
    consumed: u64,
    /// By packet id: the low half of the receipt number of its last message; 0 = unknown.
    receipts: Vec<u32>,
    /// By packet id: hash of its last message.
    hashes: Vec<u16>,
    /// Receipt number up to which the blocks encoded last go.
    encoded: u64,
    /// Receipt number up to which nothing can come again: the session was lost then.
    forgotten: u64,
}

impl Intake {
    /// An empty one that remembers `window_max` messages: as many as the server may have under
    /// way without our acknowledgement.
    pub fn new(window_max: u16) -> Self {
        Self {
            window_max: usize::from(window_max.max(1)),
            ids: VecDeque::new(),
            first: 1,
            consumed: 0,
            receipts: vec![0; IDS],
            hashes: vec![0; IDS],
            encoded: 0,
            forgotten: 0,
        }
    }

    /// Hash of a message, for [`Intake::offer`].
    pub fn hash(topic: &[u8], payload: &[u8]) -> u16 {
        let hash = xxh3_64_with_seed(payload, xxh3_64_with_seed(topic, 0));
        (hash >> 48) as u16
    }

    /// Takes note of the next message and says what to do with it. Each message that is to be
    /// applied gets the next receipt number ([`Intake::last_receipt`]). Packet id 0 (QoS 0) is
    /// always applied.
    pub fn offer(&mut self, packet_id: u16, dup: bool, hash: u16) -> Offer {
        let index = usize::from(packet_id);
        if packet_id != 0 && dup && self.receipts[index] != 0 && self.hashes[index] == hash {
            return Offer::Repeated { receipt: self.full(self.receipts[index]) };
        }
        self.note(packet_id, hash);
        Offer::Apply
    }

    fn note(&mut self, packet_id: u16, hash: u16) {
        self.ids.push_back(packet_id);
        let receipt = self.last_receipt();
        if packet_id != 0 {
            self.receipts[usize::from(packet_id)] = low(receipt);
            self.hashes[usize::from(packet_id)] = hash;
        }
        self.trim();
    }

    /// Drops what is consumed and older than the window.
    fn trim(&mut self) {
        while self.ids.len() > self.window_max && self.first <= self.consumed {
            let Some(id) = self.ids.pop_front() else { break };
            if self.is_current(id, self.first) {
                self.receipts[usize::from(id)] = 0;
            }
            self.first += 1;
        }
    }

    /// The receipt number that has this low half.
    fn full(&self, half: u32) -> u64 {
        let last = self.last_receipt();
        last - u64::from(low(last).wrapping_sub(half))
    }

    fn is_current(&self, id: u16, receipt: u64) -> bool {
        id != 0 && self.receipts[usize::from(id)] == low(receipt)
    }

    /// Receipt number of the last message that was to be applied.
    pub fn last_receipt(&self) -> u64 {
        self.first + self.ids.len() as u64 - 1
    }

    /// Everything up to this receipt number is in the state of the next checkpoint.
    pub fn consume(&mut self, receipt: u64) {
        self.consumed = self.consumed.max(receipt.min(self.last_receipt()));
        self.trim();
    }

    /// Receipt number up to which everything is consumed.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Runs of the packet ids that are recognised: the first one and how many, in order of receipt.
    pub fn runs(&self) -> Vec<(u16, u16)> {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for (receipt, &id) in (self.first..).zip(&self.ids) {
            if !self.is_current(id, receipt) {
                continue;
            }
            match runs.last_mut() {
                // Nobody counts past the highest id in a run that people read.
                Some((first, count)) if first.checked_add(*count) == Some(id) => *count += 1,
                _ => runs.push((id, 1)),
            }
        }
        runs
    }

    /// The server has lost the session: packet ids start again, nothing can be recognised.
    pub fn forget(&mut self) {
        self.receipts.fill(0);
        self.forgotten = self.last_receipt();
    }

    /// Encodes the consumed part: the head under [`HEAD`], and each block that has changed since
    /// the last time. The caller keeps the other blocks.
    pub fn encode(&mut self, put: &mut dyn FnMut(String, Vec<u8>)) {
        let mut head = vec![VERSION];
        head.extend_from_slice(&self.consumed.to_le_bytes());
        head.extend_from_slice(&self.forgotten.to_le_bytes());
        put(HEAD.into(), head);
        let first = (self.encoded + 1).max(self.first);
        for block in first / BLOCK..=self.consumed / BLOCK {
            let from = (block * BLOCK).max(self.first);
            let to = (block * BLOCK + BLOCK - 1).min(self.consumed);
            if from <= to {
                put((block % RING).to_string(), self.encode_block(from, to));
            }
        }
        self.encoded = self.consumed;
    }

    /// Receipt number of the first message, then runs of consecutive ids with their hashes. What
    /// cannot come again has id 0.
    fn encode_block(&self, from: u64, to: u64) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&from.to_le_bytes());
        let mut run: Vec<u16> = Vec::new();
        for receipt in from..=to {
            let index = usize::try_from(receipt - self.first).expect("within the ids");
            let id = self.ids[index];
            let id = if self.is_current(id, receipt) { id } else { 0 };
            let follows = run.last().is_some_and(|last| follows(*last, id));
            if !follows && !run.is_empty() {
                self.encode_run(&run, &mut out);
                run.clear();
            }
            run.push(id);
        }
        self.encode_run(&run, &mut out);
        out
    }

    fn encode_run(&self, run: &[u16], out: &mut Vec<u8>) {
        let Some(first) = run.first() else { return };
        let count = u16::try_from(run.len()).expect("a run is within a block");
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        if *first != 0 {
            for id in run {
                out.extend_from_slice(&self.hashes[usize::from(*id)].to_le_bytes());
            }
        }
    }

    /// Reads what [`Intake::encode`] wrote: all blocks that were ever put, and the head.
    pub fn decode<'a>(
        head: &[u8],
        blocks: impl Iterator<Item = &'a [u8]>,
        window_max: u16,
    ) -> Result<Self, PositionError> {
        let mut rest = head;
        let version = take::<1>(&mut rest).ok_or_else(short)?;
        if version == [1] {
            return Self::decode_1(rest, window_max);
        }
        check_version(version)?;
        let consumed = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
        let forgotten = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
        let mut parts = Vec::new();
        for mut block in blocks {
            check_version(take::<1>(&mut block).ok_or_else(short)?)?;
            let from = u64::from_le_bytes(take(&mut block).ok_or_else(short)?);
            parts.push((from, block));
        }
        parts.sort_unstable_by_key(|part| part.0);
        let mut intake = Self::new(window_max);
        // Blocks of an earlier round of the ring lie before a hole.
        for (from, block) in parts {
            if from > consumed || from / BLOCK + RING <= consumed / BLOCK {
                continue;
            }
            if intake.last_receipt() + 1 != from {
                intake.start_at(from);
            }
            intake.decode_block(block, consumed, forgotten)?;
        }
        if intake.last_receipt() != consumed {
            return Err(PositionError("its last block is missing".into()));
        }
        (intake.consumed, intake.encoded, intake.forgotten) = (consumed, consumed, forgotten);
        intake.trim();
        Ok(intake)
    }

    fn start_at(&mut self, receipt: u64) {
        self.ids.clear();
        self.receipts.fill(0);
        self.first = receipt;
    }

    fn decode_block(
        &mut self,
        mut rest: &[u8],
        consumed: u64,
        forgotten: u64,
    ) -> Result<(), PositionError> {
        while !rest.is_empty() {
            let mut id = take_u16(&mut rest).ok_or_else(short)?;
            let count = take_u16(&mut rest).ok_or_else(short)?;
            for _ in 0..count {
                let hash = if id == 0 { 0 } else { take_u16(&mut rest).ok_or_else(short)? };
                let receipt = self.last_receipt() + 1;
                if receipt > consumed {
                    return Err(PositionError("a block goes beyond its end".into()));
                }
                self.note(if receipt <= forgotten { 0 } else { id }, hash);
                id = if id == 0 { 0 } else { successor(id) };
            }
        }
        Ok(())
    }

    /// Version 1: all in one value, receipt numbers beginning at 1 again.
    fn decode_1(mut rest: &[u8], window_max: u16) -> Result<Self, PositionError> {
        let mut intake = Self::new(window_max);
        while !rest.is_empty() {
            let mut id = take_u16(&mut rest).ok_or_else(short)?;
            let count = take_u16(&mut rest).ok_or_else(short)?;
            for _ in 0..count {
                if id == 0 {
                    return Err(PositionError("it holds packet id 0".into()));
                }
                let hash = take_u16(&mut rest).ok_or_else(short)?;
                intake.note(id, hash);
                intake.consumed = intake.last_receipt();
                id = successor(id);
            }
        }
        intake.trim();
        Ok(intake)
    }
}

fn short() -> PositionError {
    PositionError("it is cut short".into())
}

fn check_version([version]: [u8; 1]) -> Result<(), PositionError> {
    if version == VERSION {
        Ok(())
    } else {
        Err(PositionError(format!("its version {version} is not known")))
    }
}

/// Whether an id goes on a run: both cannot come again, or one is the other's successor.
fn follows(last: u16, id: u16) -> bool {
    if last == 0 { id == 0 } else { successor(last) == id }
}

/// Servers count packet ids from 1 to 65,535 and begin again at 1.
fn successor(id: u16) -> u16 {
    if id == u16::MAX { 1 } else { id + 1 }
}

#[expect(clippy::cast_possible_truncation, reason = "compared only within a window of 65,535")]
fn low(receipt: u64) -> u32 {
    receipt as u32
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    take(rest).map(u16::from_le_bytes)
}

/// Name of the head among the parts of a position.
pub const HEAD: &str = "";
const IDS: usize = 1 << 16;
/// Messages of a block: a little less than 4 KiB, the smallest write of a database page.
const BLOCK: u64 = 1920;
/// Blocks that may hold the last 65,535 messages; the next one takes the place of the first.
const RING: u64 = (IDS as u64).div_ceil(BLOCK) + 1;
const VERSION: u8 = 2;

#[cfg(test)]
mod tests;
