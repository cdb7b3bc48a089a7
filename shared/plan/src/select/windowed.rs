//! Where the windows of a grouped query come from.
//!
//! Three sources: a window function below the query's own filters and projections, whose rows are
//! then aggregated before they are given windows; a group window in GROUP BY; or columns that hold
//! the ends of a window already, because the rows come from another step over windows or because
//! the query computes with those columns. Rows of the last kind are aggregated at the last
//! millisecond of their window, with its start as one more key: late is what is late for it.

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::fragment::WindowSpec;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::Select;
use crate::bind::{self, AggregateCall, Binder, GroupWindow, Grouping, Scope};
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result};
use crate::logical::{NodeId, NodeKind, Role, WindowShape, each_column, substitute};
use crate::select::Planner;

/// What GROUP BY names, over the query's columns.
#[derive(Default)]
pub(super) struct Terms {
    /// Keys that are no ends of windows.
    pub(super) plain: Vec<Expr>,
    /// Columns that hold an end of a window.
    pub(super) windows: Vec<(Expr, Role)>,
    pub(super) group_window: Option<GroupWindow>,
    /// The keys of each grouping set, by their positions; empty without grouping sets.
    pub(super) sets: Vec<Vec<usize>>,
}

/// Rows to aggregate and their windows.
pub(super) struct Windowed {
    pub(super) input: NodeId,
    /// The query's columns over those of `input`.
    pub(super) exprs: Vec<Expr>,
    pub(super) predicates: Vec<Expr>,
    /// The event time, over `input`.
    pub(super) time: Expr,
    pub(super) shape: WindowShape,
    /// The start of a window that the rows hold, over `input`: one more key.
    pub(super) start: Option<Expr>,
    /// Where the time of the windows is asked for, when they are those of the zone's clock.
    pub(super) zoned: Option<Span>,
}

impl Terms {
    /// Keys of the aggregation: with grouping sets the number of the set is the last one.
    pub(super) fn keys_count(&self) -> usize {
        self.plain.len() + usize::from(!self.sets.is_empty())
    }

    fn has(&self, role: Role) -> bool {
        self.windows.iter().any(|(_, r)| *r == role)
    }

    /// Whether both ends of a window are named.
    pub(super) fn is_windowed(&self) -> bool {
        self.has(Role::WindowStart) && self.has(Role::WindowEnd)
    }

    /// Whether `window_time` is asked for, which makes it an event time.
    pub(super) fn has_time(&self) -> bool {
        self.has(Role::WindowTime) || self.group_window.is_some()
    }

    /// What SELECT and HAVING see: keys, aggregates from column `plain.len()`, and the ends of the
    /// window from column `behind`.
    pub(super) fn grouping(&self, behind: usize) -> Grouping {
        let output = |role| match role {
            Role::WindowStart => 0,
            Role::WindowEnd => 1,
            _ => 2,
        };
        let plain = self.plain.iter().cloned().zip(0..);
        let windows = self.windows.iter().map(|(e, role)| (e.clone(), behind + output(*role)));
        Grouping {
            keys: plain.chain(windows).collect(),
            calls: Vec::new(),
            first: self.keys_count(),
            window: self.group_window.clone().map(|window| (window, behind)),
            sets: (!self.sets.is_empty())
                .then(|| bind::Sets { at: self.plain.len(), members: self.sets.clone() }),
        }
    }
}

/// A set that is there twice counts twice. Flink gives wrong keys where it leaves some of them out.
pub(super) fn check_sets(sets: &[Vec<usize>], keys: usize, span: Span) -> Result<()> {
    let sorted = |set: &Vec<usize>| {
        let mut set = set.clone();
        set.sort_unstable();
        set.dedup();
        set
    };
    let sets: Vec<Vec<usize>> = sets.iter().map(sorted).collect();
    for (position, set) in sets.iter().enumerate() {
        if set.len() < keys && sets[..position].contains(set) {
            let message = "two grouping sets name the same keys";
            return Err(Issue::new(span, message, "name each set once"));
        }
    }
    Ok(())
}

impl Planner {
    /// Binds GROUP BY; `None` where the query is not grouped by windows.
    pub(super) fn window_terms(
        &self,
        query: &Select,
        node: NodeId,
        scope: &Scope,
    ) -> Result<Option<Terms>> {
        let mut terms = Terms::default();
        if !query.sets.is_empty() {
            return self.set_terms(query, node, scope);
        }
        for term in query.group_by.as_deref().unwrap_or_default() {
            if let Some(window) = bind::group_window(term, scope)? {
                if terms.group_window.replace(window).is_some() {
                    let message = "GROUP BY names two windows";
                    return Err(Issue::new(term.span, message, "name one of them"));
                }
                continue;
            }
            let bound = Binder::new(scope).bind(term)?;
            if bound.as_literal().is_some() {
                let message = "GROUP BY names a constant";
                return Err(Issue::new(term.span, message, "name columns or expressions"));
            }
            match as_column(&bound).map(|column| self.graph.columns(node)[column].role) {
                // A second window is a key like any other.
                Some(role)
                    if role.is_of_window()
                        && terms.windows.iter().all(|(e, r)| *r != role || *e == bound) =>
                {
                    terms.windows.push((bound, role));
                }
                _ if terms.plain.contains(&bound) => {}
                _ => terms.plain.push(bound),
            }
        }
        if terms.group_window.is_some() {
            // Columns of an earlier window are keys like any other.
            let keys = core::mem::take(&mut terms.windows).into_iter().map(|(key, _)| key);
            terms.plain.extend(keys);
            return Ok(Some(terms));
        }
        Ok(terms.is_windowed().then_some(terms))
    }

