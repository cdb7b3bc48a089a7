//! Batches: random rows of random schemas, hostile bytes, and what a row costs.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use headwater_engine::context::Context;
use headwater_engine::exact::ExactSum;
use headwater_engine::limits::Limits;
use headwater_engine::row::{Change, Row};
use headwater_engine::slot::{Datum, Slot};
use headwater_engine::types::{DataType, Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::error::WireError;

fn context() -> Context {
    Context::new(&Limits { arena_bytes_max: 1 << 16, ..Limits::default() })
}

fn schema(types: &[DataType]) -> Schema {
    Schema::new(types.iter().map(|t| Field::new("c", t.clone())).collect())
}

/// A row as plain data: texts by content.
type Plain = (Vec<Option<Value>>, u8);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Words([u64; 2]),
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Row(Plain),
    Watermark(i64),
}

fn encode(types: &[DataType], items: &[Item]) -> (Vec<u8>, usize) {
    let mut encoder = BatchEncoder::new(&schema(types));
    for item in items {
        let mut context = context();
        match item {
            Item::Watermark(watermark) => encoder.watermark(*watermark),
            Item::Row((values, change)) => {
                let mut nulls = 0;
                let mut slots = Vec::new();
                for (index, value) in values.iter().enumerate() {
                    slots.push(match value {
                        None => {
                            nulls |= 1 << index;
                            Slot::ZERO
                        }
                        Some(Value::Words([a, b])) => Slot(*a, *b),
                        Some(Value::Bytes(bytes)) => context.put_bytes(bytes).slot,
                    });
                }
                let change = Change::from_u8(*change).unwrap();
                encoder.push(Row { slots: &slots, nulls, change }, &context);
            }
        }
    }
    let bytes_max = encoder.bytes_max();
    let bytes = encoder.finish();
    assert!(encoder.is_empty());
    (bytes, bytes_max)
}

fn decode(types: &[DataType], payload: &[u8]) -> Result<Vec<Item>, WireError> {
    let mut decoder = BatchDecoder::new(payload, &schema(types))?;
    let mut items = Vec::new();
    let mut slots = vec![Slot::ZERO; types.len()];
    let mut context = context();
    loop {
        context.arena.clear();
        let item = match decoder.next(&mut slots, &mut context)? {
            None => return Ok(items),
            Some(BatchItem::Watermark(watermark)) => Item::Watermark(watermark),
            Some(BatchItem::Row { nulls, change }) => {
                let row = Row { slots: &slots, nulls, change };
                let value = |(index, data_type): (usize, &DataType)| match row.datum(index) {
                    value if value.is_null() => None,
                    Datum { slot, .. } if data_type.is_referring() => {
                        Some(Value::Bytes(context.bytes(slot).to_vec()))
                    }
                    Datum { slot, .. } => Some(Value::Words([slot.0, slot.1])),
                };
                let values = types.iter().enumerate().map(value).collect();
                Item::Row((values, change as u8))
            }
        };
        items.push(item);
    }
}

fn value(data_type: &DataType) -> BoxedStrategy<Value> {
    let words = |slot: Slot| Value::Words([slot.0, slot.1]);
    match data_type {
        DataType::Boolean => any::<bool>().prop_map(move |v| words(Slot::bool(v))).boxed(),
        DataType::Int => any::<i32>().prop_map(move |v| words(Slot::i64(v.into()))).boxed(),
        DataType::BigInt => prop_oneof![any::<i64>(), -9i64..9, Just(i64::MIN), Just(i64::MAX)]
            .prop_map(move |v| words(Slot::i64(v)))
            .boxed(),
        DataType::Float => any::<f32>().prop_map(move |v| words(Slot::f64(v.into()))).boxed(),
        DataType::Double => {
            let decimal = (-100_000i32..100_000).prop_map(|v| f64::from(v) / 1000.0);
            let whole = (-9i32..9).prop_map(f64::from);
            let odd = prop_oneof![any::<f64>(), Just(f64::NAN), Just(-0.0), Just(f64::INFINITY)];
            prop_oneof![20 => decimal, 5 => whole, 1 => odd]
                .prop_map(move |v| words(Slot::f64(v)))
                .boxed()
        }
        DataType::Decimal { .. } => {
            let wide = -(10i128.pow(30))..10i128.pow(30);
            prop_oneof![9 => -9i128..99, 1 => wide].prop_map(move |v| words(Slot::i128(v))).boxed()
        }
        DataType::Timestamp(_) => (0i64..5_000, prop_oneof![Just(0u32), 0u32..1_000_000])
            .prop_map(move |(s, n)| words(Slot::timestamp(1_700_000_000_000 + s * 1000, n)))
            .boxed(),
        DataType::Bytes => prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            prop::collection::vec(any::<u8>(), 12)
        ]
        .prop_map(Value::Bytes)
        .boxed(),
        _ => prop_oneof!["[a-cé]{0,2}", "sensor-[0-9]{2}"]
            .prop_map(|text: String| Value::Bytes(text.into_bytes()))
            .boxed(),
    }
}

