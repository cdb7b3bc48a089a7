//! What names and calls mean in MEASURES and DEFINE.
//!
//! An expression there reads values of several rows: `A.v` is the value of the last row of A,
//! `FIRST(A.v, 1)` that of its second. Each such value becomes an item, and the expression one over
//! the items. In DEFINE the row that is tested is the last one of its variable and of the match.

use headwater_engine::aggregate;
use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::fragment::{Formula, MatchItem};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, Call, Name};
use crate::bind::special::is_bare_call;
use crate::bind::{Binder, Scope, has_aggregate, is_aggregate, typed_null};
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::Role;

/// MEASURES, or the condition of one variable.
pub(crate) struct Pattern<'a> {
    /// All variables of PATTERN.
    pub(crate) variables: &'a [String],
    /// The variable whose condition this is; None in MEASURES.
    pub(crate) current: Option<usize>,
    /// What is read so far.
    pub(crate) items: Vec<MatchItem>,
    /// Inside of FIRST, LAST, PREV or an aggregate.
    inside: Option<Inside>,
}

/// A call whose argument is about rows of one variable.
struct Inside {
    /// The function, for messages.
    function: String,
    /// From which end, and how many rows to go; None in an aggregate, which is over each row.
    navigation: Option<(bool, u32)>,
    /// The variable that the argument names: None before it names any column.
    variable: Option<Option<usize>>,
}

impl<'a> Pattern<'a> {
    pub(crate) fn new(variables: &'a [String], current: Option<usize>) -> Self {
        Pattern { variables, current, items: Vec::new(), inside: None }
    }

    /// The column of an item, which is added when it is new.
    fn item(&mut self, item: MatchItem, data_type: DataType) -> Expr {
        let at = self.items.iter().position(|known| *known == item).unwrap_or_else(|| {
            self.items.push(item);
            self.items.len() - 1
        });
        Expr::column(at, data_type)
    }
}

