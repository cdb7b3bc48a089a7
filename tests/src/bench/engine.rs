//! Benches of single operators inside one pipeline: CPU per row at 800 keys, without decoding.
//!
//! Rows are put into the pipeline's buffer as a decoder would, so the figure of `pass` (a scan with
//! its watermark and nothing else) is what every other one holds too. CPU is that of this thread.

use std::fs;
use std::time::Instant;

use headwater_engine::context::Context;
use headwater_engine::operator::{Collector, Progress, Reason, Timestamp};
use headwater_engine::pipeline::Pipeline;
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_plan::{Target, Vars, compile};

use super::Result;

/// Distinct keys.
const KEYS: u64 = 800;

/// One operator.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name in the result.
    pub name: &'static str,
    /// Columns of the result.
    columns: &'static str,
    /// The query over `readings (id STRING, ts BIGINT, v DOUBLE)` with the event time `rt`.
    query: &'static str,
}

/// The operators that are measured; one entry each.
pub const ALL: &[Entry] = &[
    Entry { name: "pass", columns: "id STRING, v DOUBLE", query: "SELECT id, v FROM readings" },
    Entry {
        name: "over-range",
        columns: "id STRING, s DOUBLE",
        query: "SELECT id, SUM(v) OVER (PARTITION BY id ORDER BY rt RANGE BETWEEN \
                INTERVAL '1' MINUTE PRECEDING AND CURRENT ROW) FROM readings",
    },
    Entry {
        name: "over-rows",
        columns: "id STRING, s DOUBLE, m DOUBLE",
        query: "SELECT id, AVG(v) OVER w, MAX(v) OVER w FROM readings WINDOW w AS \
                (PARTITION BY id ORDER BY rt ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)",
    },
    Entry {
        name: "top-n",
        columns: "id STRING, rn BIGINT, v DOUBLE",
        query: "SELECT id, rn, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id \
                ORDER BY v DESC) AS rn FROM readings) WHERE rn <= 3",
    },
];

/// What one entry costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// CPU of a row, ns.
    pub cpu_ns: f64,
    /// Wall clock of a row, ns.
    pub wall_ns: f64,
    /// Rows that came out.
    pub rows_out: u64,
}

/// Counts what comes out.
#[derive(Default)]
struct Sink {
    rows: u64,
    dropped: u64,
}

impl Collector for Sink {
    fn row(&mut self, _: usize, _: Row<'_>, _: &mut Context) {
        self.rows += 1;
    }

    fn watermark(&mut self, _: usize, _: Timestamp) {}

    fn dropped(&mut self, _: Option<usize>, _: Reason, _: Row<'_>, _: &Context) {
        self.dropped += 1;
    }

    fn has_room(&self) -> bool {
        true
    }
}

/// Runs `rows_count` rows through the operator of `entry`: each key once a second, the watermark
/// five seconds behind.
///
/// # Errors
/// When the query does not compile, or a row is lost.
pub fn run(entry: &Entry, rows_count: u64) -> Result<Cost> {
    let text = format!(
        "CREATE TABLE readings (id STRING, ts BIGINT, v DOUBLE, rt AS TO_TIMESTAMP_LTZ(ts, 3), \
         WATERMARK FOR rt AS rt - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', \
         'path' = '/in', 'format' = 'json');\n\
         CREATE TABLE result ({}) WITH ('connector' = 'blackhole');\n\
         INSERT INTO result {};\n",
        entry.columns, entry.query
    );
    let plan = compile(&text, entry.name, &Vars::new(), Target::Whole)
        .map_err(|issues| issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let fragment = plan.whole.ok_or("a whole plan has a fragment")?;
    let mut pipeline = Pipeline::build(&fragment, &plan.limits)?;
    let decoded = &fragment.scans[0].decoded;
    let [id, ts, v] = ["id", "ts", "v"].map(|name| decoded.index_of(name));
    let names: Vec<String> = (0..KEYS).map(|key| format!("sensor-{key:04}")).collect();
    let split = pipeline.split(0, "bench");
    let mut sink = Sink::default();
    let mut state = 1_u64;
    let (started, cpu) = (Instant::now(), thread_cpu_ns()?);
    for row in 0..rows_count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (slots, nulls, context) = pipeline.row_buffer(0);
        *nulls = 0;
        if let Some(id) = id {
            let name = &names[usize::try_from(row % KEYS)?];
            slots[id] = context.put_text(name).slot;
        }
        if let Some(ts) = ts {
            slots[ts] = Slot::i64(i64::try_from(row * 1000 / KEYS)?);
        }
        if let Some(v) = v {
            slots[v] = Slot::f64(f64::from(u16::try_from(state >> 48)?) / 256.0);
        }
        if pipeline.push(0, split, &mut sink) == Progress::More {
            return Err("the sink always has room".into());
        }
    }
    pipeline.end(0, &mut sink);
    let cpu = thread_cpu_ns()? - cpu;
    let wall = started.elapsed();
    if sink.dropped > 0 {
        return Err(format!("{}: {} rows were dropped", entry.name, sink.dropped).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = |total: u128| total as f64 / rows_count as f64;
    let rows_out = sink.rows;
    Ok(Cost { cpu_ns: each(cpu.into()), wall_ns: each(wall.as_nanos()), rows_out })
}

/// CPU time of this thread so far, ns.
fn thread_cpu_ns() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(first.parse()?)
}
