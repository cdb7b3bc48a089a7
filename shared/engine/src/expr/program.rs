//! The executable form of an expression: a tree of nodes with bound functions.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use super::{Expr, ExprKind, Literal};
use crate::{
    cast::{self, Convert},
    context::{Context, Fault},
    functions::{self, Arg, Eval},
    limits::{ARGS_MAX, EXPRESSION_DEPTH_MAX},
    row::Row,
    slot::{Datum, Slot},
    types::DataType,
};

/// Why an expression has no executable form. The planner checks before, so users see its located
/// errors; this one names a plan that was not made by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError(pub String);

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for CompileError {}

/// An executable expression.
pub struct Program {
    node: Node,
    /// The type of its value.
    pub data_type: DataType,
}

enum Node {
    Column(usize),
    Constant(Datum),
    Text(Box<[u8]>),
    Call { args: Vec<Node>, is_strict: bool, eval: Eval },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull(Box<Node>),
    IsBool(Box<Node>, bool),
    Coalesce(Vec<Node>),
    Case(Vec<(Node, Node)>, Box<Node>),
    In { arg: Box<Node>, list: Vec<Node>, equals: Eval },
    Cast { arg: Box<Node>, convert: Convert, from: DataType, to: DataType, is_lenient: bool },
}

impl Program {
    /// Makes `expr` executable.
    pub fn compile(expr: &Expr) -> Result<Self, CompileError> {
        Ok(Program { node: compile(expr, 0)?, data_type: expr.data_type.clone() })
    }

    /// The value for `row`; texts it makes lie in the arena.
    pub fn eval(&self, row: Row<'_>, context: &mut Context) -> Datum {
        self.node.value(row, context)
    }

    /// The column that this expression merely passes on.
    pub fn as_column(&self) -> Option<usize> {
        match self.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }
}

fn compile_all(exprs: &[Expr], depth: usize) -> Result<Vec<Node>, CompileError> {
    exprs.iter().map(|e| compile(e, depth)).collect()
}

fn compile(expr: &Expr, depth: usize) -> Result<Node, CompileError> {
    if depth > EXPRESSION_DEPTH_MAX {
        return Err(CompileError("the expression is nested too deeply".into()));
    }
    let deeper = depth + 1;
    Ok(match &expr.kind {
        ExprKind::Column(index) => Node::Column(*index),
        ExprKind::Literal(literal) => constant(literal),
        ExprKind::Call(name, args) => call(name, args, deeper)?,
        ExprKind::And(args) => Node::And(compile_all(args, deeper)?),
        ExprKind::Or(args) => Node::Or(compile_all(args, deeper)?),
        ExprKind::Not(arg) => Node::Not(Box::new(compile(arg, deeper)?)),
        ExprKind::IsNull(arg) => Node::IsNull(Box::new(compile(arg, deeper)?)),
        ExprKind::IsBool(arg, wanted) => Node::IsBool(Box::new(compile(arg, deeper)?), *wanted),
        ExprKind::Coalesce(args) => Node::Coalesce(compile_all(args, deeper)?),
        ExprKind::Case(branches, otherwise) => {
            let branches = branches
                .iter()
                .map(|(c, v)| Ok((compile(c, deeper)?, compile(v, deeper)?)))
                .collect::<Result<_, _>>()?;
            Node::Case(branches, Box::new(compile(otherwise, deeper)?))
        }
        ExprKind::In(arg, list) => {
            let types = [Arg::of_type(&arg.data_type); 2];
            let equals = functions::bind("=", &types).map_err(CompileError)?.eval;
            let list = compile_all(list, deeper)?;
            Node::In { arg: Box::new(compile(arg, deeper)?), list, equals }
        }
        ExprKind::Cast(arg, is_lenient) => Node::Cast {
            convert: cast::find(&arg.data_type, &expr.data_type).map_err(CompileError)?,
            from: arg.data_type.clone(),
            to: expr.data_type.clone(),
            is_lenient: *is_lenient,
            arg: Box::new(compile(arg, deeper)?),
        },
    })
}

fn constant(literal: &Literal) -> Node {
    Node::Constant(match literal {
        Literal::Null => Datum::NULL,
        Literal::Bool(v) => Datum::bool(*v),
        Literal::Int(v) => Datum::i64(*v),
        Literal::Double(v) => Datum::f64(*v),
        Literal::Decimal(v) => Datum::of(Slot::i128(*v)),
        Literal::Timestamp(ms, ns) => Datum::of(Slot::timestamp(*ms, *ns)),
        Literal::Text(text) => return Node::Text(text.as_bytes().into()),
    })
}

