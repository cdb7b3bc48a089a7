//! Functions of rows: what Flink 2.2.1 answers.

use alloc::{string::ToString, vec};

use proptest::prelude::*;

use super::maps::{lit, made, shown};
use super::*;
use crate::expr::{Expr, ExprKind, Program};
use crate::functions::FIELD;
use crate::row::{Change, Row};

fn row(values: &[Value]) -> Expr {
    made("ROW", values.iter().map(lit).collect())
}

fn field(of: Expr, position: i64) -> Expr {
    made(FIELD, vec![of, lit(&int(position))])
}

fn cast(from: Expr, fields: &[(&str, DataType)], is_safe: bool) -> Expr {
    let fields = fields.iter().map(|(name, t)| (String::from(*name), t.clone()));
    let data_type = DataType::Row(fields.collect());
    Expr { kind: ExprKind::Cast(from.into(), is_safe), data_type }
}

#[test]
fn made_and_read() {
    let two = || row(&[int(1), txt("x")]);
    assert_eq!(two().data_type.to_string(), "ROW<`EXPR$0` INT, `EXPR$1` STRING>");
    assert_eq!(shown(two()), "(1, x)");
    assert_eq!(shown(row(&[null(DataType::Int), txt("x")])), "(NULL, x)");
    assert_eq!([shown(field(two(), 0)), shown(field(two(), 1))], ["1", "x"]);
    let nested = || made("ROW", vec![lit(&int(7)), two(), lit(&txt("z"))]);
    assert_eq!(shown(nested()), "(7, (1, x), z)");
    assert_eq!(shown(field(field(nested(), 1), 1)), "x");
    assert_eq!(shown(field(nested(), 2)), "z");
    let array = made("ARRAY", vec![two(), row(&[int(2), txt("y")])]);
    let second = made("ELEMENT_AT", vec![array, lit(&int(2))]);
    assert_eq!(shown(field(second, 1)), "y");
    assert!(refused("ROW", &[null(DataType::Null)]).contains("NULL"));
    assert!(refused(FIELD, &[int(1), int(0)]).contains("no fields"));
}

#[test]
fn compared_as_values() {
    let equal = |a: &[Value], b: &[Value]| shown(made("=", vec![row(a), row(b)]));
    let none = null(DataType::Int);
    assert_eq!(equal(&[int(1), txt("x")], &[int(1), txt("x")]), "TRUE");
    assert_eq!(equal(&[none.clone(), txt("x")], &[none.clone(), txt("x")]), "TRUE");
    assert_eq!(equal(&[none.clone(), txt("x")], &[int(1), txt("x")]), "FALSE");
    let both = vec![row(&[int(1)]), row(&[none])];
    assert_eq!(shown(made("<>", both)), "TRUE");
    let order = [row(&[int(1)]), row(&[int(2)])];
    for name in ["<", "IS DISTINCT FROM", "GREATEST"] {
        let args: Vec<_> = order.iter().map(Arg::of).collect();
        assert!(bind(name, &args).is_err(), "{name}");
    }
}

#[test]
fn converted_field_by_field() {
    let named = [("a", DataType::STRING), ("b", DataType::BigInt)];
    assert_eq!(shown(cast(row(&[int(1), txt("5")]), &named, false)), "(1, 5)");
    assert_eq!(shown(cast(row(&[int(1), txt("x")]), &named, true)), "NULL");
    assert_eq!(shown(cast(row(&[int(1), null(DataType::STRING)]), &named, true)), "(1, NULL)");
    let short = cast(row(&[int(1)]), &named, false);
    assert!(Program::compile(&short).is_err());
}

#[test]
fn written_as_json() {
    let named = [("z", DataType::Int), ("a", DataType::STRING)];
    let of = cast(row(&[int(1), txt("x")]), &named, false);
    assert_eq!(shown(made("JSON_STRING", vec![of])), r#"{"a":"x","z":1}"#);
}

#[test]
fn entries_of_maps() {
    let map = made("MAP", [txt("b"), int(2), txt("a"), int(1)].iter().map(lit).collect());
    let entries = made("MAP_ENTRIES", vec![map]);
    assert_eq!(entries.data_type.to_string(), "ARRAY<ROW<`key` STRING, `value` INT>>");
    assert_eq!(shown(entries), "[(a, 1), (b, 2)]");
}

/// The bytes of a row in states and frames: a marker for each field, then its value.
#[test]
fn bytes_of_a_row() {
    let cx = &mut Context::new(&Limits::default());
    let expr = row(&[int(1), txt("xy"), null(DataType::Int), null(DataType::STRING)]);
    let program = Program::compile(&expr).unwrap();
    let value = program.eval(Row { slots: &[], nulls: 0, change: Change::Insert }, cx);
    assert_eq!(cx.bytes(value.slot), [1, 2, 1, 4, b'x', b'y', 0, 0]);
}

proptest! {
    /// What was put into a row comes out of it, wherever it stands.
    #[test]
    fn fields_come_back(values in proptest::collection::vec(proptest::option::of(0i64..99), 1..9)) {
        let values: Vec<Value> =
            values.iter().map(|v| v.map_or_else(|| null(DataType::Int), int)).collect();
        for (position, value) in values.iter().enumerate() {
            let found = shown(field(row(&values), i64::try_from(position).unwrap()));
            prop_assert_eq!(found, shown(lit(value)));
        }
    }
}
