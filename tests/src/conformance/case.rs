//! Cases and suites on disk: finds them, reads `meta.toml`, substitutes the script's variables,
//! and knows which cases may be refused. Writes nothing but the pipeline it is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use toml::{Table, Value};

/// A folder of areas with cases, beside a folder `data`.
#[derive(Debug)]
pub struct Suite {
    /// The folder.
    pub root: PathBuf,
    /// Its cases by name, sorted.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// `area/case`.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// First part of the name.
    pub area: String,
    /// Columns of the result's primary key; empty without one.
    pub key: Vec<String>,
    /// Relative tolerance for doubles.
    pub rtol: f64,
    data: PathBuf,
}

/// Cases that may be refused, each with the construct it lacks.
#[derive(Debug, Default)]
pub struct Refusals(BTreeMap<String, String>);

impl Suite {
    /// Reads the cases of `root` whose name matches `only`.
    ///
    /// # Errors
    /// When a folder or a `meta.toml` cannot be read; the text names it.
    pub fn read(root: &Path, only: &Regex) -> Result<Suite, String> {
        let root = root.canonicalize().map_err(|e| format!("{}: {e}", root.display()))?;
        let mut cases = Vec::new();
        for area in folders(&root)? {
            for dir in folders(&area)? {
                if dir.join("meta.toml").is_file() {
                    let case = Case::read(&root, &dir)?;
                    if only.is_match(&case.name) {
                        cases.push(case);
                    }
                }
            }
        }
        Ok(Suite { root, cases })
    }
}

impl Case {
    fn read(root: &Path, dir: &Path) -> Result<Case, String> {
        let meta = read_toml(&dir.join("meta.toml"))?;
        let name = dir.strip_prefix(root).expect("a case lies in its suite");
        let name = name.to_string_lossy().into_owned();
        let area = name.split('/').next().expect("split gives at least one part").to_owned();
        let key = meta.get("key").and_then(Value::as_array).into_iter().flatten();
        let key = key.filter_map(Value::as_str).map(str::to_owned).collect();
        let rtol = meta.get("rtol").and_then(Value::as_float).unwrap_or(1e-12);
        Ok(Case { name, dir: dir.to_owned(), area, key, rtol, data: root.join("data") })
    }

    /// The script with its variables in place, results going to `out`.
    ///
    /// # Errors
    /// When the script cannot be read.
    pub fn pipeline(&self, out: &Path) -> Result<String, String> {
        let path = self.dir.join("pipeline.sql");
        let sql = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let variables = [("${DATA}", self.data.as_path()), ("${CASE}", &self.dir), ("${OUT}", out)];
        Ok(variables
            .into_iter()
            .fold(sql, |sql, (name, path)| sql.replace(name, &path.to_string_lossy())))
    }

    /// Whether it reads one of the large inputs that cases share.
    #[must_use]
    pub fn reads_data(&self) -> bool {
        let sql = fs::read_to_string(self.dir.join("pipeline.sql"));
        sql.is_ok_and(|sql| sql.contains("${DATA}"))
    }

    /// Where the expected rows are.
    #[must_use]
    pub fn expected(&self) -> PathBuf {
        self.dir.join("expected.ndjson")
    }
}

impl Refusals {
    /// Reads a list: tables named after a construct, each with `cases = [ … ]`.
    ///
    /// # Errors
    /// When the file cannot be read, is shaped otherwise, or lists a case twice.
    pub fn read(path: &Path) -> Result<Refusals, String> {
        let mut refusals = Refusals::default();
        for (construct, table) in read_toml(path)? {
            let shape = || format!("{}: {construct:?} has no list `cases`", path.display());
            let cases = table.get("cases").and_then(Value::as_array).ok_or_else(shape)?;
            for case in cases {
                let case = case.as_str().ok_or_else(shape)?.to_owned();
                if let Some(before) = refusals.0.insert(case.clone(), construct.clone()) {
                    return Err(format!("{case} is listed under {before:?} and {construct:?}"));
                }
            }
        }
        Ok(refusals)
    }

    /// The construct that a case lacks; `None` when it must be answered.
    #[must_use]
    pub fn lacks(&self, case: &str) -> Option<&str> {
        self.0.get(case).map(String::as_str)
    }

    /// Every listed case.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn read_toml(path: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|e| format!("{}: {e}", path.display()))
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut folders: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}
