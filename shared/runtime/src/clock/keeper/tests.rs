use super::*;
use crate::clock::{Arrival, Certainty};

const HOUR_MS: i64 = 3_600_000;
const TRUTH_MS: i64 = PLAUSIBLE_MS + 300 * 86_400_000;
const BOOT: u64 = 7;

/// A machine whose clocks are set by hand.
struct Machine {
    keeper: Keeper,
    rules: Rules,
    boot_id: u64,
    now: Now,
    /// The truth at boot clock 0.
    born_ms: i64,
    synchronised: Option<bool>,
}

fn rules(trust: Trust) -> Rules {
    Rules { trust, ..Rules::default() }
}

impl Machine {
    /// Boots at the truth with a wall clock that is off by `wrong_ms`.
    fn boot(rules: Rules, wrong_ms: i64) -> Machine {
        let now = Now { wall_ms: TRUTH_MS + wrong_ms, mono_ms: 5000, boot_ms: 5000 };
        let keeper = Keeper::new(rules, BOOT, None, now).unwrap();
        let born_ms = TRUTH_MS - 5000;
        let mut machine =
            Machine { keeper, rules, boot_id: BOOT, now, born_ms, synchronised: None };
        machine.pass(0);
        machine
    }

    /// Time passes, looked at every 100 ms.
    fn pass(&mut self, ms: i64) {
        for _ in 0..=ms / 100 {
            self.keeper.observe(self.now, self.synchronised);
            let Now { wall_ms, mono_ms, boot_ms } = self.now;
            let step = 100.min(ms);
            self.now =
                Now { wall_ms: wall_ms + step, mono_ms: mono_ms + step, boot_ms: boot_ms + step };
        }
    }

    fn set(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        self.pass(0);
    }

    /// The machine starts again after `off_ms`, with this wall clock.
    fn reboot(&mut self, off_ms: i64, wall_ms: i64) {
        let stored = self.keeper.store(self.now, |_| true);
        self.born_ms += self.now.boot_ms + off_ms;
        self.boot_id += 1;
        self.now = Now { wall_ms, mono_ms: 0, boot_ms: 0 };
        self.keeper = Keeper::new(self.rules, self.boot_id, Some(&stored), self.now).unwrap();
        self.pass(0);
    }

    fn truth(&self) -> i64 {
        self.born_ms + self.now.boot_ms
    }

    fn arrival(&self) -> Arrival {
        Arrival { boot_id: self.boot_id, boot_ms: self.now.boot_ms }
    }

    fn time(&self) -> Option<i64> {
        self.keeper.time_ms(self.now)
    }

    fn stamp(&mut self) -> Option<i64> {
        self.keeper.stamp(self.arrival()).map(|(time, _)| time)
    }
}

#[test]
fn a_plausible_clock_is_believed_where_no_daemon_was_ever_seen() {
    let mut machine = Machine::boot(rules(Trust::Auto), 0);
    assert_eq!(machine.time(), Some(machine.truth()));
    assert_eq!(machine.stamp(), Some(machine.truth()));
    assert!(machine.keeper.is_wall_trusted());
}

#[test]
fn a_machine_with_a_daemon_waits_for_it_but_not_for_ever() {
    let mut machine = Machine::boot(rules(Trust::Auto), 0);
    machine.synchronised = Some(true);
    machine.pass(1000);
    machine.synchronised = Some(false);
    // A clock that was kept on the disk: plausible, and three hours behind.
    machine.reboot(3 * HOUR_MS, TRUTH_MS + 2000);
    assert_eq!(machine.keeper.doubt_now(), Some(Doubt::Unsynchronised));
    assert_eq!(machine.time(), None);
    let waiting = machine.arrival();
    machine.pass(60_000);
    machine.synchronised = Some(true);
    let wrong = machine.truth() - machine.now.wall_ms;
    machine.set(wrong);
    assert_eq!(machine.time(), Some(machine.truth()));
    let known = (machine.born_ms + waiting.boot_ms, Certainty::Known);
    assert_eq!(machine.keeper.stamp(waiting), Some(known));

    machine.synchronised = Some(false);
    machine.reboot(1000, machine.truth() + 1000);
    assert_eq!(machine.time(), None);
    machine.pass(600_200);
    assert_eq!(machine.time(), Some(machine.truth()), "no daemon came: the clock is believed");
}

#[test]
fn ntp_means_ntp() {
    let mut machine = Machine::boot(rules(Trust::Ntp), 0);
    machine.pass(2 * 600_000);
    assert_eq!(machine.time(), None);
    machine.synchronised = Some(true);
    machine.pass(100);
    assert_eq!(machine.time(), Some(machine.truth()));
    // The link is away, the kernel's word lapses: what is known stays known.
    machine.synchronised = Some(false);
    machine.pass(HOUR_MS);
    assert_eq!(machine.time(), Some(machine.truth()));
}

