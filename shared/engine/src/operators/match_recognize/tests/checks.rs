//! Conditions that are answered for every row say what the expression says.

use crate::{
    context::Context,
    expr::{Expr, ExprKind, Literal},
    fragment::{Formula, MatchItem},
    limits::Limits,
    operators::match_recognize::{checks::Checks, formula},
    row::Row,
    slot::Slot,
    testkit::MONEY_TYPE,
    types::DataType,
};

use alloc::{boxed::Box, vec, vec::Vec};

const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

fn types() -> [DataType; 6] {
    let text = DataType::STRING;
    [DataType::Double, DataType::Double, DataType::Int, MONEY_TYPE, DataType::Timestamp(3), text]
}

fn column(index: usize) -> Expr {
    Expr::column(index, types()[index].clone())
}

fn formula(expr: Expr) -> Formula {
    Formula { items: (0..types().len()).map(MatchItem::Current).collect(), expr }
}

fn call(op: &str, left: &Expr, right: &Expr) -> Expr {
    Expr::call(op, vec![left.clone(), right.clone()], DataType::Boolean)
}

fn rows() -> Vec<([Slot; 6], u64)> {
    let doubles = [f64::NAN, f64::INFINITY, -0.0, 1.5, -7.25];
    let mut rows = Vec::new();
    for (n, a) in (-2..).zip(doubles) {
        for b in doubles {
            let money = Slot::i128(i128::from(n) * 100);
            let time = Slot::timestamp(n, if b > 0.0 { 5 } else { 0 });
            let slots = [Slot::f64(a), Slot::f64(b), Slot::i64(n), money, time, Slot::ZERO];
            rows.extend([(slots, 1 << 5), (slots, 1 << 5 | 1), (slots, 1 << 5 | 2)]);
        }
    }
    rows
}

#[test]
fn a_check_says_what_the_expression_says() {
    let constants = [
        (0, Literal::Double(1.5)),
        (1, Literal::Double(0.0)),
        (2, Literal::Int(-1)),
        (3, Literal::Decimal(100)),
        (4, Literal::Timestamp(0, 5)),
    ];
    let mut pairs = vec![(column(0), column(1)), (column(1), column(0)), (column(2), column(2))];
    for (index, literal) in constants {
        let constant = Expr::literal(literal, types()[index].clone());
        pairs.push((column(index), constant.clone()));
        pairs.push((constant, column(index)));
    }
    let mut cx = Context::new(&Limits::default());
    for op in OPERATORS {
        for (left, right) in &pairs {
            let plain = call(op, left, right);
            let both = vec![plain.clone(), call("<", &column(0), &column(1))];
            let both = Expr { kind: ExprKind::And(both), data_type: DataType::Boolean };
            for condition in [formula(plain), formula(both)] {
                let mut walk = formula::Formula::new(&condition).unwrap();
                let mut checks = Checks::default();
                checks.add(3, &condition);
                assert_eq!(checks.variables, 1 << 3, "{condition:?}");
                for (slots, nulls) in rows() {
                    let row = Row::insert(&slots, nulls);
                    let answer = checks.hold_of(row, &cx) != 0;
                    assert_eq!(answer, walk.holds_of(row, &mut cx), "{condition:?} {row:?}");
                }
            }
        }
    }
}

#[test]
fn what_may_fail_or_lies_elsewhere_is_no_check() {
    let text = Expr::literal(Literal::Text("x".into()), DataType::STRING);
    let null = Expr::literal(Literal::Null, DataType::Double);
    let plain = call(">", &column(0), &column(1));
    let not = Expr { kind: ExprKind::Not(Box::new(plain.clone())), data_type: DataType::Boolean };
    let half = ExprKind::And(vec![plain.clone(), not.clone()]);
    let half = Expr { kind: half, data_type: DataType::Boolean };
    let sum = Expr::call("+", vec![column(2), column(2)], DataType::Int);
    let exprs = [
        call("=", &column(5), &text),
        call("=", &column(0), &null),
        call("=", &sum, &column(2)),
        not,
        half,
    ];
    for expr in exprs {
        let mut checks = Checks::default();
        checks.add(0, &formula(expr.clone()));
        assert_eq!(checks.variables, 0, "{expr:?}");
        assert_eq!(checks.hold_of(Row::insert(&[], 0), &Context::new(&Limits::default())), 0);
    }
    let other = MatchItem::Row { variable: None, from_first: false, offset: 0, column: 1 };
    let mut checks = Checks::default();
    checks.add(0, &Formula { items: vec![MatchItem::Current(0), other], expr: plain });
    assert_eq!(checks.variables, 0, "another row of the match is no column of the tested one");
}
