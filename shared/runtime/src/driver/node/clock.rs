//! What the clocks of a node say: to the agent, to the log, to health and metrics.

use serde_json::{Value, json};

use super::Node;
use crate::agent::Now;
use crate::clock::{Doubt, Note};

impl Node {
    /// Tells the agent what the clocks say now.
    pub(super) fn watch_clock(&mut self, now: Now) {
        let synchronised = self.synchronised.ask(now);
        self.agent.observe(now, synchronised);
        for note in self.agent.take_clock_notes() {
            match note {
                Note::Stepped(ms) => tracing::warn!(ms, "The wall clock was set."),
                Note::Believed => tracing::info!(wall_ms = now.wall_ms, "The time is known."),
                Note::Doubted(doubt) => {
                    tracing::warn!(why = %doubt, "The wall clock is not believed.");
                }
            }
        }
    }

    /// Shows what is known of the time, and what waits for it; gives it for the status.
    pub(super) fn show_clock(&mut self) -> Value {
        let keeper = self.agent.keeper();
        let (held_rows, held_bytes) = self.agent.held().len();
        let (stepped_ms, steps) = keeper.steps();
        match problem(keeper.doubt_now(), held_rows, self.agent.held().is_full()) {
            Some(problem) => self.registry.unwell("clock", &problem),
            None => self.registry.well("clock"),
        }
        let shown = [
            (
                "headwater_clock_trusted",
                "Whether the wall clock is believed.",
                i64::from(keeper.is_wall_trusted()),
            ),
            (
                "headwater_clock_synchronised",
                "Whether a time daemon keeps the wall clock, by the kernel's word; -1: no answer.",
                self.synchronised.last().map_or(-1, i64::from),
            ),
            (
                "headwater_clock_steps",
                "Steps of the wall clock in this life of the process.",
                i64::try_from(steps).unwrap_or(i64::MAX),
            ),
            (
                "headwater_clock_held_rows",
                "Rows that wait until it is known what time they came.",
                i64::try_from(held_rows).unwrap_or(i64::MAX),
            ),
            (
                "headwater_clock_held_bytes",
                "Bytes of these rows.",
                i64::try_from(held_bytes).unwrap_or(i64::MAX),
            ),
        ];
        for (name, help, value) in shown {
            self.registry.gauge(name, help, &[]).set(value);
        }
        json!({
            "trusted": keeper.is_wall_trusted(),
            "doubt": keeper.doubt_now().map(|doubt| doubt.to_string()),
            "synchronised": self.synchronised.last(),
            "steps": steps,
            "stepped_ms": stepped_ms,
            "held_rows": held_rows,
            "held_bytes": held_bytes,
        })
    }
}

/// What a person should know.
fn problem(doubt: Option<Doubt>, held_rows: usize, is_full: bool) -> Option<String> {
    let doubt = doubt?;
    let rows = match (held_rows, is_full) {
        (0, _) => String::new(),
        (rows, false) => format!("; {rows} rows wait for the time"),
        (rows, true) => format!("; {rows} rows wait for the time, and their sources too"),
    };
    Some(format!("the wall clock is not believed: {doubt}{rows}"))
}
