//! What `explain` prints, byte for byte. `HEADWATER_BLESS=1` writes what is printed now.

use std::path::Path;

use headwater_plan::{Target, Vars, compile};

fn golden(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain");
    let text = std::fs::read_to_string(folder.join(format!("{name}.sql"))).expect("a script");
    let mut shown = String::new();
    for target in [Target::Cut, Target::Whole] {
        let plan = compile(&text, &format!("{name}.sql"), &Vars::new(), target);
        let plan = plan.unwrap_or_else(|issues| {
            panic!("{}", issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        shown.push_str(&without_sizes(&plan.explain()));
        shown.push('\n');
        let json = serde_json::to_string(&plan.explain_json()).expect("JSON");
        assert!(json.contains(&format!("{:016x}", plan.fingerprint)));
    }
    let file = folder.join(format!("{name}.txt"));
    if std::env::var_os("HEADWATER_BLESS").is_some() {
        std::fs::write(&file, &shown).expect("written");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(shown, expected, "{name}");
}

/// Ceilings belong to the engine, which may lower them: only that they are there is checked.
fn without_sizes(text: &str) -> String {
    let line = |line: &str| {
        let Some((before, _)) = line.split_once(" of memory") else { return line.to_owned() };
        let (before, unit) = before.rsplit_once(' ').expect("a unit");
        let (before, count) = before.rsplit_once(' ').expect("a number");
        assert!(count.parse::<u64>().is_ok_and(|n| n > 0), "{line}");
        assert!(["B", "KiB", "MiB"].contains(&unit), "{line}");
        format!("{before} … of memory")
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn a_gateways_job() {
    golden("gateway");
}

#[test]
fn rows_in_order() {
    golden("rows_in_order");
}

#[test]
fn deduplication_at_the_core() {
    golden("core_dedup");
}

#[test]
fn matches_by_arrival() {
    golden("match_proctime");
}

#[test]
fn joins_at_their_places() {
    golden("joins");
}

#[test]
fn versions_of_a_table() {
    golden("temporal_join");
}

#[test]
fn rows_of_the_script_itself() {
    golden("values");
}

#[test]
fn a_table_that_is_looked_up() {
    golden("lookup_join");
}

#[test]
fn tables_looked_up_at_the_core() {
    golden("core_lookup");
}
