//! Replays the readings: publishes them over MQTT at QoS 1, in order and at a steady speed.
//!
//! Guarantees: every reading is confirmed by the broker in the end; after a lost connection what
//! was not confirmed is published again.

use std::collections::{BTreeSet, VecDeque};
use std::future;
use std::io;
use std::net::SocketAddr;
use std::thread;

use headwater_runtime::mqtt::{MqttClient, MqttEvent, MqttOptions};
use headwater_runtime::source::Wake;
use tokio::runtime::Builder;

use super::readings::Reading;

/// Publishes under way at a time.
const WINDOW: usize = 100;

/// The device that sends.
#[derive(Debug)]
pub(crate) struct Publisher {
    client: MqttClient,
    /// Readings to be sent again, before others.
    again: VecDeque<usize>,
    unconfirmed: BTreeSet<usize>,
    /// Readings published for the first time.
    pub(crate) sent: usize,
}

impl Publisher {
    /// Starts to connect; the network has a thread of its own.
    pub(crate) fn connect(broker: SocketAddr) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name("publisher".into())
            .spawn(move || runtime.block_on(future::pending::<()>()))?;
        let mut options = MqttOptions::new("sensors", broker.ip().to_string(), broker.port());
        options.publish_window = u16::try_from(WINDOW).unwrap_or(u16::MAX);
        let client = MqttClient::connect(options, Wake::new(), &handle);
        Ok(Self { client, again: VecDeque::new(), unconfirmed: BTreeSet::new(), sent: 0 })
    }

    /// Publishes up to the reading `upto` (exclusive), as far as the broker takes them now.
    pub(crate) fn publish(&mut self, readings: &[Reading], upto: usize) {
        self.listen();
        loop {
            let next = match self.again.front() {
                Some(index) => *index,
                None if self.sent < upto => self.sent,
                None => return,
            };
            let Reading { topic, payload, .. } = &readings[next];
            let token = next as u64;
            if self.client.publish(topic, payload.as_bytes(), false, token, WINDOW).is_err() {
                return;
            }
            self.unconfirmed.insert(next);
            if self.again.pop_front().is_none() {
                self.sent += 1;
            }
        }
    }

    /// Whether the broker has everything that was sent.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.unconfirmed.is_empty() && self.again.is_empty()
    }

    fn listen(&mut self) {
        while let Some(event) = self.client.poll() {
            match event {
                MqttEvent::Confirmed { token } => {
                    let index = usize::try_from(token).expect("tokens are indices");
                    self.unconfirmed.remove(&index);
                }
                MqttEvent::Disconnected { .. } => {
                    self.again.extend(std::mem::take(&mut self.unconfirmed));
                }
                _ => {}
            }
        }
    }
}
