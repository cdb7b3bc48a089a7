//! Holds docs/reference/sql.md to the program: each statement, type, setting, connector, format,
//! option, aggregate and function of one is in the other, and every example is compiled.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use headwater_engine::{aggregate, functions};
use headwater_plan::{Target, compile, reference};
use headwater_tests::scratch::workspace_dir;

/// The document: tables by section, and examples.
struct Document {
    /// Heading of the section, cells of the row.
    rows: Vec<(String, Vec<String>)>,
    /// Words behind the fence, line, text.
    examples: Vec<(String, usize, String)>,
}

impl Document {
    fn read() -> Self {
        let path = workspace_dir().join("docs/reference/sql.md");
        Self::parse(&fs::read_to_string(path).unwrap())
    }

    fn parse(text: &str) -> Self {
        let mut document = Self { rows: Vec::new(), examples: Vec::new() };
        let mut section = String::new();
        let mut example: Option<(String, usize, String)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(fence) = line.strip_prefix("```") {
                match example.take() {
                    Some(done) => document.examples.push(done),
                    None => example = Some((fence.trim().to_owned(), number, String::new())),
                }
            } else if let Some((_, _, text)) = &mut example {
                text.push_str(line);
                text.push('\n');
            } else if let Some(heading) = line.strip_prefix("## ") {
                section = heading.to_owned();
            } else if line.starts_with('|') && !line.starts_with("| ---") {
                let line = line.replace("\\|", "\u{0}");
                let cells = line.trim_matches('|').split('|');
                let cells = cells.map(|cell| cell.trim().replace('\u{0}', "|")).collect();
                document.rows.push((section.clone(), cells));
            }
        }
        assert!(example.is_none(), "an example does not end");
        document
    }

    /// Texts between back-quotes in one column of a section's tables whose first heading is
    /// `table`, with the first column of their row.
    fn codes(&self, section: &str, table: &str, column: usize) -> Vec<(String, String)> {
        let heads =
            ["statement", "key", "type", "option", "connector", "format", "aggregate", "kind"];
        let mut found = Vec::new();
        let mut inside = false;
        for (_, cells) in self.rows.iter().filter(|(heading, _)| heading == section) {
            if heads.contains(&cells[0].as_str()) {
                inside = cells[0] == table;
            } else if inside {
                let first = spans(&cells[0]).first().cloned().unwrap_or_else(|| cells[0].clone());
                let codes = spans(cells.get(column).map_or("", String::as_str));
                found.extend(codes.into_iter().map(|code| (first.clone(), code)));
            }
        }
        assert!(!found.is_empty(), "no table '{table}' in the section '{section}'");
        found
    }

    fn names(&self, section: &str, table: &str, column: usize) -> BTreeSet<String> {
        self.codes(section, table, column).into_iter().map(|(_, code)| code).collect()
    }
}

