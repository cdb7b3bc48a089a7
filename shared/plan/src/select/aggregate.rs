//! GROUP BY over windows.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::fragment::{AggregateSpec, WindowKind as Windows};
use headwater_engine::limits::{AGGREGATES_MAX, SLICES_PER_WINDOW_MAX};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{ExprKind as Written, Item, Relation, Select};
use crate::bind::{self, AggregateCall, Binder, Scope};
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role, WindowShape, substitute};
use crate::select::windowed::{Terms, Windowed};
use crate::select::{Planner, item_name};

/// Columns of a projection: name, value, hidden.
type Items = Vec<(Vec<String>, Expr, bool)>;

impl Planner {
    pub(crate) fn aggregate(
        &mut self,
        query: &Select,
        node: NodeId,
        scope: &Scope,
    ) -> Result<NodeId> {
        let Some(terms) = self.window_terms(query, node, scope)? else {
            return self.group(query, node, scope);
        };
        // The number of aggregates is not known before they are bound: the ends of the window are
        // first bound behind all that there may be, and moved afterwards.
        let behind = terms.keys_count() + AGGREGATES_MAX + 1;
        let mut binder = Binder { grouping: Some(terms.grouping(behind)), ..Binder::new(scope) };
        let having = query.having.as_ref().map(|h| binder.predicate(h, "HAVING")).transpose()?;
        let mut items: Items = Vec::new();
        for item in &query.items {
            match item {
                Item::Star { span, .. } => {
                    let message = "'*' stands in a query with GROUP BY";
                    return Err(Issue::new(*span, message, "name the columns"));
                }
                Item::Expr { expr, alias } => {
                    let bound = binder.bind(expr)?;
                    items.push((vec![item_name(expr, alias.as_ref(), items.len())], bound, false));
                }
            }
        }
        let calls = binder.grouping.expect("given above").calls;
        let windowed = self.windowed(node, &terms, &calls, query.span)?;
        let function = terms.group_window.is_none().then(|| self.function_below(node)).flatten();
        check_windows(function.as_ref(), query)?;
        check_calls(&calls, function.as_ref().unwrap_or(&windowed.shape), query)?;
        let (node, moved) = self.over_windows(windowed, &terms, &calls, behind)?;
        let predicates = having.iter().map(|having| substitute(having, &moved)).collect();
        let node = self.graph.filter(node, predicates);
        for (_, expr, _) in &mut items {
            *expr = substitute(expr, &moved);
        }
        Ok(self.graph.project(node, items))
    }

    /// SELECT DISTINCT of columns that hold both ends of a window: once for each window, when it
    /// closes. `None` where they do not.
    pub(crate) fn distinct_in_windows(
        &mut self,
        node: NodeId,
        span: Span,
    ) -> Result<Option<NodeId>> {
        let mut terms = Terms::default();
        let mut items: Items = Vec::new();
        let behind = AGGREGATES_MAX + self.graph.columns(node).len();
        for (index, column) in self.graph.columns(node).iter().enumerate() {
            if column.hidden {
                continue;
            }
            let end = match column.role {
                Role::WindowStart => Some(0),
                Role::WindowEnd => Some(1),
                Role::WindowTime | Role::LocalWindowTime => Some(2),
                _ => None,
            };
            let at = match end {
                Some(end) => {
                    terms.windows.push((column.at(index), column.role));
                    behind + end
                }
                None => {
                    terms.plain.push(column.at(index));
                    terms.plain.len() - 1
                }
            };
            let value = Expr::column(at, column.data_type.clone());
            items.push((column.path.clone(), value, false));
        }
        if !terms.is_windowed() {
            return Ok(None);
        }
        let windowed = self.windowed(node, &terms, &[], span)?;
        let (node, moved) = self.over_windows(windowed, &terms, &[], behind)?;
        for (_, expr, _) in &mut items {
            *expr = substitute(expr, &moved);
        }
        Ok(Some(self.graph.project(node, items)))
    }

