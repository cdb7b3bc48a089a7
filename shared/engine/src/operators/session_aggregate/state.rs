//! Checkpoint and restore of open sessions.
//!
//! An entry is a session. One that a watermark has closed is not deleted: the watermark stored with
//! each checkpoint tells which they are. One that became part of another is deleted.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Session, SessionAggregate, SessionId, UNUSED};
use crate::{
    codec,
    context::Context,
    limits::FIELDS_MAX,
    operator::{RestoreError, StateWriter, Timestamp},
    slot::Slot,
    types::DataType,
};

/// Sessions by order of creation, while a checkpoint is being restored.
pub(super) type Restoring = BTreeMap<u64, SessionId>;

fn broken() -> RestoreError {
    RestoreError("a session is unreadable".into())
}

impl SessionAggregate {
    pub(super) fn write_state(
        &mut self,
        full: bool,
        context: &mut Context,
        write: &mut dyn StateWriter,
    ) {
        self.restoring.clear();
        let types = self.calls.partial_types();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.next_seq);
        write.entry(&[], Some(&value));
        for seq in core::mem::take(&mut self.merged) {
            if !full {
                key.clear();
                codec::put_u64(&mut key, seq);
                write.entry(&key, None);
            }
        }
        for id in self.take_changed(full) {
            key.clear();
            codec::put_u64(&mut key, self.get(id).seq);
            value.clear();
            self.encode(id, &types, context, &mut value);
            write.entry(&key, Some(&value));
            self.sessions[id as usize].is_stored = true;
        }
    }

    /// Sessions to write, in order of creation: so that the bytes do not depend on which places
    /// sessions got.
    fn take_changed(&mut self, full: bool) -> Vec<SessionId> {
        let mut changed = Vec::new();
        for id in self.dirty.drain(..) {
            let session = &mut self.sessions[id as usize];
            session.is_listed = false;
            if core::mem::take(&mut session.is_dirty) && session.is_used && !full {
                changed.push(id);
            }
        }
        if full {
            let all = (0..).zip(&self.sessions).filter(|(_, session)| session.is_used);
            changed.extend(all.map(|(id, _)| id));
        }
        changed.sort_unstable_by_key(|&id| self.sessions[id as usize].seq);
        changed
    }

    fn encode(&self, id: SessionId, types: &[DataType], cx: &mut Context, out: &mut Vec<u8>) {
        let Session { start, last, key, .. } = *self.get(id);
        codec::put_i64(out, start);
        codec::put_i64(out, last);
        let mark = cx.arena.mark();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let keys = self.spec.keys.len();
        slots[..keys].copy_from_slice(self.keys.key(key));
        let mut nulls = self.keys.nulls(key);
        for (index, state) in self.states.iter().enumerate() {
            let value = state.partial(id as usize, cx);
            slots[keys + index] = value.slot;
            nulls |= u64::from(value.is_null()) << (keys + index);
        }
        let all = self.spec.key_types.iter().chain(types);
        codec::put_row(out, &slots[..keys + types.len()], nulls, all, cx);
        cx.arena.release(mark);
    }

    fn decode(&mut self, seq: u64, bytes: &mut &[u8], cx: &mut Context) -> Option<SessionId> {
        let start = codec::take_i64(bytes)?;
        let last = codec::take_i64(bytes)?;
        let types = self.calls.partial_types();
        let all: Vec<_> = self.spec.key_types.iter().chain(&types).cloned().collect();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let nulls = codec::take_row(bytes, &mut slots[..all.len()], &all, cx)?;
        let keys = self.spec.keys.len();
        let key_nulls = nulls & ((1 << keys) - 1);
        let key = self.keys.restore(&slots[..keys], key_nulls, cx)?;
        if self.count >= self.sessions_max {
            return None;
        }
        let id = self.put(Session { start, last, key, seq, is_stored: true, ..UNUSED });
        let row = crate::row::Row::insert(&slots[..all.len()], nulls);
        for (index, state) in self.states.iter_mut().enumerate() {
            state.merge(id as usize, row.datum(keys + index), cx);
        }
        self.next_seq = self.next_seq.max(seq + 1);
        Some(id)
    }

    pub(super) fn read_state(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let mut key = key;
        if key.is_empty() {
            if let Some(mut value) = value {
                self.next_seq = codec::take_u64(&mut value).ok_or_else(broken)?;
            }
            return Ok(());
        }
        let seq = codec::take_u64(&mut key).ok_or_else(broken)?;
        let Some(mut value) = value else {
            if let Some(id) = self.restoring.remove(&seq) {
                self.remove(id, context);
            }
            return Ok(());
        };
        let mark = context.arena.mark();
        let id = self.decode(seq, &mut value, context).ok_or_else(broken)?;
        context.arena.release(mark);
        self.restoring.insert(seq, id);
        Ok(())
    }

    /// Drops what a watermark has closed.
    pub(super) fn prune(&mut self, watermark: Timestamp, context: &mut Context) {
        for id in (0..).take(self.sessions.len()) {
            let session = *self.get(id);
            if session.is_used && self.end(id) - 1 <= watermark {
                self.restoring.remove(&session.seq);
                self.remove(id, context);
            }
        }
    }
}
