//! What happens in a world, one event at a time: turns of processes, packets, starts and ends.

use std::collections::VecDeque;

use super::World;
use super::broker::{Down, Message};
use super::network::Way;
use super::process::{Ending, Machine, Process};

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A process looks around: node and ticket of the turn.
    Turn(usize, u64),
    /// A process starts.
    Start(usize),
    /// A process tries to connect.
    Connect(usize, u64),
    /// A dead connection is noticed.
    Silence(usize, u64),
    /// A packet reaches the broker.
    Up { node: usize, connection: u64, packet: Up },
    /// A packet reaches a node.
    Down { node: usize, connection: u64, packet: Down },
    /// The next fault.
    Fault,
    /// A gateway is copied, or one of the two ends.
    Copy,
    /// The broker is back.
    BrokerStarts,
    /// A disk has room again.
    Room(usize),
    /// All faults are over.
    Quiet,
}

/// From a client to the broker.
#[derive(Clone, Debug)]
pub(super) enum Up {
    Publish(Message),
    Ack(u16),
}

/// Time between turns of a process to which nothing happens, ms.
const TURN_MS: u64 = 500;
/// A peer that is silent for this long is given up, ms.
const KEEP_ALIVE_MS: u64 = 45_000;
/// Longest time between attempts to connect, ms.
const CONNECT_MAX_MS: u64 = 30_000;

