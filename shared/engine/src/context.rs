//! What one pipeline shares while a row is processed: texts, symbols and the pending fault.

use crate::{
    arena::Arena,
    calendar::Place,
    limits::Limits,
    slot::{BytesRef, Datum, Slot},
    symbols::{SymbolId, Symbols},
};

/// Why a row could not be processed; it becomes a dead letter with this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Integer or decimal division by zero.
    DivisionByZero,
    /// A CAST met a value that it cannot convert.
    CastFailed,
    /// A function met an argument outside of its domain.
    InvalidArgument,
    /// The row's texts exceed the arena.
    TextTooLarge,
    /// A capacity of keyed state is used up and the policy sets the row aside.
    StateFull,
    /// The event time is NULL.
    NullEventTime,
    /// The event time is too far ahead of the clock, or outside of the supported range.
    EventTimeOutOfRange,
    /// NULL in a column that is NOT NULL.
    NotNullViolated,
}

impl Fault {
    /// The word used in counters, side outputs and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::DivisionByZero => "division-by-zero",
            Fault::CastFailed => "cast-failed",
            Fault::InvalidArgument => "invalid-argument",
            Fault::TextTooLarge => "text-too-large",
            Fault::StateFull => "state-full",
            Fault::NullEventTime => "null-event-time",
            Fault::EventTimeOutOfRange => "event-time-out-of-range",
            Fault::NotNullViolated => "not-null-violated",
        }
    }
}

/// Shared by all stages of one pipeline.
#[derive(Debug)]
pub struct Context {
    /// Texts of the row in flight.
    pub arena: Arena,
    /// Texts in keyed state.
    pub symbols: Symbols,
    /// Set by an expression that failed; taken by the operator that evaluated it.
    pub fault: Option<Fault>,
    /// Stages up to this one, exclusive, may have an unfinished row; later ones have none.
    pub(crate) busy_until: usize,
    /// The session's time zone: where a TIMESTAMP_LTZ is shown and read.
    pub zone: Place,
    /// Event time of the row that is being aggregated, for aggregates whose partials are ordered.
    pub event_time: i64,
}

impl Context {
    /// Empty, with the capacities of `limits`.
    pub fn new(limits: &Limits) -> Self {
        Context {
            arena: Arena::new(limits.arena_bytes_max),
            symbols: Symbols::new(limits.symbols_max, limits.symbol_bytes_max),
            fault: None,
            busy_until: 0,
            zone: Place::default(),
            event_time: 0,
        }
    }

    /// The bytes of a text or bytes slot.
    pub fn bytes(&self, slot: Slot) -> &[u8] {
        match slot.bytes_ref() {
            BytesRef::Arena(offset, len) => self.arena.get(offset, len),
            BytesRef::Symbol(id) => self.symbols.text(id),
        }
    }

    /// The text of a slot. Decoders let only UTF-8 in, so the fallback is never taken.
    pub fn text(&self, slot: Slot) -> &str {
        core::str::from_utf8(self.bytes(slot)).unwrap_or_default()
    }

    /// The text of a slot in the arena: a copy that outlives the symbol.
    pub fn inline(&mut self, slot: Slot) -> Slot {
        let BytesRef::Symbol(id) = slot.bytes_ref() else { return slot };
        let copied = self.arena.push(self.symbols.text(id));
        copied.map_or(slot, |(offset, len)| Slot::arena(offset, len))
    }

    /// The symbol of a text or bytes slot, new if need be; see [`Symbols::intern`].
    pub fn intern(&mut self, slot: Slot) -> Option<SymbolId> {
        match slot.bytes_ref() {
            BytesRef::Symbol(id) => Some(id),
            BytesRef::Arena(offset, len) => match self.arena.words(offset, len) {
                Some(words) => self.symbols.intern_short(words, len as usize),
                None => self.symbols.intern(self.arena.get(offset, len)),
            },
        }
    }

    /// A short text in the arena as one slot; `None` for a longer one and a symbol. See
    /// [`packed`](crate::packed).
    #[inline]
    pub(crate) fn packed(&self, slot: Slot) -> Option<Slot> {
        match slot.bytes_ref() {
            BytesRef::Arena(offset, len) => self.arena.packed(offset, len),
            BytesRef::Symbol(_) => None,
        }
    }

    /// Copies bytes into the arena; NULL and a fault when they do not fit.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Datum {
        match self.arena.push(bytes) {
            Some((offset, len)) => Datum::of(Slot::arena(offset, len)),
            None => self.fail(Fault::TextTooLarge),
        }
    }

    /// Copies a text into the arena; NULL and a fault when it does not fit.
    pub fn put_text(&mut self, text: &str) -> Datum {
        self.put_bytes(text.as_bytes())
    }

    /// Notes a fault; the first one of a row stays. Returns NULL.
    pub fn fail(&mut self, fault: Fault) -> Datum {
        self.fault.get_or_insert(fault);
        Datum::NULL
    }
}
