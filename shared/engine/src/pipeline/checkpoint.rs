//! Checkpoints of a pipeline: one page of changes, or the whole state in pages.
//!
//! A page is a version byte and three sections, each with its length: marks (watermarks of splits
//! and steps), entries of the steps, symbols. When a page of changes is restored, what its
//! watermarks have made obsolete goes first, then replaced and deleted entries, then symbols
//! change, then new entries come: so an entry never refers to a text that took the place of its
//! own.

use alloc::{string::String, vec::Vec};

use super::Pipeline;
use crate::{
    codec,
    mutation::{Mutation, mutated},
    operator::{RestoreError, StateWriter, Timestamp},
};

/// Version of the page format.
const VERSION: u8 = 1;
/// Pages of a whole state are cut at this many bytes.
const PAGE_BYTES: usize = 256 << 10;
const DELETED: u64 = 0;

/// Takes the pages of a checkpoint, to be stored in one transaction.
pub trait CheckpointWriter {
    /// The next page.
    fn page(&mut self, page: &[u8]);
    /// State of step `step` that is kept on disk only, under `time`; replaces an earlier value.
    fn cold(&mut self, step: usize, time: Timestamp, value: &[u8]);
}

struct Entries<'a> {
    step: usize,
    bytes: Vec<u8>,
    is_full: bool,
    out: &'a mut dyn CheckpointWriter,
}

impl Entries<'_> {
    /// Writes the entries so far as a page without marks and symbols.
    fn cut(&mut self) {
        let page = assemble(&[], &self.bytes, &[]);
        self.out.page(&page);
        self.bytes.clear();
    }
}

impl StateWriter for Entries<'_> {
    fn entry(&mut self, key: &[u8], value: Option<&[u8]>) {
        codec::put_u64(&mut self.bytes, self.step as u64);
        codec::put_bytes(&mut self.bytes, key);
        match value {
            None => codec::put_u64(&mut self.bytes, DELETED),
            Some(value) => {
                codec::put_u64(&mut self.bytes, value.len() as u64 + 1);
                self.bytes.extend_from_slice(value);
            }
        }
        if self.is_full && self.bytes.len() >= PAGE_BYTES {
            self.cut();
        }
    }

    fn cold(&mut self, time: Timestamp, value: &[u8]) {
        self.out.cold(self.step, time, value);
    }
}

fn assemble(marks: &[u8], entries: &[u8], symbols: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(marks.len() + entries.len() + symbols.len() + 16);
    page.push(VERSION);
    for section in [marks, entries, symbols] {
        codec::put_bytes(&mut page, section);
    }
    page
}

fn broken(what: &str) -> RestoreError {
    RestoreError(alloc::format!("the stored state is unreadable: {what}"))
}

impl Pipeline {
    /// Writes what changed since the last checkpoint as one page, or everything as several. The
    /// caller stores them before anything that depends on them is told to others.
    pub fn checkpoint(&mut self, is_full: bool, out: &mut dyn CheckpointWriter) {
        self.assert_idle();
        self.context.arena.clear();
        // The first page of a whole state holds the symbols that later pages refer to. Among
        // changes entries come first and are kept until it is known which symbols writing them has
        // freed.
        let mut symbols = Vec::new();
        if is_full {
            self.write_symbols(true, &mut symbols);
            let page = assemble(&self.marks(), &[], &symbols);
            out.page(&page);
            symbols.clear();
        }
        let mut entries = Entries { step: 0, bytes: Vec::new(), is_full, out };
        for (step, stage) in self.stages.iter_mut().enumerate() {
            entries.step = step;
            stage.operator.checkpoint(is_full, &mut self.context, &mut entries);
        }
        let bytes = core::mem::take(&mut entries.bytes);
        self.write_symbols(false, &mut symbols);
        if !is_full {
            let page = assemble(&self.marks(), &bytes, &symbols);
            out.page(&page);
        } else if !bytes.is_empty() || !symbols.is_empty() {
            // Writing cold state may have freed some of the symbols of the first page.
            out.page(&assemble(&[], &bytes, &symbols));
        }
    }

    fn write_symbols(&mut self, is_full: bool, out: &mut Vec<u8>) {
        self.context.symbols.checkpoint(is_full, &mut |id, text| {
            codec::put_u64(out, u64::from(id));
            match text {
                None => codec::put_u64(out, DELETED),
                Some(text) => {
                    codec::put_u64(out, text.len() as u64 + 1);
                    out.extend_from_slice(text);
                }
            }
        });
    }