fn types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Int,
        DataType::BigInt,
        DataType::Float,
        DataType::Double,
        DataType::Decimal { precision: 38, scale: 3 },
        DataType::Timestamp(3),
        DataType::STRING,
        DataType::Bytes,
    ]
}

fn batch() -> impl Strategy<Value = (Vec<DataType>, Vec<Item>)> {
    let types = prop::collection::vec(prop::sample::select(types()), 0..7);
    (types, 0u8..3).prop_flat_map(|(types, nulls)| {
        let row: Vec<_> = types
            .iter()
            .map(|t| match nulls {
                0 => value(t).prop_map(Some).boxed(),
                1 => prop::option::of(value(t)).boxed(),
                _ => Just(None).boxed(),
            })
            .collect();
        let item = prop_oneof![
            9 => (row, 0u8..4).prop_map(Item::Row),
            1 => any::<i64>().prop_map(Item::Watermark)
        ];
        (Just(types), prop::collection::vec(item, 0..60))
    })
}

/// What the decoder gives: raises only, and of several in one place the last.
fn raises(items: Vec<Item>) -> Vec<Item> {
    let mut highest = i64::MIN;
    let mut out: Vec<Item> = Vec::new();
    for item in items {
        if let Item::Watermark(watermark) = item {
            if watermark <= highest {
                continue;
            }
            highest = watermark;
            if matches!(out.last(), Some(Item::Watermark(_))) {
                out.pop();
            }
        }
        out.push(item);
    }
    out
}

proptest! {
    #[test]
    fn round_trip((types, items) in batch()) {
        let (payload, bytes_max) = encode(&types, &items);
        prop_assert!(payload.len() <= bytes_max, "{} > {}", payload.len(), bytes_max);
        prop_assert_eq!(decode(&types, &payload).unwrap(), raises(items));
    }

    #[test]
    fn hostile_bytes_never_panic(
        (types, items) in batch(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut payload, _) = encode(&types, &items);
        let _ = decode(&types, &payload[..cut.index(payload.len())]);
        for (place, byte) in changes {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        let _ = decode(&types, &payload);
    }

    #[test]
    fn noise_never_panics(mut noise in prop::collection::vec(any::<u8>(), 1..300)) {
        noise[0] = VERSION;
        let _ = decode(&types(), &noise);
        let _ = decode(&[DataType::STRING], &noise);
    }
}

#[test]
fn invalid_values_are_refused() {
    let one = |data_type: &DataType, slot: Slot| {
        encode(
            core::slice::from_ref(data_type),
            &[Item::Row((vec![Some(Value::Words([slot.0, slot.1]))], 0))],
        )
        .0
    };
    let big = one(&DataType::BigInt, Slot::i64(300));
    assert!(decode(&[DataType::Int], &big).is_ok());
    for narrow in [DataType::TinyInt, DataType::Boolean, DataType::STRING, DataType::Double] {
        assert!(decode(core::slice::from_ref(&narrow), &big).is_err(), "{narrow}");
    }
    let bytes = vec![Some(Value::Bytes(vec![0xff, 0xfe]))];
    let (payload, _) = encode(&[DataType::Bytes], &[Item::Row((bytes, 0))]);
    assert!(decode(&[DataType::Bytes], &payload).is_ok());
    assert_eq!(decode(&[DataType::STRING], &payload), Err(WireError::malformed("text")));
    assert!(decode(&[DataType::Bytes, DataType::Bytes], &payload).is_err());
}

/// 800 streams of one window: (device, sensor), window start, count, exact sum, min, max.
#[test]
fn a_partial_row_costs_at_most_25_bytes() {
    let types = schema(&[
        DataType::STRING,
        DataType::STRING,
        DataType::Timestamp(3),
        DataType::BigInt,
        DataType::Bytes,
        DataType::Double,
        DataType::Double,
    ]);
    let mut encoder = BatchEncoder::new(&types);
    let mut noise = 1u64;
    for row in 0..800u32 {
        let mut context = context();
        let mut sum = ExactSum::new();
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for _ in 0..10 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let thousandths = 18_000 + u32::try_from(noise >> 40).unwrap() % 8000;
            let reading = f64::from(thousandths) / 1000.0;
            sum.add(reading);
            (low, high) = (low.min(reading), high.max(reading));
        }
        let mut bytes = Vec::new();
        sum.encode(&mut bytes);
        let device = alloc::format!("device-{:04}", row / 4);
        let slots = [
            context.put_text(&device).slot,
            context.put_text(["temperature", "humidity", "pressure", "co2"][row as usize % 4]).slot,
            Slot::timestamp(1_700_000_000_000, 0),
            Slot::i64(10),
            context.put_bytes(&bytes).slot,
            Slot::f64(low),
            Slot::f64(high),
        ];
        encoder.push(Row::insert(&slots, 0), &context);
    }
    encoder.watermark(1_700_000_010_000);
    let payload = encoder.finish();
    let packed = lz4_flex::block::compress(&payload);
    let per_row = packed.len().min(payload.len()) as f64 / 800.0;
    std::println!("{per_row} bytes a row; {} before compression", payload.len() / 800);
    assert!(per_row <= 25.0, "{per_row} bytes");
}
