//! One connection: a socket with its buffers, and when either side was heard last.
//!
//! Every step may be given up half-way without losing a byte. Does not interpret packets.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rumqttc::tokio_rustls::TlsConnector;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;

use super::packet;

/// A plain or an encrypted stream.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What comes in.
pub(super) struct Input {
    stream: ReadHalf<Box<dyn Stream>>,
    pub(super) bytes: BytesMut,
}

/// What goes out.
pub(super) struct Output {
    stream: WriteHalf<Box<dyn Stream>>,
    pub(super) bytes: BytesMut,
    must_flush: bool,
}

/// Both, and who was heard when.
pub(super) struct Connection {
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) life: Life,
}

/// When either side was heard last.
pub(super) struct Life {
    keep_alive: Duration,
    heard: Instant,
    sent: Instant,
    pinged: Option<Instant>,
}

impl Connection {
    /// Connects, with TLS if there is a configuration for it.
    pub(super) async fn open(
        (host, port): (&str, u16),
        tls: Option<Arc<ClientConfig>>,
        keep_alive: Duration,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                Box::new(TlsConnector::from(config).connect(name, tcp).await?)
            }
        };
        let (input, output) = split(stream);
        let now = Instant::now();
        Ok(Self {
            input: Input { stream: input, bytes: BytesMut::new() },
            output: Output { stream: output, bytes: BytesMut::new(), must_flush: false },
            life: Life { keep_alive, heard: now, sent: now, pinged: None },
        })
    }
}

impl Input {
    /// Reads what is there; 0 is the end. Whether the buffer was filled comes with it.
    pub(super) async fn read(&mut self) -> io::Result<(usize, bool)> {
        if self.bytes.is_empty() && self.bytes.capacity() > 4 * READ_BYTES {
            self.bytes = BytesMut::new();
        }
        self.bytes.reserve(READ_BYTES);
        let room = self.bytes.capacity() - self.bytes.len();
        let count = self.stream.read_buf(&mut self.bytes).await?;
        Ok((count, count == room))
    }
}

impl Output {
    /// Whether something waits to be written.
    pub(super) fn is_waiting(&self) -> bool {
        self.must_flush || !self.bytes.is_empty()
    }

    /// Writes some of what waits.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            self.stream.flush().await?;
            self.must_flush = false;
        } else {
            self.must_flush = true;
            if self.stream.write_buf(&mut self.bytes).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

impl Life {
    /// The server has prescribed another keep-alive.
    pub(super) fn set_keep_alive(&mut self, keep_alive: Duration) {
        self.keep_alive = keep_alive.max(Duration::from_secs(1));
    }

    /// How long until the next look.
    pub(super) fn interval(&self) -> Duration {
        self.keep_alive / 4
    }

    /// The server has said something, or we have not listened.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// We have said something.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Adds a sign of life where one is due; false when the server has given none. It is noticed
    /// within 1.5 times the keep-alive.
    pub(super) fn look(&mut self, now: Instant, out: &mut BytesMut) -> bool {
        let half = self.keep_alive / 2;
        if let Some(pinged) = self.pinged {
            return now - pinged < half;
        }
        if now - self.sent.min(self.heard) >= half {
            packet::ping(out);
            self.pinged = Some(now);
        }
        true
    }
}

/// Room for this much is made before each read.
const READ_BYTES: usize = 16 << 10;
