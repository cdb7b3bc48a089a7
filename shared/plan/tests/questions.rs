//! What a script asks and sets: DESCRIBE, EXPLAIN, statement sets, Flink's settings.

use headwater_engine::fragment::OperatorSpec;
use headwater_plan::{Plan, Target, Vars, compile};

const TABLES: &str = "\
CREATE TABLE readings (
  id STRING NOT NULL, ts BIGINT, v DOUBLE,
  site STRING METADATA FROM 'topic-segment.2' VIRTUAL,
  rt AS TO_TIMESTAMP_LTZ(ts,
    3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'mqtt', 'url' = 'mqtt://h:1', 'topic' = 'r/+', 'format' = 'json');
CREATE TABLE high (id STRING, v DOUBLE, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'print');
CREATE TABLE low (id STRING, v DOUBLE) WITH ('connector' = 'print');
CREATE VIEW named AS SELECT id, v AS val, rt FROM readings WHERE id <> '';
";

fn compiled(rest: &str) -> Result<Plan, String> {
    let text = [TABLES, rest].concat();
    compile(&text, "p.sql", &Vars::new(), Target::Whole)
        .map_err(|issues| issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

const INSERT: &str = "INSERT INTO low SELECT id, v FROM readings;\n";

#[test]
fn describe_has_flinks_columns() {
    let plan = compiled(&format!("DESCRIBE readings;\nDESC EXTENDED named;\n{INSERT}")).unwrap();
    let [table, view] = plan.notes.as_slice() else { panic!("{:?}", plan.notes) };
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "p.sql:11:10: DESCRIBE readings");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    assert_eq!(cells(lines[2]), ["name", "type", "null", "key", "extras", "watermark"]);
    assert_eq!(cells(lines[4]), ["id", "STRING", "FALSE", "", "", ""]);
    assert_eq!(cells(lines[5]), ["ts", "BIGINT", "TRUE", "", "", ""]);
    assert_eq!(
        cells(lines[7]),
        ["site", "STRING", "TRUE", "", "METADATA FROM 'topic-segment.2' VIRTUAL", ""]
    );
    let rowtime = "TIMESTAMP_LTZ(3) *ROWTIME*";
    let computed = "AS TO_TIMESTAMP_LTZ(ts, 3)";
    let watermark = "rt - INTERVAL '5' SECOND";
    assert_eq!(cells(lines[8]), ["rt", rowtime, "TRUE", "", computed, watermark]);
    assert!(view.contains("val") && view.contains("DOUBLE"), "{view}");
    assert!(view.contains(rowtime), "{view}");
    let plan = compiled(&format!("DESCRIBE high;\n{INSERT}")).unwrap();
    assert!(plan.notes[0].contains("| FALSE | PRI(id) |"), "{}", plan.notes[0]);
}

#[test]
fn describe_marks_times_as_flink_does() {
    let plan = compiled(
        "CREATE TABLE arrivals (id STRING, p AS PROCTIME(), rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
         WITH ('connector' = 'filesystem', 'path' = '/in', 'format' = 'json');
         CREATE VIEW found AS SELECT p AS q, r FROM arrivals MATCH_RECOGNIZE (ORDER BY rt
           MEASURES MATCH_PROCTIME() AS p, MATCH_ROWTIME() AS r PATTERN (A) DEFINE A AS id <> '');
         DESCRIBE arrivals; DESCRIBE found;",
    )
    .unwrap();
    let notes = plan.notes.concat();
    let rows = notes.split_whitespace().collect::<Vec<_>>().join(" ");
    for row in [
        "| p | TIMESTAMP_LTZ(3) *PROCTIME* | FALSE |",
        "| q | TIMESTAMP_LTZ(3) *PROCTIME* | FALSE |",
        "| r | TIMESTAMP(3) *ROWTIME* | FALSE |",
    ] {
        assert!(rows.contains(row), "{rows}");
    }
}

#[test]
fn what_is_explained_is_not_run() {
    let explain =
        "EXPLAIN CHANGELOG_MODE INSERT INTO high SELECT id, val FROM named WHERE val > 5;\n";
    let plan = compiled(&format!("{explain}{INSERT}")).unwrap();
    assert!(!plan.is_question);
    assert!(plan.table("high").is_none());
    assert_eq!(plan.fingerprint, compiled(INSERT).unwrap().fingerprint);
    assert!(plan.notes[0].contains("EXPLAIN") && plan.notes[0].contains("output high"));
    let plan = compiled(explain).unwrap();
    assert!(plan.is_question && plan.table("high").is_some());
    assert!(compiled("").unwrap_err().contains("inserts nothing"));
    assert!(compiled("EXPLAIN DROP TABLE low;").unwrap_err().contains("an INSERT"));
}

#[test]
fn statement_sets_share_scans_and_views() {
    let inserts = "INSERT INTO high SELECT id, val FROM named WHERE val > 5;\n\
                   INSERT INTO low SELECT id, val FROM named WHERE val <= 5;\n";
    let plain = compiled(inserts).unwrap();
    for (begin, end) in
        [("EXECUTE STATEMENT SET BEGIN\n", "END;\n"), ("BEGIN STATEMENT SET;\n", "END;\n")]
    {
        let plan = compiled(&[begin, inserts, end].concat()).unwrap();
        assert_eq!(plan.fingerprint, plain.fingerprint);
    }
    let fragment = plain.whole.unwrap();
    assert_eq!((fragment.scans.len(), fragment.outputs.len()), (1, 2));
}

#[test]
fn settings_of_flink() {
    let plan = compiled(&format!("SET 'parallelism.default' = '4';\n{INSERT}")).unwrap();
    assert_eq!(plan.notes, ["p.sql:11:5: 'parallelism.default' changes nothing here"]);
    assert!(plan.settings.contains_key("parallelism.default"));
    let dedup = "INSERT INTO low SELECT id, v FROM (SELECT *, ROW_NUMBER() OVER (\
                 PARTITION BY id ORDER BY rt ASC) AS rn FROM readings) WHERE rn = 1;";
    for (ttl, expected) in [("1 h", Some(3_600_000)), ("250", Some(250)), ("0 s", None)] {
        let set = format!("SET 'table.exec.state.ttl' = '{ttl}';\n{dedup}");
        let plan = compiled(&set).unwrap();
        let steps = &plan.whole.as_ref().unwrap().steps;
        let found = steps.iter().find_map(|step| match &step.operator {
            OperatorSpec::DedupFirst(spec) => Some(spec.ttl_ms),
            _ => None,
        });
        assert_eq!(found, Some(expected), "{ttl}");
    }
}

#[test]
fn a_query_alone_and_a_statement_set_are_explained() {
    let plan = compiled("EXPLAIN SELECT id, COUNT(*) AS n FROM readings GROUP BY id;\n").unwrap();
    assert!(plan.is_question);
    let note = &plan.notes[0];
    assert!(note.starts_with("p.sql:11:9: EXPLAIN"), "{note}");
    assert!(note.contains("output (query)") && note.contains("aggregate COUNT(*)"), "{note}");
    let set = "EXPLAIN STATEMENT SET BEGIN\nINSERT INTO high SELECT id, MAX(v) FROM readings \
               GROUP BY id;\nINSERT INTO low SELECT id, v FROM readings WHERE v < 1;\nEND;\n";
    let plan = compiled(set).unwrap();
    assert!(plan.is_question);
    let [note] = plan.notes.as_slice() else { panic!("{:?}", plan.notes) };
    for part in ["p.sql:12:13: EXPLAIN", "output high", "output low", "(as above)"] {
        assert!(note.contains(part), "{part}: {note}");
    }
    // What follows the END is run again.
    let plan = compiled(&format!("{set}{INSERT}")).unwrap();
    assert!(!plan.is_question);
    assert_eq!(plan.fingerprint, compiled(INSERT).unwrap().fingerprint);
    assert!(compiled("EXPLAIN VALUES (1, 'a');\n").unwrap().is_question);
}