    /// Filter, projection to what is aggregated, and the aggregation; with it where each column of
    /// the grouping ends up.
    fn over_windows(
        &mut self,
        windowed: Windowed,
        terms: &Terms,
        calls: &[AggregateCall],
        behind: usize,
    ) -> Result<(NodeId, Vec<Expr>)> {
        let Windowed { input, exprs, predicates, time, shape, start, zoned } = windowed;
        let mut filtered = self.graph.filter(input, predicates);
        let mut items: Items = Vec::new();
        for (position, key) in terms.plain.iter().enumerate() {
            let key = substitute(key, &exprs);
            items.push((vec![self.key_name(input, &key, position)], key, false));
        }
        if !terms.sets.is_empty() {
            (filtered, items) = self.expanded(filtered, items, &terms.sets);
        }
        items.extend(start.iter().map(|s| (vec!["$start".to_owned()], s.clone(), false)));
        let keys = items.len();
        let mut aggregates = Vec::new();
        for call in calls {
            let mut column = |e: &Expr| column_of(&mut items, substitute(e, &exprs));
            let arg = call.arg.as_ref().map(|a| (column(a), a.data_type.clone()));
            let filter = call.filter.as_ref().map(&mut column);
            let weight = call.weight.as_ref().map(&mut column);
            aggregates.push(AggregateSpec {
                function: call.function.clone(),
                arg,
                filter,
                distinct: call.distinct,
                params: call.params.clone(),
                weight,
            });
        }
        let time_type = time.data_type.clone();
        let rowtime = column_of(&mut items, time);
        let projected = self.graph.project(filtered, items);
        let mut columns: Vec<Column> = (self.graph.columns(projected)[..keys].iter())
            .map(|c| c.clone().with_role(Role::Plain))
            .collect();
        for (i, call) in calls.iter().enumerate() {
            let column = Column::new(format!("${}_{i}", call.function), call.result.clone());
            columns.push(Column { nullable: call.function != "COUNT", ..column });
        }
        let first = columns.len();
        let timestamp = |name, role| Column::new(name, DataType::Timestamp(3)).with_role(role);
        columns.push(timestamp("window_start", Role::WindowStart));
        columns.push(timestamp("window_end", Role::WindowEnd));
        let time_role = if terms.has_time() { Role::WindowTime } else { Role::Plain };
        columns.push(Column::new("window_time", time_type).with_role(time_role));
        let mut start_at = first;
        if start.is_some() {
            start_at = keys - 1;
            columns[first].role = Role::Plain;
            columns[start_at].role = Role::WindowStart;
        }
        let mut moved = moved(&columns, terms.keys_count(), keys..first, start_at, behind);
        let keys = (0..keys).collect();
        let input = projected;
        let kind = match shape {
            WindowShape::Aligned(window) => {
                columns.push(Column::new("$revision", DataType::Int).hide());
                let window = headwater_engine::fragment::WindowSpec { rowtime, ..window };
                NodeKind::Aggregate { input, window, keys, aggregates }
            }
            WindowShape::Session { gap_ms } => {
                NodeKind::SessionAggregate { input, rowtime, gap_ms, keys, aggregates }
            }
        };
        let node = self.graph.push(kind, columns);
        let Some(span) = zoned else { return Ok((node, moved)) };
        moved[behind + 2].data_type = DataType::TimestampLtz(3);
        Ok((self.zoned_time(node, first + 2, span)?, moved))
    }

    /// Each row once for each grouping set: its columns, the keys, NULL where the set lacks them,
    /// and the number of the set. Gives the keys over it.
    pub(super) fn expanded(
        &mut self,
        input: NodeId,
        keys: Items,
        sets: &[Vec<usize>],
    ) -> (NodeId, Items) {
        let width = self.graph.columns(input).len();
        let mut inputs = Vec::new();
        for (number, members) in (0..).zip(sets) {
            let all = self.graph.columns(input).iter().enumerate();
            let mut items: Items = all.map(|(i, c)| (c.path.clone(), c.at(i), c.hidden)).collect();
            for (position, (name, key, _)) in keys.iter().enumerate() {
                let value = match members.contains(&position) {
                    true => key.clone(),
                    false => bind::typed_null(key.data_type.clone()),
                };
                items.push((name.clone(), value, true));
            }
            let number = Expr::literal(Literal::Int(number), DataType::BigInt);
            items.push((vec!["$set".to_owned()], number, true));
            inputs.push(self.graph.project(input, items));
        }
        let nullable = |c: &Column| Column { nullable: true, ..c.clone() };
        let columns = self.graph.columns(inputs[0]).iter().enumerate();
        let columns: Vec<Column> =
            columns.map(|(i, c)| if i < width { c.clone() } else { nullable(c) }).collect();
        let names = columns[width..].iter().enumerate();
        let keys = names.map(|(i, c)| (c.path.clone(), c.at(width + i), false)).collect();
        (self.graph.push(NodeKind::Union(inputs), columns), keys)
    }

