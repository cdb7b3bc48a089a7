//! GROUP BY with its grouping sets.

use sqlparser::ast as sql;
use sqlparser::tokenizer::Span;

use crate::ast::Expr;
use crate::convert::expr;
use crate::diagnostic::{Issue, Result};

/// The most grouping sets of a query: each row counts once for each.
const SETS_MAX: usize = 64;

/// The terms outside of grouping sets, and all terms of each set.
pub(crate) type Grouping = (Option<Vec<Expr>>, Vec<Vec<Expr>>);

/// Converts GROUP BY. Several grouping sets are multiplied.
pub(crate) fn convert(from: sql::GroupByExpr, at: Span) -> Result<Grouping> {
    let sql::GroupByExpr::Expressions(terms, modifiers) = from else {
        return Err(Issue::not_flink(at, "GROUP BY ALL", "name the columns to group by"));
    };
    if !modifiers.is_empty() {
        return Err(Issue::not_flink(at, "this form of GROUP BY", "GROUP BY columns"));
    }
    let (mut plain, mut sets, mut has_sets) = (Vec::new(), vec![Vec::new()], false);
    for term in terms {
        let own = match term {
            sql::Expr::GroupingSets(own) => all(own)?,
            sql::Expr::Rollup(groups) => {
                let groups = all(groups)?;
                (0..=groups.len()).rev().map(|n| groups[..n].concat()).collect()
            }
            sql::Expr::Cube(groups) => cube(&all(groups)?, at)?,
            other => {
                plain.push(expr(other)?);
                continue;
            }
        };
        has_sets = true;
        sets = multiplied(&sets, &own);
        if sets.len() > SETS_MAX {
            return Err(too_many(at));
        }
    }
    if !has_sets {
        return Ok(((!plain.is_empty()).then_some(plain), Vec::new()));
    }
    let sets = sets.into_iter().map(|set| plain.iter().cloned().chain(set).collect()).collect();
    Ok((Some(plain), sets))
}

fn all(sets: Vec<Vec<sql::Expr>>) -> Result<Vec<Vec<Expr>>> {
    sets.into_iter().map(|set| set.into_iter().map(expr).collect()).collect()
}

/// Every part of the groups, the whole first.
fn cube(groups: &[Vec<Expr>], at: Span) -> Result<Vec<Vec<Expr>>> {
    let mut sets = vec![Vec::new()];
    for group in groups {
        let with = sets.iter().map(|set: &Vec<Expr>| [set.clone(), group.clone()].concat());
        sets = with.chain(sets.clone()).collect();
        if sets.len() > SETS_MAX {
            return Err(too_many(at));
        }
    }
    Ok(sets)
}

fn multiplied(left: &[Vec<Expr>], right: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let pair = |a: &Vec<Expr>, b: &Vec<Expr>| [a.clone(), b.clone()].concat();
    left.iter().flat_map(|a| right.iter().map(move |b| pair(a, b))).collect()
}

fn too_many(at: Span) -> Issue {
    let message = format!("the query has more than {SETS_MAX} grouping sets");
    Issue::new(at, message, "name the sets that are needed by GROUPING SETS")
}
