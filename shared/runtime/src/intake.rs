//! Recognises MQTT messages that are delivered again, by packet id, DUP and content.
//!
//! A pure data structure. It remembers the packet ids of the last `window_max` messages with 16
//! bits of their hash, also after they were acknowledged (an acknowledgement may be lost). A
//! message with DUP=1, a remembered id and the same hash was applied before: acknowledge it, do
//! not apply it. The encoded form covers the messages consumed so far and goes into the
//! checkpoint, so that a crash between commit and acknowledgement counts nothing twice.
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

    /// The server has lost the session: packet ids start again, nothing can be recognised.
    pub fn forget(&mut self) {
        self.receipts.fill(0);
    }

    /// Appends the consumed part: version, then runs of consecutive ids with their hashes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let consumed = usize::try_from(self.consumed + 1 - self.first).unwrap_or(0);
        let skipped = consumed.saturating_sub(self.window_max);
        let mut run: Vec<u16> = Vec::new();
        for (index, id) in self.ids.iter().take(consumed).enumerate().skip(skipped) {
            if !self.is_current(*id, self.first + index as u64) {
                continue;
            }
            let follows = run.last().is_some_and(|last| successor(*last) == *id);
            if !follows || run.len() == usize::from(u16::MAX) {
                self.encode_run(&run, out);
                run.clear();
            }
            run.push(*id);
        }
        self.encode_run(&run, out);
    }

    fn encode_run(&self, run: &[u16], out: &mut Vec<u8>) {
        let Some(first) = run.first() else { return };
        let count = u16::try_from(run.len()).expect("a run is cut at 65,535");
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        for id in run {
            out.extend_from_slice(&self.hashes[usize::from(*id)].to_le_bytes());
        }
    }

    /// Reads what [`Intake::encode`] wrote.
    pub fn decode(bytes: &[u8], window_max: u16) -> Result<Self, PositionError> {
        let mut intake = Self::new(window_max);
        let (version, mut rest) =
            bytes.split_first().ok_or_else(|| PositionError("it is empty".into()))?;
        if *version != VERSION {
            return Err(PositionError(format!("its version {version} is not known")));
        }
        let short = || PositionError("it is cut short".into());
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

/// The runs of packet ids in a position (the first one and how many), if it is one.
pub(crate) fn runs(bytes: &[u8]) -> Option<Vec<(u16, u16)>> {
    let mut rest = bytes.strip_prefix(&[VERSION])?;
    let mut runs = Vec::new();
    while !rest.is_empty() {
        let (first, count) = (take_u16(&mut rest)?, take_u16(&mut rest)?);
        rest = rest.get(usize::from(count) * 2..)?;
        (first > 0 && count > 0).then(|| runs.push((first, count)))?;
    }
    Some(runs)
}

/// Servers count packet ids from 1 to 65,535 and begin again at 1.
fn successor(id: u16) -> u16 {
    if id == u16::MAX { 1 } else { id + 1 }
}

#[expect(clippy::cast_possible_truncation, reason = "compared only within a window of 65,535")]
fn low(receipt: u64) -> u32 {
    receipt as u32
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(u16::from_le_bytes(*taken))
}

const IDS: usize = 1 << 16;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
