//! The direction of dependencies between crates, read from every `Cargo.toml`.

use std::fs;
use std::path::Path;

use toml::Table;

/// A crate and what it depends on, dependencies of its tests left out.
pub(crate) struct Crate {
    /// Package name.
    pub(crate) name: String,
    /// Names of packages.
    pub(crate) dependencies: Vec<String>,
}

/// Each crate with its ring: it may depend on crates of inner rings only.
const RINGS: [(&str, u32); 9] = [
    ("headwater-engine", 0),
    ("headwater-plan", 1),
    ("headwater-wire", 1),
    ("headwater-store", 1),
    ("headwater-runtime", 2),
    ("headwater-cli", 3),
    ("headwater-agent", 4),
    ("headwater-aggregator", 4),
    ("headwater-tests", 5),
];

/// Packages that only some crates may use.
const CONFINED: [(&str, &[&str]); 6] = [
    ("redb", &["headwater-store"]),
    ("sqlparser", &["headwater-plan"]),
    ("tokio", &["headwater-runtime", "headwater-agent", "headwater-aggregator"]),
    ("rumqttc", &["headwater-runtime", "headwater-agent", "headwater-aggregator"]),
    // An agent must not carry a broker.
    ("rumqttd", &["headwater-aggregator", "headwater-tests"]),
    ("clap", &["headwater-cli", "headwater-agent", "headwater-aggregator"]),
];

impl Crate {
    /// Every member of the workspace.
    pub(crate) fn read_all(root: &Path) -> Vec<Crate> {
        let workspace = table(&root.join("Cargo.toml"));
        let members = workspace["workspace"]["members"].as_array().expect("members is a list");
        let members = members.iter().filter_map(toml::Value::as_str);
        members.map(|member| Crate::read(&root.join(member).join("Cargo.toml"))).collect()
    }

    fn read(path: &Path) -> Crate {
        let manifest = table(path);
        let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
        let mut dependencies = Vec::new();
        collect(&manifest, &mut dependencies);
        for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
            collect(target.1.as_table().expect("a target is a table"), &mut dependencies);
        }
        Crate { name, dependencies }
    }
}

fn collect(table: &Table, into: &mut Vec<String>) {
    for section in ["dependencies", "build-dependencies"] {
        if let Some(section) = table.get(section).and_then(toml::Value::as_table) {
            into.extend(section.keys().cloned());
        }
    }
}

fn table(path: &Path) -> Table {
    let text = fs::read_to_string(path).expect("a manifest can be read");
    text.parse().expect("a manifest is TOML")
}

/// Dependencies of `member` that go against the direction.
pub(crate) fn check_dependencies(member: &Crate) -> Vec<String> {
    let name = member.name.as_str();
    let ring = |name: &str| RINGS.iter().find(|(n, _)| *n == name).map(|(_, ring)| *ring);
    let Some(own) = ring(name) else {
        return vec![format!("{name} has no place in the order of crates")];
    };
    let fault = |dependency: &String| {
        let inward = ring(dependency).is_none_or(|ring| ring < own);
        let confined = CONFINED.iter().find(|(package, _)| package == dependency);
        let allowed = confined.is_none_or(|(_, crates)| crates.contains(&name));
        (!inward || !allowed).then(|| format!("{name} may not depend on {dependency}"))
    };
    member.dependencies.iter().filter_map(fault).collect()
}