    pub(super) fn key_name(&self, input: NodeId, key: &Expr, position: usize) -> String {
        match &key.kind {
            ExprKind::Column(index) => self.graph.columns(input)[*index].name(),
            _ => format!("$key_{position}"),
        }
    }
}

/// Where each column of the grouping ends up: keys, calls, then from `behind` the ends of the
/// window. `columns` are those of the aggregation.
fn moved(
    columns: &[Column],
    keys: usize,
    calls: core::ops::Range<usize>,
    start_at: usize,
    behind: usize,
) -> Vec<Expr> {
    let first = calls.end;
    let at = |index: usize| columns[index].at(index);
    let mut moved: Vec<Expr> = (0..keys).chain(calls).map(at).collect();
    moved.resize(behind, Expr::column(usize::MAX, DataType::Null));
    moved.extend([start_at, first + 1, first + 2].map(at));
    moved
}

/// The column of an expression, appended when it is new.
pub(super) fn column_of(items: &mut Items, expr: Expr) -> usize {
    if let Some(found) = items.iter().position(|(_, e, _)| *e == expr) {
        return found;
    }
    let name = format!("$column_{}", items.len());
    items.push((vec![name], expr, false));
    items.len() - 1
}

/// What Flink asks of a window function under an aggregate.
fn check_windows(function: Option<&WindowShape>, query: &Select) -> Result<()> {
    let Some(WindowShape::Aligned(window)) = function else { return Ok(()) };
    if window.kind == Windows::Hopping && window.size_ms % window.slide_ms != 0 {
        let message = "the size of a hopping window is no multiple of its slide";
        let remedy = "take a size that is a multiple of the slide";
        return Err(Issue::new(slide_span(query), message, remedy));
    }
    Ok(())
}

/// Where the slide of the query's window function is written.
fn slide_span(query: &Select) -> Span {
    match &query.from.first.relation {
        Relation::Window(function) => function.slide.as_ref().map_or(query.span, |s| s.span),
        _ => query.span,
    }
}

/// What Flink refuses, and what the engine has no room for.
fn check_calls(calls: &[AggregateCall], shape: &WindowShape, query: &Select) -> Result<()> {
    let is_tumbling = match shape {
        WindowShape::Aligned(window) => {
            let slices = headwater_engine::windows::slices_count(window);
            if usize::try_from(slices).map_or(true, |n| n > SLICES_PER_WINDOW_MAX) {
                let message = format!("the window has more than {SLICES_PER_WINDOW_MAX} slices");
                return Err(Issue::new(slide_span(query), message, "take a larger slide"));
            }
            window.slide_ms == window.size_ms
        }
        WindowShape::Session { .. } => false,
    };
    for call in calls {
        if !is_tumbling && matches!(call.function.as_str(), "FIRST_VALUE" | "LAST_VALUE") {
            let message = format!("{} is defined for tumbling windows only", call.function);
            let span = call_span(query, &call.function);
            return Err(Issue::new(span, message, "use a tumbling window, as Flink does"));
        }
    }
    if calls.len() > AGGREGATES_MAX {
        let message = format!("the query has more than {AGGREGATES_MAX} aggregates");
        return Err(Issue::new(query.span, message, "split it into two INSERTs"));
    }
    Ok(())
}

/// Where a function is called in a query.
pub(super) fn call_span(query: &Select, function: &str) -> Span {
    let mut found = query.span;
    let items = query.items.iter().filter_map(|item| match item {
        Item::Expr { expr, .. } => Some(expr),
        Item::Star { .. } => None,
    });
    for expr in items.chain(&query.having) {
        expr.each(&mut |e| {
            if matches!(&e.kind, Written::Call(call) if call.name.value == function) {
                found = e.span;
            }
        });
    }
    found
}
