//! Known answers: Flink's documentation and the conformance cases.

use alloc::{string::String, vec::Vec};

use super::{Arg, bind};
use crate::{
    calendar::{parse, text},
    context::{Context, Fault},
    decimal,
    expr::Literal,
    java_double::JavaText,
    limits::Limits,
    slot::{Datum, Slot},
    types::DataType,
};

mod arrays;
mod encodings;
mod json;
mod json_paths;
mod maps;
mod more;
mod numbers;
mod regexp;
mod rows;
mod temporal;
mod texts;

/// A value with its type, to call functions with.
#[derive(Clone, Debug)]
struct Value {
    data_type: DataType,
    literal: Option<Literal>,
}

fn of(data_type: DataType, literal: Literal) -> Value {
    Value { data_type, literal: Some(literal) }
}

fn int(v: i64) -> Value {
    of(DataType::Int, Literal::Int(v))
}

fn big(v: i64) -> Value {
    of(DataType::BigInt, Literal::Int(v))
}

fn dbl(v: f64) -> Value {
    of(DataType::Double, Literal::Double(v))
}

fn txt(v: &str) -> Value {
    of(DataType::STRING, Literal::Text(v.into()))
}

fn null(data_type: DataType) -> Value {
    of(data_type, Literal::Null)
}

fn dec(v: i128, precision: u8, scale: u8) -> Value {
    of(DataType::Decimal { precision, scale }, Literal::Decimal(v))
}

fn date(v: &str) -> Value {
    of(DataType::Date, Literal::Int(parse::date(v).unwrap()))
}

fn ts(v: &str) -> Value {
    let moment = parse::timestamp(v, 9).unwrap();
    of(DataType::Timestamp(3), Literal::Timestamp(moment.ms, moment.nanos))
}

fn ltz(ms: i64) -> Value {
    of(DataType::TimestampLtz(3), Literal::Timestamp(ms, 0))
}

fn datum(value: &Value, cx: &mut Context) -> Datum {
    match value.literal.as_ref().unwrap() {
        Literal::Null => Datum::NULL,
        Literal::Bool(v) => Datum::bool(*v),
        Literal::Int(v) => Datum::i64(*v),
        Literal::Double(v) => Datum::f64(*v),
        Literal::Decimal(v) => Datum::of(Slot::i128(*v)),
        Literal::Timestamp(ms, ns) => Datum::of(Slot::timestamp(*ms, *ns)),
        Literal::Text(v) => cx.put_text(v),
    }
}

/// Shows a value as CAST to STRING would.
fn show(value: Datum, data_type: &DataType, cx: &Context) -> String {
    let slot = value.slot;
    let mut out = String::new();
    match data_type {
        _ if value.is_null() => return "NULL".into(),
        DataType::Boolean => return alloc::format!("{}", slot.as_bool()),
        DataType::Double => return JavaText::of_f64(slot.as_f64()).as_str().into(),
        DataType::Float => return JavaText::of_f64(slot.as_f64()).as_str().into(),
        DataType::Decimal { scale, .. } => {
            decimal::write_to(&mut out, slot.as_i128(), *scale).unwrap();
        }
        DataType::Date => text::write_date(&mut out, slot.as_i64()).unwrap(),
        t if t.is_timestamp() => {
            let moment = crate::calendar::Moment { ms: slot.as_i64(), nanos: slot.nanos() };
            text::write_json_timestamp(&mut out, moment, false, text::TimestampStandard::Sql)
                .unwrap();
        }
        t if t.is_text() => return cx.text(slot).into(),
        _ => return alloc::format!("{}", slot.as_i64()),
    }
    out
}

/// Calls a function as the planner would: bound to the types, arguments cast to what it asks.
fn try_call(name: &str, values: &[Value]) -> Result<(String, DataType, Option<Fault>), String> {
    let args: Vec<_> = values
        .iter()
        .map(|v| Arg { literal: v.literal.as_ref(), ..Arg::of_type(&v.data_type) })
        .collect();
    let bound = bind(name, &args)?;
    assert_eq!(bound.args.len(), values.len(), "{name}");
    let cx = &mut Context::new(&Limits::default());
    let mut data = Vec::new();
    for (value, to) in values.iter().zip(&bound.args) {
        let own = datum(value, cx);
        let cast = crate::cast::find(&value.data_type, to)?;
        data.push(match own.is_null() {
            true => own,
            false => cast(own, &value.data_type, to, cx).expect("cast"),
        });
    }
    let is_null = bound.is_strict && data.iter().any(|v| v.is_null());
    let result = if is_null { Datum::NULL } else { (bound.eval)(&data, cx) };
    Ok((show(result, &bound.result, cx), bound.result, cx.fault))
}

fn call(name: &str, values: &[Value]) -> String {
    let (text, _, fault) = try_call(name, values).unwrap();
    assert_eq!(fault, None, "{name}");
    text
}

fn typed(name: &str, values: &[Value]) -> (String, String) {
    let (text, data_type, _) = try_call(name, values).unwrap();
    (text, alloc::format!("{data_type}"))
}

fn fault(name: &str, values: &[Value]) -> Option<Fault> {
    try_call(name, values).unwrap().2
}

fn refused(name: &str, values: &[Value]) -> String {
    try_call(name, values).expect_err("refused")
}
