//! The link between one agent and the broker: a TCP proxy on loopback that can be cut.
//!
//! Guarantees: counts the bytes that the agent sends; after [`Uplink::cut`] nothing passes until
//! [`Uplink::heal`]. One 16 KiB buffer a direction and connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A link that can be cut.
#[derive(Debug)]
pub(crate) struct Uplink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    is_cut: AtomicBool,
    sent_bytes: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Uplink {
    /// Listens on a free port for connections to `server`.
    pub(crate) fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            is_cut: AtomicBool::new(false),
            sent_bytes: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        });
        let acceptor = Arc::clone(&shared);
        thread::Builder::new().name("uplink".into()).spawn(move || {
            for client in listener.incoming().flatten() {
                // An error closes the connection, as an absent server does.
                let _ = acceptor.connect(client);
            }
        })?;
        Ok(Self { address, shared })
    }

    /// Where the agent connects.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and refuses new ones.
    pub(crate) fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub(crate) fn heal(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }

    /// Bytes that the agent has sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        let server = TcpStream::connect_timeout(&self.server, Duration::from_secs(2))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        self.open().extend([client.try_clone()?, server.try_clone()?]);
        let (back_from, back_to) = (server.try_clone()?, client.try_clone()?);
        let shared = Arc::clone(self);
        thread::Builder::new().name("uplink-up".into()).spawn(move || {
            shared.pump(&client, &server, Some(&shared.sent_bytes));
        })?;
        let shared = Arc::clone(self);
        thread::Builder::new().name("uplink-down".into()).spawn(move || {
            shared.pump(&back_from, &back_to, None);
        })?;
        Ok(())
    }

    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, count: Option<&AtomicU64>) {
        let mut buffer = [0; 16 << 10];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            if self.is_cut.load(Ordering::SeqCst) || to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
            if let Some(count) = count {
                count.fetch_add(bytes as u64, Ordering::SeqCst);
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
        // What is closed has no peer any more.
        self.open().retain(|stream| stream.peer_addr().is_ok());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_cut_link_passes_nothing_until_it_heals() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let uplink = Uplink::start(server.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(uplink.address()).unwrap();
        let (mut peer, _) = server.accept().unwrap();
        client.write_all(b"abc").unwrap();
        let mut got = [0; 3];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"abc");
        uplink.cut();
        assert_eq!(client.read(&mut got).unwrap_or(0), 0);
        let mut refused = TcpStream::connect(uplink.address()).unwrap();
        assert_eq!(refused.read(&mut got).unwrap_or(0), 0);
        uplink.heal();
        let mut again = TcpStream::connect(uplink.address()).unwrap();
        let (mut peer, _) = server.accept().unwrap();
        peer.write_all(b"xyz").unwrap();
        again.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"xyz");
        // They are counted once they have been passed on: the peer may be quicker.
        let until = Instant::now() + Duration::from_secs(10);
        while uplink.sent_bytes() < 3 && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(uplink.sent_bytes(), 3);
    }
}
