//! The broker of the demo: rumqttd, inside the demo's own process and on loopback.
//!
//! Guarantees: lives as long as the process, so that killing nodes does not touch it. Keeps its
//! sessions in memory, numbers messages anew and sets no DUP flag when it sends them again: the
//! repeats that this makes are removed by the pipeline's deduplication, not by packet ids.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Starts the broker on a free port and waits until it listens.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let server = ServerSettings {
        name: "demo".into(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: 1 << 20,
            max_inflight_count: 200,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let config = Config {
        router: RouterConfig {
            max_connections: 100,
            max_outgoing_packet_count: 200,
            max_segment_size: 16 << 20,
            max_segment_count: 16,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("demo".to_owned(), server)])),
        ..Config::default()
    };
    thread::Builder::new().name("broker".into()).spawn(move || {
        // Boxed: the error is large, and nobody waits for it but the log.
        Broker::new(config).start().map_err(Box::new)
    })?;
    let until = Instant::now() + START_MAX;
    while Instant::now() < until {
        if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
            return Ok(address);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::other("the embedded broker does not listen"))
}

const START_MAX: Duration = Duration::from_secs(10);