#[test]
fn the_epoch_at_boot_waits_until_the_clock_is_set() {
    for trust in [Trust::Auto, Trust::Plausible] {
        let mut machine = Machine::boot(rules(trust), -TRUTH_MS);
        machine.pass(2 * 600_000);
        assert_eq!(machine.keeper.doubt_now(), Some(Doubt::Unset));
        let waiting = machine.arrival();
        assert_eq!(machine.keeper.guard_ms(machine.now), None);
        assert_eq!(machine.keeper.stamp(waiting), None);
        machine.pass(5000);
        let wrong = machine.truth() - machine.now.wall_ms;
        machine.set(wrong);
        let known = (machine.born_ms + waiting.boot_ms, Certainty::Known);
        assert_eq!(machine.keeper.stamp(waiting), Some(known));
        assert_eq!(machine.keeper.steps().1, 1);
    }
}

#[test]
fn steps_change_nothing_until_they_are_believed() {
    for step in [HOUR_MS, -HOUR_MS, 10 * YEAR_MS, -10 * YEAR_MS, -TRUTH_MS] {
        let mut machine = Machine::boot(rules(Trust::Plausible), 0);
        machine.pass(1000);
        machine.set(step);
        machine.pass(300_000);
        assert_eq!(machine.time(), Some(machine.truth()), "{step}");
        assert!(!machine.keeper.is_wall_trusted());
        let truth = machine.truth();
        assert!(machine.keeper.guard_ms(machine.now).is_some_and(|guard| guard >= truth));
        machine.set(-step);
        assert!(machine.keeper.is_wall_trusted());
        assert_eq!(machine.keeper.steps(), (0, 2));
        assert_eq!(machine.stamp(), Some(machine.truth()));
    }
}

#[test]
fn ten_years_are_never_believed_without_a_daemon() {
    for step in [10 * YEAR_MS, -10 * YEAR_MS] {
        let mut machine = Machine::boot(rules(Trust::Plausible), 0);
        machine.set(step);
        machine.pass(3 * 600_000);
        assert_eq!(machine.time(), Some(machine.truth()));
        // Nor after a start.
        machine.reboot(1000, machine.truth() + step);
        machine.pass(3 * 600_000);
        assert_eq!(machine.time(), None);
        let wrong = machine.truth() - machine.now.wall_ms;
        machine.set(wrong);
        assert_eq!(machine.time(), Some(machine.truth()));
    }
    assert_eq!(Machine::boot(rules(Trust::Auto), 10 * YEAR_MS).time(), None);
    let always = Machine::boot(rules(Trust::Always), 10 * YEAR_MS);
    assert_eq!(always.time(), Some(TRUTH_MS + 10 * YEAR_MS));
}

#[test]
fn a_clock_behind_the_last_known_time_has_to_stand_for_a_while() {
    let mut machine = Machine::boot(rules(Trust::Plausible), 0);
    machine.pass(10_000);
    machine.reboot(HOUR_MS, TRUTH_MS - HOUR_MS);
    assert_eq!(machine.keeper.doubt_now(), Some(Doubt::Behind));
    machine.pass(500_000);
    assert_eq!(machine.time(), None);
    machine.pass(200_000);
    assert!(machine.time().is_some(), "nothing better will come");
    let known = TRUTH_MS;
    assert!(machine.keeper.guard_ms(machine.now).is_some_and(|guard| guard > known));
}

#[test]
fn after_a_step_back_times_go_on_at_half_speed() {
    let mut machine = Machine::boot(rules(Trust::Always), HOUR_MS);
    let first = machine.stamp().unwrap();
    machine.set(-HOUR_MS);
    let mut last = first;
    for _ in 0..200 {
        machine.pass(60_000);
        let stamp = machine.stamp().unwrap();
        assert!(stamp > last, "times neither go back nor stand still");
        assert!(machine.keeper.guard_ms(machine.now).is_some_and(|guard| guard >= stamp));
        last = stamp;
    }
    assert_eq!(last, machine.time().unwrap(), "the truth has caught up after two hours");
    assert_eq!(machine.time(), Some(machine.truth()));
}

#[test]
fn half_speed_is_not_lost_in_small_steps() {
    let mut machine = Machine::boot(rules(Trust::Always), HOUR_MS);
    let first = machine.stamp().unwrap();
    machine.set(-HOUR_MS);
    let start = machine.now.boot_ms;
    for _ in 0..5000 {
        machine.now.boot_ms += 1;
        machine.now.wall_ms += 1;
        machine.keeper.observe(machine.now, None);
        machine.stamp();
    }
    let gone = machine.stamp().unwrap() - first;
    assert!(gone >= (machine.now.boot_ms - start) / 2, "{gone} ms");
}

#[test]
fn a_sleep_is_no_step() {
    let mut machine = Machine::boot(rules(Trust::Plausible), 0);
    machine.pass(1000);
    // Eight hours in which the clock for timers stands.
    machine.now.boot_ms += 8 * HOUR_MS;
    machine.now.wall_ms += 8 * HOUR_MS;
    machine.pass(0);
    assert_eq!(machine.keeper.steps(), (0, 0));
    assert_eq!(machine.time(), Some(machine.truth()));
    assert_eq!(machine.stamp(), Some(machine.truth()));
}

