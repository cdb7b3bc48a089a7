use super::*;

/// A folder that is removed at the end of its test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hw-check-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn checked(&self, pipeline: &str, node: NodeConfig<'_>) -> Result<Plan, Failure> {
        let path = self.0.join("p.sql");
        fs::write(&path, pipeline).unwrap();
        let set = BTreeMap::from([("dir".to_owned(), self.0.display().to_string())]);
        check(Subject { pipeline: &path, set: &set, node })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const PIPELINE: &str = "CREATE TABLE a (x DOUBLE) WITH (\n  \
    'connector'='filesystem', 'path'='${dir}/in.ndjson', 'format'='json');\n\
    CREATE TABLE b (x DOUBLE) WITH (\n  \
    'connector'='filesystem', 'path'='${dir}/out.ndjson', 'format'='json');\n\
    INSERT INTO b SELECT x FROM a;\n";

#[test]
fn a_source_that_cannot_be_read_is_located() {
    let folder = Folder::new("source");
    let failure = folder.checked(PIPELINE, NodeConfig::Standalone).unwrap_err();
    assert_eq!(failure.exit, Exit::Config);
    assert!(failure.text.contains("p.sql:2:36"), "{failure}");
    assert!(failure.text.contains("cannot be read"), "{failure}");
    fs::write(folder.0.join("in.ndjson"), "").unwrap();
    folder.checked(PIPELINE, NodeConfig::Standalone).unwrap();
    let under_a_file = PIPELINE.replace("out.ndjson", "in.ndjson/out");
    let failure = folder.checked(&under_a_file, NodeConfig::Standalone).unwrap_err();
    assert!(failure.text.contains("p.sql:4:36"), "{failure}");
}

#[test]
fn an_aggregator_does_not_open_the_sources_of_agents() {
    let folder = Folder::new("place");
    let text = "id = \"core\"\nstate-dir = \"s\"\n[uplink]\nbroker = \"mqtt://localhost\"\n";
    let config = AggregatorConfig::parse("aggregator.toml", text).unwrap();
    folder.checked(PIPELINE, NodeConfig::Aggregator(&config)).unwrap();
}

#[test]
fn a_missing_secret_is_found_and_never_shown() {
    let folder = Folder::new("secret");
    let mqtt = "'connector'='mqtt', 'url'='mqtt://localhost', 'topic'='t',\n  \
                'password'='${secret:pw}', ";
    let pipeline = PIPELINE.replacen("'connector'='filesystem', ", mqtt, 1).replacen(
        "'path'='${dir}/in.ndjson', ",
        "",
        1,
    );
    let text = "id = \"a\"\nstate-dir = \"s\"\n[uplink]\nbroker = \"mqtt://localhost\"\n";
    let config = AgentConfig::parse("agent.toml", text).unwrap();
    let failure = folder.checked(&pipeline, NodeConfig::Agent(&config)).unwrap_err();
    assert!(failure.text.contains("secret 'pw'"), "{failure}");
    assert!(failure.text.contains("p.sql:3:14"), "{failure}");
    let password = folder.0.join("pw");
    fs::write(&password, "hunter2\n").unwrap();
    let text = format!("{text}[secrets]\npw = \"{}\"\n", password.display());
    let config = AgentConfig::parse("agent.toml", &text).unwrap();
    let plan = folder.checked(&pipeline, NodeConfig::Agent(&config)).unwrap();
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn a_pipeline_over_the_memory_limit_is_refused() {
    let folder = Folder::new("memory");
    fs::write(folder.0.join("in.ndjson"), "").unwrap();
    let text = "id = \"a\"\nstate-dir = \"s\"\n[limits]\nmemory = \"1KiB\"\n";
    let config = AgentConfig::parse("agent.toml", text).unwrap();
    let failure = folder.checked(PIPELINE, NodeConfig::Agent(&config)).unwrap_err();
    assert!(failure.text.contains("of memory") && failure.text.contains("[limits]"), "{failure}");
    assert!(failure.text.contains("no [uplink]"), "{failure}");
}

#[test]
fn sql_faults_and_absent_files_are_exit_78() {
    let folder = Folder::new("sql");
    let failure = folder.checked("SELEKT 1;", NodeConfig::Standalone).unwrap_err();
    assert!(failure.exit == Exit::Config && failure.text.contains("p.sql:1:"), "{failure}");
    let set = BTreeMap::new();
    let absent = Path::new("/nonexistent/p.sql");
    let subject = Subject { pipeline: absent, set: &set, node: NodeConfig::Standalone };
    assert_eq!(explain(subject, false).unwrap_err().exit, Exit::Config);
}