/// What stands between back-quotes.
fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words of a list of functions, without what their parentheses hold.
fn words(list: &str) -> Vec<String> {
    let mut depth = 0;
    let kept = list.chars().filter(|c| {
        depth += i32::from(*c == '(');
        let outside = depth == 0;
        depth -= i32::from(*c == ')');
        outside
    });
    kept.collect::<String>().split_whitespace().map(str::to_owned).collect()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Both hold the same.
fn agree(what: &str, document: &BTreeSet<String>, program: &BTreeSet<String>) {
    let missing: Vec<_> = program.difference(document).collect();
    let unknown: Vec<_> = document.difference(program).collect();
    assert!(missing.is_empty(), "{what} that the document does not name: {missing:?}");
    assert!(unknown.is_empty(), "{what} that the program does not know: {unknown:?}");
}

#[test]
fn functions_and_aggregates() {
    let document = Document::read();
    let listed = document.codes("Operators and functions", "kind", 1);
    let listed: BTreeSet<String> = listed.iter().flat_map(|(_, code)| words(code)).collect();
    let is_word = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // Operators have words too; the unary minus is written as its sign.
    let operators = ["LIKE", "NEGATE"];
    let known = functions::all().map(|f| f.name).filter(|name| !operators.contains(name));
    let known = set(known.filter(is_word).chain(reference::special_functions().iter().copied()));
    agree("functions", &listed, &known);
    let listed = document.names("Aggregates", "aggregate", 0);
    agree("aggregates", &listed, &set(aggregate::ALL.iter().map(|a| a.name)));
}

#[test]
fn operators() {
    let text = fs::read_to_string(workspace_dir().join("docs/reference/sql.md")).unwrap();
    let (_, rest) = text.split_once("\nOperators: ").unwrap();
    let (list, _) = rest.split_once("\n\n").unwrap();
    let words: BTreeSet<&str> = list.split(|c: char| " `,\n[]|".contains(c)).collect();
    for name in functions::all().map(|f| f.name).filter(|name| !name.starts_with("IS ")) {
        let is_sign = name.bytes().all(|b| b.is_ascii_punctuation());
        assert!(!is_sign || name == "||" || words.contains(name), "{name} is not among: {list}");
    }
    for name in ["`||`", "LIKE", "DISTINCT FROM", "JSON [VALUE | OBJECT | ARRAY | SCALAR]"] {
        assert!(list.contains(name), "{name} is not among: {list}");
    }
}

#[test]
fn statements_and_settings() {
    let document = Document::read();
    let listed: Vec<String> = document
        .codes("Statements", "statement", 0)
        .into_iter()
        .map(|(_, code)| {
            // What may be left out is left out.
            code.replace("[TEMPORARY] ", "").replace("[IF NOT EXISTS] ", "")
        })
        .collect();
    for statement in reference::statements() {
        let found = listed.iter().any(|code| code.starts_with(statement));
        assert!(found, "the document does not name {statement}");
    }
    for code in listed.iter().filter(|code| !code.contains("STATEMENT SET")) {
        let found = reference::statements().iter().any(|s| code.starts_with(s));
        assert!(found, "the program does not know {code}");
    }
    let listed = document.names("Settings", "key", 0);
    agree("settings", &listed, &set(reference::settings().iter().copied()));
}

#[test]
fn types() {
    let document = Document::read();
    let name = |code: &String| code.split(['(', '<']).next().unwrap().to_owned();
    let listed: BTreeSet<String> = document.names("Types", "type", 0).iter().map(name).collect();
    let mut usable = BTreeSet::new();
    for name in reference::types() {
        let written = match *name {
            "ARRAY" => "ARRAY<INT>".to_owned(),
            "MAP" => "MAP<STRING, INT>".to_owned(),
            "MULTISET" => "MULTISET<STRING>".to_owned(),
            "ROW" => "ROW<x INT>".to_owned(),
            name => name.to_owned(),
        };
        let item = if *name == "ROW" { "c.x" } else { "c" };
        let sink = if *name == "ROW" { "INT" } else { written.as_str() };
        let pipeline = format!(
            "CREATE TABLE a (c {written}) \
             WITH ('connector'='filesystem', 'path'='a', 'format'='json');\n\
             CREATE TABLE b (c {sink}) WITH ('connector'='blackhole');\n\
             INSERT INTO b SELECT {item} FROM a;"
        );
        if compile(&pipeline, "p.sql", &BTreeMap::new(), Target::Whole).is_ok() {
            usable.insert((*name).to_owned());
        }
    }
    agree("types of columns", &listed, &usable);
}

#[test]
fn connectors_formats_and_options() {
    let document = Document::read();
    let section = "Table options";
    let mut listed = BTreeSet::new();
    for code in document.names(section, "option", 0) {
        listed.insert(format!("/{code}"));
    }
    for table in ["connector", "format"] {
        for (owner, code) in document.codes(section, table, 1) {
            listed.insert(format!("{owner}/{code}"));
        }
    }
    let known = reference::options().map(|(owner, key)| format!("{owner}/{key}")).collect();
    agree("options", &listed, &known);
    let values = document.codes(section, "option", 1);
    let connectors = values.into_iter().filter(|(option, _)| option == "connector");
    let connectors: BTreeSet<String> = connectors.map(|(_, value)| value).collect();
    agree("connectors", &connectors, &set(reference::connectors().iter().copied()));
    let formats = document.names(section, "format", 0);
    agree("formats", &formats, &set(reference::formats().iter().copied()));
}

/// Compiles `pipeline` whole and cut; the faults of either.
fn faults(pipeline: &str) -> Vec<String> {
    let compiled = [Target::Whole, Target::Cut]
        .map(|target| compile(pipeline, "sql.md", &BTreeMap::new(), target));
    let faults = compiled.into_iter().filter_map(Result::err).flatten();
    faults.map(|fault| fault.to_string()).collect()
}

#[test]
fn examples() {
    let document = Document::read();
    let preludes = document.examples.iter().filter(|(kind, ..)| kind == "sql prelude");
    let prelude: String = preludes.map(|(_, _, text)| text.as_str()).collect();
    let mut count = 0;
    for (kind, line, text) in &document.examples {
        let pipeline = match kind.as_str() {
            // Grammar, with what may be left out.
            "" | "sql prelude" => continue,
            "sql" => text.clone(),
            "sql query" | "sql refused" => format!(
                "{prelude}CREATE VIEW example AS {text};\n\
                 CREATE TABLE nowhere (x INT) WITH ('connector' = 'blackhole');\n\
                 INSERT INTO nowhere SELECT 1 FROM example;\n"
            ),
            other => panic!("sql.md:{line}: '{other}' is no kind of example"),
        };
        let faults = faults(&pipeline);
        match kind.as_str() {
            "sql refused" => assert!(!faults.is_empty(), "sql.md:{line}: this is accepted"),
            _ => assert!(faults.is_empty(), "sql.md:{line}:\n{}", faults.join("\n")),
        }
        count += 1;
    }
    assert!(count >= 6, "only {count} examples");
}

#[test]
fn there_is_one_table_of_differences() {
    let document = Document::read();
    let heads = document.rows.iter().filter(|(_, cells)| cells == &["here", "Flink", "why"]);
    let sections: Vec<_> = heads.map(|(section, _)| section.as_str()).collect();
    assert_eq!(sections, ["Known differences to Flink"]);
}

#[test]
fn what_is_missing_on_either_side_is_found() {
    let text = "## Aggregates\n| aggregate |\n| --- |\n| `COUNT`, `GUESS` |\n";
    let listed = Document::parse(text).names("Aggregates", "aggregate", 0);
    assert_eq!(listed, set(["COUNT", "GUESS"]));
    for program in [set(["COUNT"]), set(["COUNT", "GUESS", "SUM"])] {
        assert!(std::panic::catch_unwind(|| agree("words", &listed, &program)).is_err());
    }
    assert_eq!(words("ABS FLOOR(t TO unit) E"), ["ABS", "FLOOR", "E"]);
    assert!(!faults("INSERT INTO a SELECT 1").is_empty());
}