#[test]
fn a_restart_of_the_process_keeps_what_is_known() {
    let mut machine = Machine::boot(rules(Trust::Plausible), 0);
    machine.pass(1000);
    let stored = machine.keeper.store(machine.now, |_| true);
    // Meanwhile the clock was set to nonsense.
    machine.now.wall_ms -= HOUR_MS;
    machine.keeper = Keeper::new(machine.rules, BOOT, Some(&stored), machine.now).unwrap();
    machine.pass(0);
    assert_eq!(machine.time(), Some(machine.truth()));
    assert!(!machine.keeper.is_wall_trusted());
}

#[test]
fn rows_of_earlier_boots_are_placed_between_what_is_known() {
    let mut machine = Machine::boot(rules(Trust::Plausible), 0);
    machine.pass(10_000);
    let before = machine.truth();
    // Two boots without a clock, then one with.
    machine.reboot(60_000, 0);
    machine.pass(10_000);
    let (first, first_truth) = (machine.arrival(), machine.truth());
    machine.pass(20_000);
    machine.reboot(60_000, 0);
    machine.pass(5000);
    let (second, second_truth) = (machine.arrival(), machine.truth());
    machine.pass(10_000);
    machine.reboot(60_000, 0);
    assert_eq!(machine.keeper.stamp(first), None, "the third boot does not know it either");
    let truth = machine.truth();
    machine.set(truth);
    let (a, how) = machine.keeper.stamp(first).unwrap();
    assert_eq!(how, Certainty::Placed);
    let (b, _) = machine.keeper.stamp(second).unwrap();
    assert!(a >= first_truth && a <= first_truth + 121_000, "off by the time without power only");
    assert!(b >= second_truth && b <= second_truth + 61_000);
    assert!(before < a && a < b && b < machine.truth());
    // A boot that is forgotten: the order is kept, nothing is ahead of the truth.
    let lost = Arrival { boot_id: 999, boot_ms: 5 };
    let (c, how) = machine.keeper.stamp(lost).unwrap();
    assert!(how == Certainty::Placed && c >= b && c <= machine.truth());
}

#[test]
fn a_boot_whose_time_became_known_is_exact_after_the_next() {
    let mut machine = Machine::boot(rules(Trust::Plausible), -TRUTH_MS);
    machine.pass(10_000);
    let (waiting, truth) = (machine.arrival(), machine.truth());
    machine.set(TRUTH_MS);
    machine.reboot(HOUR_MS, 0);
    assert_eq!(machine.keeper.stamp(waiting), Some((truth, Certainty::Known)));
}

#[test]
fn estimates_go_on_from_the_last_known_time() {
    let rules = Rules { estimates: true, ..rules(Trust::Plausible) };
    let mut machine = Machine::boot(rules, 0);
    machine.pass(10_000);
    let known = machine.truth();
    machine.reboot(HOUR_MS, 0);
    machine.pass(1000);
    let (time, how) = machine.keeper.stamp(machine.arrival()).unwrap();
    assert_eq!(how, Certainty::Estimated);
    assert!(time >= known && time <= machine.truth(), "never later than the truth");
}

#[test]
fn a_boot_clock_that_went_back_is_another_boot() {
    let mut machine = Machine::boot(rules(Trust::Plausible), 0);
    machine.pass(10_000);
    let stored = machine.keeper.store(machine.now, |_| true);
    let now = Now { wall_ms: 0, mono_ms: 0, boot_ms: 0 };
    let mut keeper = Keeper::new(machine.rules, BOOT, Some(&stored), now).unwrap();
    keeper.observe(now, None);
    assert_eq!(keeper.time_ms(now), None, "the offset was the other boot's");
}

#[test]
fn a_record_of_version_1_is_read() {
    let stored = b"\
        \x01\x01\x80\xc0\xe2\x85\xe3h\x01\x01\x07\xc0\xa9\x07\x01\xc0\x96\xdb\x85\xe3h\x00\
        \x01\x07\xa0\x8d\x06\xe0\xa3\xe1\x85\xe3h\xb0\xb3\xe1\x85\xe3h";
    let now = Now { wall_ms: 0, mono_ms: 70_000, boot_ms: 70_000 };
    let mut keeper = Keeper::new(rules(Trust::Auto), 7, Some(stored), now).unwrap();
    assert_eq!(keeper.time_ms(now), Some(1_800_000_010_000));
    assert!(keeper.record.was_synchronised);
    assert_eq!(keeper.known_ms(), Some(1_800_000_000_000));
    assert_eq!(keeper.record.stamp.map(|stamp| stamp.last_ms), Some(1_799_999_991_000));
    let at = Now { boot_ms: 60_000, ..now };
    assert_eq!(keeper.store(at, |_| false), stored);
}
