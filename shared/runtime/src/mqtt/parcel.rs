//! Messages that arrived together, with their text in one buffer: what goes from the network
//! thread to the pipeline's in one step.

/// Bounds of one message within [`Parcel::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First byte of the topic and one past its last.
    pub topic: (u32, u32),
    /// First byte of the payload and one past its last.
    pub payload: (u32, u32),
    /// Packet id; 0 at QoS 0.
    pub packet_id: u16,
    /// The server says that it may have sent this message before.
    pub dup: bool,
}

/// Messages of one connection, in order of receipt.
#[derive(Debug, Default)]
pub struct Parcel {
    /// Number of the connection that they came with.
    pub connection: u64,
    /// Topics and payloads. A topic that equals the one before it is there once.
    pub bytes: Vec<u8>,
    /// The messages.
    pub entries: Vec<Entry>,
    /// Length of the longest payload.
    pub payload_bytes_max: usize,
}

impl Parcel {
    /// Adds a message.
    pub fn push(&mut self, topic: &[u8], payload: &[u8], packet_id: u16, dup: bool) {
        let topic = match self.entries.last() {
            Some(last) if self.text(last.topic) == topic => last.topic,
            _ => {
                let start = self.end();
                match std::str::from_utf8(topic) {
                    Ok(_) => self.bytes.extend_from_slice(topic),
                    Err(_) => {
                        self.bytes.extend_from_slice(String::from_utf8_lossy(topic).as_bytes());
                    }
                }
                (start, self.end())
            }
        };
        let start = self.end();
        self.bytes.extend_from_slice(payload);
        self.payload_bytes_max = self.payload_bytes_max.max(payload.len());
        self.entries.push(Entry { topic, payload: (start, self.end()), packet_id, dup });
    }

    /// Adds the messages of another parcel of the same connection.
    pub fn append(&mut self, other: &Parcel) {
        let base = self.end();
        let moved = |(start, end): (u32, u32)| (start + base, end + base);
        self.bytes.extend_from_slice(&other.bytes);
        self.payload_bytes_max = self.payload_bytes_max.max(other.payload_bytes_max);
        self.entries.extend(other.entries.iter().map(|entry| Entry {
            topic: moved(entry.topic),
            payload: moved(entry.payload),
            ..*entry
        }));
    }

    /// Bytes between bounds.
    pub fn text(&self, (start, end): (u32, u32)) -> &[u8] {
        &self.bytes[start as usize..end as usize]
    }

    /// Topic of a message.
    pub fn topic(&self, entry: &Entry) -> &str {
        std::str::from_utf8(self.text(entry.topic)).expect("topics are checked when they come in")
    }

    /// Whether it is worth handing over as it is.
    pub fn is_large(&self) -> bool {
        self.bytes.len() >= PARCEL_BYTES || self.entries.len() >= PARCEL_MESSAGES
    }

    /// Empties it but keeps its memory, unless a large message has made it large.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > 4 * PARCEL_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.entries.clear();
        self.payload_bytes_max = 0;
    }

    fn end(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("a parcel is far below 4 GiB")
    }
}

/// A parcel is handed over when it holds this much; one message may exceed it.
const PARCEL_BYTES: usize = 64 << 10;
const PARCEL_MESSAGES: usize = 1024;
