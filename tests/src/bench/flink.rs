//! Flink's job for W1 beside ours, in one run on one machine. Needs Maven, a JDK and the job's
//! sources in the shared folder; says so where they are missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::files::{Input, input};
use super::{Measure, Result, cache_dir};
use crate::process::run;
use crate::scratch::{Scratch, shared_dir};
use crate::w1::W1;

/// Modules that Flink opens by reflection.
const OPENS: [&str; 3] = ["java.util", "java.lang", "java.time"];

/// Runs Flink's job on W1; `None`, with the reason printed, where it cannot be built.
///
/// # Errors
/// When it can be built and does not run.
pub fn w1(seconds: u64) -> Result<Option<Measure>> {
    let Some(class_path) = build()? else { return Ok(None) };
    let Input { path, expected } = input(&W1::with_seconds(seconds))?;
    let scratch = Scratch::new("flink")?;
    let mut command = Command::new("java");
    command.args(OPENS.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Xmx1g"]);
    command.args(["-XX:+UseParallelGC", "-cp", &class_path, "W1", "source=file", "par=1"]);
    command.arg(format!("path={}", path.display()));
    command.arg(format!("ckptdir={}", scratch.join("checkpoints").display()));
    let finished = run(&mut command, Duration::from_secs(1800))?.ok_or("did not end")?;
    if finished.code != Some(0) {
        return Err(format!("Flink: {:?}: {}", finished.code, finished.last_line()).into());
    }
    print!("{}", finished.stdout);
    Ok(Some(Measure {
        name: format!("flink, w1, file to nothing, {seconds} s"),
        readings: expected.lines,
        wall: finished.took,
        usage: finished.usage,
        uplink: None,
        notes: Vec::new(),
    }))
}

/// Fetches the libraries and compiles the job; the class path.
fn build() -> Result<Option<String>> {
    let Some(sources) = shared_dir().map(|dir| dir.join("bench/flink-w1")) else {
        println!("skipped: Flink's job: no shared folder");
        return Ok(None);
    };
    let have = |tool: &str| Command::new(tool).arg("-version").output().is_ok();
    if !sources.is_dir() || !have("mvn") || !have("javac") {
        println!("skipped: Flink's job: needs Maven, javac and {}", sources.display());
        return Ok(None);
    }
    let cache = cache_dir()?.join("flink-w1");
    let (libraries, classes) = (cache.join("lib"), cache.join("classes"));
    let class_path = format!("{}:{}/*", classes.display(), libraries.display());
    if classes.join("W1.class").is_file() {
        return Ok(Some(class_path));
    }
    fs::create_dir_all(&classes)?;
    eprintln!("fetching Flink and compiling its job");
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-f"]);
    maven.arg(sources.join("pom.xml"));
    maven.arg(format!("-DoutputDirectory={}", libraries.display()));
    let job = sources.join("src/main/java/W1.java");
    succeed(&mut maven)?;
    succeed(&mut compiler(&classes, &libraries, &job))?;
    Ok(Some(class_path))
}

fn compiler(classes: &Path, libraries: &Path, job: &PathBuf) -> Command {
    let mut command = Command::new("javac");
    command.arg("-d").arg(classes).arg("-cp").arg(format!("{}/*", libraries.display())).arg(job);
    command
}

fn succeed(command: &mut Command) -> Result<()> {
    let finished = run(command, Duration::from_secs(1200))?.ok_or("did not end")?;
    if finished.code != Some(0) {
        let said = format!("{}\n{}", finished.stdout, finished.stderr);
        return Err(format!("{}: {said}", command.get_program().display()).into());
    }
    Ok(())
}
