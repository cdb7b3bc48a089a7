//! One agent or the aggregator of the demo: a real process with its own folder.
//!
//! Guarantees: the process ends with the demo, also when the demo is killed. Its log is `log.txt`
//! in its folder.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use headwater_runtime::admin::fetch;
use serde_json::Value;

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    /// Name of the node and of its folder.
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// Writes configuration and pipeline into `dir/name`; starts nothing.
    pub(crate) fn new(
        dir: &Path,
        name: &str,
        program: PathBuf,
        config: &str,
        pipeline: &str,
    ) -> io::Result<Self> {
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("node.toml"), config)?;
        fs::write(dir.join("pipeline.sql"), pipeline)?;
        let arguments = ["run", "--config", "node.toml", "--stop-at-end-of-input", "pipeline.sql"]
            .map(str::to_owned);
        Ok(Self { name: name.into(), program, arguments: arguments.into(), dir, child: None })
    }

    /// Adds arguments to each start.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Starts the process.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        // The address of an earlier life must not be asked.
        let _ = fs::remove_file(self.dir.join("state/http.addr"));
        let log = OpenOptions::new().create(true).append(true).open(self.dir.join("log.txt"))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.dir)
            // Nothing is written to it: its end tells the child that this process is gone.
            .stdin(Stdio::piped())
            .stdout(File::create(self.dir.join("output.txt"))?)
            .stderr(log)
            .spawn();
        let program = self.program.display();
        self.child = Some(child.map_err(|error| io::Error::other(format!("{program}: {error}")))?);
        Ok(())
    }

    /// SIGKILL: no chance to finish anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and how the process ended.
    pub(crate) fn terminate(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        let id = self.child.as_ref().map(Child::id);
        let id = id.ok_or_else(|| io::Error::other(format!("{} does not run", self.name)))?;
        // The shell's own `kill`: the standard library can send SIGKILL only.
        Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status()?;
        let until = Instant::now() + timeout;
        while Instant::now() < until {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other(format!("{} does not end after SIGTERM", self.name)))
    }

    /// How the process ended, if it did by itself.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Whether the node says that all is well.
    pub(crate) fn is_well(&self) -> bool {
        self.ask("/health").is_some_and(|(code, _)| code == 200)
    }

    /// What the node says of itself.
    pub(crate) fn status(&self) -> Option<Value> {
        serde_json::from_str(&self.ask("/status")?.1).ok()
    }

    fn ask(&self, path: &str) -> Option<(u16, String)> {
        self.child.as_ref()?;
        let address = fs::read_to_string(self.dir.join("state/http.addr")).ok()?;
        fetch(address.trim().parse().ok()?, path).ok()
    }

    /// The end of its log.
    pub(crate) fn log_end(&self) -> String {
        let text = fs::read_to_string(self.dir.join("log.txt")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

const LOG_LINES: usize = 20;
