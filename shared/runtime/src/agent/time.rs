//! The agent's part in the clocks: what the core hears of them, and rows whose time is that of
//! their arrival.
//!
//! Guarantees: such a row gets a time when the time is known, or waits; it is durable with the next
//! checkpoint either way, and it counts as taken from its source by the same one.

use headwater_engine::operator::RestoreError;
use headwater_engine::pipeline::SplitId;
use headwater_store::Commit;
use headwater_wire::Clock;

use super::{Agent, Now};
use crate::clock::{Arrival, Certainty, Held, Hold, Keeper, Note, RECORD};
use crate::task::Origin;

impl Agent {
    /// Puts what is known of the time, and the rows that wait for it, back: `read` gives a record
    /// of the store by its name.
    ///
    /// # Errors
    /// When a record is of another version of the program.
    pub fn restore_clock<E: From<RestoreError>>(
        &mut self,
        now: Now,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        let (rules, boot_id) = (self.settings.clock, self.settings.boot_id);
        self.keeper = Keeper::new(rules, boot_id, read(RECORD)?.as_deref(), now)?;
        self.hold.restore(read)?;
        // The watermark waits for them.
        for (scan, split) in self.hold.splits() {
            self.split_of(scan, split);
        }
        Ok(())
    }

    fn split_of(&mut self, scan: u32, split: u32) -> (usize, SplitId) {
        let scan = usize::try_from(scan).expect("few scans");
        (scan, self.task.split(scan, &split.to_string()))
    }

    /// Looks at the clocks: `synchronised` is the kernel's word on its time daemon.
    pub fn observe(&mut self, now: Now, synchronised: Option<bool>) {
        self.keeper.observe(now, synchronised);
        self.task.set_clock(self.keeper.guard_ms(now));
    }

    /// What happened to the clocks since the last call, for the log.
    pub fn take_clock_notes(&mut self) -> Vec<Note> {
        let notes = self.keeper.take_notes();
        let steps = notes.iter().filter(|note| matches!(note, Note::Stepped(_))).count();
        if steps > 0 {
            self.count("clock/steps", steps as u64);
        }
        notes
    }

    /// What is known of the time.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The rows that wait for the time.
    pub fn held(&self) -> &Hold {
        &self.hold
    }

    /// When a row comes that comes now.
    pub fn arrival(&self, now: Now) -> Arrival {
        Arrival { boot_id: self.keeper.boot_id(), boot_ms: now.boot_ms }
    }

    /// Takes a record of a scan whose rows have the time of their arrival; `split` is the source's
    /// number of the split.
    pub fn take(
        &mut self,
        origin: Origin<'_>,
        split: u32,
        record: &[u8],
        arrival: Arrival,
        now: Now,
    ) {
        if self.hold.is_empty()
            && let Some((time, certainty)) = self.keeper.stamp(arrival)
        {
            self.count_certainty(certainty);
            self.task.record(Origin { arrival_ms: time, ..origin }, record, now.wall_ms);
            return;
        }
        self.count("clock/rows-held", 1);
        self.hold.push(Held {
            scan: u32::try_from(origin.scan).expect("few scans"),
            split,
            arrival,
            topic: origin.topic.map(<[u8]>::to_vec),
            record: record.to_vec(),
        });
    }

    /// Lets the row go on that has waited longest, if its time is known; false when none can.
    pub fn release(&mut self, now: Now) -> bool {
        let Some(arrival) = self.hold.first().map(|row| row.arrival) else { return false };
        let Some((arrival_ms, certainty)) = self.keeper.stamp(arrival) else { return false };
        self.count_certainty(certainty);
        let row = self.hold.pop().expect("it was there");
        let (scan, split) = self.split_of(row.scan, row.split);
        let origin = Origin { scan, split, topic: row.topic.as_deref(), arrival_ms };
        self.task.record(origin, &row.record, now.wall_ms);
        true
    }

    fn count_certainty(&mut self, certainty: Certainty) {
        match certainty {
            Certainty::Known => {}
            Certainty::Placed => self.count("clock/rows-placed", 1),
            Certainty::Estimated => self.count("clock/rows-estimated", 1),
        }
    }

    pub(super) fn put_clock(&mut self, commit: &mut Commit, now: Now) {
        let hold = &self.hold;
        let record = self.keeper.store(now, |boot| hold.has_boot(boot));
        commit.records.push((RECORD.into(), Some(record)));
        self.hold.store(&mut commit.records);
    }

    /// The clocks in a frame's header.
    pub(super) fn frame_clock(&mut self, now: Now) -> Clock {
        let (stepped, _) = self.keeper.steps();
        let told = std::mem::replace(&mut self.steps_told.0, stepped);
        self.clock(now, stepped - told)
    }

    /// The clocks in a hello or heartbeat.
    pub(super) fn message_clock(&mut self, now: Now) -> Clock {
        let (stepped, _) = self.keeper.steps();
        let told = std::mem::replace(&mut self.steps_told.1, stepped);
        self.clock(now, stepped - told)
    }

    fn clock(&self, now: Now, step_ms: i64) -> Clock {
        Clock {
            wall_ms: now.wall_ms,
            boot_ms: u64::try_from(now.boot_ms).unwrap_or(0),
            boot_id: self.settings.boot_id,
            step_ms,
            trusted: self.keeper.is_wall_trusted(),
        }
    }
}
