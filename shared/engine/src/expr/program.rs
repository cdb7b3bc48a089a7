//! The executable form of an expression: a tree of nodes with bound functions.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use super::{Check, Expr, ExprKind, Literal};
use crate::{
    cast::{self, Convert},
    context::{Context, Fault},
    functions::{self, Arg, Comparison, Direct, Eval, Test},
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
    /// A condition that is nothing but comparisons: what must hold.
    checks: Option<Box<[Check]>>,
    /// The type of its value.
    pub data_type: DataType,
}

enum Node {
    Column(usize),
    Constant(Datum),
    Text(Box<[u8]>),
    Call {
        args: Vec<Node>,
        is_strict: bool,
        eval: Eval,
    },
    Direct {
        args: Box<[Node; 2]>,
        direct: Direct,
    },
    /// A column beside a constant: no walk through a tree for what most conditions and all
    /// watermarks are.
    OfColumn {
        column: usize,
        constant: Slot,
        direct: Direct,
    },
    /// A text beside a constant one, which need not be put into the arena.
    TextTest {
        arg: Box<Node>,
        constant: Box<[u8]>,
        test: Test,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull(Box<Node>),
    IsBool(Box<Node>, bool),
    Coalesce(Vec<Node>),
    Case(Vec<(Node, Node)>, Box<Node>),
    In {
        arg: Box<Node>,
        list: Vec<Node>,
        equals: Eval,
    },
    Cast {
        arg: Box<Node>,
        convert: Convert,
        from: DataType,
        to: DataType,
        is_lenient: bool,
    },
}

impl Program {
    /// Makes `expr` executable.
    pub fn compile(expr: &Expr) -> Result<Self, CompileError> {
        let node = compile(expr, 0)?;
        Ok(Program { node, checks: checks(expr), data_type: expr.data_type.clone() })
    }

    /// The value for `row`; texts it makes lie in the arena.
    #[inline]
    pub fn eval(&self, row: Row<'_>, context: &mut Context) -> Datum {
        // Most columns of a projection are passed on as they are, and times and watermarks come of
        // one column.
        match &self.node {
            Node::Column(column) => row.datum(*column),
            Node::OfColumn { column, constant, direct } if !row.is_null(*column) => {
                let mut is_null = false;
                let slot = direct.apply(row.slots[*column], *constant, context, &mut is_null);
                Datum::new(slot, is_null)
            }
            _ => self.compute(row, context),
        }
    }

    fn compute(&self, row: Row<'_>, context: &mut Context) -> Datum {
        let mut is_null = false;
        let slot = self.node.slot(row, context, &mut is_null);
        Datum::new(slot, is_null)
    }

    /// Whether the value is TRUE: neither FALSE nor NULL.
    pub fn holds(&self, row: Row<'_>, context: &mut Context) -> bool {
        let checked = self.check(row, context);
        checked.unwrap_or_else(|| self.node.truth(row, context) == Some(true))
    }

    /// The same where it needs no evaluation: nothing is made in the arena, and nothing fails.
    #[inline]
    pub(crate) fn check(&self, row: Row<'_>, context: &Context) -> Option<bool> {
        let checks = self.checks.as_ref()?;
        Some(checks.iter().all(|check| check.holds(row, context)))
    }
}

fn checks(expr: &Expr) -> Option<Box<[Check]>> {
    let column = |expr: &Expr| match expr.kind {
        ExprKind::Column(column) => Some(column),
        _ => None,
    };
    let mut checks = Vec::new();
    Check::all_of(expr, &column, &mut checks)?;
    Some(checks.into())
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
    let mut args = compile_all(args, depth)?;
    let Some(direct) = bound.direct else {
        return Ok(Node::Call { args, is_strict: bound.is_strict, eval: bound.eval });
    };
    if let Direct::Test(test @ Test { comparison: Comparison::Bytes, .. }) = direct
        && let Some(Node::Text(constant)) = args.pop_if(|last| matches!(last, Node::Text(_)))
    {
        let arg = args.pop().map(Box::new).ok_or_else(|| arity(name))?;
        return Ok(Node::TextTest { arg, constant, test });
    }
    let args: Box<[Node; 2]> = args.into_boxed_slice().try_into().map_err(|_| arity(name))?;
    Ok(match &*args {
        [Node::Column(column), Node::Constant(constant)] if !constant.is_null() => {
            Node::OfColumn { column: *column, constant: constant.slot, direct }
        }
        _ => Node::Direct { args, direct },
    })
}

fn arity(name: &str) -> CompileError {
    CompileError(alloc::format!("{name} takes two arguments"))
}

impl Node {
    /// The value, or that it is NULL. Unlike a [`Datum`] it comes back in registers.
    #[inline]
    fn slot(&self, row: Row<'_>, cx: &mut Context, is_null: &mut bool) -> Slot {
        match self {
            Node::Column(index) => {
                *is_null = row.is_null(*index);
                row.slots[*index]
            }
            Node::Constant(datum) => {
                *is_null = datum.is_null();
                datum.slot
            }
            Node::OfColumn { column, constant, direct } => {
                *is_null = row.is_null(*column);
                if *is_null {
                    return Slot::ZERO;
                }
                direct.apply(row.slots[*column], *constant, cx, is_null)
            }
            other => other.computed(row, cx, is_null),
        }
    }

