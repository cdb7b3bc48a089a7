//! MQTT servers for tests: Mosquitto where it is installed, and the embedded rumqttd in a process
//! of its own. Each listens on a free port of loopback and ends with its handle. Does not install
//! anything.

mod embedded;
mod mosquitto;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

pub use embedded::Embedded;
pub use mosquitto::{Mosquitto, mosquitto_is_installed};

use crate::process::wait_until;

/// Ends a test early, and says so, where Mosquitto is not installed.
#[macro_export]
macro_rules! needs_mosquitto {
    () => {
        if !$crate::broker::mosquitto_is_installed() {
            println!("skipped: Mosquitto is not installed");
            return;
        }
    };
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn wait_for_port(address: SocketAddr) -> bool {
    wait_until(Duration::from_secs(10), || TcpStream::connect(address).is_ok())
}
