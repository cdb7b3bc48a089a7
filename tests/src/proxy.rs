//! A TCP proxy on loopback that breaks links on command: cut, hold, half-open, reset, delay.
//! Stands between a client and one server. Guarantees bounded memory (one 64 KiB buffer per
//! direction and connection, at most [`CONNECTIONS_MAX`] connections) and that its threads end
//! with it. Uses the standard library alone. Delay also limits speed, to 64 KiB per delay.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Connections at a time; further ones are closed at once.
pub const CONNECTIONS_MAX: usize = 64;

const BUFFER_BYTES: usize = 64 << 10;
/// How soon a thread sees a command.
const TICK: Duration = Duration::from_millis(10);

/// What the link does with bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flow {
    /// Passes them on.
    Pass = 0,
    /// Leaves them where they are: the link is frozen, and neither side is told.
    Hold = 1,
    /// Takes and forgets them. The stream is broken then: cut it before passing again.
    Discard = 2,
}

impl Flow {
    fn from_code(code: u8) -> Flow {
        match code {
            0 => Flow::Pass,
            1 => Flow::Hold,
            _ => Flow::Discard,
        }
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// A proxy in front of one server; ends on drop.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    stop: AtomicBool,
    /// New connections are closed at once.
    refuse: AtomicBool,
    delay_ms: AtomicU64,
    ways: [Lane; 2],
    connections: Mutex<Vec<Arc<Connection>>>,
}

#[derive(Debug)]
struct Lane {
    flow: AtomicU8,
    bytes: AtomicU64,
    /// Bytes until the connection is cut; `u64::MAX` for never.
    cut_after: AtomicU64,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// The server's side is closed and the client is not to know.
    half_open: AtomicBool,
    /// Pumps stop without reading what has arrived, so that closing sends a reset.
    reset: AtomicBool,
    pumps: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port of loopback for connections to `server`.
    ///
    /// # Errors
    /// When no port can be bound or no thread started.
    pub fn start(server: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let lane = || Lane {
            flow: AtomicU8::new(Flow::Pass as u8),
            bytes: AtomicU64::new(0),
            cut_after: AtomicU64::new(u64::MAX),
        };
        let shared = Arc::new(Shared {
            server,
            stop: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            ways: [lane(), lane()],
            connections: Mutex::new(Vec::new()),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("proxy".into()).spawn(move || accept(&listener, &shared))?
        };
        Ok(Proxy { address, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and refuses new ones until [`Proxy::heal`].
    pub fn cut(&self) {
        self.shared.refuse.store(true, Ordering::SeqCst);
        self.shared.for_each(Connection::close);
    }

    /// Closes every connection; new ones pass.
    pub fn cut_once(&self) {
        self.shared.for_each(Connection::close);
    }

    /// Resets every connection: what has arrived is thrown away, and a side that goes on sending
    /// is answered with RST. New connections pass.
    pub fn reset(&self) {
        self.shared.for_each(|c| c.reset.store(true, Ordering::SeqCst));
    }

    /// Closes the server's side of every connection and keeps the client's open in silence, as
    /// when the far end lost power.
    pub fn half_open(&self) {
        self.shared.for_each(|c| {
            c.half_open.store(true, Ordering::SeqCst);
            let _ = c.server.shutdown(Shutdown::Both);
        });
    }

    /// Cuts each connection once `bytes` more have passed in `way` over all connections.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        self.shared.lane(way).cut_after.store(bytes, Ordering::SeqCst);
    }

    /// Sets what happens to bytes of one direction.
    pub fn set_flow(&self, way: Way, flow: Flow) {
        self.shared.lane(way).flow.store(flow as u8, Ordering::SeqCst);
    }

    /// Freezes both directions: connections stay open and nothing passes.
    pub fn hold(&self) {
        self.set_flow(Way::Up, Flow::Hold);
        self.set_flow(Way::Down, Flow::Hold);
    }

    /// Delays every chunk by `delay`.
    pub fn set_delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Ends every fault. Half-open connections are closed, and those that were discarded from,
    /// for their streams have holes.
    pub fn heal(&self) {
        self.shared.for_each(|c| {
            if c.half_open.load(Ordering::SeqCst) {
                c.reset.store(true, Ordering::SeqCst);
            }
        });
        for lane in &self.shared.ways {
            let before = lane.flow.swap(Flow::Pass as u8, Ordering::SeqCst);
            if Flow::from_code(before) == Flow::Discard {
                self.shared.for_each(Connection::close);
            }
            lane.cut_after.store(u64::MAX, Ordering::SeqCst);
        }
        self.set_delay(Duration::ZERO);
        self.shared.refuse.store(false, Ordering::SeqCst);
    }

    /// Bytes passed on in one direction so far.
    #[must_use]
    pub fn bytes(&self, way: Way) -> u64 {
        self.shared.lane(way).bytes.load(Ordering::SeqCst)
    }

    /// Open connections.
    #[must_use]
    pub fn connections_count(&self) -> usize {
        self.shared.list().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.for_each(Connection::close);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn lane(&self, way: Way) -> &Lane {
        &self.ways[usize::from(way == Way::Down)]
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn for_each(&self, act: impl Fn(&Connection)) {
        self.list().iter().for_each(|c| act(c));
    }
}

impl Connection {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((client, _)) => {
                // An error closes the client's connection, as an absent server does.
                let _ = open(client, shared);
            }
            Err(_) => thread::sleep(TICK),
        }
    }
}

fn open(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let full = shared.list().len() >= CONNECTIONS_MAX;
    if full || shared.refuse.load(Ordering::SeqCst) {
        return Ok(());
    }
    client.set_nonblocking(false)?;
    let server = TcpStream::connect_timeout(&shared.server, Duration::from_secs(2))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
    }
    let connection = Arc::new(Connection {
        client,
        server,
        half_open: AtomicBool::new(false),
        reset: AtomicBool::new(false),
        pumps: AtomicUsize::new(2),
    });
    shared.list().push(Arc::clone(&connection));
    for way in [Way::Up, Way::Down] {
        let (shared, connection) = (Arc::clone(shared), Arc::clone(&connection));
        thread::Builder::new().name("proxy-pump".into()).spawn(move || {
            pump(way, &shared, &connection);
            finish(&shared, &connection);
        })?;
    }
    Ok(())
}

/// The last pump to end forgets the connection, which closes both sockets.
fn finish(shared: &Shared, connection: &Arc<Connection>) {
    if !connection.reset.load(Ordering::SeqCst) {
        connection.close();
    }
    if connection.pumps.fetch_sub(1, Ordering::SeqCst) == 1 {
        shared.list().retain(|c| !Arc::ptr_eq(c, connection));
    }
}

fn pump(way: Way, shared: &Shared, connection: &Connection) {
    let (from, to) = match way {
        Way::Up => (&connection.client, &connection.server),
        Way::Down => (&connection.server, &connection.client),
    };
    let lane = shared.lane(way);
    let mut buffer = vec![0; BUFFER_BYTES];
    while !shared.stop.load(Ordering::SeqCst) && !connection.reset.load(Ordering::SeqCst) {
        let flow = Flow::from_code(lane.flow.load(Ordering::SeqCst));
        if flow == Flow::Hold || connection.half_open.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            continue;
        }
        let count = match { from }.read(&mut buffer) {
            Ok(count @ 1..) => count,
            Err(e) if is_timeout(&e) => continue,
            _ if connection.half_open.load(Ordering::SeqCst) => continue,
            _ => return,
        };
        if flow == Flow::Discard {
            continue;
        }
        thread::sleep(Duration::from_millis(shared.delay_ms.load(Ordering::SeqCst)));
        let allowed = lane.take(count);
        if pass(lane, shared, connection, to, &buffer[..allowed]).is_err() || allowed < count {
            return;
        }
    }
}

impl Lane {
    /// How many of `count` bytes may pass before the cut; takes them off the allowance.
    fn take(&self, count: usize) -> usize {
        let left = self.cut_after.load(Ordering::SeqCst);
        if left == u64::MAX {
            return count;
        }
        let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        self.cut_after.store(left - allowed as u64, Ordering::SeqCst);
        allowed
    }
}

/// Writes all of `bytes`, looking for commands while the receiver does not take them.
fn pass(
    lane: &Lane,
    shared: &Shared,
    connection: &Connection,
    mut to: &TcpStream,
    mut bytes: &[u8],
) -> io::Result<()> {
    while !bytes.is_empty() {
        if shared.stop.load(Ordering::SeqCst) || connection.reset.load(Ordering::SeqCst) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        match to.write(bytes) {
            Ok(count) => {
                lane.bytes.fetch_add(count as u64, Ordering::SeqCst);
                bytes = &bytes[count..];
            }
            Err(e) if is_timeout(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
