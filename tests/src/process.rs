//! Child processes under test: start, wait, signal by id, captured output and what they cost.
//! Guarantees that a child never outlives its handle and that captured output is bounded. Does
//! not interpret output.

mod binaries;
mod usage;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use binaries::binary;
pub use usage::Usage;

/// Bytes of standard output and of standard error that are kept, the last ones.
const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// Signals that a test sends besides SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ask to end.
    Term,
    /// Freeze.
    Stop,
    /// Thaw.
    Cont,
    /// Read the configuration again.
    Hup,
}

/// How a child ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The end of standard output.
    pub stdout: String,
    /// The end of standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// CPU, memory and disk over its whole life.
    pub usage: Usage,
}

impl Finished {
    /// The last non-empty line of standard error, else of standard output.
    #[must_use]
    pub fn last_line(&self) -> &str {
        let last = |text: &'_ str| text.trim_end().lines().next_back().map(str::len);
        match (last(&self.stderr), last(&self.stdout)) {
            (Some(n), _) => tail(self.stderr.trim_end(), n),
            (None, Some(n)) => tail(self.stdout.trim_end(), n),
            (None, None) => "",
        }
    }
}

fn tail(text: &str, bytes: usize) -> &str {
    &text[text.len() - bytes..]
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    started: Instant,
    usage: Usage,
    stdout: Capture,
    stderr: Capture,
}

impl Process {
    /// Starts `command` with captured output and no input.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Process> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("{}: {e}", command.get_program().display()))
        })?;
        let stdout = Capture::new(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::new(child.stderr.take().expect("stderr is piped"));
        Ok(Process { child, started, usage: Usage::default(), stdout, stderr })
    }

    /// Waits until the child ends by itself; `None` when it still runs after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Option<Finished> {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            // Read before reaping: a dead child keeps its counters until it is waited for.
            self.usage.update(self.child.id());
            if usage::is_dead(self.child.id()) {
                self.usage.update(self.child.id());
                return Some(self.finish());
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Finished {
        self.usage.update(self.child.id());
        // An error means that it has ended already.
        let _ = self.child.kill();
        self.finish()
    }

    /// Sends `signal`.
    ///
    /// # Errors
    /// When it could not be sent, as when the child has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
            Signal::Hup => "HUP",
        };
        // The shell's own `kill`: the standard library can send SIGKILL only.
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").arg("-c").arg(script).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name}"))) }
    }

    /// Whether the child still runs.
    pub fn is_running(&mut self) -> bool {
        !usage::is_dead(self.child.id())
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Time since the start.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// CPU, memory and disk so far.
    pub fn usage(&mut self) -> Usage {
        self.usage.update(self.child.id());
        self.usage
    }

    /// What it said so far: standard output, standard error.
    #[must_use]
    pub fn output(&self) -> (String, String) {
        (self.stdout.text(), self.stderr.text())
    }

    fn finish(&mut self) -> Finished {
        let status = self.child.wait().expect("an own child can be waited for");
        let took = self.started.elapsed();
        self.stdout.join();
        self.stderr.join();
        let (stdout, stderr) = self.output();
        Finished { code: status.code(), stdout, stderr, took, usage: self.usage }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end; kills it after `timeout` and answers `None`.
///
/// # Errors
/// When the program cannot be started.
pub fn run(command: &mut Command, timeout: Duration) -> io::Result<Option<Finished>> {
    let mut process = Process::start(command)?;
    Ok(process.wait(timeout))
}

/// Asks `test` every 5 ms until it is true; false when it is not so within `timeout`.
pub fn wait_until(timeout: Duration, mut test: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if test() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// GETs `path` over HTTP/1.1: status code and body. For health and metrics of a program under
/// test, so no chunked bodies, no TLS.
///
/// # Errors
/// When nobody answers within 2 s, or not in HTTP.
pub fn http_get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let timeout = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(16 << 20).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let not_http = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let code = head.split(' ').nth(1).and_then(|c| c.parse().ok()).ok_or_else(not_http)?;
    Ok((code, body.to_owned()))
}

#[derive(Debug)]
struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn new(mut from: impl Read + Send + 'static) -> Capture {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&kept);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                let mut kept = sink.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..n]);
                let excess = kept.len().saturating_sub(OUTPUT_BYTES_MAX);
                kept.drain(..excess);
            }
        });
        Capture { kept, reader: Some(reader) }
    }

    /// Waits until all has been read; not for ever, as a grandchild may hold the pipe open.
    fn join(&mut self) {
        if let Some(reader) = self.reader.take()
            && wait_until(Duration::from_secs(1), || reader.is_finished())
        {
            let _ = reader.join();
        }
    }

    fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}
