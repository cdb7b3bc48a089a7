//! Functions of maps: what Flink 2.2.1 answers.

use proptest::prelude::*;

use super::*;
use crate::expr::{Expr, ExprKind, Program};
use crate::row::Row;

pub(super) fn lit(value: &Value) -> Expr {
    Expr::literal(value.literal.clone().unwrap(), value.data_type.clone())
}

pub(super) fn made(name: &str, args: Vec<Expr>) -> Expr {
    let seen: Vec<_> = args.iter().map(Arg::of).collect();
    let bound = bind(name, &seen).unwrap_or_else(|e| panic!("{name}: {e}"));
    let cast = |(arg, to): (Expr, DataType)| match arg.data_type == to {
        true => arg,
        false => Expr { kind: ExprKind::Cast(arg.into(), false), data_type: to },
    };
    let args = args.into_iter().zip(bound.args).map(cast).collect();
    Expr::call(name, args, bound.result)
}

fn map(values: &[Value]) -> Expr {
    made("MAP", values.iter().map(lit).collect())
}

/// The value as CAST to STRING has it, or the fault.
pub(super) fn shown(expr: Expr) -> String {
    let text = match expr.data_type.is_text() {
        true => expr,
        false => Expr { kind: ExprKind::Cast(expr.into(), false), data_type: DataType::STRING },
    };
    let cx = &mut Context::new(&Limits::default());
    let program = Program::compile(&text).unwrap();
    let value = program.eval(Row { slots: &[], nulls: 0, change: crate::row::Change::Insert }, cx);
    match (value.is_null(), cx.fault) {
        (_, Some(fault)) => fault.as_str().into(),
        (true, None) => "NULL".into(),
        (false, None) => cx.text(value.slot).into(),
    }
}

#[test]
fn made_and_read() {
    let two = || map(&[txt("b"), int(2), txt("a"), int(1)]);
    assert_eq!(shown(two()), "{a=1, b=2}");
    assert_eq!(shown(map(&[txt("a"), int(1), txt("a"), null(DataType::Int)])), "{a=NULL}");
    assert_eq!(shown(map(&[null(DataType::STRING), int(1)])), "invalid-argument");
    assert_eq!(shown(made("CARDINALITY", alloc::vec![two()])), "2");
    assert_eq!(shown(made("MAP_KEYS", alloc::vec![two()])), "[a, b]");
    assert_eq!(shown(made("MAP_VALUES", alloc::vec![two()])), "[1, 2]");
    let item = |key: &str| shown(made("ELEMENT_AT", alloc::vec![two(), lit(&txt(key))]));
    assert_eq!([item("b"), item("c")], ["2", "NULL"]);
    assert_eq!(shown(made("JSON_STRING", alloc::vec![two()])), r#"{"a":1,"b":2}"#);
    let same = map(&[txt("a"), int(1), txt("b"), int(2)]);
    assert_eq!(shown(made("=", alloc::vec![two(), same])), "TRUE");
    let numbers = || map(&[int(10), txt("x"), int(9), txt("y")]);
    assert_eq!(shown(numbers()), "{9=y, 10=x}");
    let with = alloc::vec![numbers(), lit(&int(10))];
    assert_eq!(shown(made("ELEMENT_AT", with)), "x");
    let big = DataType::Map(DataType::BigInt.into(), DataType::STRING.into());
    let cast = Expr { kind: ExprKind::Cast(numbers().into(), false), data_type: big };
    assert_eq!(shown(cast), "{9=y, 10=x}");
}

#[test]
fn from_others() {
    let array = |values: &[Value]| made("ARRAY", values.iter().map(lit).collect());
    let keys = || array(&[txt("b"), txt("a"), txt("b")]);
    let of = |values: &[Value]| shown(made("MAP_FROM_ARRAYS", alloc::vec![keys(), array(values)]));
    assert_eq!(of(&[int(1), int(2), int(3)]), "{a=2, b=3}");
    assert_eq!(of(&[int(1)]), "invalid-argument");
    let one = map(&[txt("a"), int(1)]);
    let other = map(&[txt("a"), int(2), txt("b"), int(3)]);
    assert_eq!(shown(made("MAP_UNION", alloc::vec![one, other])), "{a=2, b=3}");
    let split = |text: &str| shown(made("STR_TO_MAP", alloc::vec![lit(&txt(text))]));
    assert_eq!(split("a=1,b=2,a=3"), "{a=3, b=2}");
    assert_eq!(split("a,b="), "{a=NULL, b=}");
    assert_eq!([split(""), split(",")], ["{}", "{}"]);
    let by = [txt("a:1;b:2"), txt(";"), txt(":")];
    assert_eq!(shown(made("STR_TO_MAP", by.iter().map(lit).collect())), "{a=1, b=2}");
    assert!(refused("STR_TO_MAP", &[txt("a"), txt("|"), txt("=")]).contains("split"));
    assert!(refused("MAP_KEYS", &[int(1)]).contains("map"));
}

proptest! {
    /// However entries come, the map is that of a sorted list in which the last one counts.
    #[test]
    fn maps_are_their_entries(entries in proptest::collection::vec((0i64..9, 0i64..99), 1..12)) {
        let values: Vec<_> = entries.iter().flat_map(|(k, v)| [int(*k), int(*v)]).collect();
        let mut model: Vec<(i64, i64)> = Vec::new();
        for (key, value) in entries {
            model.retain(|(k, _)| *k != key);
            model.push((key, value));
        }
        model.sort_unstable();
        let list: Vec<_> = model.iter().map(|(k, v)| alloc::format!("{k}={v}")).collect();
        prop_assert_eq!(shown(map(&values)), alloc::format!("{{{}}}", list.join(", ")));
    }
}
