//! Prints the time of decoding and encoding a line; run with
//! `cargo test --release -p headwater-runtime ns_per_line -- --ignored --nocapture`.

use std::time::Instant;

use headwater_engine::limits::Limits;
use headwater_engine::types::{Field, Schema};

use super::json::{JsonDecodeOptions, JsonDecoder, JsonEncodeOptions, JsonEncoder};
use super::*;

#[test]
#[ignore = "a measurement, not a check"]
fn ns_per_line() {
    let fields = [
        ("device", DataType::STRING),
        ("sensor", DataType::STRING),
        ("ts", DataType::BigInt),
        ("value", DataType::Double),
    ];
    let schema = Schema::new(fields.map(|(name, t)| Field::new(name, t)).into());
    let column = |(index, field): (usize, &Field)| Column {
        path: vec![field.name.clone()],
        data_type: field.data_type.clone(),
        nullable: true,
        index,
    };
    let columns = schema.fields.iter().enumerate().map(column).collect();
    let mut decoder = JsonDecoder::new(columns, JsonDecodeOptions::default());
    let mut encoder = JsonEncoder::new(&schema, JsonEncodeOptions::default());
    let lines: Vec<String> = (0..1000)
        .map(|n| {
            let value = f64::from(n * 7919 % 10_000) / 100.0;
            let ts = 1_700_000_000_000_i64 + i64::from(n) * 250;
            format!(
                "{{\"device\":\"d{n:04}\",\"sensor\":\"s{}\",\"ts\":{ts},\"value\":{value}}}",
                n % 4
            )
        })
        .collect();
    let mut context = Context::new(&Limits::default());
    let mut slots = [Slot::ZERO; 4];
    let mut nulls = 15;
    let mut out = Vec::with_capacity(1 << 20);
    let rounds = 2000;
    let start = Instant::now();
    for _ in 0..rounds {
        for line in &lines {
            context.arena.clear();
            nulls = 15;
            decoder.decode(line.as_bytes(), &mut slots, &mut nulls, &mut context).unwrap();
        }
    }
    let decode = start.elapsed();
    let start = Instant::now();
    for _ in 0..rounds {
        out.clear();
        for _ in 0..lines.len() {
            encoder.encode(&Row::insert(&slots, nulls), &context, &mut out);
        }
    }
    let encode = start.elapsed();
    let per_line = |time: std::time::Duration| time.as_nanos() / (rounds * lines.len() as u128);
    println!("{} bytes a line", lines[0].len());
    println!("decode {} ns, encode {} ns", per_line(decode), per_line(encode));
}
