//! Wrong pipelines and what is said about each. `HEADWATER_BLESS=1` writes what is said now.

use std::path::{Path, PathBuf};

use headwater_plan::{Target, Vars, compile};

/// The wrong pipelines, in the order of their names.
fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = std::fs::read_dir(folder).expect("the folder of wrong pipelines");
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    scripts.sort();
    scripts
}

#[test]
fn wrong_pipelines_are_told_where_and_what_to_do() {
    let bless = std::env::var_os("HEADWATER_BLESS").is_some();
    let scripts = scripts();
    assert!(scripts.len() >= 80, "only {} wrong pipelines", scripts.len());
    let mut wrong = Vec::new();
    for path in scripts {
        let text = std::fs::read_to_string(&path).expect("a script");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let issues = compile(&text, &name, &Vars::new(), Target::Cut)
            .err()
            .unwrap_or_else(|| panic!("{name} compiles"));
        let shown: Vec<String> = issues.iter().map(|issue| format!("{issue}\n")).collect();
        let shown = shown.join("\n");
        for issue in &issues {
            assert!(issue.line > 0 && issue.column > 0, "{name}: {shown}");
            let lines = u64::try_from(text.lines().count()).expect("few lines");
            assert!(issue.line <= lines, "{name}: {shown}");
            assert!(!issue.remedy.is_empty(), "{name}: {shown}");
        }
        let golden = path.with_extension("txt");
        if bless {
            std::fs::write(&golden, &shown).expect("written");
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != shown {
            wrong.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
