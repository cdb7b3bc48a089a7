//! SIGKILL of the agent and of the aggregator at random moments, a hundred times each or
//! `HEADWATER_KILLS`, while readings arrive over Mosquitto: the result is what it would have been
//! without (I1, I2), no gap is declared (I3), nothing has to be mended by hand (I5), disk and
//! memory stay bounded (I6).
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::broker::mosquitto_is_installed;
use headwater_tests::node::Node;
use headwater_tests::process::wait_until;
use headwater_tests::rig::{Rig, publish, without_repeats};

/// Kills of each, unless `HEADWATER_KILLS` says otherwise.
const KILLS: u64 = 100;
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

fn given(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

/// Waits for `moment` after the start, and notes when the node was ready if it was by then.
fn let_live(node: &Node, moment: Duration, ready: &mut Vec<Duration>) {
    let started = Instant::now();
    if wait_until(moment, || node.is_ready()) {
        ready.push(started.elapsed());
        thread::sleep(moment.saturating_sub(started.elapsed()));
    }
}

fn summary(ready: &mut [Duration]) -> String {
    ready.sort_unstable();
    let (median, max) = (ready.get(ready.len() / 2), ready.last());
    format!("{} seen ready, after {median:.0?}, at most {max:.0?}", ready.len())
}

#[test]
fn a_hundred_kills_each_change_nothing() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let (seed, kills) = (given("HEADWATER_SEED", 20_261_123), given("HEADWATER_KILLS", KILLS));
    println!("HEADWATER_SEED={seed} HEADWATER_KILLS={kills}");
    let mut chance = Chance(seed | 1);
    let mut rig = Rig::with_mosquitto(1, "[checkpoint]\ninterval = \"100ms\"\n").unwrap();
    rig.agents[0].set_uplink("resend-after = \"2s\"").unwrap();
    rig.start().unwrap();
    let broker = rig.broker.address();
    // Readings arrive for as long as the kills may take.
    let w1 = without_repeats(20, 20 + 3 * kills);
    let load = thread::spawn(move || publish(broker, &w1, 1, Some(500)));
    let started = Instant::now();
    let mut ready = [Vec::new(), Vec::new()];
    for _ in 0..kills {
        for (core, ready) in [false, true].into_iter().zip(&mut ready) {
            let node = if core { &mut rig.core } else { &mut rig.agents[0] };
            assert!(node.is_running(), "it ended by itself: {}", node.log());
            node.kill();
            node.start().unwrap();
            // Then it is the other one's turn, now and then while this one still starts.
            let_live(node, Duration::from_millis(chance.below(400)), ready);
        }
    }
    println!("{kills} kills each in {:?}", started.elapsed());
    let expected = load.join().unwrap().unwrap();
    rig.wait_for(&expected, Duration::from_secs(90)).unwrap();
    println!("{} readings, {} windows: none lost, none twice", expected.lines, expected.rows);
    for (name, ready) in ["agent", "aggregator"].iter().zip(&mut ready) {
        println!("{name}: {}", summary(ready));
    }
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
