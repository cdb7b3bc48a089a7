//! A node under test: an agent or the aggregator with its own folder, configuration, pipeline and
//! health port; started, killed and started again on the same state. Does not know pipelines.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Finished, Process, Signal, Usage, binary, http_get, run, wait_until};
use crate::scratch::free_port;

/// How long a node may take until it is ready.
pub const READY_MAX: Duration = Duration::from_secs(10);

/// Which program a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `headwater-agent`.
    Agent,
    /// `headwater-aggregator`.
    Aggregator,
}

/// One agent or the aggregator.
#[derive(Debug)]
pub struct Node {
    kind: Kind,
    dir: PathBuf,
    http: SocketAddr,
    process: Option<Process>,
    /// What processes that have ended cost together; the peak is the largest one's.
    past: Usage,
    /// Starts so far.
    pub starts_count: u32,
}

impl Node {
    /// Writes configuration and pipeline of a node into `dir/id`. `broker` carries the frames;
    /// `extra` is TOML that is added at the end, in sections of its own.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new(
        kind: Kind,
        dir: &Path,
        id: &str,
        broker: SocketAddr,
        pipeline: &str,
        extra: &str,
    ) -> io::Result<Node> {
        let dir = dir.join(id);
        fs::create_dir_all(&dir)?;
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let state = dir.join("state");
        // Tests take far more checkpoints than a medium should be given.
        let budget = if kind == Kind::Agent { "flash-budget = \"none\"\n" } else { "" };
        let config = format!(
            "id = \"{id}\"\nfleet = \"test\"\n{budget}state-dir = \"{}\"\n\n\
             [uplink]\nbroker = \"mqtt://{broker}\"\n\n\
             [http]\nlisten = \"{http}\"\n\n{extra}\n",
            state.display()
        );
        fs::write(dir.join("node.toml"), config)?;
        fs::write(dir.join("pipeline.sql"), pipeline)?;
        Ok(Node { kind, dir, http, process: None, past: Usage::default(), starts_count: 0 })
    }

    /// Adds a line to the section `[uplink]` of the configuration, for the next start.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_uplink(&self, line: &str) -> io::Result<()> {
        let path = self.dir.join("node.toml");
        let text = fs::read_to_string(&path)?;
        fs::write(path, text.replace("[uplink]\n", &format!("[uplink]\n{line}\n")))
    }

    /// Replaces `from` by `to` in the configuration (`node.toml`) or in the pipeline
    /// (`pipeline.sql`), for the next start.
    ///
    /// # Errors
    /// When the file cannot be changed or does not hold `from`.
    pub fn edit(&self, file: &str, from: &str, to: &str) -> io::Result<()> {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path)?;
        if !text.contains(from) {
            return Err(io::Error::other(format!("{}: no {from:?}", path.display())));
        }
        fs::write(path, text.replace(from, to))
    }

    /// What the node says of its health, empty when it does not answer.
    #[must_use]
    pub fn health(&self) -> String {
        http_get(self.http, "/health").map(|(_, body)| body).unwrap_or_default()
    }

    /// Waits until health names all of `words`; the last text when it never does.
    ///
    /// # Errors
    /// What health says instead, when that has not happened within `timeout`.
    pub fn wait_for_health(&self, words: &[&str], timeout: Duration) -> Result<String, String> {
        let mut health = String::new();
        let said = wait_until(timeout, || {
            health = self.health();
            !health.is_empty() && words.iter().all(|word| health.contains(word))
        });
        match said {
            true => Ok(health),
            false => Err(format!("no {words:?} in {health}; log: {}", self.log())),
        }
    }

    /// The program with a subcommand, the configuration and the pipeline.
    #[must_use]
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.program());
        command.current_dir(&self.dir).arg(subcommand);
        command.args(["--config", "node.toml", "pipeline.sql"]);
        command
    }

    fn program(&self) -> PathBuf {
        binary(match self.kind {
            Kind::Agent => "headwater-agent",
            Kind::Aggregator => "headwater-aggregator",
        })
    }

    /// Starts the node without waiting.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&mut self) -> io::Result<()> {
        self.end();
        self.process = Some(Process::start(&mut self.command("run"))?);
        self.starts_count += 1;
        Ok(())
    }

    /// Starts the node and waits until it says that it is well.
    ///
    /// # Errors
    /// When it is not within [`READY_MAX`]; the text holds what it said.
    pub fn start_ready(&mut self) -> io::Result<Duration> {
        self.start()?;
        let ready = wait_until(READY_MAX, || self.is_ready() || !self.is_running());
        let process = self.process.as_ref().expect("it has just been started");
        if ready && self.is_ready() {
            return Ok(process.age());
        }
        let health = self.health();
        let said = process.output().1;
        Err(io::Error::other(format!("{}: {health}\n{said}", self.dir.display())))
    }

    /// Whether health is well.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        http_get(self.http, "/health").is_ok_and(|(code, _)| code == 200)
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Option<Finished> {
        let finished = self.process.as_mut().map(Process::kill);
        self.end();
        finished
    }

    /// SIGTERM, and how it ended; `None` when it did not within `timeout`, or does not run.
    pub fn stop(&mut self, timeout: Duration) -> Option<Finished> {
        let process = self.process.as_mut()?;
        process.signal(Signal::Term).ok()?;
        let finished = process.wait(timeout);
        self.end();
        finished
    }

    /// Waits for the end.
    pub fn wait(&mut self, timeout: Duration) -> Option<Finished> {
        let finished = self.process.as_mut()?.wait(timeout)?;
        self.end();
        Some(finished)
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> io::Result<()> {
        self.process.as_ref().ok_or(io::ErrorKind::NotFound)?.signal(Signal::Stop)
    }

    /// Ends a [`Node::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> io::Result<()> {
        self.process.as_ref().ok_or(io::ErrorKind::NotFound)?.signal(Signal::Cont)
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let usage = process.usage();
            self.past = total(self.past, usage);
        }
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Cost over all starts; the memory is the largest of one process.
    pub fn usage(&mut self) -> Usage {
        let now = self.process.as_mut().map(Process::usage);
        now.map_or(self.past, |now| total(self.past, now))
    }

    /// What the running process wrote to standard error, the last part.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(|p| p.output().1).unwrap_or_default()
    }

    /// `/metrics`, empty when it does not answer.
    #[must_use]
    pub fn metrics(&self) -> String {
        http_get(self.http, "/metrics").map(|(_, body)| body).unwrap_or_default()
    }

    /// Sum of a metric over all its labels; `None` when there is none of this name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.metrics();
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let named = rest.starts_with(['{', ' ']);
            named.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.reduce(|a, b| a + b)
    }

    /// `/status` as JSON.
    #[must_use]
    pub fn status(&self) -> Value {
        let status = http_get(self.http, "/status").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(&status).unwrap_or(Value::Null)
    }

    /// What `inspect` says about the state directory, also while the node runs.
    ///
    /// # Errors
    /// When it fails; the text is what it said.
    pub fn inspect(&self) -> io::Result<Value> {
        let mut command = Command::new(self.program());
        command.current_dir(&self.dir).args(["inspect", "--json", "state"]);
        let finished = run(&mut command, READY_MAX)?.ok_or(io::ErrorKind::TimedOut)?;
        if finished.code == Some(0) {
            Ok(serde_json::from_str(&finished.stdout)?)
        } else {
            Err(io::Error::other(finished.stderr))
        }
    }

    /// The node's folder; its state lies in `state` in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Copies the state directory of a node that does not run to `to`.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn copy_state(&self, to: &Path) -> io::Result<()> {
        copy_files(&self.dir.join("state"), to)
    }

    /// Puts a copy in the place of the state directory of a node that does not run.
    ///
    /// # Errors
    /// When a file cannot be removed or copied.
    pub fn put_state(&self, from: &Path) -> io::Result<()> {
        let state = self.dir.join("state");
        if state.exists() {
            fs::remove_dir_all(&state)?;
        }
        copy_files(from, &state)
    }

    /// Bytes that the files of the state directory take.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        let entries = fs::read_dir(self.dir.join("state")).into_iter().flatten().flatten();
        entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
    }
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn total(a: Usage, b: Usage) -> Usage {
    Usage {
        cpu: a.cpu + b.cpu,
        rss_bytes_max: a.rss_bytes_max.max(b.rss_bytes_max),
        rss_bytes: b.rss_bytes,
        written_bytes: a.written_bytes + b.written_bytes,
    }
}
