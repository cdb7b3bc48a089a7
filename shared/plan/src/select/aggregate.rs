//! GROUP BY over windows.

use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::fragment::{AggregateSpec, WindowKind as Windows, WindowSpec};
use headwater_engine::limits::{AGGREGATES_MAX, SLICES_PER_WINDOW_MAX};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{ExprKind as Written, Item, Relation, Select};
use crate::bind::{AggregateCall, Binder, Grouping, Scope};
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, Folded, NodeId, NodeKind, Role, each_column, substitute};
use crate::select::{Planner, item_name};

/// What stands before the aggregation: a window function and the plain steps over it.
struct Windowed {
    folded: Folded,
    input: NodeId,
    window: WindowSpec,
    /// Columns of the window function's input; start, end and time follow.
    width: usize,
}

/// What GROUP BY names.
#[derive(Default)]
struct Keys {
    time: bool,
    /// Over the aggregation's input and, parallel to it, over the window function's output.
    plain: Vec<(Expr, Expr)>,
    /// Bound terms that are window columns, with their role.
    windows: Vec<(Expr, Role)>,
}

impl Planner {
    pub(crate) fn aggregate(
        &mut self,
        query: &Select,
        node: NodeId,
        scope: &Scope,
    ) -> Result<NodeId> {
        let Some(windowed) = self.windowed(query, node, scope)? else {
            return self.group(query, node, scope);
        };
        let keys = group_keys(query, scope, &windowed)?;
        let count = keys.plain.len();
        let output = |role| match role {
            Role::WindowStart => 0,
            Role::WindowEnd => 1,
            _ => 2,
        };
        // The number of aggregates is not known before they are bound: window columns are first
        // bound behind all that there may be, and moved afterwards.
        let behind = count + AGGREGATES_MAX + 1;
        let plain = keys.plain.iter().enumerate().map(|(i, (key, _))| (key.clone(), i));
        let windows = keys.windows.iter().map(|(e, role)| (e.clone(), behind + output(*role)));
        let grouping =
            Grouping { keys: plain.chain(windows).collect(), calls: Vec::new(), first: count };
        let mut binder = Binder { grouping: Some(grouping), ..Binder::new(scope) };
        let having = query.having.as_ref().map(|h| binder.predicate(h, "HAVING")).transpose()?;
        let mut items = Vec::new();
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
        check_calls(&calls, &windowed.window, query)?;
        for expr in calls.iter().flat_map(|c| c.arg.iter().chain(&c.filter)) {
            let below = substitute(expr, &windowed.folded.exprs);
            no_window_column(&below, &windowed, query.span, "an aggregate")?;
        }
        let moved: Vec<Expr> = self.moved(behind, count + calls.len(), &keys, &calls, &windowed);
        let node = self.build(windowed, &keys, &calls)?;
        let node = match having {
            Some(having) => self.graph.filter(node, vec![substitute(&having, &moved)]),
            None => node,
        };
        for (_, expr, _) in &mut items {
            *expr = substitute(expr, &moved);
        }
        Ok(self.graph.project(node, items))
    }

    /// Finds the window function below the query's own steps; `None` where there is none, or where
    /// the query is not grouped by both ends of its windows.
    fn windowed(&self, query: &Select, node: NodeId, scope: &Scope) -> Result<Option<Windowed>> {
        let folded = self.graph.fold(node);
        let base = &self.graph.nodes[folded.base];
        let terms = query.group_by.as_deref().unwrap_or_default();
        if let Some(term) = terms.iter().find(|term| is_legacy_window(term)) {
            let what = "the group window in GROUP BY (write TABLE(TUMBLE(TABLE t, …)))";
            return Err(Issue::unsupported(term.span, what));
        }
        let (first, window) = match &base.kind {
            NodeKind::Windows(input, window) => {
                (self.graph.columns(*input).len(), Some((*input, window.clone())))
            }
            NodeKind::Aggregate { keys, aggregates, .. } => (keys.len() + aggregates.len(), None),
            _ => return Ok(None),
        };
        let mut ends = [false; 2];
        for term in terms {
            let below = substitute(&Binder::new(scope).bind(term)?, &folded.exprs);
            match below.kind {
                ExprKind::Column(column) if column == first => ends[0] = true,
                ExprKind::Column(column) if column == first + 1 => ends[1] = true,
                _ => {}
            }
        }
        match window {
            Some((input, window)) if ends == [true; 2] => {
                Ok(Some(Windowed { width: first, folded, input, window }))
            }
            None if ends == [true; 2] => {
                let span = terms.first().map_or(query.span, |term| term.span);
                let what = "an aggregate over the windows of another aggregate";
                Err(Issue::unsupported(span, what))
            }
            _ => Ok(None),
        }
    }

