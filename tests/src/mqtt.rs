//! A small blocking MQTT 3.1.1 client for tests: a publisher with a bounded window at QoS 1, and
//! a subscriber. Own code, so that a fault of the product's client library cannot hide behind the
//! same fault here, and so that a load generator costs little. No TLS, no reconnect, no QoS 2.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest packet that is accepted from a server, bytes.
const PACKET_BYTES_MAX: usize = 16 << 20;
/// Seconds between packets that the client promises: longer than any test runs.
const KEEP_ALIVE_S: u16 = 50_000;

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;

/// Publishes at QoS 0 or 1 with a bounded number of unacknowledged messages.
#[derive(Debug)]
pub struct Publisher {
    writer: BufWriter<TcpStream>,
    window: Arc<Window>,
    window_max: u64,
    sent: u64,
}

#[derive(Debug, Default)]
struct Window {
    state: Mutex<WindowState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WindowState {
    acknowledged: u64,
    closed: bool,
}

impl Publisher {
    /// Connects with a clean session. `window_max` messages may be unacknowledged at a time.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn connect(server: SocketAddr, id: &str, window_max: u16) -> io::Result<Publisher> {
        let stream = connect(server, id, true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let window = Arc::new(Window::default());
        let shared = Arc::clone(&window);
        thread::spawn(move || {
            loop {
                let packet = read_packet(&mut reader);
                let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                match packet {
                    Ok((PUBACK, _)) => state.acknowledged += 1,
                    Ok(_) => {}
                    Err(_) => state.closed = true,
                }
                let closed = state.closed;
                drop(state);
                shared.changed.notify_all();
                if closed {
                    return;
                }
            }
        });
        let writer = BufWriter::with_capacity(1 << 16, stream);
        Ok(Publisher { writer, window, window_max: u64::from(window_max), sent: 0 })
    }

    /// Publishes at QoS 1; waits while the window is full. The message may lie in a buffer until
    /// the window is full or [`Publisher::flush`] is called.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        if self.outstanding() >= self.window_max {
            self.writer.flush()?;
            self.wait(Duration::from_secs(60), |outstanding, max| outstanding < max)?;
        }
        // Packet ids 1..=65535; more than `window_max` apart, so never two alike in flight.
        let id = u16::try_from(self.sent % 65_535 + 1).expect("a remainder below 65,535");
        write_publish(&mut self.writer, PUBLISH | 2, topic, Some(id), payload)?;
        self.sent += 1;
        Ok(())
    }

    /// Publishes a retained message at QoS 0.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn publish_retained(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        write_publish(&mut self.writer, PUBLISH | 1, topic, None, payload)?;
        self.writer.flush()
    }

    /// Sends what lies in the buffer, without waiting.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Sends everything and waits until the server has acknowledged it.
    ///
    /// # Errors
    /// When that has not happened within `timeout` or the connection has ended.
    pub fn flush(&mut self, timeout: Duration) -> io::Result<()> {
        self.writer.flush()?;
        self.wait(timeout, |outstanding, _| outstanding == 0)
    }

    /// Messages that the server has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.window.state.lock().unwrap_or_else(PoisonError::into_inner).acknowledged
    }

    fn outstanding(&self) -> u64 {
        self.sent - self.acknowledged()
    }

    fn wait(&self, timeout: Duration, done: impl Fn(u64, u64) -> bool) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        let mut state = self.window.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !done(self.sent - state.acknowledged, self.window_max) {
            if state.closed {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let waited = self.window.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // DISCONNECT; the reader thread ends with the connection.
        let _ = self.writer.write_all(&[0xE0, 0]).and_then(|()| self.writer.flush());
        let _ = self.writer.get_ref().shutdown(std::net::Shutdown::Both);
    }
}

/// One received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What was published.
    pub payload: Vec<u8>,
}

