//! A broker as the protocol may meet it: sessions with queues and windows, retained messages, QoS 1
//! with packet ids and redelivery. It can forget everything it knows.
//!
//! Does not know time or faults of the network: the world moves packets and cuts connections.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use headwater_wire::UpKind;

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// From this gateway to the core.
    Up(usize, UpKind),
    /// Acknowledgements to this gateway; retained.
    Ack(usize),
    /// Control messages to this gateway.
    Control(usize),
}

/// A published message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Topic,
    pub(super) bytes: Rc<[u8]>,
}

/// From the broker to a client.
#[derive(Clone, Debug)]
pub(super) enum Down {
    Connected {
        connection: u64,
    },
    Disconnected,
    Message {
        connection: u64,
        packet_id: u16,
        message: Message,
    },
    /// PUBACK of one publish.
    Confirmed,
}

/// Messages that one client may have without acknowledgement (Mosquitto's default for 3.1.1).
const INFLIGHT_MAX: usize = 20;
/// Messages that wait for one client; later ones are lost.
const QUEUE_MAX: usize = 1000;

#[derive(Debug, Default)]
struct Session {
    connection: Option<u64>,
    /// Node that has it, or had it last.
    holder: usize,
    queue: VecDeque<Message>,
    inflight: VecDeque<(u16, Message)>,
    packet_id: u16,
}

/// The broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    sessions: BTreeMap<usize, Session>,
    retained: BTreeMap<usize, Message>,
    connections: u64,
    pub(super) is_down: bool,
}

impl Broker {
    /// A client connects from this node: what it is to be sent, in order. A new session subscribes
    /// at once.
    pub(super) fn connect(&mut self, node: usize, holder: usize) -> Vec<Down> {
        self.connections += 1;
        let connection = self.connections;
        let is_new = !self.sessions.contains_key(&node);
        let session = self.sessions.entry(node).or_default();
        (session.connection, session.holder) = (Some(connection), holder);
        let mut packets = vec![Down::Connected { connection }];
        // What was under way comes again, in order and under its packet ids.
        for (packet_id, message) in &session.inflight {
            let (packet_id, message) = (*packet_id, message.clone());
            packets.push(Down::Message { connection, packet_id, message });
        }
        if is_new && let Some(retained) = self.retained.get(&node) {
            session.queue.push_back(retained.clone());
        }
        packets.extend(self.deliver(node));
        packets
    }

    /// The connection of a client is over.
    pub(super) fn disconnect(&mut self, node: usize) {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.connection = None;
        }
    }

    /// The node that has the connection of a client, or had it last.
    pub(super) fn holder(&self, client: usize) -> usize {
        self.sessions.get(&client).map_or(client, |session| session.holder)
    }

    /// Whether this is the client's present connection.
    pub(super) fn is_current(&self, node: usize, connection: u64) -> bool {
        self.sessions.get(&node).is_some_and(|s| s.connection == Some(connection))
    }

    /// The client's present connection.
    pub(super) fn connection(&self, node: usize) -> Option<u64> {
        self.sessions.get(&node)?.connection
    }

    /// A publish arrived; gives the client that gets it and what is sent to it now.
    pub(super) fn publish(&mut self, message: Message) -> (usize, Vec<Down>) {
        let to = match message.topic {
            Topic::Up(..) => 0,
            Topic::Ack(node) => {
                self.retained.insert(node, message.clone());
                node
            }
            Topic::Control(node) => node,
        };
        let Some(session) = self.sessions.get_mut(&to) else { return (to, Vec::new()) };
        if session.queue.len() < QUEUE_MAX {
            session.queue.push_back(message);
        }
        (to, self.deliver(to))
    }

    /// A client acknowledged a message; gives what is sent to it next.
    pub(super) fn acknowledged(&mut self, node: usize, packet_id: u16) -> Vec<Down> {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.inflight.retain(|(id, _)| *id != packet_id);
        }
        self.deliver(node)
    }

    /// Everything that the broker knew is gone.
    pub(super) fn forget(&mut self) {
        self.sessions.clear();
        self.retained.clear();
    }

    fn deliver(&mut self, node: usize) -> Vec<Down> {
        let mut packets = Vec::new();
        let Some(session) = self.sessions.get_mut(&node) else { return packets };
        let Some(connection) = session.connection else { return packets };
        while session.inflight.len() < INFLIGHT_MAX
            && let Some(message) = session.queue.pop_front()
        {
            session.packet_id = session.packet_id.checked_add(1).unwrap_or(1);
            let packet_id = session.packet_id;
            session.inflight.push_back((packet_id, message.clone()));
            packets.push(Down::Message { connection, packet_id, message });
        }
        packets
    }
}
