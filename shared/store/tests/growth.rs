//! A day of a gateway with 800 keys in virtual time: a checkpoint every 10 s, a link that is away
//! for hours, an outbox that fills and drains. The file ends small.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;

use headwater_store::crash::{CrashDisk, Noise};
use headwater_store::{Commit, Options, OutboxRow, StateWrite, Store, TIDY_BYTES_MAX};

const CHECKPOINTS: u64 = 8640;
/// Frames that are acknowledged stay for an hour.
const RETAINED: u64 = 360;

/// Hours without a link.
fn is_away(epoch: u64) -> bool {
    let hour = epoch / 360;
    (2..8).contains(&hour) || hour == 10 || (13..21).contains(&hour)
}

#[test]
fn a_day_leaves_a_file_of_at_most_three_times_the_live_data() {
    let disk = Arc::new(CrashDisk::default());
    let options = Options::new([1; 16], "m");
    let mut store = Store::open_disk(disk.clone(), &options).unwrap();
    let mut noise = Noise(1);
    let (mut base, mut delta, mut sent, mut peak, mut moved) = (0, 0, 0, 0, 0);
    for epoch in 1..=CHECKPOINTS {
        let mut commit = Commit { epoch, ..Commit::default() };
        let frame = 12_000 + usize::try_from(noise.below(4000)).unwrap();
        commit.outbox_put =
            vec![OutboxRow { channel: 1, seq: epoch, bytes: vec![epoch.to_le_bytes()[0]; frame] }];
        // The delta log is folded when it has outgrown the base.
        let full = base == 0 || delta > base;
        let len = if full { 60_000 } else { 30_000 };
        if full {
            (base, delta) = (len, 0)
        } else {
            delta += len
        }
        commit.state = Some(StateWrite { full, pages: vec![vec![7; len]] });
        if !is_away(epoch) {
            // 50 times as fast as they are made.
            sent = (sent + 50).min(epoch);
            commit.outbox_acked = vec![(1, sent)];
            commit.outbox_delete = vec![(1, sent.saturating_sub(RETAINED))];
        }
        store.commit(&commit).unwrap();
        let start = std::time::Instant::now();
        if let Some(tidied) = store.tidy().unwrap() {
            println!("epoch {epoch}: {tidied:?} in {:?}", start.elapsed());
            moved += tidied.bytes_written;
            assert!(tidied.bytes_written < 4 * TIDY_BYTES_MAX);
        }
        peak = peak.max(store.meter().file_bytes());
        if epoch % 360 == 0 {
            let live = store.outbox_totals().bytes + (base + delta) as u64;
            println!("hour {}: live {live}, file {}", epoch / 360, store.meter().file_bytes());
        }
    }
    let live = store.outbox_totals().bytes + (base + delta) as u64;
    let file = disk.live_image().len() as u64;
    let written = store.meter().flash_bytes_written();
    println!("{} MiB written, {} KiB of it to tidy up, peak {peak}", written >> 20, moved >> 10);
    assert!(moved > 0, "the file was never made smaller");
    assert!(moved < written / 20, "{moved} of {written} bytes");
    assert!(file <= 3 * live, "{file} bytes for {live}");
}
