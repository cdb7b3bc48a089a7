//! FROM: tables, views, subqueries, window functions and UNNEST.

use sqlparser::ast::{self as sql, Spanned};
use sqlparser::tokenizer::Span;

use crate::ast::{
    Alias, Arg, Call, Expr, ExprKind, Factor, From, Join, JoinKind, JoinOn, Name, Relation,
    WindowFunction, WindowKind,
};
use crate::convert::{absence, expr, match_recognize, name, query, simple_name};
use crate::diagnostic::{Issue, Result, suggest};
use crate::dialect::PARTITIONED_TABLE;

/// Converts FROM; a comma is a CROSS JOIN.
pub(crate) fn from(tables: Vec<sql::TableWithJoins>, at: Span) -> Result<From> {
    let mut tables = tables.into_iter();
    let Some(first) = tables.next() else {
        let first = Factor { relation: Relation::Nothing, alias: None, span: at };
        return Ok(From { first, joins: Vec::new() });
    };
    let mut from = joined(first, at)?;
    for next in tables {
        let next = joined(next, at)?;
        // JOIN binds tighter than the comma, which matters where right rows come alone.
        let whole = |join: &Join| matches!(join.kind, JoinKind::Right | JoinKind::Full);
        let From { first: right, joins } = if next.joins.iter().any(whole) {
            let span = next.first.span;
            let relation = Relation::Joined(Box::new(next));
            From { first: Factor { relation, alias: None, span }, joins: Vec::new() }
        } else {
            next
        };
        from.joins.push(Join { kind: JoinKind::Cross, right, on: JoinOn::Nothing });
        from.joins.extend(joins);
    }
    Ok(from)
}

fn joined(from: sql::TableWithJoins, at: Span) -> Result<From> {
    let sql::TableWithJoins { relation, joins } = from;
    let first = factor(relation, at)?;
    let joins = joins.into_iter().map(|join| convert_join(join, at)).collect::<Result<_>>()?;
    Ok(From { first, joins })
}

fn relation_span(relation: &sql::TableFactor, at: Span) -> Span {
    let span = relation.span();
    if span == Span::empty() { at } else { span }
}

fn factor(from: sql::TableFactor, at: Span) -> Result<Factor> {
    let span = relation_span(&from, at);
    let (relation, alias) = match from {
        sql::TableFactor::Table { .. } => return table(from, span),
        sql::TableFactor::MatchRecognize { ref table, ref alias, .. } => {
            let (input, alias) = (factor((**table).clone(), at)?, convert_alias(alias.clone())?);
            let matched = match_recognize::convert(from, input, span)?;
            (Relation::Match(Box::new(matched)), alias)
        }
        sql::TableFactor::Derived { lateral, subquery, alias, sample } => {
            if lateral {
                return Err(Issue::unsupported(span, "LATERAL"));
            }
            if sample.is_some() {
                return Err(Issue::not_flink(span, "TABLESAMPLE", "remove it"));
            }
            (Relation::Query(Box::new(query(*subquery)?)), convert_alias(alias)?)
        }
        sql::TableFactor::TableFunction { expr: call, alias } => {
            (table_function(call, span)?, convert_alias(alias)?)
        }
        sql::TableFactor::NestedJoin { table_with_joins, alias } => {
            let inner = joined(*table_with_joins, span)?;
            let alias = convert_alias(alias)?;
            if inner.joins.is_empty() {
                return Ok(Factor { alias: alias.or(inner.first.alias), ..inner.first });
            }
            (Relation::Joined(Box::new(inner)), alias)
        }
        other => return Err(refuse(&other, span)),
    };
    Ok(Factor { relation, alias, span })
}