fn call(name: &str, args: &[Expr], depth: usize) -> Result<Node, CompileError> {
    if args.len() > ARGS_MAX {
        return Err(CompileError(alloc::format!("{name} has more than {ARGS_MAX} arguments")));
    }
    let types: Vec<_> = args.iter().map(Arg::of).collect();
    let bound = functions::bind(name, &types).map_err(CompileError)?;
    Ok(Node::Call { args: compile_all(args, depth)?, is_strict: bound.is_strict, eval: bound.eval })
}

impl Node {
    /// As `eval`, without a call for the commonest arguments.
    #[inline]
    fn value(&self, row: Row<'_>, cx: &mut Context) -> Datum {
        match self {
            Node::Column(index) => row.datum(*index),
            Node::Constant(datum) => *datum,
            other => other.eval(row, cx),
        }
    }

    fn eval(&self, row: Row<'_>, cx: &mut Context) -> Datum {
        match self {
            Node::Column(index) => row.datum(*index),
            Node::Constant(datum) => *datum,
            Node::Text(text) => cx.put_bytes(text),
            Node::Call { args, is_strict, eval } => eval_call(args, *is_strict, eval, row, cx),
            Node::And(args) => eval_logic(args, false, row, cx),
            Node::Or(args) => eval_logic(args, true, row, cx),
            Node::Not(arg) => match arg.eval(row, cx) {
                Datum { null: true, .. } => Datum::NULL,
                value => Datum::bool(!value.slot.as_bool()),
            },
            Node::IsNull(arg) => Datum::bool(arg.eval(row, cx).null),
            Node::IsBool(arg, wanted) => {
                let value = arg.eval(row, cx);
                Datum::bool(!value.null && value.slot.as_bool() == *wanted)
            }
            Node::Coalesce(args) => args
                .iter()
                .map(|arg| arg.eval(row, cx))
                .find(|value| !value.null)
                .unwrap_or(Datum::NULL),
            Node::Case(branches, otherwise) => {
                let hit = branches.iter().find(|(cond, _)| cond.eval(row, cx).is_true());
                hit.map_or(&**otherwise, |(_, value)| value).eval(row, cx)
            }
            Node::In { arg, list, equals } => eval_in(arg, list, equals, row, cx),
            Node::Cast { arg, convert, from, to, is_lenient } => {
                let value = arg.eval(row, cx);
                if value.null {
                    return Datum::NULL;
                }
                match convert(value, from, to, cx) {
                    Some(value) => value,
                    None if *is_lenient => Datum::NULL,
                    None => cx.fail(Fault::CastFailed),
                }
            }
        }
    }
}

fn eval_call(args: &[Node], is_strict: bool, eval: &Eval, row: Row<'_>, cx: &mut Context) -> Datum {
    if let [a, b] = args {
        let a = a.value(row, cx);
        if is_strict && a.null {
            return Datum::NULL;
        }
        let b = b.value(row, cx);
        let is_null = is_strict && b.null;
        return if is_null { Datum::NULL } else { eval(&[a, b], cx) };
    }
    let mut values = heapless::Vec::<Datum, ARGS_MAX>::new();
    for arg in args {
        let value = arg.eval(row, cx);
        if is_strict && value.null {
            return Datum::NULL;
        }
        values.push(value).expect("the number of arguments is checked when compiling");
    }
    eval(&values, cx)
}

/// AND (`decisive` false) and OR (`decisive` true): the decisive value wins over NULL.
fn eval_logic(args: &[Node], decisive: bool, row: Row<'_>, cx: &mut Context) -> Datum {
    let mut has_null = false;
    for arg in args {
        let value = arg.eval(row, cx);
        if value.null {
            has_null = true;
        } else if value.slot.as_bool() == decisive {
            return Datum::bool(decisive);
        }
    }
    if has_null { Datum::NULL } else { Datum::bool(!decisive) }
}

fn eval_in(arg: &Node, list: &[Node], equals: &Eval, row: Row<'_>, cx: &mut Context) -> Datum {
    let value = arg.eval(row, cx);
    if value.null {
        return Datum::NULL;
    }
    let mut has_null = false;
    for item in list {
        let item = item.eval(row, cx);
        if item.null {
            has_null = true;
        } else if equals(&[value, item], cx).is_true() {
            return Datum::bool(true);
        }
    }
    if has_null { Datum::NULL } else { Datum::bool(false) }
}
