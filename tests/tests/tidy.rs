//! House rules that neither the compiler nor clippy checks: lengths of files and lines, module
//! comments, the direction of dependencies, and where redb, sqlparser, tokio and rumqttc may be.
//! Lengths of functions are clippy's.

mod tidy {
    pub(crate) mod crates;
    pub(crate) mod sources;
}

use tidy::crates::{Crate, check_dependencies};
use tidy::sources::{Source, check_source};

use headwater_tests::scratch::workspace_dir;

#[test]
fn sources_keep_the_house_rules() {
    let sources = Source::read_all(&workspace_dir());
    assert!(sources.len() > 20, "found only {} sources", sources.len());
    let faults: Vec<_> = sources.iter().flat_map(check_source).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn dependencies_go_one_way() {
    let crates = Crate::read_all(&workspace_dir());
    assert!(crates.len() >= 8, "found only {} crates", crates.len());
    let faults: Vec<_> = crates.iter().flat_map(check_dependencies).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_fault_of_each_kind_is_found() {
    let check = |path: &str, text: &str| {
        check_source(&Source { path: path.into(), text: text.into() }).join("\n")
    };
    assert_eq!(check("a.rs", "//! What it is.\n"), "");
    let long = format!("//! What it is.\n{}", "let x = 1;\n".repeat(401));
    assert!(check("a.rs", &long).contains("401 lines of code"));
    let commented = format!("//! What it is.\n{}", "\n// why\n".repeat(401));
    assert_eq!(check("a.rs", &commented), "");
    let inline_tests = format!("//! What.\n#[cfg(test)]\nmod tests {{\n{}}}", "x();\n".repeat(151));
    assert!(check("a.rs", &inline_tests).contains("tests.rs"), "long tests belong beside");
    assert!(check("a.rs", "fn f() {}\n").contains("module comment"));
    let wide = format!("//! What it is.\nlet x = \"{}\";\n", "ä".repeat(100));
    assert!(check("a.rs", &wide).contains("a.rs:2: 111 columns"));
    assert!(check("a/mod.rs", "//! What it is.\n").contains("mod.rs"));
    assert!(check("a.rs", concat!("//! What.\nto", "do!()\n")).contains("a.rs:2"));
    assert!(check("a.sh", concat!("cd /ro", "ot/x\n")).contains("a.sh:1"));
}

#[test]
fn a_dependency_against_the_direction_is_found() {
    let check = |name: &str, dependencies: &[&str]| {
        let dependencies = dependencies.iter().map(|d| (*d).to_owned()).collect();
        check_dependencies(&Crate { name: name.into(), dependencies }).join("\n")
    };
    assert_eq!(check("headwater-runtime", &["headwater-store", "headwater-plan", "tokio"]), "");
    assert!(check("headwater-engine", &["headwater-plan"]).contains("headwater-plan"));
    assert!(check("headwater-plan", &["headwater-store"]).contains("headwater-store"));
    assert!(check("headwater-runtime", &["redb"]).contains("redb"));
    assert!(check("headwater-runtime", &["sqlparser"]).contains("sqlparser"));
    assert!(check("headwater-store", &["tokio"]).contains("tokio"));
    assert!(check("headwater-unknown", &[]).contains("no place"));
}
