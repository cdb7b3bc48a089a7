//! MATCH_RECOGNIZE: its clauses checked, its expressions over the rows of a match.
//!
//! Guarantees: what Flink refuses is refused here with its place. Without AFTER MATCH the search
//! goes on with the next row, as in Flink (the standard goes past the last one).

use headwater_engine::fragment::{AfterMatch, Formula, MatchSpec, MatchVariable, OrderTerm};
use headwater_engine::limits::{FIELDS_MAX, PATTERN_REPEATS_MAX, PATTERN_VARIABLES_MAX};
use sqlparser::tokenizer::Span;

use crate::ast::{self, ExprKind, MatchRecognize, Name, PatternTerm};
use crate::bind::pattern::{self, Pattern};
use crate::bind::{Binder, Scope, interval_ms};
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::Planner;
use crate::select::clock::check_order;

impl Planner {
    pub(super) fn match_recognize(&mut self, from: &MatchRecognize) -> Result<NodeId> {
        let (input, mut scope) = self.factor(&from.input)?;
        // Within the clauses a name in front of a column is a variable.
        for entry in &mut scope.entries {
            entry.qualifier = None;
        }
        let key = from.partition_by.iter().map(|e| plain_column(e, &scope, "PARTITION BY"));
        let key = key.collect::<Result<Vec<usize>>>()?;
        let (rowtime, order) = order(from, &scope)?;
        let names: Vec<String> = from.pattern.iter().map(|t| t.variable.value.clone()).collect();
        check_pattern(&from.pattern)?;
        let mut spec = MatchSpec {
            rowtime,
            order,
            variables: variables(from, &names, &scope)?,
            after: after(from.after.as_ref(), &from.pattern)?,
            within_ms: from.within.as_ref().map(within_ms).transpose()?,
            measures: Vec::new(),
            key,
        };
        let columns = self.match_columns(from, &names, &scope, &mut spec)?;
        Ok(self.graph.push(NodeKind::Match(input, Box::new(spec), from.span), columns))
    }

    /// The key columns, then the measures, which are added to `spec`.
    fn match_columns(
        &self,
        from: &MatchRecognize,
        names: &[String],
        scope: &Scope,
        spec: &mut MatchSpec,
    ) -> Result<Vec<Column>> {
        let own = |at: &usize| scope.entries[*at].column.clone().with_role(Role::Plain);
        let mut columns: Vec<Column> = spec.key.iter().map(own).collect();
        for measure in &from.measures {
            let name = &measure.name;
            if columns.iter().any(|c| c.name() == name.value) {
                let message = format!("a match has two columns '{}'", name.value);
                return Err(Issue::new(name.span, message, "rename the measure"));
            }
            let (formula, role) = pattern::measure(&measure.value, names, scope)?;
            check_items(formula.items.len(), measure.value.span)?;
            let column = Column::new(&name.value, formula.expr.data_type.clone()).with_role(role);
            columns.push(Column { nullable: role == Role::Plain, ..column });
            spec.measures.push(formula);
        }
        if columns.is_empty() {
            let message = "a match has no columns";
            return Err(Issue::new(from.span, message, "add MEASURES, or PARTITION BY"));
        }
        Ok(columns)
    }
}

fn check_items(count: usize, span: Span) -> Result<()> {
    if count > FIELDS_MAX {
        let message = format!("the expression reads {count} values of rows, {FIELDS_MAX} fit");
        return Err(Issue::new(span, message, "split it into several measures"));
    }
    Ok(())
}

/// A column by its name: Flink partitions and orders by nothing else.
fn plain_column(from: &ast::Expr, scope: &Scope, clause: &str) -> Result<usize> {
    match &from.kind {
        ExprKind::Column(path) => scope.position(path),
        _ => {
            let message = format!("{clause} of MATCH_RECOGNIZE takes columns alone");
            Err(Issue::new(from.span, message, "compute the value in a view before"))
        }
    }
}

/// The event time and the other terms of ORDER BY.
fn order(from: &MatchRecognize, scope: &Scope) -> Result<(usize, Vec<OrderTerm>)> {
    let Some(first) = from.order_by.first() else {
        let message = "MATCH_RECOGNIZE has no ORDER BY";
        return Err(Issue::new(from.span, message, "add ORDER BY with the event time"));
    };
    let rowtime = plain_column(&first.expr, scope, "ORDER BY")?;
    check_order(&scope.entries[rowtime].column, first.expr.span)?;
    if !scope.entries[rowtime].column.role.is_time() {
        let times = scope.entries.iter().filter(|e| e.column.role.is_time() && !e.column.hidden);
        let remedy = match times.map(|e| e.column.name()).next() {
            Some(time) => format!("the event time here is '{time}'"),
            None => "add WATERMARK FOR … to the source, and pass its column on as it is".into(),
        };
        let message = "the first column of ORDER BY is no event time";
        return Err(Issue::new(first.expr.span, message, remedy));
    }
    if first.descending {
        let message = "the event time stands in falling order";
        return Err(Issue::new(first.expr.span, message, "order by it ascending"));
    }
    let mut terms = Vec::new();
    for term in &from.order_by[1..] {
        terms.push(OrderTerm {
            column: plain_column(&term.expr, scope, "ORDER BY")?,
            descending: term.descending,
            nulls_first: term.nulls_first.unwrap_or(!term.descending),
        });
    }
    Ok((rowtime, terms))
}

