//! Where sources are read: at the edge, and tables that are looked up where their lookup is.
//!
//! Guarantees: all lookups of one table are at one place. The core reads files alone.

use headwater_engine::fragment::{Fragment, Input};

use super::place_of;
use crate::catalog::TableDef;
use crate::diagnostic::Issue;
use crate::local::{self, Placement};
use crate::lower::Layout;
use crate::plan::Place;

/// The place of each scan.
pub(super) fn places(
    whole: &Fragment,
    layout: &Layout,
    tables: &[TableDef],
    issues: &mut Vec<Issue>,
) -> Vec<Place> {
    let def = |scan: usize| &tables[layout.scans[scan].0];
    let mut places: Vec<Place> =
        (0..whole.scans.len()).map(|scan| place_of(def(scan), true)).collect();
    while let Some(scan) = moved(whole, layout, tables, &places) {
        if let Some((_, span)) = def(scan).options.get("at") {
            let message = format!("'{}' is looked up at the core", def(scan).name.value);
            let remedy = "remove 'at' = 'edge', or look it up before rows of several gateways meet";
            issues.push(Issue::new(span, message, remedy));
        }
        places[scan] = Place::Core;
    }
    for scan in (0..places.len()).filter(|scan| places[*scan] == Place::Core) {
        issues.extend(unreadable(def(scan)));
    }
    places
}

/// Why the core cannot read a source.
fn unreadable(table: &TableDef) -> Option<Issue> {
    let (name, options) = (&table.name.value, &table.options);
    if options.connector != "filesystem" {
        let (_, span) = options.get("at")?;
        let message = format!("'{name}' is read at the core, which reads files alone");
        let remedy = "remove 'at' = 'core': what it sends then comes by way of an agent";
        return Some(Issue::new(span, message, remedy));
    }
    let (_, span) = options.get("scan.watermark.alignment.group")?;
    let message = format!("'{name}' is read at the core, which aligns no sources");
    Some(Issue::new(span, message, "remove the options scan.watermark.alignment.*"))
}

/// A table that is still at the edge, and looked up at the core.
fn moved(
    whole: &Fragment,
    layout: &Layout,
    tables: &[TableDef],
    places: &[Place],
) -> Option<usize> {
    let mut steps: Vec<Place> = Vec::new();
    for (index, step) in whole.steps.iter().enumerate() {
        let at = |input: &Input| match input {
            Input::Scan(scan) => places[*scan],
            Input::Step(step) => steps[*step],
        };
        let is_edge = step.inputs.iter().all(|input| at(input) == Place::Edge)
            && local::placement(whole, index, layout, tables) == Placement::Edge;
        let table = step.table().map(|input| whole.first_scan(input));
        if let Some(scan) = table.filter(|scan| !is_edge && places[*scan] == Place::Edge) {
            return Some(scan);
        }
        steps.push(if is_edge { Place::Edge } else { Place::Core });
    }
    None
}