    /// Where each provisional output column ends up.
    fn moved(
        &self,
        behind: usize,
        windows_at: usize,
        keys: &Keys,
        calls: &[AggregateCall],
        windowed: &Windowed,
    ) -> Vec<Expr> {
        let time = self.graph.columns(windowed.input)[windowed.window.rowtime].data_type.clone();
        let mut types: Vec<DataType> =
            keys.plain.iter().map(|(key, _)| key.data_type.clone()).collect();
        types.extend(calls.iter().map(|c| c.result.clone()));
        let mut moved: Vec<Expr> =
            types.into_iter().enumerate().map(|(i, t)| Expr::column(i, t)).collect();
        moved.resize(behind, Expr::column(usize::MAX, DataType::Null));
        let timestamp = DataType::Timestamp(3);
        for (i, ty) in [timestamp.clone(), timestamp, time].into_iter().enumerate() {
            moved.push(Expr::column(windows_at + i, ty));
        }
        moved
    }

    /// Filter, projection to what is aggregated, and the aggregation.
    fn build(
        &mut self,
        windowed: Windowed,
        keys: &Keys,
        calls: &[AggregateCall],
    ) -> Result<NodeId> {
        let Windowed { folded, input, window, width: _ } = windowed;
        let filtered = self.graph.filter(input, folded.predicates);
        let mut items: Vec<(Vec<String>, Expr, bool)> = Vec::new();
        for (position, (_, key)) in keys.plain.iter().enumerate() {
            items.push((vec![self.key_name(input, key, position)], key.clone(), false));
        }
        let mut aggregates = Vec::new();
        for call in calls {
            let mut column = |e: &Expr| column_of(&mut items, substitute(e, &folded.exprs));
            let arg = call.arg.as_ref().map(|a| (column(a), a.data_type.clone()));
            let filter = call.filter.as_ref().map(&mut column);
            aggregates.push(AggregateSpec { function: call.function.clone(), arg, filter });
        }
        let time = self.graph.columns(input)[window.rowtime].at(window.rowtime);
        let time_type = time.data_type.clone();
        let rowtime = column_of(&mut items, time);
        let projected = self.graph.project(filtered, items);
        let mut columns: Vec<Column> = self.graph.columns(projected)[..keys.plain.len()].to_vec();
        for (i, call) in calls.iter().enumerate() {
            let column = Column::new(format!("${}_{i}", call.function), call.result.clone());
            columns.push(Column { nullable: call.function != "COUNT", ..column });
        }
        let timestamp = || DataType::Timestamp(3);
        columns.push(Column::new("window_start", timestamp()).with_role(Role::WindowStart));
        columns.push(Column::new("window_end", timestamp()).with_role(Role::WindowEnd));
        let role = if keys.time { Role::WindowTime } else { Role::Plain };
        columns.push(Column::new("window_time", time_type).with_role(role));
        columns.push(Column::new("$revision", DataType::Int).hide());
        let keys = (0..keys.plain.len()).collect();
        let window = WindowSpec { rowtime, ..window };
        Ok(self
            .graph
            .push(NodeKind::Aggregate { input: projected, window, keys, aggregates }, columns))
    }

    fn key_name(&self, input: NodeId, key: &Expr, position: usize) -> String {
        match &key.kind {
            ExprKind::Column(index) => self.graph.columns(input)[*index].name(),
            _ => format!("$key_{position}"),
        }
    }
}

