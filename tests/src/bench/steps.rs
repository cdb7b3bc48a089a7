//! What a step of the engine costs: nanoseconds of this thread's CPU time per reading.
//!
//! Each entry of [`ENTRIES`] is a query with the step and one without; the difference is the
//! step's. Both take the same readings of 800 keys, put into the row buffer as a decoder leaves
//! them, and drop the results. The smallest of several runs counts, taken in turn, so that a busy
//! machine troubles both alike. One more operator is one more entry.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::context::Context;
use headwater_engine::operator::{Collector, Progress, Reason, Timestamp};
use headwater_engine::pipeline::{Pipeline, SplitId};
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_plan::Target;

use super::{Measure, Result};
use crate::process::Usage;
use crate::sim;
use crate::w1::{Reading, W1};

/// A query, and the types of the columns that it gives.
struct Query {
    columns: &'static str,
    sql: &'static str,
}

/// What a figure is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Reading,
    /// A row that comes out: a pair of a join, a match.
    Row,
}

/// A step to be measured.
struct Entry {
    name: &'static str,
    /// What it may cost, if something is said of it, ns.
    bar_ns: Option<f64>,
    per: Per,
    with: Query,
    /// The same without the step.
    without: Query,
}

/// Readings come in and none passes the filter: the cost of entering the engine.
const NOTHING: Query = Query {
    columns: "STRING, STRING, DOUBLE",
    sql: "SELECT device, sensor, `value` FROM readings WHERE ts < 0",
};

/// Every reading comes out as it is.
const PASSED: Query = Query {
    columns: "STRING, STRING, DOUBLE",
    sql: "SELECT device, sensor, `value` FROM readings",
};

/// Windows that only count: what a further aggregate adds to them.
const COUNTED: Query = Query {
    columns: "STRING, STRING, BIGINT",
    sql: "SELECT device, sensor, COUNT(*)
      FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
      GROUP BY device, sensor, window_start, window_end",
};

/// All steps.
const ENTRIES: &[Entry] = &[
    Entry {
        name: "filter and projection",
        bar_ns: Some(40.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, DOUBLE",
            sql: "SELECT device, sensor, `value` * 1.8 + 32
              FROM readings WHERE `value` BETWEEN -40 AND 125",
        },
        without: NOTHING,
    },
    Entry {
        name: "deduplication, first row",
        bar_ns: Some(60.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, DOUBLE",
            sql: "SELECT device, sensor, `value` FROM (
                SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, ts ORDER BY rt ASC) AS rn
                FROM readings)
              WHERE rn = 1",
        },
        without: NOTHING,
    },
    Entry {
        name: "TUMBLE: count, min, max, avg",
        bar_ns: None,
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT, DOUBLE, DOUBLE, DOUBLE",
            sql: "SELECT device, sensor, COUNT(*), MIN(`value`), MAX(`value`), AVG(`value`)
              FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
              GROUP BY device, sensor, window_start, window_end",
        },
        without: NOTHING,
    },
    Entry {
        name: "HOP of 6 windows: count, min, max, avg",
        bar_ns: Some(120.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT, DOUBLE, DOUBLE, DOUBLE",
            sql: "SELECT device, sensor, COUNT(*), MIN(`value`), MAX(`value`), AVG(`value`)
              FROM TABLE(
                HOP(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
              GROUP BY device, sensor, window_start, window_end",
        },
        without: NOTHING,
    },
    Entry {
        name: "SESSION: count, min, max, avg",
        bar_ns: Some(80.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT, DOUBLE, DOUBLE, DOUBLE",
            sql: "SELECT device, sensor, COUNT(*), MIN(`value`), MAX(`value`), AVG(`value`)
              FROM TABLE(SESSION(TABLE readings PARTITION BY (device, sensor),
                DESCRIPTOR(rt), INTERVAL '5' SECOND))
              GROUP BY device, sensor, window_start, window_end",
        },
        without: NOTHING,
    },
    Entry {
        name: "SUM of DECIMAL(10, 3) in TUMBLE",
        bar_ns: Some(20.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT, DECIMAL(38, 3)",
            sql: "SELECT device, sensor, COUNT(*), SUM(money)
              FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
              GROUP BY device, sensor, window_start, window_end",
        },
        without: COUNTED,
    },
    Entry {
        name: "GROUP BY without a window: count, max",
        bar_ns: None,
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT, DOUBLE",
            sql: "SELECT device, sensor, COUNT(*), MAX(`value`)
              FROM readings GROUP BY device, sensor",
        },
        without: NOTHING,
    },
    Entry {
        name: "OVER RANGE of a minute: sum",
        bar_ns: Some(150.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, DOUBLE",
            sql: "SELECT device, sensor, SUM(`value`) OVER (
                PARTITION BY device, sensor ORDER BY rt
                RANGE BETWEEN INTERVAL '1' MINUTE PRECEDING AND CURRENT ROW)
              FROM readings",
        },
        without: PASSED,
    },
    Entry {
        name: "OVER 10 ROWS: avg and max",
        bar_ns: None,
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, DOUBLE, DOUBLE",
            sql: "SELECT device, sensor, AVG(`value`) OVER w, MAX(`value`) OVER w FROM readings
              WINDOW w AS (PARTITION BY device, sensor ORDER BY rt
                ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)",
        },
        without: PASSED,
    },
    Entry {
        name: "Top 3 of each key, as they change",
        bar_ns: None,
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, DOUBLE, BIGINT",
            sql: "SELECT device, sensor, `value`, rn FROM (
                SELECT *, ROW_NUMBER() OVER (
                  PARTITION BY device, sensor ORDER BY `value` DESC) AS rn
                FROM readings)
              WHERE rn <= 3",
        },
        without: NOTHING,
    },
    Entry {
        name: "MATCH_RECOGNIZE of 3 variables",
        bar_ns: Some(200.0),
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT, BIGINT, BIGINT",
            sql: "SELECT device, sensor, a, b, n FROM readings MATCH_RECOGNIZE (
                PARTITION BY device, sensor ORDER BY rt
                MEASURES A.ts AS a, B.ts AS b, COUNT(X.`value`) AS n
                ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
                PATTERN (A X*? B) WITHIN INTERVAL '30' SECOND
                DEFINE A AS `value` > 90, B AS `value` < 10) AS m",
        },
        without: NOTHING,
    },
    Entry {
        name: "interval join, two filters included",
        bar_ns: Some(300.0),
        per: Per::Row,
        with: Query {
            columns: "STRING, DOUBLE, DOUBLE",
            sql: "SELECT a.device, a.`value`, b.`value` FROM readings a JOIN readings b
              ON a.device = b.device
                AND b.rt BETWEEN a.rt - INTERVAL '1' SECOND AND a.rt + INTERVAL '1' SECOND
              WHERE a.sensor = 'temp' AND b.sensor = 'hum'",
        },
        without: NOTHING,
    },
    Entry {
        name: "ABSENCE, nobody silent",
        bar_ns: None,
        per: Per::Reading,
        with: Query {
            columns: "STRING, STRING, BIGINT",
            sql: "SELECT device, sensor, ts FROM TABLE(ABSENCE(
              TABLE readings PARTITION BY device, sensor, DESCRIPTOR(rt), INTERVAL '1' MINUTE))",
        },
        without: NOTHING,
    },
];