/// Receives what is published to one filter, at QoS 1, acknowledging at once.
#[derive(Debug)]
pub struct Subscriber {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Subscriber {
    /// Connects with a clean session and subscribes to `filter`.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn connect(server: SocketAddr, id: &str, filter: &str) -> io::Result<Subscriber> {
        let mut stream = connect(server, id, true)?;
        let mut body = vec![0, 1];
        push_text(&mut body, filter);
        body.push(1);
        write_packet(&mut stream, SUBSCRIBE, &[&body])?;
        let mut reader = BufReader::new(stream.try_clone()?);
        // Retained messages may come before SUBACK: 3.1.1 allows it, Mosquitto sends it first.
        let (kind, body) = read_packet(&mut reader)?;
        if kind != 0x90 || body.last().is_none_or(|code| *code > 2) {
            return Err(io::Error::other(format!("no SUBACK but {kind:#x} {body:?}")));
        }
        Ok(Subscriber { stream, reader })
    }

    /// The next message; `None` when none begins within `timeout`.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn receive(&mut self, timeout: Duration) -> io::Result<Option<Message>> {
        loop {
            self.stream.set_read_timeout(Some(timeout))?;
            let (kind, body) = match read_packet(&mut self.reader) {
                Ok(packet) => packet,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            };
            if kind & 0xF0 != PUBLISH {
                continue;
            }
            let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
            let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = body.get(2..2 + length).ok_or_else(short)?;
            let topic = String::from_utf8_lossy(topic).into_owned();
            let mut rest = body.get(2 + length..).ok_or_else(short)?;
            if kind & 6 != 0 {
                let (id, payload) = rest.split_at_checked(2).ok_or_else(short)?;
                write_packet(&mut self.stream, PUBACK, &[id])?;
                rest = payload;
            }
            return Ok(Some(Message { topic, payload: rest.to_vec() }));
        }
    }
}

fn connect(server: SocketAddr, id: &str, clean: bool) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    let mut body = Vec::new();
    push_text(&mut body, "MQTT");
    body.extend([4, if clean { 2 } else { 0 }]);
    body.extend(KEEP_ALIVE_S.to_be_bytes());
    push_text(&mut body, id);
    write_packet(&mut stream, CONNECT, &[&body])?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // Unbuffered: nothing may be read beyond CONNACK.
    let (kind, body) = read_packet(&mut stream)?;
    stream.set_read_timeout(None)?;
    match (kind, body.as_slice()) {
        (0x20, [_, 0]) => Ok(stream),
        _ => Err(io::Error::other(format!("connection refused: {kind:#x} {body:?}"))),
    }
}

fn write_publish(
    to: &mut impl Write,
    kind: u8,
    topic: &str,
    id: Option<u16>,
    payload: &[u8],
) -> io::Result<()> {
    let length = u16::try_from(topic.len()).expect("a test's topic is short");
    let id = id.map(u16::to_be_bytes);
    let id = id.as_ref().map_or(&[][..], |id| &id[..]);
    write_packet(to, kind, &[&length.to_be_bytes(), topic.as_bytes(), id, payload])
}

fn write_packet(to: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let mut left: usize = parts.iter().map(|part| part.len()).sum();
    let mut head = vec![kind];
    loop {
        let digit = u8::try_from(left % 128).expect("a remainder below 128");
        left /= 128;
        head.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    to.write_all(&head)?;
    parts.iter().try_for_each(|part| to.write_all(part))
}

fn read_packet(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    let kind = byte[0];
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        read_fully(from, &mut byte)?;
        length |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if length > PACKET_BYTES_MAX {
        return Err(io::Error::other("a packet beyond the limit"));
    }
    let mut body = vec![0; length];
    read_fully(from, &mut body)?;
    Ok((kind, body))
}

/// `read_exact` that goes on after a read timeout: a packet has begun, so its rest will come.
fn read_fully(from: &mut impl Read, mut into: &mut [u8]) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !into.is_empty() {
        match from.read(into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => into = &mut into[n..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).expect("a test's text is short").to_be_bytes());
    body.extend(text.as_bytes());
}
