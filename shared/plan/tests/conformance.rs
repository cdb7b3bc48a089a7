//! Every shared conformance pipeline compiles, whole and cut, or is refused by the name of what
//! it lacks.

use std::path::PathBuf;

use headwater_plan::{Target, Vars, compile};

/// Where the shared cases are: beside the project, or where `HEADWATER_SHARED` says.
fn pipelines() -> Vec<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared: PathBuf =
        std::env::var_os("HEADWATER_SHARED").map_or_else(|| beside.into(), Into::into);
    let Ok(areas) = std::fs::read_dir(shared.join("conformance")) else {
        println!("skipped: no conformance cases in {}", shared.display());
        return Vec::new();
    };
    let mut pipelines: Vec<PathBuf> = areas
        .flat_map(|area| std::fs::read_dir(area.expect("an area").path()).into_iter().flatten())
        .map(|case| case.expect("a case").path().join("pipeline.sql"))
        .filter(|path| path.is_file())
        .collect();
    pipelines.sort();
    pipelines
}

#[test]
fn pipelines_compile_or_name_what_they_lack() {
    let vars: Vars = ["CASE", "DATA", "OUT"].map(|k| (k.to_owned(), format!("/{k}"))).into();
    let pipelines = pipelines();
    let mut compiled = 0;
    for path in &pipelines {
        let text = std::fs::read_to_string(path).unwrap();
        let case = path.parent().unwrap().strip_prefix(path.ancestors().nth(3).unwrap());
        let case = case.unwrap().display().to_string();
        let file = format!("{case}/pipeline.sql");
        let whole = compile(&text, &file, &vars, Target::Whole);
        let cut = compile(&text, &file, &vars, Target::Cut);
        match (whole, cut) {
            (Ok(_), Ok(_)) => compiled += 1,
            (Err(issues), Err(_)) => {
                for issue in &issues {
                    println!("{case}: {}", issue.message);
                    assert!(issue.line > 0 && issue.column > 0, "{issue}");
                    assert!(issue.message.ends_with("not supported yet"), "{issue}");
                }
            }
            (whole, cut) => panic!("{case}: whole {}, cut {}", whole.is_ok(), cut.is_ok()),
        }
    }
    println!("{compiled} of {} conformance pipelines compile", pipelines.len());
}
