//! The embedded rumqttd in a process of its own, as the program `headwater-broker`: it has no
//! call to end it, its sessions live in memory, and tests kill it.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::{loopback, wait_for_port};
use crate::process::{Process, binary};
use crate::scratch::{free_port, profile_dir};

/// A running rumqttd.
#[derive(Debug)]
pub struct Embedded {
    process: Option<Process>,
    port: u16,
}

impl Embedded {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it does not listen within 10 s.
    pub fn start() -> io::Result<Embedded> {
        let mut broker = Embedded { process: None, port: free_port() };
        broker.restart()?;
        Ok(broker)
    }

    /// Starts it again after [`Embedded::kill`], on the same port and without sessions.
    ///
    /// # Errors
    /// When it does not listen within 10 s.
    pub fn restart(&mut self) -> io::Result<()> {
        let program = profile_dir().join("headwater-broker");
        if !program.is_file() {
            let _built = binary("headwater-agent");
        }
        let port = self.port.to_string();
        self.process = Some(Process::start(Command::new(program).args(["--port", &port]))?);
        if wait_for_port(self.address()) {
            Ok(())
        } else {
            Err(io::Error::other("the embedded broker does not listen"))
        }
    }

    /// Where it listens, for MQTT 3.1.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// SIGKILL: sessions, queues and retained messages are gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }
}
