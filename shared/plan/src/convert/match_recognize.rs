//! MATCH_RECOGNIZE, clause by clause.

use sqlparser::ast as sql;
use sqlparser::tokenizer::Span;

use crate::ast::{AfterMatch, Factor, MatchRecognize, Measure, Name, PatternTerm};
use crate::convert::{call::order_term, expr, name};
use crate::diagnostic::{Issue, Result};
use crate::statement::WITHIN;

/// Converts it; `input` is what it reads.
pub(super) fn convert(from: sql::TableFactor, input: Factor, at: Span) -> Result<MatchRecognize> {
    let sql::TableFactor::MatchRecognize {
        table: _,
        partition_by,
        order_by,
        measures,
        rows_per_match,
        after_match_skip,
        pattern,
        symbols,
        alias: _,
    } = from
    else {
        unreachable!("called for MATCH_RECOGNIZE")
    };
    match rows_per_match {
        None | Some(sql::RowsPerMatch::OneRow) => {}
        Some(sql::RowsPerMatch::AllRows(_)) => {
            return Err(Issue {
                remedy: "write ONE ROW PER MATCH, as Flink has it".to_owned(),
                ..Issue::unsupported(at, "ALL ROWS PER MATCH")
            });
        }
    }
    let measure = |measure: sql::Measure| {
        let sql::Measure { expr: value, alias } = measure;
        Ok(Measure { value: expr(value)?, name: name(alias)? })
    };
    let mut within = None;
    let mut define = Vec::new();
    for symbol in symbols {
        let sql::SymbolDefinition { symbol, definition } = symbol;
        let (variable, condition) = (name(symbol)?, expr(definition)?);
        if variable.value == WITHIN {
            within = Some(condition);
        } else {
            define.push((variable, condition));
        }
    }
    let mut terms = Vec::new();
    pattern_terms(pattern, at, &mut terms)?;
    Ok(MatchRecognize {
        input: Box::new(input),
        partition_by: partition_by.into_iter().map(expr).collect::<Result<_>>()?,
        order_by: order_by.into_iter().map(order_term).collect::<Result<_>>()?,
        measures: measures.into_iter().map(measure).collect::<Result<_>>()?,
        after: after_match_skip.map(after).transpose()?,
        pattern: terms,
        within,
        define,
        span: at,
    })
}

fn after(from: sql::AfterMatchSkip) -> Result<AfterMatch> {
    Ok(match from {
        sql::AfterMatchSkip::PastLastRow => AfterMatch::PastLastRow,
        sql::AfterMatchSkip::ToNextRow => AfterMatch::NextRow,
        sql::AfterMatchSkip::ToFirst(variable) => AfterMatch::First(name(variable)?),
        sql::AfterMatchSkip::ToLast(variable) => AfterMatch::Last(name(variable)?),
    })
}

/// Appends the variables of a pattern in their order.
fn pattern_terms(
    from: sql::MatchRecognizePattern,
    at: Span,
    out: &mut Vec<PatternTerm>,
) -> Result<()> {
    use sql::MatchRecognizePattern as Pattern;
    match from {
        Pattern::Symbol(symbol) => {
            let variable = variable(symbol, at)?;
            out.push(PatternTerm { variable, min: 1, max: Some(1), greedy: true });
        }
        Pattern::Concat(parts) => {
            for part in parts {
                pattern_terms(part, at, out)?;
            }
        }
        // Without a quantifier the brackets change nothing.
        Pattern::Group(inner) => pattern_terms(*inner, at, out)?,
        Pattern::Repetition(inner, quantifier) => out.push(repeated(*inner, quantifier, at)?),
        Pattern::Alternation(parts) => {
            let span = parts.into_iter().find_map(|part| place(&part)).unwrap_or(at);
            return Err(Issue::unsupported(span, "alternation '|' in PATTERN"));
        }
        Pattern::Exclude(symbol) => {
            return Err(Issue::unsupported(symbol_span(&symbol).unwrap_or(at), "'{- -}'"));
        }
        Pattern::Permute(symbols) => {
            let span = symbols.iter().find_map(symbol_span).unwrap_or(at);
            return Err(Issue::unsupported(span, "PERMUTE"));
        }
    }
    Ok(())
}

fn repeated(
    inner: sql::MatchRecognizePattern,
    quantifier: sql::RepetitionQuantifier,
    at: Span,
) -> Result<PatternTerm> {
    use sql::{MatchRecognizePattern as Pattern, RepetitionQuantifier as Quantifier};
    let span = place(&inner).unwrap_or(at);
    // A question mark behind another quantifier makes that one reluctant.
    let (inner, quantifier, greedy) = match (inner, quantifier) {
        (Pattern::Repetition(inner, first), Quantifier::AtMostOne) => (*inner, first, false),
        (Pattern::Repetition(..), _) => {
            let message = "a quantifier stands behind a quantifier";
            return Err(Issue::new(span, message, "write one of them"));
        }
        (inner, quantifier) => (inner, quantifier, true),
    };
    let variable = match ungrouped(inner) {
        Pattern::Symbol(symbol) => variable(symbol, at)?,
        Pattern::Repetition(..) => {
            let message = "three quantifiers stand behind a variable";
            return Err(Issue::new(span, message, "write one of them"));
        }
        _ => return Err(Issue::unsupported(span, "a quantifier behind a group in PATTERN")),
    };
    let (min, max) = match quantifier {
        Quantifier::ZeroOrMore => (0, None),
        Quantifier::OneOrMore => (1, None),
        Quantifier::AtMostOne => (0, Some(1)),
        Quantifier::Exactly(count) => (count, Some(count)),
        Quantifier::AtLeast(min) => (min, None),
        Quantifier::AtMost(max) => (0, Some(max)),
        Quantifier::Range(min, max) => (min, Some(max)),
    };
    Ok(PatternTerm { variable, min, max, greedy })
}

fn ungrouped(pattern: sql::MatchRecognizePattern) -> sql::MatchRecognizePattern {
    match pattern {
        sql::MatchRecognizePattern::Group(inner) => ungrouped(*inner),
        other => other,
    }
}

fn variable(symbol: sql::MatchRecognizeSymbol, at: Span) -> Result<Name> {
    match symbol {
        sql::MatchRecognizeSymbol::Named(ident) => name(ident),
        sql::MatchRecognizeSymbol::Start => {
            Err(Issue::unsupported(at, "'^', the start of a partition, in PATTERN"))
        }
        sql::MatchRecognizeSymbol::End => {
            Err(Issue::unsupported(at, "'$', the end of a partition, in PATTERN"))
        }
    }
}

fn symbol_span(symbol: &sql::MatchRecognizeSymbol) -> Option<Span> {
    match symbol {
        sql::MatchRecognizeSymbol::Named(ident) => Some(ident.span),
        _ => None,
    }
}

/// The place of the first variable in a part of a pattern.
fn place(pattern: &sql::MatchRecognizePattern) -> Option<Span> {
    use sql::MatchRecognizePattern as Pattern;
    match pattern {
        Pattern::Symbol(symbol) | Pattern::Exclude(symbol) => symbol_span(symbol),
        Pattern::Permute(symbols) => symbols.iter().find_map(symbol_span),
        Pattern::Concat(parts) | Pattern::Alternation(parts) => parts.iter().find_map(place),
        Pattern::Group(inner) | Pattern::Repetition(inner, _) => place(inner),
    }
}