    fn marks(&self) -> Vec<u8> {
        let mut out = Vec::new();
        codec::put_u64(&mut out, self.scans.len() as u64);
        for scan in &self.scans {
            codec::put_i64(&mut out, scan.watermark);
            codec::put_u64(&mut out, scan.splits.len() as u64);
            for split in &scan.splits {
                codec::put_bytes(&mut out, split.name.as_bytes());
                codec::put_i64(&mut out, split.watermark);
                out.push(u8::from(split.is_idle));
            }
        }
        codec::put_u64(&mut out, self.stages.len() as u64);
        for stage in &self.stages {
            codec::put_i64(&mut out, stage.watermark);
        }
        out
    }

    /// Takes back one page; pages come in the order in which they were written.
    pub fn restore(&mut self, page: &[u8]) -> Result<(), RestoreError> {
        self.context.arena.clear();
        self.context.symbols.begin_restore();
        let Some((&VERSION, mut rest)) = page.split_first() else {
            return Err(broken("unknown version of a page"));
        };
        let mut section = || codec::take_bytes(&mut rest).ok_or_else(|| broken("cut short"));
        let (marks, entries, symbols) = (section()?, section()?, section()?);
        if !marks.is_empty() {
            self.restore_marks(marks).ok_or_else(|| broken("watermarks"))?;
            self.tell_restored();
        }
        self.restore_entries(entries, false)?;
        self.restore_symbols(symbols).ok_or_else(|| broken("symbols"))?;
        self.restore_entries(entries, true)
    }

    /// All pages are back.
    pub fn restored(&mut self) {
        self.tell_restored();
        self.context.symbols.restored();
        self.context.arena.clear();
        for index in 0..self.exchanges.len() {
            self.exchanges[index].2 = self.watermark_of(self.exchanges[index].1);
        }
    }

    fn tell_restored(&mut self) {
        for stage in &mut self.stages {
            stage.operator.restored(stage.watermark, &mut self.context);
        }
    }

    fn restore_marks(&mut self, mut bytes: &[u8]) -> Option<()> {
        let bytes = &mut bytes;
        if codec::take_u64(bytes)? != self.scans.len() as u64 {
            return None;
        }
        for scan in &mut self.scans {
            scan.watermark = codec::take_i64(bytes)?;
            for _ in 0..codec::take_u64(bytes)? {
                let name = String::from_utf8(codec::take_bytes(bytes)?.into()).ok()?;
                let watermark = codec::take_i64(bytes)?;
                let (&is_idle, rest) = bytes.split_first()?;
                *bytes = rest;
                if scan.splits.len() >= crate::limits::SPLITS_MAX && !scan.has_split(&name) {
                    return None;
                }
                let split = scan.split(&name);
                scan.splits[split.0].watermark = watermark;
                scan.splits[split.0].is_idle = is_idle == 1;
            }
            scan.check_idle();
        }
        if codec::take_u64(bytes)? != self.stages.len() as u64 {
            return None;
        }
        for stage in &mut self.stages {
            let watermark = codec::take_i64(bytes)?;
            if !mutated(Mutation::RestoreWithoutWatermark) {
                stage.watermark = watermark;
            }
        }
        Some(())
    }

    /// Restores values, or only makes room for them.
    fn restore_entries(&mut self, mut bytes: &[u8], values: bool) -> Result<(), RestoreError> {
        while !bytes.is_empty() {
            let (step, key, value) =
                take_entry(&mut bytes).ok_or_else(|| broken("an entry is cut short"))?;
            let stage = self.stages.get_mut(step).ok_or_else(|| broken("unknown step"))?;
            if values && value.is_none() {
                continue;
            }
            let value = value.filter(|_| values);
            let mark = self.context.arena.mark();
            let done = stage.operator.restore(key, value, &mut self.context);
            self.context.arena.release(mark);
            done.map_err(|e| RestoreError(alloc::format!("step {}: {e}", self.names[step])))?;
        }
        Ok(())
    }

    fn restore_symbols(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let id = u32::try_from(codec::take_u64(&mut bytes)?).ok()?;
            let len = codec::take_u64(&mut bytes)?;
            let text = match len {
                DELETED => None,
                len => Some(bytes.split_off(..usize::try_from(len - 1).ok()?)?),
            };
            if !self.context.symbols.restore(id, text) {
                return None;
            }
        }
        Some(())
    }
}

type Entry<'a> = (usize, &'a [u8], Option<&'a [u8]>);

fn take_entry<'a>(bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let step = usize::try_from(codec::take_u64(bytes)?).ok()?;
    let key = codec::take_bytes(bytes)?;
    let value = match codec::take_u64(bytes)? {
        DELETED => None,
        len => Some(bytes.split_off(..usize::try_from(len - 1).ok()?)?),
    };
    Some((step, key, value))
}
