//! Arrays: answers of Flink 2.2.1, through expressions that make them.

use alloc::vec;

use super::*;
use crate::{
    expr::{Expr, Program},
    functions::array::elements,
    row::Row,
};

fn value(of: Value) -> Expr {
    Expr::literal(of.literal.unwrap(), of.data_type)
}

fn number(n: i64) -> Expr {
    value(int(n))
}

fn no_number() -> Expr {
    value(null(DataType::Int))
}

/// A call with the casts that the planner would insert.
fn f(name: &str, args: Vec<Expr>) -> Expr {
    let seen: Vec<_> = args.iter().map(Arg::of).collect();
    let bound = bind(name, &seen).unwrap();
    let cast = |(arg, to): (Expr, DataType)| match arg.data_type == to {
        true => arg,
        false => Expr { kind: crate::expr::ExprKind::Cast(arg.into(), false), data_type: to },
    };
    let args = args.into_iter().zip(bound.args).map(cast).collect();
    Expr::call(name, args, bound.result)
}

fn array<const N: usize>(numbers: [i64; N]) -> Expr {
    f("ARRAY", numbers.into_iter().map(number).collect())
}

fn with_null(before: &[i64], after: &[i64]) -> Expr {
    let numbers = |all: &[i64]| all.iter().map(|n| number(*n)).collect::<Vec<_>>();
    f("ARRAY", [numbers(before), vec![no_number()], numbers(after)].concat())
}

fn shown(expr: &Expr) -> String {
    let cx = &mut Context::new(&Limits::default());
    let result = Program::compile(expr).unwrap().eval(Row::insert(&[], 0), cx);
    if let Some(fault) = cx.fault {
        return fault.as_str().into();
    }
    let DataType::Array(element) = &expr.data_type else {
        return show(result, &expr.data_type, cx);
    };
    if result.is_null() {
        return "NULL".into();
    }
    let all = elements(result.slot, element, cx);
    let texts: Vec<_> = all.into_iter().map(|e| show(e, element, cx)).collect();
    alloc::format!("[{}]", texts.join(", "))
}

fn one(name: &str, args: Vec<Expr>) -> String {
    shown(&f(name, args))
}

#[test]
fn made_and_read() {
    assert_eq!(shown(&array([1, 2, 3])), "[1, 2, 3]");
    let mixed = f("ARRAY", vec![number(1), value(dec(25, 2, 1))]);
    assert_eq!(shown(&mixed), "[1.0, 2.5]");
    assert_eq!(alloc::format!("{}", mixed.data_type), "ARRAY<DECIMAL(11, 1)>");
    assert_eq!(shown(&f("ARRAY", vec![value(txt("a")), value(txt("bcd"))])), "[a, bcd]");
    assert_eq!(one("CARDINALITY", vec![array([1, 2])]), "2");
    assert_eq!(one("ELEMENT_AT", vec![array([1, 2]), number(2)]), "2");
    assert_eq!(one("ELEMENT_AT", vec![array([1, 2]), number(3)]), "NULL");
    assert_eq!(one("ELEMENT", vec![array([5])]), "5");
    assert_eq!(one("ELEMENT", vec![array([1, 2])]), "invalid-argument");
}

#[test]
fn searched() {
    assert_eq!(one("ARRAY_CONTAINS", vec![array([1, 2]), number(2)]), "true");
    assert_eq!(one("ARRAY_CONTAINS", vec![array([1, 2]), number(5)]), "false");
    assert_eq!(one("ARRAY_CONTAINS", vec![with_null(&[1], &[]), no_number()]), "true");
    assert_eq!(one("ARRAY_POSITION", vec![array([1, 2, 2]), number(2)]), "2");
    assert_eq!(one("ARRAY_POSITION", vec![array([1, 2, 2]), number(7)]), "0");
    assert_eq!(one("ARRAY_POSITION", vec![with_null(&[1], &[]), no_number()]), "NULL");
    assert_eq!(one("ARRAY_MAX", vec![with_null(&[1, 5], &[])]), "5");
    assert_eq!(one("ARRAY_MIN", vec![with_null(&[], &[3, 1])]), "1");
    assert_eq!(one("ARRAY_MIN", vec![with_null(&[], &[])]), "NULL");
    let texts =
        |last: Value| f("ARRAY", vec![value(txt("a")), value(null(DataType::STRING)), value(last)]);
    assert_eq!(one("ARRAY_JOIN", vec![texts(txt("b")), value(txt(","))]), "a,b");
    let with_text = vec![texts(txt("b")), value(txt(",")), value(txt("x"))];
    assert_eq!(one("ARRAY_JOIN", with_text), "a,x,b");
}