/// The column of an expression, appended when it is new.
pub(super) fn column_of(items: &mut Vec<(Vec<String>, Expr, bool)>, expr: Expr) -> usize {
    if let Some(found) = items.iter().position(|(_, e, _)| *e == expr) {
        return found;
    }
    let name = format!("$column_{}", items.len());
    items.push((vec![name], expr, false));
    items.len() - 1
}

fn is_legacy_window(term: &crate::ast::Expr) -> bool {
    let crate::ast::ExprKind::Call(call) = &term.kind else { return false };
    matches!(call.name.value.as_str(), "TUMBLE" | "HOP" | "SESSION")
}

/// Binds GROUP BY and tells window columns from keys.
fn group_keys(query: &Select, scope: &Scope, windowed: &Windowed) -> Result<Keys> {
    let mut keys = Keys::default();
    let terms = query.group_by.as_deref().unwrap_or_default();
    for term in terms {
        let bound = Binder::new(scope).bind(term)?;
        if bound.as_literal().is_some() {
            let message = "GROUP BY names a constant";
            return Err(Issue::new(term.span, message, "name columns or expressions"));
        }
        let below = substitute(&bound, &windowed.folded.exprs);
        let role = match &below.kind {
            ExprKind::Column(i) if *i == windowed.width => Some(Role::WindowStart),
            ExprKind::Column(i) if *i == windowed.width + 1 => Some(Role::WindowEnd),
            ExprKind::Column(i) if *i == windowed.width + 2 => Some(Role::WindowTime),
            _ => None,
        };
        match role {
            Some(role) => {
                keys.time |= role == Role::WindowTime;
                keys.windows.push((bound, role));
            }
            None => {
                no_window_column(&below, windowed, term.span, "a group key")?;
                if !keys.plain.iter().any(|(key, _)| *key == bound) {
                    keys.plain.push((bound, below));
                }
            }
        }
    }
    for predicate in &windowed.folded.predicates {
        no_window_column(predicate, windowed, query.span, "a filter before the aggregate")?;
    }
    Ok(keys)
}

fn no_window_column(below: &Expr, windowed: &Windowed, span: Span, what: &str) -> Result<()> {
    let mut found = false;
    each_column(below, &mut |i| found |= i >= windowed.width);
    if found {
        return Err(Issue::unsupported(span, &format!("{what} computed from window columns")));
    }
    Ok(())
}

/// What Flink refuses, and what the engine has no room for.
fn check_calls(calls: &[AggregateCall], window: &WindowSpec, query: &Select) -> Result<()> {
    let slide = match &query.from.first.relation {
        Relation::Window(function) => function.slide.as_ref().map(|s| s.span),
        _ => None,
    };
    let span = slide.unwrap_or(query.span);
    let sliced = window.slide_ms != window.size_ms;
    if window.kind == Windows::Hopping && window.size_ms % window.slide_ms != 0 {
        let message = "the size of a hopping window is no multiple of its slide";
        return Err(Issue::new(span, message, "Flink aggregates only over whole slides"));
    }
    let slices = usize::try_from(window.size_ms / window.slide_ms).unwrap_or(usize::MAX);
    if slices > SLICES_PER_WINDOW_MAX {
        let message = format!("the window has more than {SLICES_PER_WINDOW_MAX} slides");
        return Err(Issue::new(span, message, "take a larger slide"));
    }
    for call in calls {
        if sliced && matches!(call.function.as_str(), "FIRST_VALUE" | "LAST_VALUE") {
            let message = format!("{} is defined for tumbling windows only", call.function);
            let span = call_span(query, &call.function);
            return Err(Issue::new(span, message, "use a tumbling window, as Flink does"));
        }
    }
    if calls.len() > AGGREGATES_MAX {
        let message = format!("the query has more than {AGGREGATES_MAX} aggregates");
        return Err(Issue::new(span, message, "split it into two INSERTs"));
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