impl<'a> Binder<'a> {
    /// Within MATCH_RECOGNIZE: columns of its rows, and the calls that are about several of them.
    pub(super) fn matched(&mut self, from: &ast::Expr) -> Result<Option<Expr>> {
        if self.pattern.is_none() {
            return Ok(None);
        }
        match &from.kind {
            ast::ExprKind::Column(path) => self.matched_column(path).map(Some),
            ast::ExprKind::Call(call) => match call.name.value.as_str() {
                "FIRST" | "LAST" | "PREV" | "NEXT" => self.navigation(call, from.span).map(Some),
                "MATCH_ROWTIME" => self.match_rowtime(call, from.span).map(Some),
                "MATCH_PROCTIME" if !call.args.is_empty() || call.star => {
                    Err(bad_call("MATCH_PROCTIME", from.span))
                }
                "CLASSIFIER" | "MATCH_NUMBER" => {
                    Err(Issue::unsupported(from.span, &call.name.value))
                }
                name if is_aggregate(name) => self.matched_aggregate(call, from.span).map(Some),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn pattern(&mut self) -> &mut Pattern<'a> {
        self.pattern.as_mut().expect("called within MATCH_RECOGNIZE only")
    }

    fn matched_column(&mut self, path: &[Name]) -> Result<Expr> {
        let pattern = self.pattern.as_ref().expect("called within MATCH_RECOGNIZE only");
        let (first, rest) = (&path[0], &path[1..]);
        let variable = match rest.is_empty() {
            true => None,
            false => pattern.variables.iter().position(|v| *v == first.value),
        };
        let path = if variable.is_some() { rest } else { path };
        let column = self.scope.position(path).map_err(|issue| {
            let is_column = self.scope.entries.iter().any(|e| e.column.path[0] == first.value);
            if variable.is_some() || rest.is_empty() || is_column {
                return issue;
            }
            let names = pattern.variables.iter().map(String::as_str);
            let message = format!("PATTERN has no variable '{}'", first.value);
            Issue::new(first.span, message, suggest(&first.value, names, "variables"))
        })?;
        let data_type = self.scope.entries[column].column.data_type.clone();
        let pattern = self.pattern();
        let Some(inside) = &mut pattern.inside else {
            let item = match pattern.current {
                Some(current) if variable.is_none_or(|v| v == current) => {
                    MatchItem::Current(column)
                }
                _ => MatchItem::Row { variable, from_first: false, offset: 0, column },
            };
            return Ok(pattern.item(item, data_type));
        };
        if *inside.variable.get_or_insert(variable) != variable {
            let message = format!("the argument of {} names several variables", inside.function);
            let span = first.span.union(&path[path.len() - 1].span);
            return Err(Issue::new(span, message, "name one variable in each call"));
        }
        let Some((from_first, offset)) = inside.navigation else {
            return Ok(Expr::column(column, data_type));
        };
        Ok(pattern.item(MatchItem::Row { variable, from_first, offset, column }, data_type))
    }

    fn navigation(&mut self, call: &Call, span: Span) -> Result<Expr> {
        let function = call.name.value.as_str();
        let (value, offset) = match call.args.as_slice() {
            [value] => (&value.value, None),
            [value, offset] => (&value.value, Some(&offset.value)),
            _ => return Err(bad_call(function, span)),
        };
        if call.star || call.distinct || call.filter.is_some() || call.over.is_some() {
            return Err(bad_call(function, span));
        }
        let is_physical = matches!(function, "PREV" | "NEXT");
        let offset = match offset {
            None => u32::from(is_physical),
            Some(offset) => row_count(offset)?,
        };
        if is_physical && offset > 0 {
            self.check_physical(function, value, span)?;
        }
        let navigation = Some((function == "FIRST", offset));
        self.inside_of(function, navigation, value, span).map(|(value, _)| value)
    }

    /// PREV and NEXT count rows of the partition, which Flink does not keep. In DEFINE, PREV of
    /// anything but the variable itself means LAST to it.
    fn check_physical(&self, function: &str, value: &ast::Expr, span: Span) -> Result<()> {
        let pattern = self.pattern.as_ref().expect("called within MATCH_RECOGNIZE only");
        let own = pattern.current.map(|current| pattern.variables[current].as_str());
        let mut is_own = false;
        value.each(&mut |e| {
            if let ast::ExprKind::Column(path) = &e.kind {
                is_own |= path.len() > 1 && Some(path[0].value.as_str()) == own;
            }
        });
        if function == "PREV" && own.is_some() && !is_own {
            return Ok(());
        }
        let message = format!("{function} to rows outside of the match is not kept by Flink");
        let remedy = match own {
            Some(own) => format!("write LAST({own}.column, 1), or PREV(column) in DEFINE"),
            None => "write FIRST or LAST with an offset".to_owned(),
        };
        Err(Issue::new(span, message, remedy))
    }

    fn matched_aggregate(&mut self, call: &Call, span: Span) -> Result<Expr> {
        let name = call.name.value.as_str();
        if call.distinct {
            return Err(Issue::unsupported(span, &format!("{name}(DISTINCT …) in a pattern")));
        }
        if let Some(filter) = &call.filter {
            return Err(Issue::unsupported(filter.span, "FILTER in a pattern"));
        }
        if call.over.is_some() || !aggregate::ALL.iter().any(|a| a.name == name) {
            return Err(Issue::unsupported(span, &format!("the aggregate {name} in a pattern")));
        }
        let (arg, variable) = match (call.args.as_slice(), call.star) {
            ([], true) if name == "COUNT" => (None, None),
            ([ast::Arg { name: None, value }], false) if !has_aggregate(value) => {
                let (arg, variable) = self.inside_of(name, None, value, span)?;
                (Some(arg), variable)
            }
            _ => return Err(bad_call(name, span)),
        };
        let arguments = aggregate::Arguments {
            arg: arg.as_ref().map(|a| &a.data_type),
            params: &[],
            is_distinct: false,
        };
        let binding = aggregate::bind(name, &arguments);
        let binding =
            binding.map_err(|e| Issue::new(span, e, "cast the argument: CAST(… AS DOUBLE)"))?;
        let item = MatchItem::Aggregate { variable, function: name.to_owned(), arg };
        Ok(self.pattern().item(item, binding.result))
    }

    /// Binds the argument of a call that is about rows of one variable; gives that too.
    fn inside_of(
        &mut self,
        function: &str,
        navigation: Option<(bool, u32)>,
        value: &ast::Expr,
        span: Span,
    ) -> Result<(Expr, Option<usize>)> {
        if let Some(outer) = &self.pattern().inside {
            let message = format!("{function} stands inside of {}", outer.function);
            return Err(Issue::new(span, message, "compute one of them in DEFINE or MEASURES"));
        }
        let inside = Inside { function: function.to_owned(), navigation, variable: None };
        self.pattern().inside = Some(inside);
        let bound = self.bind(value);
        let inside = self.pattern().inside.take();
        let (bound, variable) = (bound?, inside.and_then(|inside| inside.variable));
        let nothing = || {
            let message = format!("the argument of {function} names no column");
            Issue::new(value.span, message, "name a column of the rows")
        };
        Ok((bound, variable.ok_or_else(nothing)?))
    }

    fn match_rowtime(&mut self, call: &Call, span: Span) -> Result<Expr> {
        if self.pattern().current.is_some() || self.pattern().inside.is_some() {
            let message = "MATCH_ROWTIME stands outside of MEASURES, or inside of a call";
            return Err(Issue::new(span, message, "write MATCH_ROWTIME() in MEASURES"));
        }
        let data_type = match call.args.as_slice() {
            [] if !call.star => DataType::Timestamp(3),
            [arg] => {
                let bound = match &arg.value.kind {
                    ast::ExprKind::Column(path) => self.scope.column(path)?,
                    _ => return Err(bad_call("MATCH_ROWTIME", span)),
                };
                let ExprKind::Column(at) = bound.kind else { unreachable!("it is a column") };
                if !self.scope.entries[at].column.role.is_time() {
                    let message = "the argument of MATCH_ROWTIME is no event time";
                    return Err(Issue::new(arg.value.span, message, "write MATCH_ROWTIME()"));
                }
                bound.data_type
            }
            _ => return Err(bad_call("MATCH_ROWTIME", span)),
        };
        Ok(self.pattern().item(MatchItem::Time, data_type))
    }
}

/// An item of MEASURES, and what it is beyond its type: the time of the match is an event time,
/// that of its arrival is computed nowhere, because nobody reads it.
pub(crate) fn measure(
    from: &ast::Expr,
    variables: &[String],
    scope: &Scope,
) -> Result<(Formula, Role)> {
    if is_bare_call(from, "MATCH_PROCTIME") {
        let expr = typed_null(DataType::TimestampLtz(3));
        return Ok((Formula { items: Vec::new(), expr }, Role::Proctime));
    }
    let mut binder = Binder::new(scope);
    binder.pattern = Some(Pattern::new(variables, None));
    let expr = binder.bind(from)?;
    let items = binder.pattern.take().expect("put in above").items;
    let role = match expr.kind {
        ExprKind::Column(item) if items[item] == MatchItem::Time => Role::Rowtime,
        _ => Role::Plain,
    };
    Ok((Formula { items, expr }, role))
}

/// MATCH_PROCTIME where its value is asked for.
pub(crate) fn clock_read(span: Span) -> Issue {
    let message = "MATCH_PROCTIME outside of MEASURES, or in an expression, reads the clock";
    let remedy = "write MATCH_PROCTIME() AS p in MEASURES, for the order of arrival and for \
                  lookups; a time from the data is MATCH_ROWTIME()";
    Issue::new(span, message, remedy)
}

fn bad_call(function: &str, span: Span) -> Issue {
    let form = match function {
        "MATCH_ROWTIME" | "MATCH_PROCTIME" => format!("{function}()"),
        "FIRST" | "LAST" | "PREV" | "NEXT" => format!("{function}(A.column, 1)"),
        _ => format!("{function}(A.column)"),
    };
    let message = format!("{function} is not called like this in a pattern");
    Issue::new(span, message, format!("write {form}"))
}

/// A whole number of rows, written as a literal.
fn row_count(offset: &ast::Expr) -> Result<u32> {
    let wrong = || {
        let message = "the number of rows to go is no whole number";
        Issue::new(offset.span, message, "write a number: LAST(A.column, 1)")
    };
    match &offset.kind {
        ast::ExprKind::Number(digits) => digits.parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}
