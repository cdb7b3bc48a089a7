//! SIGKILL of the agent and of the aggregator at random moments, a hundred times each, while
//! readings arrive over Mosquitto: the result is what it would have been without (I1, I2), no
//! gap is declared (I3), nothing has to be mended by hand (I5), disk and memory stay bounded (I6).
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::broker::mosquitto_is_installed;
use headwater_tests::node::Node;
use headwater_tests::rig::{Rig, publish, without_repeats};

const KILLS: u32 = 100;
const STATE_BYTES_MAX: u64 = 32 << 20;
const RSS_BYTES_MAX: u64 = 48 << 20;
/// From a start after SIGKILL until the node is well.
const READY_MAX: Duration = Duration::from_secs(2);

/// xorshift: any spread of moments will do; the seed says which.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn seed() -> u64 {
    let given = std::env::var("HEADWATER_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(20_261_123)
}

#[test]
fn a_hundred_kills_each_change_nothing() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let seed = seed();
    println!("HEADWATER_SEED={seed}");
    let mut chance = Chance(seed | 1);
    let mut rig = Rig::with_mosquitto(1, "[checkpoint]\ninterval = \"100ms\"\n").unwrap();
    rig.agents[0].set_uplink("resend-after = \"2s\"").unwrap();
    rig.start().unwrap();
    let broker = rig.broker.address();
    // Readings arrive for as long as the kills may take.
    let w1 = without_repeats(20, 320);
    let load = thread::spawn(move || publish(broker, &w1, 1, Some(500)));
    let started = Instant::now();
    for _ in 0..KILLS {
        for core in [false, true] {
            thread::sleep(Duration::from_millis(50 + chance.below(350)));
            let node = if core { &mut rig.core } else { &mut rig.agents[0] };
            assert!(node.is_running(), "it ended by itself: {}", node.log());
            node.kill();
            node.start().unwrap();
        }
    }
    println!("{KILLS} kills each in {:?}", started.elapsed());
    let expected = load.join().unwrap().unwrap();
    rig.wait_for(&expected, Duration::from_secs(90)).unwrap();
    for node in rig.agents.iter_mut().chain([&mut rig.core]) {
        check_bounds(node);
    }
}

fn check_bounds(node: &mut Node) {
    let id = node.dir().display().to_string();
    for name in ["headwater_rows_dropped", "headwater_source_gaps_total"] {
        assert_eq!(node.metric(name).unwrap_or(0.0), 0.0, "{name} of {id}");
    }
    let inspected = node.inspect().unwrap();
    for list in ["gaps", "dead_letters", "quarantine"] {
        assert_eq!(inspected[list]["count"], 0, "{list} of {id}: {}", inspected[list]);
    }
    let state = node.state_bytes();
    assert!(state < STATE_BYTES_MAX, "{id}: {state} bytes of state");
    let rss = node.usage().rss_bytes_max;
    assert!(rss < RSS_BYTES_MAX, "{id}: {rss} bytes of memory");
    node.kill();
    let ready = node.start_ready().unwrap();
    assert!(ready < READY_MAX, "{id}: ready after {ready:?}");
}
