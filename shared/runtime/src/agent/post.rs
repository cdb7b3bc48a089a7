//! What an agent publishes, in the one order that is right: messages first, then frames, each from
//! the store under the present term, and none taken as sent that was not handed over.

use headwater_store::OutboxRow;
use headwater_wire::{WireError, encode_up};

use super::{Agent, Now};

/// On which of the agent's topics something is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    /// Hello, heartbeat or declaration; does not wait behind frames.
    Message,
    /// A frame; the window is for these.
    Frame,
}

/// Why a frame could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PostError<E> {
    /// The store could not be read.
    #[error("{0}")]
    Read(E),
    /// A committed frame is not in the outbox.
    #[error("frame {0} is missing in the outbox")]
    Missing(u64),
    /// A stored frame is damaged.
    #[error("frame {0}: {1}")]
    Damaged(u64, WireError),
}

impl Agent {
    /// Publishes what is due. `read` gives frames of a channel from a seq on, `publish` hands one
    /// message to the connection and answers false when it takes no more.
    ///
    /// # Errors
    /// When the outbox does not give back what was committed to it.
    pub fn post<E>(
        &mut self,
        now: Now,
        read: &mut dyn FnMut(u32, u64) -> Result<Vec<OutboxRow>, E>,
        publish: &mut dyn FnMut(Post, &[u8]) -> bool,
    ) -> Result<(), PostError<E>> {
        while let Some((channel, seq)) = self.next_to_compare() {
            let rows = read(channel, seq).map_err(PostError::Read)?;
            let row = rows.first().filter(|row| row.seq == seq).ok_or(PostError::Missing(seq))?;
            self.compare(&row.bytes, now).map_err(|error| PostError::Damaged(seq, error))?;
        }
        while let Some(message) = self.next_message(now) {
            let Ok(bytes) = encode_up(&message) else { break };
            if !publish(Post::Message, &bytes) {
                return Ok(());
            }
        }
        while let Some((channel, seq)) = self.next_transmit(now) {
            let rows = read(channel, seq).map_err(PostError::Read)?;
            if rows.first().is_none_or(|row| row.seq != seq) {
                return Err(PostError::Missing(seq));
            }
            for mut row in rows {
                if self.next_transmit(now) != Some((channel, row.seq)) {
                    break;
                }
                self.address(channel, row.seq, &mut row.bytes)
                    .map_err(|error| PostError::Damaged(row.seq, error))?;
                if !publish(Post::Frame, &row.bytes) {
                    return Ok(());
                }
                self.transmitted(channel, row.seq, now);
            }
        }
        Ok(())
    }
}