    /// Binds grouping sets. The ends of the window are in each of them.
    fn set_terms(&self, query: &Select, node: NodeId, scope: &Scope) -> Result<Option<Terms>> {
        let mut terms = Terms::default();
        for (number, set) in query.sets.iter().enumerate() {
            let own = Select { group_by: Some(set.clone()), sets: Vec::new(), ..query.clone() };
            let Some(own) = self.window_terms(&own, node, scope)? else { return Ok(None) };
            let is_same = own.windows.iter().all(|w| terms.windows.contains(w));
            if own.group_window.is_some() || (number > 0 && !is_same) {
                let what = "GROUPING SETS beside a group window, or over parts of a window";
                return Err(Issue::unsupported(query.span, what));
            }
            terms.windows = own.windows;
            let mut members = Vec::new();
            for key in own.plain {
                let known = terms.plain.iter().position(|k| *k == key);
                members.push(known.unwrap_or_else(|| {
                    terms.plain.push(key);
                    terms.plain.len() - 1
                }));
            }
            terms.sets.push(members);
        }
        check_sets(&terms.sets, terms.plain.len(), query.span)?;
        Ok(Some(terms))
    }

    /// The windows of a query that is grouped by them.
    pub(super) fn windowed(
        &mut self,
        node: NodeId,
        terms: &Terms,
        calls: &[AggregateCall],
        span: Span,
    ) -> Result<Windowed> {
        if let Some(window) = &terms.group_window {
            let GroupWindow { time, shape, .. } = window.clone();
            let rowtime = as_column(&time).expect("a group window names a column");
            let Some((node, at)) = self.local_time(node, rowtime, span)? else {
                return Ok(self.shaped(node, time, shape, None));
            };
            let local = self.graph.columns(node)[at].at(at);
            return Ok(Windowed { zoned: Some(span), ..self.shaped(node, local, shape, None) });
        }
        let zoned = terms.has(Role::LocalWindowTime).then_some(span);
        if let Some(windowed) = self.of_function(node, terms, calls) {
            return Ok(Windowed { zoned, ..windowed });
        }
        let column = |role| terms.windows.iter().find(|(_, r)| *r == role).map(|(e, _)| e.clone());
        let end = column(Role::WindowEnd).expect("a query over windows names their ends");
        let time = match column(Role::WindowTime) {
            Some(time) => time,
            None => {
                let last = Expr::literal(Literal::Int(1), DataType::IntervalDay);
                bind::call("-", vec![end, last], span)?
            }
        };
        let shape = WindowShape::Aligned(WindowSpec::tumbling(0, 1));
        let start = column(Role::WindowStart);
        Ok(Windowed { zoned, ..self.shaped(node, time, shape, start) })
    }

    /// Windows over the query's rows as they are.
    fn shaped(
        &self,
        node: NodeId,
        time: Expr,
        shape: WindowShape,
        start: Option<Expr>,
    ) -> Windowed {
        let columns = self.graph.columns(node).iter().enumerate();
        let exprs = columns.map(|(i, c)| c.at(i)).collect();
        let predicates = Vec::new();
        Windowed { input: node, exprs, predicates, time, shape, start, zoned: None }
    }

    /// The window function below the query's own steps, where nothing is computed from its windows.
    fn of_function(
        &self,
        node: NodeId,
        terms: &Terms,
        calls: &[AggregateCall],
    ) -> Option<Windowed> {
        let folded = self.graph.fold(node);
        let (input, rowtime, shape, partition) = match &self.graph.nodes[folded.base].kind {
            NodeKind::Windows(input, spec) => {
                (*input, spec.rowtime, WindowShape::Aligned(spec.clone()), None)
            }
            // A grouping set lacks keys that sessions are made by.
            NodeKind::SessionWindows { input, rowtime, gap_ms, key } if terms.sets.is_empty() => {
                (*input, *rowtime, WindowShape::Session { gap_ms: *gap_ms }, Some(key))
            }
            _ => return None,
        };
        let width = self.graph.columns(input).len();
        let below = |expr: &Expr| substitute(expr, &folded.exprs);
        let keys: Vec<Expr> = terms.plain.iter().map(below).collect();
        let args =
            calls.iter().flat_map(|call| call.arg.iter().chain(&call.filter).chain(&call.weight));
        let args = args.map(below);
        let mut is_free = true;
        for expr in args.chain(keys.iter().cloned()).chain(folded.predicates.iter().cloned()) {
            each_column(&expr, &mut |column| is_free &= column < width);
        }
        // Sessions are those of the key that they are made by.
        let held: Vec<Option<usize>> = keys.iter().map(as_column).collect();
        let is_partition = partition.is_none_or(|partition| {
            held.iter().all(|key| key.is_some_and(|key| partition.contains(&key)))
                && partition.iter().all(|column| held.contains(&Some(*column)))
        });
        if !is_free || !is_partition {
            return None;
        }
        let time = self.graph.columns(input)[rowtime].at(rowtime);
        let (exprs, predicates) = (folded.exprs, folded.predicates);
        Some(Windowed { input, exprs, predicates, time, shape, start: None, zoned: None })
    }

    /// The windows of the window function that a query stands on, for the rules that it has.
    pub(super) fn function_below(&self, node: NodeId) -> Option<WindowShape> {
        match &self.graph.nodes[self.graph.fold(node).base].kind {
            NodeKind::Windows(_, spec) => Some(WindowShape::Aligned(spec.clone())),
            NodeKind::SessionWindows { gap_ms, .. } => {
                Some(WindowShape::Session { gap_ms: *gap_ms })
            }
            _ => None,
        }
    }
}