impl World<'_> {
    pub(super) fn plan_at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.insert((at, self.order), event);
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Turn(node, ticket) => self.turn(node, ticket),
            Event::Start(node) => self.start(node),
            Event::Connect(node, number) => self.connect(node, number),
            Event::Silence(node, connection) => {
                let port = self.process(node).map(|process| process.port.connection);
                if port == Some(Some(connection)) {
                    self.disconnect(node);
                }
            }
            Event::Up { node, connection, packet } => self.reach_broker(node, connection, packet),
            Event::Down { node, connection, packet } => self.reach_node(node, connection, packet),
            Event::Fault => self.fault(),
            Event::Copy => self.copy(),
            Event::BrokerStarts => self.broker.is_down = false,
            Event::Room(node) => {
                if let Some(process) = self.process(node) {
                    process.medium.disk.set_room(None);
                }
            }
            Event::Quiet => self.quiet(),
        }
    }

    pub(super) fn process(&mut self, node: usize) -> Option<&mut Process> {
        match node {
            0 => self.core.life.as_mut().map(|life| &mut life.process),
            node => self.gateways[node - 1].life.as_mut().map(|life| &mut life.process),
        }
    }

    pub(super) fn machine(&mut self, node: usize) -> &mut Machine {
        match node {
            0 => &mut self.core.machine,
            node => &mut self.gateways[node - 1].machine,
        }
    }

    /// The next turn of a process, instead of the one planned before.
    fn plan_turn(&mut self, node: usize, at: u64) {
        let ticket = self.order + 1;
        if let Some(process) = self.process(node) {
            process.turn = (ticket, at);
            self.plan_at(at, Event::Turn(node, ticket));
        }
    }

    fn turn(&mut self, node: usize, ticket: u64) {
        if self.process(node).is_none_or(|process| process.turn.0 != ticket) {
            return;
        }
        let ending = if node == 0 {
            let Some(mut life) = self.core.life.take() else { return };
            let ending = self.turn_core(&mut life).err();
            self.core.life = Some(life);
            ending
        } else {
            let Some(mut life) = self.gateways[node - 1].life.take() else { return };
            let ending = self.turn_gateway(node, &mut life).err();
            self.gateways[node - 1].life = Some(life);
            ending
        };
        match ending {
            Some(ending) => {
                self.trace.add(self.at, node, "dies", 0, 0);
                self.kill(node, ending);
            }
            None => {
                let pending = self.process(node).filter(|process| process.pending.is_some());
                let retry = pending.map(|process| process.retry_ms());
                let used_up = self.core.used_up_in(self.at).filter(|_| node == 0);
                let wait = retry.unwrap_or(used_up.unwrap_or(TURN_MS).min(TURN_MS));
                self.plan_turn(node, self.at + wait);
            }
        }
    }

    /// Looks around at once, as something has come.
    fn wake(&mut self, node: usize) {
        let at = self.at;
        let process = self.process(node);
        if process.is_some_and(|process| process.pending.is_none() && process.turn.1 > at) {
            self.plan_turn(node, at);
        }
    }

    pub(super) fn start(&mut self, node: usize) {
        let is_off = node > 0 && self.gateways[node - 1].is_off;
        if is_off || self.process(node).is_some() {
            return;
        }
        let at = self.at;
        let started = match node {
            0 => {
                let agents: Vec<_> = self.gateways.iter().map(|g| g.id.clone()).collect();
                self.core.start(self.plan, &self.shape, at, &agents)
            }
            node => self.gateways[node - 1].start(self.plan, &self.shape, at),
        };
        if let Err(error) = started {
            return self.checker.fail(node, format!("I5: does not start: {error}"));
        }
        match node {
            0 => {
                let life = self.core.life.as_ref().expect("just started");
                self.checker.core_opened(&life.process.medium.store);
            }
            node => {
                let life = self.gateways[node - 1].life.as_ref().expect("just started");
                self.checker.gateway_opened(node, &life.process.medium.store);
            }
        }
        let process = self.process(node).expect("just started");
        let (number, epoch) = (process.number, process.medium.store.head().epoch);
        self.trace.add(at, node, "starts", number, epoch);
        self.plan_turn(node, at + 1);
        self.plan_at(at + 20, Event::Connect(node, number));
    }

    /// The process of a node ends and starts again some time later.
    pub(super) fn kill(&mut self, node: usize, ending: Ending) {
        let process = match node {
            0 => self.core.life.take().map(|life| life.process),
            node => self.gateways[node - 1].life.take().map(|life| life.process),
        };
        let Some(process) = process else { return };
        let seed = self.chance.below(u64::MAX);
        self.machine(node).image = process.end(ending, seed);
        self.hang_up(node);
        let after = match self.chance.one_in(8) {
            true => self.chance.below(120_000),
            false => 200 + self.chance.below(8000),
        };
        self.plan_at(self.at + after, Event::Start(node));
    }

    fn connect(&mut self, node: usize, number: u64) {
        let at = self.at;
        let link = &self.links[node];
        let is_cut = self.broker.is_down || at < link.parted_until || at < link.silent_until;
        let Some(process) = self.process(node) else { return };
        let port = &mut process.port;
        if process.number != number || port.connection.is_some() {
            return;
        }
        if is_cut {
            port.attempts += 1;
            let wait = (100 << port.attempts.min(9)).min(CONNECT_MAX_MS);
            return self.plan_at(at + wait, Event::Connect(node, number));
        }
        (port.attempts, port.under_way) = (0, 0);
        self.take_over(node);
        self.links[node].connected();
        let mut packets = self.broker.connect(self.name_of(node), node).into_iter();
        if let Some(Down::Connected { connection }) = packets.next() {
            let port = &mut self.process(node).expect("it connects").port;
            port.connection = Some(connection);
            port.inbox.push_back(Down::Connected { connection });
            self.trace.add(at, node, "connected", connection, 0);
            self.wake(node);
        }
        self.send_down(node, packets.collect());
    }

    /// The connection of a node is over, and both ends know.
    pub(super) fn disconnect(&mut self, node: usize) {
        self.disconnect_for(node, 100);
    }

    /// The same; it connects again after this time.
    pub(super) fn disconnect_for(&mut self, node: usize, wait_ms: u64) {
        self.hang_up(node);
        let at = self.at;
        let Some(process) = self.process(node) else { return };
        if process.port.connection.take().is_some() {
            process.port.under_way = 0;
            process.port.inbox.push_back(Down::Disconnected);
            let number = process.number;
            self.trace.add(at, node, "disconnected", 0, 0);
            self.wake(node);
            self.plan_at(at + wait_ms, Event::Connect(node, number));
        }
    }

    /// Packets of a node vanish; it is noticed when the keep-alive runs out.
    pub(super) fn fall_silent(&mut self, node: usize, ms: u64) {
        self.links[node].silent_until = self.at + ms;
        self.links[node].is_dead = ms > KEEP_ALIVE_MS;
        let connection = self.process(node).and_then(|process| process.port.connection);
        if let Some(connection) = connection
            && ms > KEEP_ALIVE_MS
        {
            self.plan_at(self.at + KEEP_ALIVE_MS, Event::Silence(node, connection));
        }
    }

    pub(super) fn stop_broker(&mut self, ms: u64, forgets: bool) {
        self.broker.is_down = true;
        (0..self.links.len()).for_each(|node| self.disconnect(node));
        if forgets {
            self.broker.forget();
        }
        self.plan_at(self.at + ms, Event::BrokerStarts);
    }

    pub(super) fn room_returns(&mut self, node: usize, at: u64) {
        self.plan_at(at, Event::Room(node));
    }

    fn fault(&mut self) {
        if self.is_quiet {
            return;
        }
        let index = self.chance.below(self.shape.faults.len() as u64);
        let fault = self.shape.faults[usize::try_from(index).expect("few kinds")];
        self.inject(fault);
        // Misfortunes do not come singly.
        let mean = if self.chance.one_in(4) { 200 } else { self.shape.fault_every_ms };
        let wait = 1 + self.chance.below(2 * mean);
        self.plan_at(self.at + wait, Event::Fault);
    }

    /// Everything is mended; what follows must end well by itself.
    fn quiet(&mut self) {
        self.is_quiet = true;
        self.end_copy();
        self.trace.fault(self.at, 0, "quiet", 0);
        self.broker.is_down = false;
        for node in 0..self.links.len() {
            self.links[node].heal();
            self.machine(node).clock.set(0);
            if let Some(process) = self.process(node) {
                process.medium.disk.set_room(None);
                process.medium.disk.fail_syncs(0);
                process.medium.disk.fail_writes(0);
                process.medium.disk.cut_after(u64::MAX);
                process.fuse = None;
            }
            self.plan_at(self.at, Event::Start(node));
        }
    }

    /// A node publishes.
    pub(super) fn publish(&mut self, node: usize, connection: u64, message: Message) {
        let size = message.bytes.len() as u64;
        self.trace.add(self.at, node, topic_name(&message), connection, size);
        self.send_up(node, connection, &Up::Publish(message));
    }

    /// A node acknowledges a message to the broker.
    pub(super) fn acknowledge(&mut self, node: usize, connection: u64, packet_id: u16) {
        self.send_up(node, connection, &Up::Ack(packet_id));
    }

    fn send_up(&mut self, node: usize, connection: u64, packet: &Up) {
        for at in self.links[node].arrivals(self.at, Way::Up, &mut self.chance) {
            self.plan_at(at, Event::Up { node, connection, packet: packet.clone() });
        }
    }

    fn send_down(&mut self, node: usize, packets: Vec<Down>) {
        let name = self.name_of(node);
        let Some(connection) = self.broker.connection(name) else { return };
        let mut packets = VecDeque::from(packets);
        while let Some(packet) = packets.pop_front() {
            if let Down::Message { packet_id, .. } = packet
                && self.links[node].loses(self.at, &mut self.chance)
            {
                packets.extend(self.broker.acknowledged(name, packet_id));
                continue;
            }
            for at in self.links[node].arrivals(self.at, Way::Down, &mut self.chance) {
                self.plan_at(at, Event::Down { node, connection, packet: packet.clone() });
            }
        }
    }

    fn reach_broker(&mut self, node: usize, connection: u64, packet: Up) {
        let name = self.name_of(node);
        if self.broker.is_down || !self.broker.is_current(name, connection) {
            return;
        }
        match packet {
            Up::Publish(message) => {
                self.send_down(node, vec![Down::Confirmed]);
                if self.links[node].loses(self.at, &mut self.chance) {
                    return;
                }
                let (to, packets) = self.broker.publish(message);
                self.send_down(self.broker.holder(to), packets);
            }
            Up::Ack(packet_id) => {
                let packets = self.broker.acknowledged(name, packet_id);
                self.send_down(node, packets);
            }
        }
    }

    fn reach_node(&mut self, node: usize, connection: u64, packet: Down) {
        let Some(process) = self.process(node) else { return };
        if process.port.connection == Some(connection) {
            process.port.inbox.push_back(packet);
            self.wake(node);
        }
    }
}

fn topic_name(message: &Message) -> &'static str {
    use super::broker::Topic;
    use headwater_wire::UpKind;
    match message.topic {
        Topic::Up(_, UpKind::Frame) => "sends-frame",
        Topic::Up(_, UpKind::Hello) => "sends-message",
        Topic::Ack(_) => "sends-ack",
        Topic::Control(_) => "sends-control",
    }
}