/// Runs of each query, of which the quickest counts.
const RUNS: usize = 15;

/// What a step costs.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Which step.
    pub name: &'static str,
    /// CPU time of the step per reading, or per row that came out, ns.
    pub ns: f64,
    /// Whether it is per row.
    pub is_per_row: bool,
    /// What it may cost, ns.
    pub bar_ns: Option<f64>,
    /// Rows that came out for a reading that went in.
    pub rows_per_reading: f64,
    /// The quickest run of the query with the step. Its memory is that of this process, in which
    /// all readings lie.
    pub measure: Measure,
}

/// Measures every step with readings of 800 keys over `seconds` of event time.
///
/// # Errors
/// When a query does not compile, sets readings aside, or time cannot be measured.
pub fn run(seconds: u64) -> Result<Vec<Cost>> {
    let mut readings = Vec::new();
    let w1 = W1 { devices: 200, ..W1::with_seconds(seconds) };
    w1.for_each(|reading| {
        readings.push(Input::new(reading));
        Ok(())
    })?;
    ENTRIES.iter().map(|entry| measure(entry, &readings)).collect()
}

/// A reading with its texts.
struct Input {
    device: String,
    sensor: &'static str,
    ts_ms: i64,
    value: f64,
    milli: i64,
}

impl Input {
    #[expect(clippy::cast_precision_loss, reason = "thousandths of small numbers")]
    fn new(reading: &Reading) -> Self {
        Input {
            device: format!("d{:04}", reading.device),
            sensor: reading.sensor,
            ts_ms: i64::try_from(reading.ts_ms).expect("a time of this century"),
            value: reading.value_milli as f64 / 1000.0,
            milli: i64::try_from(reading.value_milli).expect("a small number"),
        }
    }
}

/// Counts what comes out.
#[derive(Default)]
struct Counter {
    rows: u64,
    faults: u64,
}

impl Collector for Counter {
    fn row(&mut self, _: usize, row: Row<'_>, _: &mut Context) {
        std::hint::black_box(row);
        self.rows += 1;
    }

    fn watermark(&mut self, _: usize, _: Timestamp) {}

    fn dropped(&mut self, _: Option<usize>, reason: Reason, _: Row<'_>, _: &Context) {
        self.faults += u64::from(matches!(reason, Reason::Fault(_) | Reason::Evicted));
    }

    fn has_room(&self) -> bool {
        true
    }
}

/// Where a decoded column comes from.
#[derive(Clone, Copy)]
enum Field {
    Device,
    Sensor,
    Ts,
    Value,
    Money,
}

struct Bench {
    pipeline: Pipeline,
    fields: Vec<Field>,
    split: SplitId,
    out: Counter,
}