/// A table by its name, as of a time perhaps, or `UNNEST(array)`.
fn table(from: sql::TableFactor, span: Span) -> Result<Factor> {
    let sql::TableFactor::Table {
        name,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = from
    else {
        unreachable!("called for a table")
    };
    let foreign = !with_hints.is_empty()
        || with_ordinality
        || !partitions.is_empty()
        || json_path.is_some()
        || sample.is_some()
        || !index_hints.is_empty();
    if foreign {
        return Err(Issue::not_flink(span, "what follows this table's name", "remove it"));
    }
    let alias = convert_alias(alias)?;
    let relation = match (args, version) {
        (Some(args), _) if name.to_string().eq_ignore_ascii_case("UNNEST") => {
            Relation::Unnest(Box::new(unnest(args, span)?))
        }
        (Some(_), _) => {
            let remedy = "window functions are written FROM TABLE(TUMBLE(TABLE t, …))";
            return Err(Issue::new(span, "a function stands where a table is expected", remedy));
        }
        (None, Some(version)) => {
            let sql::TableVersion::ForSystemTimeAsOf(time) = version else {
                return Err(Issue::not_flink(span, "this version", "FOR SYSTEM_TIME AS OF time"));
            };
            Relation::Versioned { table: simple_name(name)?, time: Box::new(expr(time)?) }
        }
        (None, None) => Relation::Table(simple_name(name)?),
    };
    Ok(Factor { relation, alias, span })
}

fn unnest(args: sql::TableFunctionArgs, span: Span) -> Result<Expr> {
    let sql::TableFunctionArgs { args, settings: _ } = args;
    let mut args = args.into_iter();
    match (args.next(), args.next()) {
        (Some(sql::FunctionArg::Unnamed(sql::FunctionArgExpr::Expr(array))), None) => expr(array),
        _ => Err(Issue::not_flink(span, "this UNNEST", "write UNNEST(array)")),
    }
}

fn refuse(from: &sql::TableFactor, at: Span) -> Issue {
    match from {
        sql::TableFactor::UNNEST { .. } => Issue::unsupported(at, "UNNEST without a table"),
        sql::TableFactor::Function { .. } => Issue::unsupported(at, "a table function"),
        _ => Issue::not_flink(at, "this table", "read from a table, a view or a subquery"),
    }
}

fn convert_alias(from: Option<sql::TableAlias>) -> Result<Option<Alias>> {
    from.map(alias).transpose()
}

/// `name [(columns)]`
pub(super) fn alias(from: sql::TableAlias) -> Result<Alias> {
    let sql::TableAlias { explicit: _, name: ident, columns, at } = from;
    if let Some(at) = at {
        return Err(Issue::not_flink(at.span, "AT after an alias", "remove it"));
    }
    let column = |c: sql::TableAliasColumnDef| {
        let sql::TableAliasColumnDef { name: ident, data_type } = c;
        match data_type {
            None => name(ident),
            Some(_) => Err(Issue::not_flink(ident.span, "a type after an alias", "remove it")),
        }
    };
    let columns = columns.into_iter().map(column).collect::<Result<_>>()?;
    Ok(Alias { name: name(ident)?, columns })
}

fn convert_join(join: sql::Join, at: Span) -> Result<Join> {
    use sql::JoinOperator as Op;
    let sql::Join { relation, global, join_operator } = join;
    let span = relation_span(&relation, at);
    let (kind, constraint) = match join_operator {
        Op::Join(on) | Op::Inner(on) => (JoinKind::Inner, on),
        Op::Left(on) | Op::LeftOuter(on) => (JoinKind::Left, on),
        Op::Right(on) | Op::RightOuter(on) => (JoinKind::Right, on),
        Op::FullOuter(on) => (JoinKind::Full, on),
        Op::CrossJoin(on) => (JoinKind::Cross, on),
        _ => return Err(Issue::not_flink(span, "this kind of join", "write JOIN … ON …")),
    };
    if global {
        return Err(Issue::not_flink(span, "GLOBAL", "remove it"));
    }
    let on = match constraint {
        sql::JoinConstraint::On(condition) => JoinOn::Condition(expr(condition)?),
        sql::JoinConstraint::Using(columns) => {
            JoinOn::Using(columns.into_iter().map(simple_name).collect::<Result<_>>()?)
        }
        sql::JoinConstraint::Natural => JoinOn::Natural,
        sql::JoinConstraint::None => JoinOn::Nothing,
    };
    Ok(Join { kind, right: factor(relation, at)?, on })
}

/// What stands in `TABLE(…)`.
fn table_function(from: sql::Expr, at: Span) -> Result<Relation> {
    match from {
        sql::Expr::Function(function)
            if function.name.to_string().eq_ignore_ascii_case("ABSENCE") =>
        {
            let name_span = function.name.span();
            Ok(Relation::Absence(Box::new(absence::convert(function, name_span)?)))
        }
        other => Ok(Relation::Window(Box::new(window(other, at)?))),
    }
}

/// `TUMBLE(TABLE t, DESCRIPTOR(c), size [, offset])`, `HOP(TABLE t, DESCRIPTOR(c), slide, size
/// [, offset])` and `CUMULATE(TABLE t, DESCRIPTOR(c), step, size [, offset])`, by position or by
/// name.
fn window(from: sql::Expr, at: Span) -> Result<WindowFunction> {
    let sql::Expr::Function(function) = from else {
        let remedy = "write TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), INTERVAL '1' MINUTE))";
        return Err(Issue::new(at, "TABLE(…) needs a window function", remedy));
    };
    let name_span = function.name.span();
    let window_name = function.name.to_string().to_uppercase();
    let (kind, parameters): (_, &[&str]) = match window_name.as_str() {
        "TUMBLE" => (WindowKind::Tumble, &["DATA", "TIMECOL", "SIZE", "OFFSET"]),
        "HOP" => (WindowKind::Hop, &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"]),
        "CUMULATE" => (WindowKind::Cumulate, &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"]),
        "SESSION" => (WindowKind::Session, &["DATA", "TIMECOL", "GAP"]),
        _ => {
            let names = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];
            let remedy = suggest(&window_name, names, "window functions");
            let message = format!("unknown window function {window_name}");
            return Err(Issue::new(name_span, message, remedy));
        }
    };
    let (table, partition_by, rest) = take_table(function)?;
    if let Some(first) = partition_by.first()
        && kind != WindowKind::Session
    {
        let message = format!("{window_name} takes no PARTITION BY");
        return Err(Issue::new(first.span, message, "name the column in GROUP BY"));
    }
    let mut slots = bind(rest, parameters, &window_name, name_span)?;
    let mut take = |parameter: &str| {
        slots.iter().position(|(p, _)| *p == parameter).map(|i| slots.swap_remove(i).1)
    };
    let missing = |parameter: &str| {
        let message = format!("{window_name} has no {parameter}");
        let remedy = format!("its arguments are {}", parameters.join(", "));
        Issue::new(name_span, message, remedy)
    };
    let time = descriptor(take("TIMECOL").ok_or_else(|| missing("TIMECOL"))?)?;
    let size = if kind == WindowKind::Session { "GAP" } else { "SIZE" };
    let size = take(size).ok_or_else(|| missing(size))?;
    let slide = match kind {
        WindowKind::Tumble | WindowKind::Session => None,
        WindowKind::Hop => Some(take("SLIDE").ok_or_else(|| missing("SLIDE"))?),
        WindowKind::Cumulate => Some(take("STEP").ok_or_else(|| missing("STEP"))?),
    };
    let offset = take("OFFSET");
    Ok(WindowFunction { kind, table, partition_by, time, size, slide, offset, span: at })
}

/// Takes the `TABLE t [PARTITION BY …]` argument out, first or under DATA, and converts the rest.
pub(super) fn take_table(mut function: sql::Function) -> Result<(Name, Vec<Name>, Vec<Arg>)> {
    let span = function.name.span();
    let missing =
        || Issue::new(span, "the window function has no table", "its first argument is TABLE t");
    let sql::FunctionArguments::List(list) = &mut function.args else { return Err(missing()) };
    let position = list.args.iter().position(|arg| table_argument(arg).is_some());
    let position = position.ok_or_else(missing)?;
    let (table, columns) = table_argument(&list.args.remove(position)).ok_or_else(missing)?;
    if let Some(second) = table.get(1) {
        return Err(Issue::new(second.span, "this names a database", "name the table alone"));
    }
    let table = name(table.into_iter().next().ok_or_else(missing)?)?;
    let call = crate::convert::call::function(function, span)?;
    let ExprKind::Call(call) = call else { return Err(missing()) };
    let Call { name: _, args, star, distinct, filter, over } = *call;
    if star || distinct || filter.is_some() || over.is_some() {
        return Err(Issue::not_flink(span, "this call of a window function", "see the reference"));
    }
    Ok((table, columns.into_iter().map(name).collect::<Result<_>>()?, args))
}

/// The name in `TABLE t` or `DATA => TABLE t` and the columns of its PARTITION BY, as the dialect
/// encoded them.
fn table_argument(arg: &sql::FunctionArg) -> Option<(Vec<sql::Ident>, Vec<sql::Ident>)> {
    let value = match arg {
        sql::FunctionArg::Unnamed(value) => value,
        sql::FunctionArg::Named { name, arg, operator: sql::FunctionArgOperator::RightArrow }
            if name.value.eq_ignore_ascii_case("DATA") =>
        {
            arg
        }
        _ => return None,
    };
    let sql::FunctionArgExpr::Expr(sql::Expr::Prefixed { prefix, value }) = value else {
        return None;
    };
    match &**value {
        sql::Expr::CompoundIdentifier(parts) => Some((parts.clone(), Vec::new())),
        sql::Expr::Tuple(parts) if prefix.value == PARTITIONED_TABLE => {
            let (table, columns) = parts.split_first()?;
            let sql::Expr::CompoundIdentifier(table) = table else { return None };
            let column = |column: &sql::Expr| match column {
                sql::Expr::Identifier(ident) => Some(ident.clone()),
                _ => None,
            };
            Some((table.clone(), columns.iter().map(column).collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// Ties the arguments after the table to their parameters.
pub(super) fn bind<'a>(
    args: Vec<Arg>,
    parameters: &'a [&'a str],
    function: &str,
    span: Span,
) -> Result<Vec<(&'a str, Expr)>> {
    let mut slots: Vec<(&str, Expr)> = Vec::new();
    for (i, Arg { name, value }) in args.into_iter().enumerate() {
        let parameter = match &name {
            None => parameters.get(i + 1).copied(),
            Some(n) => parameters.iter().copied().find(|p| n.value.eq_ignore_ascii_case(p)),
        };
        let Some(parameter) = parameter else {
            let remedy = format!("its arguments are {}", parameters.join(", "));
            return Err(match name {
                None => {
                    Issue::new(value.span, format!("{function} has too many arguments"), remedy)
                }
                Some(n) => {
                    Issue::new(n.span, format!("{function} has no argument {}", n.value), remedy)
                }
            });
        };
        if slots.iter().any(|(p, _)| *p == parameter) {
            let message = format!("the argument {parameter} is given twice");
            return Err(Issue::new(span, message, "remove one of them"));
        }
        slots.push((parameter, value));
    }
    Ok(slots)
}

/// The column in `DESCRIPTOR(column)`.
pub(super) fn descriptor(from: Expr) -> Result<Name> {
    let bad = || {
        let message = "a column is given to this function by DESCRIPTOR(column)";
        Issue::new(from.span, message, "write DESCRIPTOR(rt)")
    };
    let ExprKind::Call(call) = &from.kind else { return Err(bad()) };
    if call.name.value != "DESCRIPTOR" {
        return Err(bad());
    }
    match call.args.as_slice() {
        [Arg { name: None, value: Expr { kind: ExprKind::Column(parts), .. } }]
            if parts.len() == 1 =>
        {
            Ok(parts[0].clone())
        }
        _ => Err(bad()),
    }
}