    fn computed(&self, row: Row<'_>, cx: &mut Context, is_null: &mut bool) -> Slot {
        if let Node::Direct { args, direct } = self {
            let a = args[0].slot(row, cx, is_null);
            if *is_null {
                return Slot::ZERO;
            }
            let b = args[1].slot(row, cx, is_null);
            return if *is_null { Slot::ZERO } else { direct.apply(a, b, cx, is_null) };
        }
        let value = self.datum(row, cx);
        *is_null = value.is_null();
        value.slot
    }

    #[inline]
    fn eval(&self, row: Row<'_>, cx: &mut Context) -> Datum {
        let mut is_null = false;
        let slot = self.slot(row, cx, &mut is_null);
        Datum::new(slot, is_null)
    }

    /// A truth value; `None` is NULL.
    fn truth(&self, row: Row<'_>, cx: &mut Context) -> Option<bool> {
        match self {
            Node::And(args) => logic(args, false, row, cx),
            Node::Or(args) => logic(args, true, row, cx),
            Node::Not(arg) => arg.truth(row, cx).map(|value| !value),
            Node::IsNull(arg) => {
                let mut is_null = false;
                arg.slot(row, cx, &mut is_null);
                Some(is_null)
            }
            Node::IsBool(arg, wanted) => Some(arg.truth(row, cx) == Some(*wanted)),
            Node::TextTest { arg, constant, test } => {
                let mut is_null = false;
                let slot = arg.slot(row, cx, &mut is_null);
                (!is_null).then(|| test.admits(Some(cx.bytes(slot).cmp(constant))))
            }
            Node::In { arg, list, equals } => is_in(arg, list, equals, row, cx),
            Node::OfColumn { column, constant, direct: Direct::Test(test) } => {
                let is_null = row.is_null(*column);
                (!is_null).then(|| test.holds(row.slots[*column], *constant, cx))
            }
            Node::Direct { args, direct: Direct::Test(test) } => {
                let mut is_null = false;
                let a = args[0].slot(row, cx, &mut is_null);
                if is_null {
                    return None;
                }
                let b = args[1].slot(row, cx, &mut is_null);
                (!is_null).then(|| test.holds(a, b, cx))
            }
            other => {
                let mut is_null = false;
                let slot = other.slot(row, cx, &mut is_null);
                (!is_null).then(|| slot.as_bool())
            }
        }
    }

    /// The value of what is neither a truth value nor found by `slot`.
    fn datum(&self, row: Row<'_>, cx: &mut Context) -> Datum {
        match self {
            Node::Text(text) => cx.put_bytes(text),
            Node::Call { args, is_strict, eval } => eval_call(args, *is_strict, eval, row, cx),
            Node::Coalesce(args) => args
                .iter()
                .map(|arg| arg.eval(row, cx))
                .find(|value| !value.is_null())
                .unwrap_or(Datum::NULL),
            Node::Case(branches, otherwise) => {
                let hit = branches.iter().find(|(cond, _)| cond.truth(row, cx) == Some(true));
                hit.map_or(&**otherwise, |(_, value)| value).eval(row, cx)
            }
            Node::Cast { arg, convert, from, to, is_lenient } => {
                let value = arg.eval(row, cx);
                if value.is_null() {
                    return Datum::NULL;
                }
                match convert(value, from, to, cx) {
                    Some(value) => value,
                    None if *is_lenient => Datum::NULL,
                    None => cx.fail(Fault::CastFailed),
                }
            }
            _ => self.truth(row, cx).map_or(Datum::NULL, Datum::bool),
        }
    }
}

fn eval_call(args: &[Node], is_strict: bool, eval: &Eval, row: Row<'_>, cx: &mut Context) -> Datum {
    if let [a, b] = args {
        let a = a.eval(row, cx);
        if is_strict && a.is_null() {
            return Datum::NULL;
        }
        let b = b.eval(row, cx);
        let is_null = is_strict && b.is_null();
        return if is_null { Datum::NULL } else { eval(&[a, b], cx) };
    }
    let mut values = heapless::Vec::<Datum, ARGS_MAX>::new();
    for arg in args {
        let value = arg.eval(row, cx);
        if is_strict && value.is_null() {
            return Datum::NULL;
        }
        values.push(value).expect("the number of arguments is checked when compiling");
    }
    eval(&values, cx)
}

/// AND (`decisive` false) and OR (`decisive` true): the decisive value wins over NULL.
fn logic(args: &[Node], decisive: bool, row: Row<'_>, cx: &mut Context) -> Option<bool> {
    let mut has_null = false;
    for arg in args {
        // Most are a column beside a constant: no call for those.
        let truth = match arg {
            Node::OfColumn { column, constant, direct: Direct::Test(test) } => {
                let is_null = row.is_null(*column);
                (!is_null).then(|| test.holds(row.slots[*column], *constant, cx))
            }
            other => other.truth(row, cx),
        };
        match truth {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => has_null = true,
        }
    }
    (!has_null).then_some(!decisive)
}

fn is_in(arg: &Node, list: &[Node], equals: &Eval, row: Row<'_>, cx: &mut Context) -> Option<bool> {
    let value = arg.eval(row, cx);
    if value.is_null() {
        return None;
    }
    let mut has_null = false;
    for item in list {
        let item = item.eval(row, cx);
        if item.is_null() {
            has_null = true;
        } else if equals(&[value, item], cx).is_true() {
            return Some(true);
        }
    }
    (!has_null).then_some(false)
}
