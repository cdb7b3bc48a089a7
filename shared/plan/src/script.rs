//! A whole script: every statement read, every fault of syntax reported at once.
//!
//! Does not resolve names; that is the catalog's business.

use crate::diagnostic::{Issue, Source};
use crate::lex::{self, Vars};
use crate::statement::{self, CreateTable, CreateView, Insert, Set, Statement};

/// The statements of a script, by kind, in their order.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Tables and views share one name space and refer only backwards.
    pub(crate) definitions: Vec<Definition>,
    pub(crate) inserts: Vec<Insert>,
    pub(crate) settings: Vec<Set>,
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
    for tokens in lex::statements(source, vars, issues) {
        match statement::parse(tokens) {
            Ok(None) => {}
            Ok(Some(Statement::CreateTable(t))) => {
                script.definitions.push(Definition::Table(t.into()))
            }
            Ok(Some(Statement::CreateView(v))) => {
                script.definitions.push(Definition::View(v.into()))
            }
            Ok(Some(Statement::Insert(insert))) => script.inserts.push(insert),
            Ok(Some(Statement::Set(set))) => script.settings.push(set),
            Err(issue) => issues.push(issue),
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the shared conformance cases are: beside the project, or where the variable says.
    fn shared() -> std::path::PathBuf {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
        std::env::var_os("HEADWATER_SHARED").map_or_else(|| beside.into(), Into::into)
    }

    #[test]
    fn conformance_pipelines_parse_or_name_what_they_lack() {
        let root = shared().join("conformance");
        if !root.is_dir() {
            println!("skipped: conformance_pipelines_parse_or_name_what_they_lack: no {root:?}");
            return;
        }
        let vars: Vars = ["CASE", "DATA", "OUT"].map(|k| (k.to_owned(), "/x".to_owned())).into();
        let mut pipelines: Vec<_> = std::fs::read_dir(&root)
            .unwrap()
            .flat_map(|area| std::fs::read_dir(area.unwrap().path()).into_iter().flatten())
            .map(|case| case.unwrap().path().join("pipeline.sql"))
            .filter(|path| path.is_file())
            .collect();
        pipelines.sort();
        let mut parsed = 0;
        for path in &pipelines {
            let text = std::fs::read_to_string(path).unwrap();
            let file = path.display().to_string();
            let source = Source { file: &file, text: &text };
            let mut issues = Vec::new();
            let script = parse(&source, &vars, &mut issues);
            if issues.is_empty() {
                parsed += 1;
                assert_eq!(script.inserts.len(), 1);
            }
            for issue in issues {
                assert!(issue.message.ends_with("not supported yet"), "{file}: {issue:?}");
                println!("{}", source.diagnostic(issue));
            }
        }
        println!("{parsed} of {} pipelines parse", pipelines.len());
    }
}
