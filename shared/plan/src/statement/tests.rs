//! Statements of scripts as users write them, and the places of what is wrong with them.

use super::*;
use crate::diagnostic::Source;
use crate::lex::{self, Vars};

fn run(text: &str) -> Result<Statement> {
    let mut issues = Vec::new();
    let source = Source { file: "p.sql", text };
    let mut statements = lex::statements(&source, &Vars::new(), &mut issues);
    assert_eq!(issues, []);
    parse(statements.remove(0)).map(|s| s.expect("a statement"))
}

#[test]
fn a_table_with_everything() {
    let text = "CREATE TABLE t (
        id STRING NOT NULL, `m` ROW<temp DOUBLE, tags ARRAY<ARRAY<INT>>>,
        topic STRING METADATA FROM 'topic-segment.1' VIRTUAL,
        ts BIGINT COMMENT 'ms', rt AS TO_TIMESTAMP_LTZ(ts, 3),
        z TIMESTAMP(3) WITH LOCAL TIME ZONE, d DECIMAL(5, 1),
        WATERMARK FOR rt AS rt - INTERVAL '5' SECOND,
        PRIMARY KEY (id) NOT ENFORCED
      ) WITH ('connector' = 'filesystem', 'path' = '/tmp/x');";
    let Statement::CreateTable(table) = run(text).unwrap() else { panic!("no table") };
    assert_eq!(table.columns.len(), 7);
    assert_eq!(table.options.len(), 2);
    assert!(table.watermark.is_some());
    assert!(table.primary_key.is_some());
    let ColumnKind::Physical { ty, .. } = &table.columns[1].kind else { panic!("no type") };
    assert_eq!(ty.to_string(), "ROW<`temp` DOUBLE, `tags` ARRAY<ARRAY<INT>>>");
}

#[test]
fn an_error_in_a_subquery_is_found_there() {
    let issue = run("INSERT INTO r SELECT a FROM (SELECT b c d FROM t) WHERE x = 1").unwrap_err();
    assert_eq!((issue.span.start.line, issue.span.start.column), (1, 41), "{issue:?}");
}

#[test]
fn the_end_of_input_has_a_place() {
    let issue = run("INSERT INTO r SELECT a FROM t WHERE;").unwrap_err();
    assert_eq!(issue.span.start.column, 36, "{issue:?}");
}

#[test]
fn a_window_function_takes_names_or_positions() {
    for call in [
        "TUMBLE(TABLE t, DESCRIPTOR(rt), INTERVAL '10' SECOND, INTERVAL '3' SECOND)",
        "TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(rt), OFFSET => INTERVAL '3' SECOND, \
         SIZE => INTERVAL '10' SECOND)",
    ] {
        let text = format!("INSERT INTO r SELECT a FROM TABLE({call})");
        let Statement::Insert(insert) = run(&text).unwrap() else { panic!("no insert") };
        let crate::ast::Body::Select(select) = &insert.query.body else { panic!("no SELECT") };
        let crate::ast::Relation::Window(window) = &select.from.first.relation else {
            panic!("no window")
        };
        assert_eq!(window.table.value, "t");
        assert!(window.offset.is_some());
    }
}

#[test]
fn leftovers_are_refused() {
    let text = "INSERT INTO r SELECT a FROM t WHERE v BETWEEN -40 AND AND 125";
    assert!(run(text).is_err());
}
