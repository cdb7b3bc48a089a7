//! Real agents, hub and stores in one process, over disks that lose power and links that repeat:
//! no socket, no clock but a counter, no chance but a seed. What a run does depends on its script
//! alone, so a failure is kept as its seed.

mod core;
mod edge;
pub mod world;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use headwater_plan::{Plan, Target, Vars, compile};
use headwater_runtime::agent::Now;
use headwater_store::crash::CrashDisk;
use headwater_store::{Options, Snapshot, Store, StoreError};

pub use core::Core;
pub use edge::{Edge, Place};

/// Wall clock of a simulation: the start of 2026, ms.
const WALL_MS: i64 = 1_767_225_600_000;
/// Name of the machine, unless another is asked for.
const MACHINE: &str = "simulated";
/// Channels of sinks stand behind those of exchanges.
const SINK_CHANNEL_FIRST: u32 = 1000;
/// Bytes of an offset in front of a chunk of results.
const CHUNK_HEAD_BYTES: usize = 8;

/// The records of one source table, in the order of arrival.
#[derive(Clone, Debug)]
pub struct Input {
    /// Name of the table.
    pub table: String,
    /// One record each, without line ends.
    pub records: Vec<Vec<u8>>,
}

/// Compiles a script without variables.
///
/// # Errors
/// The rendered diagnostics.
pub fn plan(sql: &str, target: Target) -> Result<Plan, String> {
    compile(sql, "pipeline.sql", &Vars::new(), target).map_err(|diagnostics| {
        diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })
}

/// Reads the files of every source table of a plan.
///
/// # Errors
/// When one cannot be read.
pub fn inputs(plan: &Plan) -> Result<Vec<Input>, String> {
    let sources = plan.tables.iter().filter(|table| table.source.is_some());
    sources
        .map(|table| {
            let path = table.options.get("path").ok_or("a source without a path")?;
            let text = fs::read(Path::new(path)).map_err(|e| format!("{path}: {e}"))?;
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let records = lines.map(<[u8]>::to_vec).collect();
            Ok(Input { table: table.name.clone(), records })
        })
        .collect()
}

/// A seeded source of chance (xorshift).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same sequence.
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A store on a disk in memory.
struct Medium {
    disk: Arc<CrashDisk>,
    store: Store,
}

impl Medium {
    fn open(image: Vec<u8>, id: &str, machine: &str, ticks: i64) -> Medium {
        let disk = Arc::new(CrashDisk::new(image));
        Medium::open_on(disk, bits(id, ticks), machine).expect("a store opens after any crash")
    }

    /// A store on `disk`; what is made new gets this incarnation.
    fn open_on(
        disk: Arc<CrashDisk>,
        incarnation: [u8; 16],
        machine: &str,
    ) -> Result<Medium, StoreError> {
        let options = Options::new(incarnation, machine);
        let medium = Arc::clone(&disk);
        let store = Store::open_disk(medium, &options)?;
        Ok(Medium { disk, store })
    }

    /// A copy of everything that is durable.
    fn copy(&self) -> Vec<u8> {
        self.disk.live_image()
    }

    /// The power goes: what was not synced survives in part.
    fn crash(self, seed: u64) -> Vec<u8> {
        self.disk.crash_image(seed)
    }

    fn snapshot(&self) -> Snapshot {
        self.store.snapshot().expect("an open store can be read")
    }

    /// All results so far, as a sink would have received them.
    fn results(&self, sinks: &[u32]) -> Vec<u8> {
        let snapshot = self.snapshot();
        let mut bytes = Vec::new();
        for &channel in sinks {
            let mut next = 1;
            loop {
                let rows = snapshot.outbox(channel, next, 1 << 20).expect("a readable outbox");
                let Some(last) = rows.last() else { break };
                next = last.seq + 1;
                for row in &rows {
                    bytes.extend_from_slice(&row.bytes[CHUNK_HEAD_BYTES..]);
                }
            }
        }
        bytes
    }

    /// Records that were set aside.
    fn dead_letters_count(&self) -> usize {
        self.snapshot().dead_letters(0, usize::MAX).expect("a readable list").len()
    }
}

/// Bits that stand for random ones: different for each start of each node.
fn bits(id: &str, ticks: i64) -> [u8; 16] {
    let mut bits = [7; 16];
    bits.iter_mut().zip(ticks.to_le_bytes()).for_each(|(to, from)| *to = from);
    bits[8..].iter_mut().zip(id.bytes().rev()).for_each(|(to, from)| *to = from);
    bits
}

fn now(ticks: i64) -> Now {
    Now { wall_ms: WALL_MS + ticks, mono_ms: ticks, boot_ms: ticks }
}