impl Bench {
    fn new(query: &Query) -> Result<Self> {
        let plan = sim::plan(&script(query), Target::Whole)?;
        let fragment = plan.whole.as_ref().ok_or("the plan is not whole")?;
        let mut pipeline = Pipeline::build(fragment, &plan.limits)?;
        let field = |name: &str| -> Result<Field> {
            match name {
                "device" => Ok(Field::Device),
                "sensor" => Ok(Field::Sensor),
                "ts" => Ok(Field::Ts),
                "value" => Ok(Field::Value),
                "money" => Ok(Field::Money),
                other => Err(format!("no column {other}").into()),
            }
        };
        let decoded = &fragment.scans[0].decoded;
        let fields = decoded.fields.iter().map(|f| field(&f.name)).collect::<Result<Vec<_>>>()?;
        let split = pipeline.split(0, "0");
        Ok(Bench { pipeline, fields, split, out: Counter::default() })
    }

    fn push(&mut self, input: &Input) {
        let (slots, nulls, context) = self.pipeline.row_buffer(0);
        for (slot, field) in slots.iter_mut().zip(&self.fields) {
            *slot = match field {
                Field::Device => context.put_text(&input.device).slot,
                Field::Sensor => context.put_text(input.sensor).slot,
                Field::Ts => Slot::i64(input.ts_ms),
                Field::Value => Slot::f64(input.value),
                Field::Money => Slot::i128(i128::from(input.milli)),
            };
        }
        *nulls = 0;
        let mut progress = self.pipeline.push(0, self.split, &mut self.out);
        while progress == Progress::More {
            progress = self.pipeline.advance(&mut self.out);
        }
    }
}

fn script(query: &Query) -> String {
    let types = query.columns.replace("(38, 3)", "(38;3)");
    let columns = types.split(", ").enumerate().map(|(n, of)| format!("c{n} {of}"));
    let columns = columns.collect::<Vec<_>>().join(", ").replace(';', ", ");
    format!(
        "CREATE TABLE readings (
           device STRING, sensor STRING, ts BIGINT, `value` DOUBLE, money DECIMAL(10, 3),
           rt AS TO_TIMESTAMP_LTZ(ts, 3),
           WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
         ) WITH ('connector'='filesystem', 'path'='/nowhere', 'format'='json');
         CREATE TABLE `result` ({columns}) WITH ('connector'='blackhole');
         INSERT INTO `result` {};",
        query.sql
    )
}

fn measure(entry: &Entry, readings: &[Input]) -> Result<Cost> {
    let mut without = once(&entry.without, readings)?;
    let mut with = once(&entry.with, readings)?;
    for _ in 1..RUNS {
        without = quicker(without, once(&entry.without, readings)?);
        with = quicker(with, once(&entry.with, readings)?);
    }
    let rows_per_reading = with.per_reading(with.rows);
    let ns = with.per_reading(with.cpu_ns) - without.per_reading(without.cpu_ns);
    let is_per_row = entry.per == Per::Row;
    if rows_per_reading == 0.0 && is_per_row {
        return Err(format!("{}: no row came out", entry.name).into());
    }
    Ok(Cost {
        name: entry.name,
        ns: if is_per_row { ns / rows_per_reading } else { ns },
        is_per_row,
        bar_ns: entry.bar_ns,
        rows_per_reading,
        measure: Measure {
            name: format!("step: {}", entry.name),
            readings: with.readings,
            wall: with.wall,
            usage: Usage { cpu: Duration::from_nanos(with.cpu_ns), ..Usage::of_this_process() },
            uplink: None,
            notes: Vec::new(),
        },
    })
}

/// One run of a query.
struct Once {
    readings: u64,
    rows: u64,
    cpu_ns: u64,
    wall: Duration,
}

impl Once {
    #[expect(clippy::cast_precision_loss, reason = "for a quotient")]
    fn per_reading(&self, amount: u64) -> f64 {
        amount as f64 / self.readings as f64
    }
}

fn quicker(a: Once, b: Once) -> Once {
    if b.cpu_ns < a.cpu_ns { b } else { a }
}

/// One run, counted after the first tenth, which warms up.
fn once(query: &Query, readings: &[Input]) -> Result<Once> {
    let mut bench = Bench::new(query)?;
    let (warm, rest) = readings.split_at(readings.len() / 10);
    warm.iter().for_each(|reading| bench.push(reading));
    let (rows, cpu, started) = (bench.out.rows, cpu_ns()?, Instant::now());
    rest.iter().for_each(|reading| bench.push(reading));
    let (cpu_ns, wall) = (cpu_ns()? - cpu, started.elapsed());
    if bench.out.faults > 0 {
        return Err(format!("{}: {} rows were set aside", query.sql, bench.out.faults).into());
    }
    let readings = u64::try_from(rest.len())?;
    Ok(Once { readings, rows: bench.out.rows - rows, cpu_ns, wall })
}

/// CPU time that this thread has had. Linux only.
fn cpu_ns() -> io::Result<u64> {
    // The kernel brings the counter up to date at a tick, milliseconds apart, or when a thread
    // goes to sleep.
    thread::sleep(Duration::from_micros(1));
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split(' ').next().and_then(|ns| ns.parse().ok());
    first.ok_or_else(|| io::Error::other("the kernel does not count CPU time by thread"))
}
