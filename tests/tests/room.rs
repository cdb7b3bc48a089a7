//! Frames that came too early and then find no room: they go on by themselves once a checkpoint
//! has made room.

use headwater_plan::Target;
use headwater_runtime::hub::Reply;
use headwater_tests::sim::{self, Core, Edge};

/// Two closed windows fill the core until they are stored.
const SCRIPT: &str = "
SET 'headwater.panes-max' = '4';
CREATE TABLE readings (k STRING, v BIGINT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
  WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'json');
CREATE TABLE results (k STRING, n BIGINT) WITH ('connector' = 'print');
INSERT INTO results SELECT k, COUNT(*)
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
  GROUP BY k, window_start, window_end;
";
const WINDOWS: u64 = 9;

#[test]
fn held_frames_go_on_when_there_is_room() {
    let plan = sim::plan(SCRIPT, Target::Cut).expect("a correct script");
    let mut core = Core::open(&plan, &["gw".parse().expect("a name")], Vec::new(), 0);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    edge.connected();
    edge.messages().iter().for_each(|bytes| core.message(edge.id(), bytes));
    core.checkpoint();
    for reply in core.replies() {
        if let Reply::Control(control) = reply {
            edge.controlled(&control);
        }
    }
    for second in 0..10 * WINDOWS + 1 {
        let time = format!("2026-01-01 00:{:02}:{:02}", second / 60, second % 60);
        edge.record(0, format!(r#"{{"k": "a", "v": 1, "rt": "{time}"}}"#).as_bytes());
        if second % 10 == 0 {
            edge.checkpoint();
        }
    }
    let frames = edge.frames();
    assert!(frames.len() as u64 >= WINDOWS, "{} frames", frames.len());
    // The first one comes last.
    frames.iter().rev().for_each(|bytes| core.frame(edge.id(), bytes));
    let applied = |core: &Core<'_>| core.counter("hub/frames-applied");
    assert!(core.wants_checkpoint() && applied(&core) < frames.len() as u64, "no room for all");
    for _ in 0..WINDOWS {
        core.checkpoint();
    }
    assert_eq!(applied(&core), frames.len() as u64);
    assert_eq!(core.counter("hub/frames-asked-for-again"), 1);
}
