//! What happened in a run: every event in order, and a hash of all of them.

use std::fmt::Write as _;

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// True time, ms since the start.
    pub at: u64,
    /// Node that it concerns: 0 is the core.
    pub node: usize,
    /// What happened.
    pub what: &'static str,
    /// Details, such as channel and seq.
    pub a: u64,
    /// More details.
    pub b: u64,
    is_fault: bool,
}

/// All events of a run.
#[derive(Debug, Default)]
pub struct Trace {
    notes: Vec<Note>,
    hash: u64,
}

/// Events kept; the hash covers those that are not kept too.
const NOTES_MAX: usize = 400_000;

impl Trace {
    pub(super) fn add(&mut self, at: u64, node: usize, what: &'static str, a: u64, b: u64) {
        self.put(Note { at, node, what, a, b, is_fault: false });
    }

    pub(super) fn fault(&mut self, at: u64, node: usize, what: &'static str, a: u64) {
        self.put(Note { at, node, what, a, b: 0, is_fault: true });
    }

    fn put(&mut self, note: Note) {
        for value in [note.at, note.node as u64, note.a, note.b] {
            self.mix(value);
        }
        note.what.bytes().for_each(|byte| self.mix(u64::from(byte)));
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }

    /// Equal for equal runs.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The injected faults, and the last `count` events of `node` and of the core about it.
    #[must_use]
    pub fn shortened(&self, node: usize, count: usize) -> String {
        let concerns = |note: &&Note| note.node == node || node == 0;
        let own = self.notes.iter().rev().filter(concerns).take(count);
        let since = own.last().map_or(0, |note| note.at);
        let mut text = String::new();
        for note in &self.notes {
            let is_recent = note.at >= since && concerns(&note);
            if note.is_fault || is_recent {
                let mark = if note.is_fault { "fault" } else { "" };
                let Note { at, node, what, a, b, .. } = note;
                let seconds = format!("{}.{:03}", at / 1000, at % 1000);
                let who = if *node == 0 { "core".into() } else { format!("g{node}") };
                writeln!(text, "{seconds:>9} {mark:5} {who:5} {what} {a} {b}")
                    .expect("a text takes all");
            }
        }
        text
    }
}
