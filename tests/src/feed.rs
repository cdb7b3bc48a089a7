//! Readings of W1 that reach the agents' files piece by piece, so that a test says what is read
//! before and after a fault. Guarantees that each piece ends with a whole line. Keeps all lines
//! in memory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::node::Node;
use crate::process::wait_until;
use crate::rig::{deal, tail};
use crate::w1::{Expected, W1};

/// Connector options of the files that a feed writes, for agent n.
pub const FEED_SOURCE: &str = "'connector'='filesystem', 'path'='../in${n}.ndjson', \
                               'source.monitor-interval'='20 ms'";

/// The files of some agents.
#[derive(Debug)]
pub struct Feed {
    files: Vec<Growing>,
    /// What the whole adds up to.
    pub expected: Expected,
}

#[derive(Debug)]
struct Growing {
    path: PathBuf,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Makes the readings, and an empty file for each agent in `dir`.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new(w1: &W1, agents_count: usize, dir: &Path) -> io::Result<Feed> {
        let mut all = vec![Vec::new(); agents_count];
        let expected = deal(w1, agents_count, |n, reading| {
            reading.write(&mut all[n])?;
            all[n].push(b'\n');
            Ok(())
        })?;
        let mut files = Vec::new();
        for (n, mut bytes) in all.into_iter().enumerate() {
            writeln!(bytes, "{}", tail(w1))?;
            let path = dir.join(format!("in{n}.ndjson"));
            fs::write(&path, "")?;
            files.push(Growing { path, bytes, written: 0 });
        }
        Ok(Feed { files, expected })
    }

    /// Adds readings up to this part of them to the file of one agent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn upto(&mut self, agent: usize, permille: usize) -> io::Result<()> {
        self.upto_part(agent, permille, 1000)
    }

    /// The same with `part` of `parts`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn upto_part(&mut self, agent: usize, part: usize, parts: usize) -> io::Result<()> {
        let file = &mut self.files[agent];
        let about = file.bytes.len() / parts * part + file.bytes.len() % parts * part / parts;
        let rest = file.bytes[about..].iter().position(|byte| *byte == b'\n');
        let end = rest.map_or(file.bytes.len(), |n| about + n + 1).max(file.written);
        let mut out = OpenOptions::new().append(true).open(&file.path)?;
        out.write_all(&file.bytes[file.written..end])?;
        file.written = end;
        Ok(())
    }

    /// Adds readings to the files of all agents.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn all_upto(&mut self, permille: usize) -> io::Result<()> {
        (0..self.files.len()).try_for_each(|agent| self.upto(agent, permille))
    }

    /// Waits until an agent has stored all that is in its file, and until the core has
    /// acknowledged what came of it.
    #[must_use]
    pub fn is_taken(&self, agent: usize, node: &Node, timeout: Duration) -> bool {
        wait_until(timeout, || {
            let inspected = node.inspect().unwrap_or_default();
            let channels = inspected["outbox"].as_array().cloned().unwrap_or_default();
            self.is_at_end(agent, &inspected)
                && channels.iter().all(|channel| channel["unacknowledged_frames"] == 0)
        })
    }

    /// Waits until an agent has stored all that is in its file.
    #[must_use]
    pub fn is_stored(&self, agent: usize, node: &Node, timeout: Duration) -> bool {
        wait_until(timeout, || self.is_at_end(agent, &node.inspect().unwrap_or_default()))
    }

    fn is_at_end(&self, agent: usize, inspected: &Value) -> bool {
        let end = self.files[agent].written as u64;
        let positions = inspected["positions"].as_array();
        let is_end = |position: &Value| position["offset"].as_u64() == Some(end);
        positions.is_some_and(|positions| positions.iter().any(is_end))
    }
}
