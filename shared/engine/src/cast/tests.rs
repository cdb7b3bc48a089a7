//! Flink's documented conversions.

use alloc::string::String;

use super::find;
use crate::{
    context::Context,
    limits::Limits,
    slot::{Datum, Slot},
    types::DataType,
};

fn cast(value: impl FnOnce(&mut Context) -> Datum, from: &DataType, to: &DataType) -> String {
    let cx = &mut Context::new(&Limits::default());
    let value = value(cx);
    let Some(done) = find(from, to).unwrap()(value, from, to, cx) else { return "FAILED".into() };
    if done.is_null() {
        return "NULL".into();
    }
    let text = find(to, &DataType::STRING).unwrap()(done, to, &DataType::STRING, cx).unwrap();
    cx.text(text.slot).into()
}

fn text(value: &str, to: &DataType) -> String {
    cast(|cx| cx.put_text(value), &DataType::STRING, to)
}

fn double(value: f64, to: &DataType) -> String {
    cast(|_| Datum::f64(value), &DataType::Double, to)
}

fn int(value: i64, to: &DataType) -> String {
    cast(|_| Datum::i64(value), &DataType::BigInt, to)
}

const DEC_5_1: DataType = DataType::Decimal { precision: 5, scale: 1 };

#[test]
fn doubles() {
    assert_eq!(double(-1.5, &DataType::Int), "-1");
    assert_eq!(double(1e300, &DataType::Int), "2147483647");
    assert_eq!(double(1e300, &DataType::BigInt), "9223372036854775807");
    assert_eq!(double(f64::NAN, &DataType::Int), "0");
    assert_eq!(double(300.7, &DataType::TinyInt), "44");
    assert_eq!(double(0.25, &DEC_5_1), "0.3");
    assert_eq!(double(-0.25, &DEC_5_1), "-0.3");
    assert_eq!(double(1e5, &DEC_5_1), "NULL");
    assert_eq!(double(0.1, &DataType::Float), "0.1");
    assert_eq!(double(1.0, &DataType::STRING), "1.0");
    assert_eq!(double(1e7, &DataType::STRING), "1.0E7");
    assert!(find(&DataType::Double, &DataType::Boolean).is_err());
}

#[test]
fn integers() {
    assert_eq!(int(300, &DataType::TinyInt), "44");
    assert_eq!(int(1 << 40, &DataType::Int), "0");
    assert_eq!(int(7, &DataType::Double), "7.0");
    assert_eq!(int(7, &DEC_5_1), "7.0");
    assert_eq!(int(10_000, &DEC_5_1), "NULL");
    assert_eq!(int(2, &DataType::Boolean), "TRUE");
    assert_eq!(int(-12, &DataType::STRING), "-12");
    assert_eq!(cast(|_| Datum::bool(true), &DataType::Boolean, &DataType::Double), "1.0");
    assert_eq!(cast(|_| Datum::bool(true), &DataType::Boolean, &DEC_5_1), "1.0");
    assert_eq!(cast(|_| Datum::of(Slot::i128(-159)), &DEC_5_1, &DataType::Int), "-15");
    assert_eq!(cast(|_| Datum::of(Slot::i128(-159)), &DEC_5_1, &DataType::Double), "-15.9");
}

#[test]
fn texts() {
    for (value, to, out) in [
        ("12", DataType::Int, "12"),
        (" -12.9 ", DataType::Int, "-12"),
        ("2147483648", DataType::Int, "FAILED"),
        ("-2147483648", DataType::Int, "-2147483648"),
        ("Alpha", DataType::Int, "FAILED"),
        ("", DataType::Int, "FAILED"),
        ("-", DataType::Int, "FAILED"),
        ("1e3", DataType::Int, "FAILED"),
        ("12.5", DataType::Double, "12.5"),
        (" 1e3 ", DataType::Double, "1000.0"),
        ("1.5d", DataType::Double, "1.5"),
        ("-Infinity", DataType::Double, "-Infinity"),
        ("inf", DataType::Double, "FAILED"),
        ("0.1", DataType::Float, "0.1"),
        ("0.25", DEC_5_1, "0.3"),
        ("99999", DEC_5_1, "FAILED"),
        ("yes", DataType::Boolean, "TRUE"),
        ("F", DataType::Boolean, "FALSE"),
        (" true", DataType::Boolean, "FAILED"),
        ("2022-01-03", DataType::Date, "2022-01-03"),
        ("2022-02-30", DataType::Date, "FAILED"),
        ("12:34", DataType::Time(0), "12:34:00"),
        ("2022-1-3 4:5:6.7891", DataType::Timestamp(3), "2022-01-03 04:05:06.789"),
        ("2022-01-03", DataType::TimestampLtz(0), "2022-01-03 00:00:00"),
        ("x", DataType::Timestamp(3), "FAILED"),
        ("Größe", DataType::Varchar(3), "Grö"),
        ("ab", DataType::Char(4), "ab  "),
        ("abcdef", DataType::Char(4), "abcd"),
    ] {
        assert_eq!(text(value, &to), out, "{value} to {to}");
    }
}

#[test]
fn points_in_time() {
    let at = |_: &mut Context| Datum::of(Slot::timestamp(1_641_182_706_789, 123_456));
    let from = DataType::Timestamp(9);
    assert_eq!(cast(at, &from, &DataType::Date), "2022-01-03");
    assert_eq!(cast(at, &from, &DataType::Time(0)), "04:05:06");
    assert_eq!(cast(at, &from, &DataType::Timestamp(6)), "2022-01-03 04:05:06.789123");
    assert_eq!(cast(at, &from, &DataType::TimestampLtz(0)), "2022-01-03 04:05:06");
    assert_eq!(cast(|_| Datum::i64(1), &DataType::Date, &from), "1970-01-02 00:00:00.000000000");
    assert_eq!(
        cast(|_| Datum::i64(1), &DataType::IntervalDay, &DataType::STRING),
        "+0 00:00:00.001"
    );
    assert_eq!(cast(|_| Datum::i64(-14), &DataType::IntervalMonth, &DataType::STRING), "-1-02");
    assert!(find(&from, &DataType::BigInt).is_err());
    assert!(find(&DataType::Date, &DataType::Time(0)).is_err());
}
