//! A whole script: every statement read, every fault of syntax reported at once.
//!
//! Does not resolve names; that is the catalog's business.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::ast::{Name, Query};
use crate::diagnostic::{Issue, Source};
use crate::lex::{self, Vars, is_word};
use crate::statement::{self, CreateTable, CreateView, Explained, Insert, Set, Statement};

/// The statements of a script, by kind, in their order.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Tables and views share one name space and refer only backwards.
    pub(crate) definitions: Vec<Definition>,
    pub(crate) inserts: Vec<Insert>,
    pub(crate) settings: Vec<Set>,
    /// DESCRIBE and EXPLAIN.
    pub(crate) questions: Vec<Question>,
    /// Names whose definition could not be read.
    pub(crate) broken: Vec<String>,
}

/// A statement that is answered and not run.
#[derive(Debug)]
pub(crate) enum Question {
    Describe(Name),
    /// INSERTs of one statement set, or a single one.
    Explain(Vec<Insert>),
    ExplainQuery(Query),
}

/// What a name can be defined as.
#[derive(Debug)]
pub(crate) enum Definition {
    Table(Box<CreateTable>),
    View(Box<CreateView>),
}

/// Reads a script; issues of one statement do not hide those of the next.
pub(crate) fn parse(source: &Source<'_>, vars: &Vars, issues: &mut Vec<Issue>) -> Script {
    let mut script = Script::default();
    // Within EXPLAIN STATEMENT SET BEGIN … END.
    let mut is_explained = false;
    for tokens in lex::statements(source, vars, issues) {
        let defined = defined_name(&tokens.tokens);
        if tokens.faulty {
            script.broken.extend(defined);
            continue;
        }
        match statement::parse(tokens) {
            Ok(None) => {}
            Ok(Some(Statement::CreateTable(t))) => {
                script.definitions.push(Definition::Table(t.into()))
            }
            Ok(Some(Statement::CreateView(v))) => {
                script.definitions.push(Definition::View(v.into()))
            }
            Ok(Some(Statement::Insert(insert))) => match script.questions.last_mut() {
                Some(Question::Explain(inserts)) if is_explained => inserts.push(insert),
                _ => script.inserts.push(insert),
            },
            Ok(Some(Statement::End)) => is_explained = false,
            Ok(Some(Statement::Set(set))) => script.settings.push(set),
            Ok(Some(Statement::Describe(name))) => {
                script.questions.push(Question::Describe(name));
            }
            Ok(Some(Statement::Explain(what))) => {
                is_explained = matches!(what, Explained::Set(_));
                script.questions.push(match what {
                    Explained::Insert(insert) | Explained::Set(insert) => {
                        Question::Explain(vec![insert])
                    }
                    Explained::Query(query) => Question::ExplainQuery(query),
                });
            }
            Err(issue) => {
                script.broken.extend(defined);
                issues.push(issue);
            }
        }
    }
    script
}

/// The name in `CREATE [TEMPORARY] TABLE | VIEW [IF NOT EXISTS] name`, however the rest reads.
fn defined_name(tokens: &[TokenWithSpan]) -> Option<String> {
    let mut rest = tokens.iter();
    is_word(rest.next(), "CREATE").then_some(())?;
    rest.find_map(|token| {
        let Token::Word(word) = &token.token else { return None };
        let skip = ["TEMPORARY", "TABLE", "VIEW", "IF", "NOT", "EXISTS"];
        let keyword =
            word.quote_style.is_none() && skip.iter().any(|s| word.value.eq_ignore_ascii_case(s));
        (!keyword).then(|| word.value.clone())
    })
}
