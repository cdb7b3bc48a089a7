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

/// An agent without an uplink, and a pipeline that is at the edge as a whole.
fn at_the_edge(folder: &Folder, limits: &str) -> (AgentConfig, String) {
    fs::write(folder.0.join("in.ndjson"), "").unwrap();
    let state = folder.0.join("state");
    let text = format!("id = \"a\"\nstate-dir = \"{}\"\n{limits}", state.display());
    let config = AgentConfig::parse("agent.toml", &text).unwrap();
    (config, PIPELINE.replace("'path'='${dir}/out", "'at'='edge', 'path'='${dir}/out"))
}

#[test]
fn a_run_over_the_memory_limit_is_refused_and_names_what_takes_it() {
    let folder = Folder::new("memory-run");
    let (config, pipeline) = at_the_edge(&folder, "[limits]\nmemory = \"1KiB\"\n");
    let path = folder.0.join("run.sql");
    fs::write(&path, pipeline).unwrap();
    let set = BTreeMap::from([("dir".to_owned(), folder.0.display().to_string())]);
    let options = crate::driver::RunOptions { pipeline: path, set, ..Default::default() };
    let state = config.state_dir.clone();
    let error = crate::driver::run_agent(config, options).unwrap_err();
    assert_eq!(error.exit(), Exit::Config);
    let text = error.to_string();
    assert!(text.contains("texts of rows and keys") && text.contains("[limits]"), "{text}");
    assert!(!state.exists(), "nothing was opened");
}

#[test]
fn state_of_another_plan_is_found_and_left_alone() {
    let folder = Folder::new("state");
    let (config, pipeline) = at_the_edge(&folder, "");
    let node = NodeConfig::Agent(&config);
    let plan = folder.checked(&pipeline, node).unwrap();
    let record = driver::wiring::plan_record(&plan, plan.edge.as_ref().unwrap());
    let mut store = headwater_store::Store::open(
        &config.state_dir,
        &headwater_store::Options::new([7; 16], "m"),
    )
    .unwrap();
    let commit = headwater_store::Commit { epoch: 1, plan: Some(record), ..Default::default() };
    store.commit(&commit).unwrap();
    store.close().unwrap();
    folder.checked(&pipeline, node).unwrap();
    let other = pipeline.replace("SELECT x FROM a", "SELECT x FROM a WHERE x > 1");
    let failure = folder.checked(&other, node).unwrap_err();
    assert_eq!(failure.exit, Exit::Config);
    assert!(
        failure.text.contains("another plan") && failure.text.contains("filter-1"),
        "{failure}"
    );
    folder.checked(&pipeline, node).unwrap();
    fs::write(config.state_dir.join("state.redb"), "nonsense").unwrap();
    let failure = folder.checked(&pipeline, node).unwrap_err();
    assert_eq!(failure.exit, Exit::State, "{failure}");
    assert!(failure.text.contains("remedy"), "{failure}");
}

#[test]
fn sql_faults_and_absent_files_are_exit_78() {
    let folder = Folder::new("sql");
    let failure = folder.checked("SELEKT 1;", NodeConfig::Standalone).unwrap_err();
    assert!(failure.exit == Exit::Config && failure.text.contains("p.sql:1:"), "{failure}");
    let set = BTreeMap::new();
    let absent = Path::new("/nonexistent/p.sql");
    let subject = Subject { pipeline: absent, set: &set, node: NodeConfig::Standalone };
    assert_eq!(explain(subject, &Load::default(), false).unwrap_err().exit, Exit::Config);
}
