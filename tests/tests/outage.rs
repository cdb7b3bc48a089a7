//! A link that is away for longer than the outbox reaches (fault table, row 9): under a policy that
//! drops, the aggregator hears how many rows are lost, exactly, and the outbox keeps to its quota.
//! `coarsen.rs` has the policy that keeps every total.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::broker::Mosquitto;
use headwater_tests::feed::{FEED_SOURCE, Feed};
use headwater_tests::needs_mosquitto;
use headwater_tests::process::wait_until;
use headwater_tests::rig::{Broker, Rig, without_repeats};
use headwater_tests::scratch::Scratch;
use headwater_tests::w1::START_MS;

const MAX: Duration = Duration::from_secs(60);
const FAST: &str = "[checkpoint]\ninterval = \"100ms\"\n";
const QUOTA_BYTES: f64 = 32768.0;

fn a_full_outbox_drops(policy: &str) {
    let scratch = Scratch::new(policy).unwrap();
    let mut feed = Feed::new(&without_repeats(20, 600), 1, scratch.path()).unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let extra = format!("{FAST}[outbox]\nquota = \"32KiB\"\npolicy = \"{policy}\"\n");
    let mut rig = Rig::new(1, scratch, broker, FEED_SOURCE, FAST).unwrap();
    rig.agents[0].edit("node.toml", FAST, &extra).unwrap();
    rig.agents[0].set_uplink("resend-after = \"1s\"").unwrap();
    rig.start().unwrap();
    feed.upto(0, 100).unwrap();
    assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
    // What has arrived when it is dropped, and is not acknowledged yet, is declared as well:
    // nothing is dropped while frames are under way.
    let is_acknowledged = |rig: &Rig| rig.agents[0].metric("headwater_outbox_frames") == Some(0.0);
    assert!(wait_until(MAX, || is_acknowledged(&rig)), "{}", rig.statuses());
    rig.proxy.cut();
    for permille in (125..=900).step_by(25) {
        feed.upto(0, permille).unwrap();
        assert!(feed.is_stored(0, &rig.agents[0], MAX), "{}", rig.statuses());
        let kept = rig.agents[0].metric("headwater_outbox_bytes").unwrap();
        assert!(kept <= QUOTA_BYTES, "{kept} bytes in the outbox");
        // The numbers of what was dropped are durable as well.
        if permille == 600 {
            rig.agents[0].kill();
            rig.agents[0].start().unwrap();
        }
    }
    rig.proxy.heal();
    assert!(wait_until(MAX, || is_acknowledged(&rig)), "{}", rig.statuses());
    feed.upto(0, 1000).unwrap();
    let declared =
        || rig.core.metric("headwater_total{name=\"hub/rows-dropped-by-agents\"}").unwrap_or(0.0);
    let is_over = || {
        let found = rig.sums().map(|sums| sums.rows).unwrap_or(0);
        found as f64 + declared() == feed.expected.rows as f64
    };
    assert!(wait_until(MAX, is_over), "{:?} {}", rig.sums(), rig.statuses());
    println!("{policy}: {:?}, {} rows declared lost", rig.sums(), declared());
    assert!(declared() > 0.0, "nothing was lost");
    let found = rig.sums().unwrap();
    assert!(found.rows > 0 && found.sum_milli < feed.expected.sum_milli, "{found:?}");
    assert!(rig.core.inspect().unwrap()["gaps"]["count"].as_u64() > Some(0));
}

#[test]
fn a_full_outbox_that_drops_the_oldest_declares_each_row() {
    needs_mosquitto!();
    a_full_outbox_drops("drop-oldest");
}

#[test]
fn a_full_outbox_that_drops_the_newest_declares_each_row() {
    needs_mosquitto!();
    a_full_outbox_drops("drop-newest");
}

const DAY_S: usize = 86_400;
/// Pieces in which a day is read: each becomes a checkpoint and a frame.
const PIECES: usize = 2000;
/// New readings while the backlog drains, in event time.
const LIVE_S: usize = 600;
const LIVE_PIECES: usize = 200;
/// Times as fast as the day went by.
const DRAIN_MIN: f64 = 50.0;

#[test]
#[ignore = "two minutes: cargo test --test outage -- --ignored --nocapture"]
fn a_day_of_backlog_drains_while_readings_go_on() {
    needs_mosquitto!();
    let scratch = Scratch::new("day").unwrap();
    let w1 = without_repeats(5, (DAY_S + LIVE_S) as u64);
    let mut feed = Feed::new(&w1, 1, scratch.path()).unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let mut rig = Rig::new(1, scratch, broker, FEED_SOURCE, FAST).unwrap();
    rig.agents[0].edit("node.toml", "100ms", "10ms").unwrap();
    rig.start().unwrap();
    rig.proxy.cut();
    let parts = PIECES + LIVE_PIECES;
    for part in 1..=PIECES {
        feed.upto_part(0, day_part(part), 1_000_000).unwrap();
        thread::sleep(Duration::from_millis(22));
    }
    assert!(feed.is_stored(0, &rig.agents[0], MAX), "{}", rig.statuses());
    let metric = |name: &str| rig.agents[0].metric(name).unwrap_or(0.0);
    let (frames, bytes) = (metric("headwater_outbox_frames"), metric("headwater_outbox_bytes"));
    rig.proxy.heal();
    let healed = Instant::now();
    let mut drained = None;
    for part in PIECES + 1..=parts {
        feed.upto_part(0, day_part(part), 1_000_000).unwrap();
        thread::sleep(Duration::from_millis(100));
        let watermark = rig.core.status()["watermark"].as_u64();
        if drained.is_none() && watermark > Some(START_MS + (DAY_S as u64 - 60) * 1000) {
            drained = Some(healed.elapsed());
        }
    }
    feed.upto(0, 1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    let drained = drained.unwrap_or(healed.elapsed());
    let speed = 86_400.0 / drained.as_secs_f64();
    println!("{frames} frames of {bytes} bytes drained in {drained:.1?}: {speed:.0} x real time");
    assert!(speed > DRAIN_MIN);
    assert_eq!(rig.core.inspect().unwrap()["gaps"]["count"], 0);
}

/// Where a piece ends, in millionths of all readings.
fn day_part(piece: usize) -> usize {
    let day = 1_000_000 * DAY_S / (DAY_S + LIVE_S);
    match piece {
        0..=PIECES => day * piece / PIECES,
        live => day + (1_000_000 - day) * (live - PIECES) / LIVE_PIECES,
    }
}
