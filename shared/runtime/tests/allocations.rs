//! Decoding and the engine allocate nothing for a row once they are warm.
//!
//! A counting allocator watches this thread while readings of an hour of event time pass through
//! decoder and pipeline. Names stay the same, as on a gateway; keys and windows come and go all the
//! time. Left out: encoding results, checkpoints, and records that are errors.
//!
//! Warm is what has seen an hour before: tables grow to the largest number of open windows and
//! waiting rows, which disorder makes rare. What still allocates after that, and why: a text of
//! more than 128 bytes that enters keyed state, as a key or as the state of MIN, MAX, FIRST_VALUE
//! or LAST_VALUE; its buffer is made to measure, see the last test. Numbers of any type, texts up
//! to 16 bytes, and longer ones whose length the state has held before do not.
// A global allocator cannot be written without `unsafe`; it is only here.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::hint::black_box;

use headwater_engine::context::Context;
use headwater_engine::operator::{Collector, Progress, Reason, Timestamp};
use headwater_engine::pipeline::{Pipeline, SplitId};
use headwater_engine::row::Row;
use headwater_plan::{Target, Vars, compile};
use headwater_runtime::driver::wiring;
use headwater_runtime::format::Decoder;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that ends has no counter any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Counts what comes out.
#[derive(Default)]
struct Counter {
    rows: u64,
    dropped: u64,
    faults: u64,
}

impl Collector for Counter {
    fn row(&mut self, _: usize, row: Row<'_>, _: &mut Context) {
        black_box(row);
        self.rows += 1;
    }

    fn watermark(&mut self, _: usize, _: Timestamp) {}

    fn dropped(&mut self, _: Option<usize>, reason: Reason, _: Row<'_>, _: &Context) {
        match reason {
            Reason::Fault(_) => self.faults += 1,
            _ => self.dropped += 1,
        }
    }

    fn has_room(&self) -> bool {
        true
    }
}

/// A pipeline with its decoder.
struct Bench {
    decoder: Decoder,
    pipeline: Pipeline,
    split: SplitId,
    out: Counter,
    line: String,
    readings: u64,
    /// The length of the column `state`, a text of its own in each row; 0 for a few short ones.
    state_len: usize,
}

impl Bench {
    fn new(query: &str, target: Target) -> Self {
        let sql = format!("{TABLES}\nINSERT INTO result\n{query};");
        let plan = compile(&sql, "test.sql", &Vars::new(), target)
            .unwrap_or_else(|issues| panic!("{}", issues[0]));
        let (_, fragment) = plan.fragments().next().expect("a plan has a fragment");
        let mut ports = wiring::scan_ports(&plan, fragment, "node").expect("options are right");
        let mut pipeline = Pipeline::build(fragment, &plan.limits).expect("it compiles");
        Bench {
            decoder: ports[0].decoder.take().expect("a source has a format"),
            split: pipeline.split(0, "0"),
            pipeline,
            out: Counter::default(),
            line: String::with_capacity(1024),
            readings: 0,
            state_len: 0,
        }
    }

