//! Wear (fault table, row 20): what `explain` predicts is what a disk counts, and a budget is kept,
//! with the real agent on an ext4 file system on a loop device.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::isolated::isolated;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::{run, wait_until};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const TOOL_MAX: Duration = Duration::from_secs(20);
const TEST_MAX: Duration = Duration::from_secs(180);
const WAIT_MAX: Duration = Duration::from_secs(90);
/// Checkpoints before anything is measured, and those that are.
const CHECKPOINTS: (f64, f64) = (4.0, 12.0);
const DAY_S: f64 = 86_400.0;
/// How far a prediction may be off, in percent.
const OFF_MAX: f64 = 0.3;

const PIPELINE: &str = "
CREATE TABLE readings (device BIGINT, v DOUBLE, ts TIMESTAMP_LTZ(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND)
  WITH ('connector' = 'datagen', 'rows-per-second' = '800', 'fields.device.min' = '0',
    'fields.device.max' = '199', 'fields.v.min' = '0', 'fields.v.max' = '50');
CREATE TABLE results (device BIGINT, s TIMESTAMP_LTZ(3), n BIGINT, mean DOUBLE)
  WITH ('connector' = 'print');
INSERT INTO results SELECT device, window_start, COUNT(*), AVG(v)
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(ts), INTERVAL '2' SECOND))
  GROUP BY device, window_start, window_end;
";

/// A file system of its own on a loop device, at the agent's state directory.
struct Disk {
    device: String,
}

impl Disk {
    fn mount(scratch: &Path, dir: &Path) -> Self {
        let image = scratch.join("disk.img");
        fs::create_dir_all(dir).unwrap();
        fs::File::create(&image).unwrap().set_len(128 << 20).unwrap();
        let image = image.display().to_string();
        let at_once = "lazy_itable_init=0,lazy_journal_init=0";
        tool("mke2fs", &["-q", "-t", "ext4", "-E", at_once, "-F", &image]);
        let device = tool("losetup", &["-f", "--show", &image]).trim().to_owned();
        tool("mount", &[&device, &dir.display().to_string()]);
        // It is freed with the mount, and that with the name space.
        tool("losetup", &["-d", &device]);
        Self { device }
    }

    /// What the device itself counts as written.
    fn bytes_written(&self) -> u64 {
        let name = self.device.trim_start_matches("/dev/");
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let sectors: u64 = stat.split_whitespace().nth(6).unwrap().parse().unwrap();
        sectors * 512
    }
}

/// Output of a tool that must succeed.
fn tool(name: &str, arguments: &[&str]) -> String {
    let finished = run(Command::new(name).args(arguments), TOOL_MAX).unwrap().unwrap();
    assert_eq!(finished.code, Some(0), "{name}: {}", finished.stderr);
    finished.stdout
}

/// An agent without a broker whose state is on a disk of its own.
fn agent(scratch: &Scratch, budget: &str, checkpoint: &str) -> (Node, Disk) {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let extra = format!("[checkpoint]\n{checkpoint}\n");
    let node = Node::new(Kind::Agent, scratch.path(), "gw", nowhere, PIPELINE, &extra).unwrap();
    node.edit("node.toml", "\"none\"", &format!("\"{budget}\"")).unwrap();
    let disk = Disk::mount(scratch.path(), &node.dir().join("state"));
    (node, disk)
}

fn forecast(node: &Node) -> Value {
    let finished = run(node.command("explain").arg("--json"), WAIT_MAX).unwrap().unwrap();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let json: Value = serde_json::from_str(&finished.stdout).unwrap();
    json["forecast"].clone()
}

/// Time, checkpoints and bytes on the device.
fn sample(node: &Node, disk: &Disk) -> (Instant, f64, f64) {
    let checkpoints = node.metric("headwater_checkpoints_total").unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "bytes of a small disk")]
    let bytes = disk.bytes_written() as f64;
    (Instant::now(), checkpoints, bytes)
}

fn wait_for_checkpoints(node: &Node, count: f64) {
    let came = wait_until(WAIT_MAX, || {
        thread::sleep(Duration::from_millis(20));
        node.metric("headwater_checkpoints_total") >= Some(count)
    });
    assert!(came, "{}", node.log());
}

fn a_prediction_holds() {
    let scratch = Scratch::new("flash").unwrap();
    let (mut node, disk) = agent(&scratch, "none", "interval = \"2s\"");
    let predicted = forecast(&node)["flash-bytes-per-day"].as_f64().unwrap();
    node.start().unwrap();
    wait_for_checkpoints(&node, CHECKPOINTS.0);
    let before = sample(&node, &disk);
    let metered = node.metric("headwater_flash_bytes_total").unwrap();
    wait_for_checkpoints(&node, before.1 + CHECKPOINTS.1);
    let after = sample(&node, &disk);
    let metered = node.metric("headwater_flash_bytes_total").unwrap() - metered;
    let bytes = after.2 - before.2;
    // A machine that is busy takes its checkpoints later: what counts is a checkpoint.
    let per_checkpoint = bytes / (after.1 - before.1);
    let measured = per_checkpoint * DAY_S / 2.0;
    let passed = (after.0 - before.0).as_secs_f64();
    println!(
        "a day: {predicted:.0} bytes predicted, {measured:.0} on the device; {bytes:.0} bytes in \
         {passed:.1} s, of which the agent counts {metered:.0}"
    );
    assert!((measured / predicted - 1.0).abs() <= OFF_MAX, "{predicted} {measured}");
    assert!((metered / bytes - 1.0).abs() <= OFF_MAX, "{metered} {bytes}");
}

#[test]
fn what_explain_predicts_is_what_the_device_counts() {
    isolated("what_explain_predicts_is_what_the_device_counts", ROOT, PROBE, TEST_MAX, || {
        a_prediction_holds();
    });
}

fn a_budget_is_kept() {
    let scratch = Scratch::new("flash").unwrap();
    let checkpoint = "interval = \"200ms\"\ninterval-max = \"4s\"";
    let (mut node, disk) = agent(&scratch, "16MiB/day", checkpoint);
    node.start().unwrap();
    node.wait_for_health(&["flash budget", "16 MiB a day"], WAIT_MAX).unwrap();
    let spacing = node.metric("headwater_checkpoint_spacing_seconds").unwrap();
    assert!((spacing - 4.0).abs() < 0.1, "as far apart as allowed: {spacing}");
    let left = node.metric("headwater_flash_budget_left_bytes").unwrap();
    assert!(left < 0.0, "{left}");
    // A new process has no new budget.
    node.kill();
    node.start().unwrap();
    node.wait_for_health(&["flash budget"], WAIT_MAX).unwrap();
    let before = sample(&node, &disk);
    thread::sleep(Duration::from_secs(10));
    let after = sample(&node, &disk);
    let taken = after.1 - before.1;
    assert!((1.0..=4.0).contains(&taken), "checkpoints in ten seconds: {taken}");
    let again = node.metric("headwater_flash_budget_left_bytes").unwrap();
    assert!(again < 0.0, "{again}");
    assert!(node.metric("headwater_records_total") > Some(0.0), "readings go before the medium");
}

#[test]
fn a_budget_is_kept_across_kills() {
    isolated("a_budget_is_kept_across_kills", ROOT, PROBE, TEST_MAX, a_budget_is_kept);
}

/// Loop devices are for root only.
const ROOT: &[&str] = &["-m"];
const PROBE: &str = "cd \"$0\" && truncate -s 8M disk && mke2fs -q -t ext4 -F disk && mkdir at && \
                     mount -o loop disk at";
