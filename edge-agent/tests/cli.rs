//! The command line as scripts and service managers see it: exit codes, and errors on standard
//! error with their place and remedy.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A working directory that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hw-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn agent(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater-agent"));
        command.args(arguments).current_dir(&self.0).output().unwrap()
    }

    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.agent(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.is_empty(), "{arguments:?} says nothing");
        said
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.agent(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const PIPELINE: &str = "CREATE TABLE a (x BIGINT) WITH (\n  \
    'connector'='filesystem', 'path'='in.ndjson', 'format'='json');\n\
    CREATE TABLE b (x BIGINT) WITH (\n  \
    'connector'='filesystem', 'path'='out.ndjson', 'format'='json');\n\
    INSERT INTO b SELECT x + 1 FROM a WHERE x < 3;\n";

#[test]
fn what_init_writes_passes_check_and_is_not_overwritten() {
    let folder = Folder::new("init");
    folder.succeeds(&["init"]);
    folder.succeeds(&["check", "pipeline.sql"]);
    assert!(folder.succeeds(&["explain", "pipeline.sql"]).contains("core fragment"));
    let json = folder.succeeds(&["explain", "pipeline.sql", "--json", "--standalone"]);
    assert!(json.starts_with('{'));
    let said = folder.fails(&["init"], 1);
    assert!(said.contains("there already"), "{said}");
    assert!(folder.0.join("agent.toml").is_file());
}

#[test]
fn a_pipeline_runs_alone_and_its_state_can_be_inspected_and_reset() {
    let folder = Folder::new("run");
    folder.write("p.sql", PIPELINE);
    folder.write("in.ndjson", "{\"x\":1}\nno json\n{\"x\":2}\n{\"x\":3}\n");
    folder.succeeds(&["run", "--standalone", "p.sql", "--state-dir", "state"]);
    let out = fs::read_to_string(folder.0.join("out.ndjson")).unwrap();
    assert_eq!(out, "{\"x\":2}\n{\"x\":3}\n");
    let shown = folder.succeeds(&["inspect", "state"]);
    assert!(shown.contains("dead_letters: 1"), "{shown}");
    let json = folder.succeeds(&["inspect", "state", "--json"]);
    assert!(json.contains("\"positions\""), "{json}");
    // It goes on where it was: nothing twice.
    folder.succeeds(&["run", "--standalone", "p.sql", "--state-dir", "state"]);
    assert_eq!(fs::read_to_string(folder.0.join("out.ndjson")).unwrap(), out);
    folder.fails(&["reset", "state"], 2);
    folder.succeeds(&["reset", "state", "--yes"]);
    folder.fails(&["inspect", "state"], 74);
}

#[test]
fn faults_of_pipeline_and_configuration_are_exit_78() {
    let folder = Folder::new("config");
    folder.write("p.sql", &PIPELINE.replace("SELECT x + 1", "SELECT y + 1"));
    let said = folder.fails(&["check", "p.sql"], 78);
    assert!(said.contains("p.sql:5:") && said.contains("remedy"), "{said}");
    folder.write("p.sql", PIPELINE);
    let said = folder.fails(&["check", "--standalone", "p.sql"], 78);
    assert!(said.contains("p.sql:2:36"), "the source is not there: {said}");
    folder.write("agent.toml", "id = \"a\"\nstate-dri = \"s\"\n");
    let said = folder.fails(&["run", "p.sql"], 78);
    assert!(said.contains("agent.toml:2:") && said.contains("did you mean"), "{said}");
    folder.fails(&["run", "--config", "absent.toml", "p.sql"], 78);
    folder.fails(&["check", "absent.sql"], 78);
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    let folder = Folder::new("usage");
    folder.fails(&["rnu"], 2);
    folder.fails(&["run", "--standalone", "p.sql", "--set", "novalue"], 2);
    folder.fails(&["run", "p.sql", "--drain-after-idle", "2"], 2);
    assert!(folder.succeeds(&["--version"]).starts_with("headwater-agent "));
}

#[test]
fn damaged_state_is_exit_74_and_a_node_that_does_not_run_exit_1() {
    let folder = Folder::new("state");
    folder.write("p.sql", PIPELINE);
    folder.write("in.ndjson", "");
    fs::create_dir_all(folder.0.join("state")).unwrap();
    folder.write("state/state.redb", "not a database");
    let said = folder.fails(&["run", "--standalone", "p.sql", "--state-dir", "state"], 74);
    assert!(said.contains("remedy"), "{said}");
    folder.fails(&["inspect", "state"], 74);
    folder.fails(&["status", "--addr", "127.0.0.1:9"], 1);
    assert!(Path::new(&folder.0).is_dir());
}
