//! A link that is away for longer than the outbox reaches (fault table, row 9): under a policy that
//! drops, the aggregator hears how many rows are lost, exactly, and the outbox keeps to its quota.
//! `coarsen.rs` has the policy that keeps every total.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::time::Duration;

use headwater_tests::broker::Mosquitto;
use headwater_tests::feed::{FEED_SOURCE, Feed};
use headwater_tests::needs_mosquitto;
use headwater_tests::process::wait_until;
use headwater_tests::rig::{Broker, Rig, without_repeats};
use headwater_tests::scratch::Scratch;

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
