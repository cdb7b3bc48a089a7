//! Scripts that are too deep or too long end in a diagnostic, never in a crash.

use headwater_plan::{Diagnostic, Target, Vars, compile};

fn script(predicate: &str) -> Result<(), Vec<Diagnostic>> {
    let text = format!(
        "CREATE TABLE t (a INT) WITH ('connector' = 'datagen');\n\
         CREATE TABLE r (a INT) WITH ('connector' = 'print');\n\
         INSERT INTO r SELECT a FROM t WHERE {predicate};"
    );
    compile(&text, "p.sql", &Vars::new(), Target::Cut).map(|_| ())
}

#[test]
fn many_alternatives_are_planned() {
    let terms: Vec<String> = (0..180).map(|i| format!("a = {i}")).collect();
    script(&terms.join(" OR ")).expect("a plan");
    let list: Vec<String> = (0..1_500).map(|i| i.to_string()).collect();
    script(&format!("a IN ({})", list.join(", "))).expect("a plan");
}

#[test]
fn depth_is_refused() {
    for count in [60, 100, 150, 300, 900, 1_900, 100_000] {
        let sum = vec!["a"; count].join(" + ");
        let shown = script(&format!("{sum} > 0"));
        assert!(count <= 60 || shown.is_err(), "{count} terms");
    }
    for count in [10, 40, 1_000, 100_000] {
        let nested = format!("{}a > 0{}", "(".repeat(count), ")".repeat(count));
        assert!(count <= 40 || script(&nested).is_err(), "{count} brackets");
    }
    let nots = "NOT ".repeat(3_000);
    assert!(script(&format!("{nots} a > 0")).is_err());
}
