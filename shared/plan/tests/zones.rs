//! What a session zone other than UTC leaves as it is.

use headwater_engine::fragment::OperatorSpec;
use headwater_plan::{Target, Vars, compile};

const SCRIPT: &str = "SET 'table.local-time-zone' = 'GMT+01:00';
CREATE TABLE readings (k STRING, v INT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in', 'format' = 'json', 'late' = 'behind',
  'allowed-lateness' = '1 h');
CREATE TABLE behind (ts BIGINT, k STRING) WITH ('connector' = 'print');
CREATE TABLE result (n BIGINT) WITH ('connector' = 'print');
INSERT INTO result SELECT COUNT(*) FROM ";

/// How long a window takes late rows, and whether they go to their table.
fn of(query: &str) -> (Option<i64>, bool) {
    let script = format!("{SCRIPT}{query};");
    let plan = compile(&script, "p.sql", &Vars::new(), Target::Whole).expect("a plan");
    let steps = plan.whole.expect("a fragment").steps;
    let windows = steps.iter().find_map(|step| match &step.operator {
        OperatorSpec::WindowAggregate(spec) => {
            Some((Some(spec.lateness_ms), step.late_output.is_some()))
        }
        OperatorSpec::SessionAggregate(_) => Some((None, step.late_output.is_some())),
        _ => None,
    });
    windows.expect("a window")
}

#[test]
fn late_rows_are_taken_or_set_aside_in_a_zone() {
    let function = "TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '1' HOUR)) \
                    GROUP BY window_start, window_end";
    assert_eq!(of(function), (Some(3_600_000), true));
    assert_eq!(of("readings GROUP BY TUMBLE(rt, INTERVAL '1' HOUR)"), (Some(3_600_000), true));
    assert_eq!(of("readings GROUP BY SESSION(rt, INTERVAL '1' HOUR), k"), (None, true));
}