#[test]
fn changed() {
    let slice = |start, end: Option<i64>| {
        let args =
            [vec![array([1, 2, 3, 4]), number(start)], end.map(number).into_iter().collect()];
        one("ARRAY_SLICE", args.concat())
    };
    assert_eq!(
        [slice(2, Some(3)), slice(-2, None), slice(0, Some(2))],
        ["[2, 3]", "[3, 4]", "[1, 2]"]
    );
    assert_eq!([slice(3, Some(2)), slice(2, Some(-2)), slice(9, None)], ["[]", "[2, 3]", "[]"]);
    assert_eq!(
        [slice(1, Some(0)), slice(-9, Some(2)), slice(1, Some(-9))],
        ["[1]", "[1, 2]", "[]"]
    );
    assert_eq!([slice(-1, Some(-3)), slice(2, Some(99))], ["[]", "[2, 3, 4]"]);
    let flag = |b| value(of(DataType::Boolean, Literal::Bool(b)));
    let unsorted = || with_null(&[3], &[1]);
    assert_eq!(one("ARRAY_SORT", vec![unsorted()]), "[NULL, 1, 3]");
    assert_eq!(one("ARRAY_SORT", vec![unsorted(), flag(false)]), "[3, 1, NULL]");
    assert_eq!(one("ARRAY_SORT", vec![unsorted(), flag(true), flag(false)]), "[1, 3, NULL]");
    assert_eq!(one("ARRAY_SORT", vec![unsorted(), flag(false), flag(true)]), "[NULL, 3, 1]");
    assert_eq!(one("ARRAY_REVERSE", vec![with_null(&[1], &[3])]), "[3, NULL, 1]");
    assert_eq!(one("ARRAY_DISTINCT", vec![array([3, 1, 3, 1])]), "[3, 1]");
    assert_eq!(one("ARRAY_APPEND", vec![array([1]), no_number()]), "[1, NULL]");
    assert_eq!(one("ARRAY_PREPEND", vec![array([1]), number(2)]), "[2, 1]");
    assert_eq!(one("ARRAY_REMOVE", vec![array([1, 2, 2, 3]), number(2)]), "[1, 3]");
}

#[test]
fn of_two_arrays() {
    assert_eq!(one("ARRAY_CONCAT", vec![array([1]), array([2, 3])]), "[1, 2, 3]");
    assert_eq!(one("ARRAY_UNION", vec![array([1, 2, 2]), array([2, 3])]), "[1, 2, 3]");
    assert_eq!(one("ARRAY_EXCEPT", vec![array([1, 1, 3, 3]), array([3])]), "[1]");
    assert_eq!(one("ARRAY_INTERSECT", vec![array([1, 2, 2]), array([2, 2, 5])]), "[2]");
    let both = || vec![with_null(&[1], &[]), with_null(&[], &[])];
    assert_eq!(one("ARRAY_UNION", both()), "[1, NULL]");
    assert_eq!(one("ARRAY_EXCEPT", both()), "[1]");
    assert_eq!(one("ARRAY_INTERSECT", both()), "[NULL]");
}

#[test]
fn from_texts() {
    let split = |a, b| one("SPLIT", vec![value(txt(a)), value(txt(b))]);
    assert_eq!(
        [split("a,b,,c", ","), split("abc", ""), split("", ",")],
        ["[a, b, , c]", "[a, b, c]", "[]"]
    );
    assert_eq!([split(",a,", ","), split("aXbX", "X")], ["[, a, ]", "[a, b, ]"]);
    let all = |pattern, group: Option<i64>| {
        let texts = vec![value(txt("100-200, 300-400")), value(txt(pattern))];
        one("REGEXP_EXTRACT_ALL", [texts, group.map(number).into_iter().collect()].concat())
    };
    let pair = r"(\d+)-(\d+)";
    assert_eq!([all(pair, None), all(pair, Some(2))], ["[100, 300]", "[200, 400]"]);
    assert_eq!([all(pair, Some(0)), all(pair, Some(5))], ["[100-200, 300-400]", "NULL"]);
    assert_eq!([all("x", Some(0)), all("x", None), all(pair, Some(-1))], ["[]", "NULL", "NULL"]);
    let list = value(null(DataType::Array(DataType::STRING.into())));
    let words = ["WITHOUT", "NULL", "EMPTY ARRAY"].map(|w| value(txt(w)));
    let query = |text: &str| {
        let start = vec![value(txt(text)), value(txt("lax $.a"))];
        one("JSON_QUERY", [start, words.to_vec(), vec![list.clone()]].concat())
    };
    let text = r#"{"a":[1,{"x":2},[3],null,true,"s",1e2]}"#;
    assert_eq!(query(text), r#"[1, {"x":2}, [3], NULL, true, s, 1E+2]"#);
    assert_eq!([query("{}"), query("null"), query(r#"{"a":{}}"#)], ["NULL", "[]", "[]"]);
}
