//! Two live copies of one gateway: its state is copied while it runs, and a second process goes on
//! from the copy under the same name. Some time later one of the two ends for good.
//!
//! The two share a client id, so the broker ends the connection of one when the other connects.

use super::World;
use super::events::Event;
use super::faults::Fault;
use super::process::Ending;
use crate::sim::Chance;

/// Which gateway is copied, and what the copy is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Its node.
    pub(super) of: usize,
    /// The copy has sensors of its own instead of the same readings.
    pub(super) has_own_readings: bool,
    /// The copy is on a machine that says so.
    pub(super) is_moved: bool,
    starts_at: u64,
    ends_at: u64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Asleep,
    Alive,
    Over,
}

impl Plan {
    pub(super) fn of(chance: &mut Chance, gateways: usize, until_ms: u64) -> Plan {
        let starts_at = until_ms / 10 + chance.below(until_ms / 3);
        Plan {
            of: 1 + usize::try_from(chance.below(gateways as u64)).expect("few"),
            has_own_readings: chance.one_in(3),
            is_moved: chance.one_in(3),
            starts_at,
            ends_at: starts_at + chance.below(until_ms / 2),
        }
    }
}

impl World<'_> {
    pub(super) fn plan_copy(&mut self) {
        if let Some(plan) = self.shape.copy {
            self.plan_at(plan.starts_at, Event::Copy);
            self.plan_at(plan.ends_at, Event::Copy);
        }
    }

    /// The node whose name and client id this one has.
    pub(super) fn name_of(&self, node: usize) -> usize {
        if node == 0 { 0 } else { self.gateways[node - 1].of }
    }

    /// The node, or the other one of its name when it is gone for good or not there yet.
    pub(super) fn awake(&self, node: usize) -> usize {
        match self.shape.copy {
            Some(plan) if node > 0 && self.gateways[node - 1].is_off => {
                if node == plan.of {
                    self.gateways.len()
                } else {
                    plan.of
                }
            }
            _ => node,
        }
    }

    /// The copy is made and starts, or one of the two ends.
    pub(super) fn copy(&mut self) {
        let Some(plan) = self.shape.copy else { return };
        let at = self.at;
        let (copy, state) = (self.gateways.len(), self.gateways[plan.of - 1].state());
        match self.copy_stage {
            Stage::Asleep => {
                let running = self.gateways[plan.of - 1].life.as_ref();
                let image = match running {
                    Some(life) => life.process.medium.disk.live_image(),
                    None => self.gateways[plan.of - 1].machine.image.clone(),
                };
                self.coverage.count(Fault::LiveCopy.name(), state);
                self.trace.fault(at, plan.of, Fault::LiveCopy.name(), copy as u64);
                self.copy_stage = Stage::Alive;
                let gateway = &mut self.gateways[copy - 1];
                gateway.machine.image = image;
                gateway.machine.clock.boot(at, true);
                gateway.is_off = false;
                self.checker.copied(plan.of, copy, plan.has_own_readings);
                self.plan_at(at + 1, Event::Start(copy));
            }
            Stage::Alive => {
                let ends = if self.chance.one_in(2) { copy } else { plan.of };
                let state = self.gateways[ends - 1].state();
                self.coverage.count(COPY_ENDS, state);
                self.trace.fault(at, ends, COPY_ENDS, 0);
                self.copy_stage = Stage::Over;
                self.kill(ends, Ending::Killed);
                self.gateways[ends - 1].is_off = true;
            }
            Stage::Over => {}
        }
    }

    /// Faults are over: no two of one name stay.
    pub(super) fn end_copy(&mut self) {
        if self.copy_stage == Stage::Alive {
            self.copy();
        }
        self.copy_stage = Stage::Over;
    }

    /// The connection of a node is over for the broker, unless its copy has it.
    pub(super) fn hang_up(&mut self, node: usize) {
        let name = self.name_of(node);
        if self.broker.holder(name) == node {
            self.broker.disconnect(name);
        }
    }

    /// A node connects: its copy, if it has the connection, loses it.
    pub(super) fn take_over(&mut self, node: usize) {
        let holder = self.broker.holder(self.name_of(node));
        if holder != node && self.process(holder).is_some_and(|p| p.port.connection.is_some()) {
            let wait = 100 + self.chance.below(TAKE_OVER_MS);
            self.disconnect_for(holder, wait);
        }
    }
}

/// What the coverage calls the end of one of two.
const COPY_ENDS: &str = "copy-ends";
/// Who has lost its connection to its copy connects again within this time, ms.
const TAKE_OVER_MS: u64 = 30_000;