/// What Flink's pattern compiler refuses.
fn check_pattern(pattern: &[PatternTerm]) -> Result<()> {
    let refuse = |term: &PatternTerm, message: &str, remedy: &str| {
        Err(Issue::new(term.variable.span, message, remedy))
    };
    if let Some(term) = pattern.get(PATTERN_VARIABLES_MAX) {
        let message = format!("PATTERN has more than {PATTERN_VARIABLES_MAX} variables");
        return refuse(term, &message, "split the pattern");
    }
    for (index, term) in pattern.iter().enumerate() {
        let PatternTerm { variable, min, max, greedy } = term;
        if pattern[..index].iter().any(|other| other.variable.value == variable.value) {
            let message = format!("the variable '{}' stands twice in PATTERN", variable.value);
            return refuse(term, &message, "give each place a name of its own");
        }
        if *max == Some(0) || max.is_some_and(|max| max < *min) {
            return refuse(term, "the quantifier allows no rows", "write {1,2}, the larger last");
        }
        if (*min).max(max.unwrap_or(0)) > PATTERN_REPEATS_MAX {
            let message = format!("the quantifier counts to more than {PATTERN_REPEATS_MAX}");
            return refuse(term, &message, "leave the upper bound open, and test COUNT in DEFINE");
        }
        let is_question = (*min, *max) == (0, Some(1));
        if is_question && !greedy {
            return refuse(term, "'??' is refused by Flink", "write '?'");
        }
        let before = index.checked_sub(1).map(|before| &pattern[before]);
        // A counted quantifier slips through this check of Flink's.
        let is_optional = *min == 0 && (max.is_none() || is_question);
        if is_optional && before.is_some_and(is_greedy) {
            let message = "an optional variable behind a greedy one is refused by Flink";
            return refuse(term, message, "make the one before it reluctant: '+?'");
        }
    }
    if let Some(first) = pattern.first()
        && pattern.iter().all(|term| term.min == 0)
    {
        let message = "the pattern can match no rows at all";
        return refuse(first, message, "let one variable have at least one row");
    }
    match pattern.last() {
        Some(last) if is_greedy(last) => refuse(
            last,
            "a greedy quantifier on the last variable is refused by Flink",
            "make it reluctant ('+?'), or add a variable that ends the match",
        ),
        _ => Ok(()),
    }
}

/// Whether Flink keeps rows for the variable: not for `?` and `{n}`, whatever is written.
fn is_greedy(term: &PatternTerm) -> bool {
    term.greedy && term.max != Some(term.min) && (term.min, term.max) != (0, Some(1))
}

fn variables(from: &MatchRecognize, names: &[String], scope: &Scope) -> Result<Vec<MatchVariable>> {
    let mut variables: Vec<MatchVariable> = (from.pattern.iter())
        .map(|term| MatchVariable {
            name: term.variable.value.clone(),
            min: term.min,
            max: term.max,
            greedy: term.greedy,
            define: None,
        })
        .collect();
    for (name, condition) in &from.define {
        let current = position(name, names)?;
        if variables[current].define.is_some() {
            let message = format!("the variable '{}' is defined twice", name.value);
            return Err(Issue::new(name.span, message, "join the conditions with AND"));
        }
        let mut binder = Binder::new(scope);
        binder.pattern = Some(Pattern::new(names, Some(current)));
        let expr = binder.predicate(condition, "DEFINE")?;
        let items = binder.pattern.take().expect("put in above").items;
        check_items(items.len(), condition.span)?;
        variables[current].define = Some(Formula { items, expr });
    }
    Ok(variables)
}

fn position(name: &Name, names: &[String]) -> Result<usize> {
    names.iter().position(|n| *n == name.value).ok_or_else(|| {
        let message = format!("PATTERN has no variable '{}'", name.value);
        let names = names.iter().map(String::as_str);
        Issue::new(name.span, message, suggest(&name.value, names, "variables"))
    })
}

fn after(from: Option<&ast::AfterMatch>, pattern: &[PatternTerm]) -> Result<AfterMatch> {
    let names: Vec<String> = pattern.iter().map(|t| t.variable.value.clone()).collect();
    Ok(match from {
        None | Some(ast::AfterMatch::NextRow) => AfterMatch::NextRow,
        Some(ast::AfterMatch::PastLastRow) => AfterMatch::PastLastRow,
        Some(ast::AfterMatch::Last(name)) => {
            AfterMatch::Last(skip_to(name, &names, pattern, false)?)
        }
        Some(ast::AfterMatch::First(name)) => {
            AfterMatch::First(skip_to(name, &names, pattern, true)?)
        }
    })
}

/// The variable to skip to. With the match's own first row the search would never get on: Flink's
/// job fails at the first match.
fn skip_to(name: &Name, names: &[String], pattern: &[PatternTerm], first: bool) -> Result<usize> {
    let index = position(name, names)?;
    let is_first_row = index == 0 && (first || pattern[0].max == Some(1));
    if is_first_row && pattern[0].min > 0 {
        let message = format!("'{}' is the first row of the match itself", name.value);
        return Err(Issue::new(name.span, message, "skip to a later variable, or to the next row"));
    }
    Ok(index)
}

fn within_ms(from: &ast::Expr) -> Result<i64> {
    let ms = interval_ms(from, "the interval of WITHIN")?;
    if ms <= 0 {
        let message = "the interval of WITHIN is not positive";
        return Err(Issue::new(from.span, message, "write WITHIN INTERVAL '10' SECOND"));
    }
    Ok(ms)
}
