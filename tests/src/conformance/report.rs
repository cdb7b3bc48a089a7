//! Runs a suite and reports: a line for each case that did not pass, a table of areas and
//! verdicts, one line of JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, thread};

use serde_json::json;

use super::case::{Refusals, Suite};
use super::run::{Mode, Verdict, run_case};

/// How a suite is run.
#[derive(Debug)]
pub struct Options {
    /// The aggregator's binary.
    pub program: PathBuf,
    /// Folder for results, one folder per case in it.
    pub out: PathBuf,
    /// Mode for every case.
    pub mode: Mode,
    /// Time per run of the binary.
    pub timeout: Duration,
    /// Cases at a time.
    pub jobs: usize,
}

/// Verdicts by case.
#[derive(Debug, Default)]
pub struct Report {
    verdicts: BTreeMap<String, Verdict>,
}

impl Report {
    /// Runs every case of `suite`.
    ///
    /// # Panics
    /// When the output folder cannot be written to.
    #[must_use]
    pub fn run(suite: &Suite, options: &Options) -> Report {
        let next = AtomicUsize::new(0);
        let verdicts = Mutex::new(BTreeMap::new());
        let work = || {
            while let Some(case) = suite.cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                let out = options.out.join(&case.name);
                if out.exists() {
                    fs::remove_dir_all(&out).expect("an old result can be removed");
                }
                fs::create_dir_all(&out).expect("the output folder can be written to");
                let verdict = run_case(case, &options.program, &out, options.mode, options.timeout);
                let mut verdicts = verdicts.lock().expect("no worker panics with the lock held");
                verdicts.insert(case.name.clone(), verdict);
            }
        };
        thread::scope(|scope| {
            for _ in 0..options.jobs.max(1) {
                scope.spawn(work);
            }
        });
        Report { verdicts: verdicts.into_inner().expect("the workers have ended well") }
    }

    /// How many cases have the verdict with this name.
    #[must_use]
    pub fn count(&self, verdict: &str) -> usize {
        self.verdicts.values().filter(|v| v.name() == verdict).count()
    }

    /// What is not as it must be: a case that neither passes nor is refused as listed, and a case
    /// that is listed and passes.
    #[must_use]
    pub fn faults(&self, refusals: &Refusals) -> Vec<String> {
        let fault = |(name, verdict): (&String, &Verdict)| match (verdict, refusals.lacks(name)) {
            (Verdict::Pass | Verdict::OrderMatters, None) | (Verdict::Refused(_), Some(_)) => None,
            (Verdict::Pass, Some(construct)) => {
                Some(format!("{name}: passes: take it off the list of {construct:?}"))
            }
            (verdict, _) => Some(format!("{name}: {verdict}")),
        };
        self.verdicts.iter().filter_map(fault).collect()
    }

    /// A line for each case that did not pass, the table, and a line of JSON.
    #[must_use]
    pub fn text(&self, refusals: &Refusals) -> String {
        let mut text = String::new();
        let mut areas: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (name, verdict) in &self.verdicts {
            let area = name.split('/').next().expect("split gives at least one part");
            *areas.entry(area).or_default().entry(verdict.name()).or_default() += 1;
            if !matches!(verdict, Verdict::Pass | Verdict::OrderMatters) {
                let lacks = refusals.lacks(name).map(|c| format!(" [lacks {c}]"));
                let _ = writeln!(text, "{name}: {verdict}{}", lacks.unwrap_or_default());
            }
        }
        let row = |name: &str, cell: &dyn Fn(&str) -> String| {
            let cells: String = Verdict::NAMES.map(|v| format!("{:>12}", cell(v))).concat();
            format!("{name:24}{cells}\n")
        };
        text.push('\n');
        text += &row("area", &|verdict| verdict.to_owned());
        for (area, counts) in &areas {
            text += &row(area, &|v| counts.get(v).copied().unwrap_or(0).to_string());
        }
        let counts: BTreeMap<_, _> = Verdict::NAMES.map(|v| (v, self.count(v))).into();
        let line = json!({ "cases": self.verdicts.len(), "verdicts": counts });
        let _ = writeln!(text, "{line}");
        text
    }
}

/// The list of refusals that the project accepts.
#[must_use]
pub fn refusals_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/refused.toml")
}

/// The project's own cases.
#[must_use]
pub fn cases_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/cases")
}
