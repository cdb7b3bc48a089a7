//! What the demo shows: a table that is drawn again in place on a terminal, plain lines elsewhere.
//!
//! Guarantees: what was done to the nodes, and when, is a line of its own that stays. Uses ANSI
//! sequences that every terminal knows; none when standard output is no terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stdout};
use std::time::{Duration, Instant};

/// One gateway's row.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatewayRow {
    pub(crate) name: String,
    /// What the node is doing, or what was done to it.
    pub(crate) state: String,
    pub(crate) readings: u64,
    pub(crate) repeats: u64,
    pub(crate) late: u64,
    /// Frames that the aggregator has applied.
    pub(crate) frames: u64,
    pub(crate) backlog: u64,
    pub(crate) uplink_bytes: u64,
    pub(crate) raw_bytes: u64,
}

/// Everything that is shown at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) gateways: Vec<GatewayRow>,
    pub(crate) core_state: String,
    pub(crate) results: u64,
    pub(crate) published: usize,
    pub(crate) readings: usize,
}

/// The screen.
#[derive(Debug)]
pub(crate) struct View {
    is_terminal: bool,
    started: Instant,
    /// Lines of the table as it stands.
    drawn: usize,
    shown_last: Option<Instant>,
}

impl View {
    pub(crate) fn new() -> Self {
        let is_terminal = stdout().is_terminal();
        Self { is_terminal, started: Instant::now(), drawn: 0, shown_last: None }
    }

    /// A line that stays, with the time since the start.
    pub(crate) fn say(&mut self, text: &str) {
        let line = format!("{:6.1} s  {text}\n", self.started.elapsed().as_secs_f64());
        self.write(&line);
    }

    /// The table stays where it is; what follows is written below it.
    pub(crate) fn keep_table(&mut self) {
        self.drawn = 0;
    }

    /// Shows the picture, unless it was shown a moment ago.
    pub(crate) fn show(&mut self, picture: &Picture) {
        let pause = if self.is_terminal { REDRAW } else { REPEAT };
        if self.shown_last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        self.shown_last = Some(Instant::now());
        self.show_now(picture);
    }

    /// Shows the picture.
    pub(crate) fn show_now(&mut self, picture: &Picture) {
        if self.is_terminal {
            let table = table(picture);
            let lines = table.lines().count();
            self.write(&table);
            self.drawn = lines;
        } else {
            self.say(&summary(picture));
        }
    }

    /// Writes in the place of the table; what is written stays.
    fn write(&mut self, text: &str) {
        let mut out = String::new();
        if self.drawn > 0 {
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
        out += text;
        // A reader that has gone away does not stop the demo: its exit code is the answer.
        let mut stdout = stdout().lock();
        let _ = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
    }
}

fn table(picture: &Picture) -> String {
    let mut out = format!(
        "\n{:<8}{:<18}{:>9}{:>9}{:>6}{:>8}{:>9}{:>11}{:>11}\n",
        "gateway", "", "readings", "repeats", "late", "frames", "backlog", "uplink", "raw"
    );
    for row in &picture.gateways {
        let _ = writeln!(
            out,
            "{:<8}{:<18}{:>9}{:>9}{:>6}{:>8}{:>9}{:>11}{:>11}",
            row.name,
            row.state,
            row.readings,
            row.repeats,
            row.late,
            row.frames,
            row.backlog,
            kilobytes(row.uplink_bytes),
            kilobytes(row.raw_bytes),
        );
    }
    let _ = writeln!(out, "{:<8}{:<18}{:>9} results", "core", picture.core_state, picture.results);
    let done = BAR_WIDTH * picture.published / picture.readings.max(1);
    let bar = "█".repeat(done) + &"░".repeat(BAR_WIDTH - done.min(BAR_WIDTH));
    let _ = writeln!(out, "{bar} {} of {} readings sent", picture.published, picture.readings);
    out
}

fn summary(picture: &Picture) -> String {
    let sum = |of: fn(&GatewayRow) -> u64| picture.gateways.iter().map(of).sum::<u64>();
    format!(
        "{}/{} sent; {} read, {} repeats removed, {} late; {} frames applied, {} waiting; \
         uplink {} of {} raw; {} results",
        picture.published,
        picture.readings,
        sum(|row| row.readings),
        sum(|row| row.repeats),
        sum(|row| row.late),
        sum(|row| row.frames),
        sum(|row| row.backlog),
        kilobytes(sum(|row| row.uplink_bytes)),
        kilobytes(sum(|row| row.raw_bytes)),
        picture.results,
    )
}

/// Bytes in KB.
pub(crate) fn kilobytes(bytes: u64) -> String {
    format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100)
}

const BAR_WIDTH: usize = 40;
const REDRAW: Duration = Duration::from_millis(200);
const REPEAT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_gateway_and_a_bar() {
        let row = GatewayRow { name: "gw-1".into(), uplink_bytes: 1250, ..GatewayRow::default() };
        let picture = Picture {
            gateways: vec![row.clone(), row],
            published: 50,
            readings: 100,
            ..Picture::default()
        };
        let table = table(&picture);
        assert_eq!(table.lines().count(), 6);
        assert!(table.contains("1.2 KB"));
        assert_eq!(table.matches('█').count(), 20);
        assert!(summary(&picture).contains("50/100 sent"));
    }
}