    /// A second of 40 series: each reading a little late, one in twenty twice.
    fn second(&mut self, second: i64) {
        for series in 0..40_i64 {
            let chance = (((second * 40 + series) * 0x9E37_79B9) >> 7) & 0xff;
            let ms = (second - chance % 5) * 1000 + series * 25;
            self.line.clear();
            let _ = write!(
                self.line,
                r#"{{"device":"gateway-{series:03}-with-a-long-name","sensor":"s{}","ts":{ms},"#,
                series % 4,
            );
            let (whole, clock) = (chance % 90, ms / 1000);
            let (minute, of_minute) = (clock / 60 % 60, clock % 60);
            if self.state_len > 0 {
                let _ =
                    write!(self.line, r#""state":"{ms:0state_len$}","#, state_len = self.state_len);
            } else {
                let _ = write!(self.line, r#""state":"s\u00e9{}","#, chance % 3);
            }
            let _ = write!(self.line, r#""value":{whole}.{chance:03},"money":{whole}.25,"#,);
            let _ = write!(
                self.line,
                r#""at":"2026-01-01 00:{minute:02}:{of_minute:02}.250","extra":[1,{{"a":null}}]}}"#,
            );
            let times = if chance % 20 == 0 { 2 } else { 1 };
            for _ in 0..times {
                self.record();
            }
        }
    }

    fn record(&mut self) {
        self.readings += 1;
        let (slots, nulls, context) = self.pipeline.row_buffer(0);
        let decoded = self.decoder.decode(self.line.as_bytes(), slots, nulls, context);
        decoded.expect("the record is right");
        let mut progress = self.pipeline.push(0, self.split, &mut self.out);
        while progress == Progress::More {
            progress = self.pipeline.advance(&mut self.out);
        }
    }

    /// Allocations from second `from` to second `to`.
    fn run(&mut self, from: i64, to: i64) -> u64 {
        let before = allocations();
        for second in from..to {
            self.second(second);
        }
        allocations() - before
    }
}

const TABLES: &str = "
CREATE TABLE readings (
  device STRING, sensor STRING, ts BIGINT, `value` DOUBLE, money DECIMAL(10, 2), state STRING,
  `at` TIMESTAMP(3),
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '4' SECOND
) WITH ('connector'='filesystem', 'path'='/nowhere', 'format'='json');
CREATE TABLE result (device STRING, a STRING, b BIGINT, c DOUBLE, d DOUBLE, e DOUBLE, f STRING)
WITH ('connector'='blackhole');
CREATE VIEW clean AS
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, ts ORDER BY rt ASC) AS rn FROM readings)
WHERE rn = 1;";

/// Queries by name, and whether the edge's half runs.
const QUERIES: [(&str, &str, Target); 4] = [
    (
        "filter, expressions and columns of all types",
        "SELECT device, state, ts + 1, `value` * 1.8 + 32,
           CASE WHEN `value` > 50 THEN CAST(money AS DOUBLE) ELSE NULL END,
           CAST(EXTRACT(SECOND FROM `at`) AS DOUBLE), sensor
         FROM readings WHERE `value` BETWEEN -40 AND 125 AND sensor <> 's9'",
        Target::Whole,
    ),
    (
        "deduplication and a tumbling window",
        "SELECT device, sensor, COUNT(*), MIN(`value`), MAX(`value`), AVG(`value`), MAX(state)
         FROM TABLE(TUMBLE(TABLE clean, DESCRIPTOR(rt), INTERVAL '10' SECOND))
         GROUP BY device, sensor, window_start, window_end",
        Target::Whole,
    ),
    (
        "a hopping window",
        "SELECT device, sensor, COUNT(`value`), CAST(SUM(money) AS DOUBLE), STDDEV_POP(`value`),
           SUM(`value`), MAX(state)
         FROM TABLE(HOP(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
         GROUP BY device, sensor, window_start, window_end",
        Target::Whole,
    ),
    (
        "partial windows at the edge",
        "SELECT device, sensor, COUNT(*), MIN(`value`), STDDEV_SAMP(`value`), AVG(`value`),
           MAX(state)
         FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
         GROUP BY device, sensor, window_start, window_end",
        Target::Cut,
    ),
];

/// Seconds of event time until everything is warm, and of the measurement.
const WARM_S: i64 = 3600;
const END_S: i64 = 2 * WARM_S;

#[test]
fn no_row_allocates_once_everything_is_warm() {
    for (name, query, target) in QUERIES {
        let mut bench = Bench::new(query, target);
        assert!(bench.run(10, WARM_S) > 0, "{name}: the counter sees what warming up allocates");
        let (rows, readings) = (bench.out.rows, bench.readings);
        assert_eq!(bench.run(WARM_S, END_S), 0, "{name}");
        assert!(bench.readings >= readings + 100_000, "{name}: {}", bench.readings - readings);
        assert!(bench.out.rows > rows + 3000, "{name}: {} rows came out", bench.out.rows - rows);
        assert_eq!(bench.out.faults, 0, "{name}");
    }
}

#[test]
fn the_counter_sees_one_allocation_in_the_midst_of_rows() {
    let (_, query, target) = QUERIES[1];
    let mut bench = Bench::new(query, target);
    bench.run(10, WARM_S);
    let before = allocations();
    bench.run(WARM_S, WARM_S + 100);
    black_box(Box::new(7_u8));
    bench.run(WARM_S + 100, WARM_S + 200);
    assert_eq!(allocations() - before, 1);
}

#[test]
fn a_long_text_in_the_state_of_an_aggregate_allocates_and_a_shorter_one_does_not() {
    let (_, query, target) = QUERIES[1];
    for (state_len, allocates) in [(20, false), (128, false), (129, true)] {
        let mut bench = Bench::new(query, target);
        bench.state_len = state_len;
        bench.run(10, WARM_S);
        // Each row's text is new and greater: it takes the place of the one held.
        let allocated = bench.run(WARM_S, END_S);
        assert_eq!(allocated > 0, allocates, "{state_len}: {allocated} allocations");
    }
}
