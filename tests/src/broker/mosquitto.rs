//! A Mosquitto server with durable sessions in a scratch folder.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{loopback, wait_for_port};
use crate::process::{Process, Signal, Usage};
use crate::scratch::free_port;

/// A running Mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    process: Option<Process>,
    port: u16,
    config: PathBuf,
}

/// Debian puts servers where a plain user's PATH does not look.
const NAMES: [&str; 3] = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];

fn program() -> Option<&'static str> {
    NAMES.into_iter().find(|name| {
        let mut command = Command::new(name);
        command.arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })
}

/// Whether Mosquitto can be started here. A test that needs it says so and passes where not.
#[must_use]
pub fn mosquitto_is_installed() -> bool {
    program().is_some()
}

impl Mosquitto {
    /// Starts a server that keeps its sessions in `dir`, saved every 5 s and when it ends in good
    /// order, and lets `inflight_max` messages per client wait for an acknowledgement. `extra`
    /// lines go into its configuration; access rules in them are for the last listener named.
    ///
    /// # Errors
    /// When it is not installed or does not listen within 10 s.
    pub fn start(dir: &Path, inflight_max: u16, extra: &str) -> io::Result<Mosquitto> {
        let port = free_port();
        let config = dir.join("mosquitto.conf");
        let dir = dir.canonicalize()?;
        // `user root`: started as root it would change to a user that cannot write to `dir`.
        let text = format!(
            "per_listener_settings true\n\
             listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n\
             persistence true\npersistence_location {}/\n\
             autosave_interval 5\n\
             max_queued_messages 1000000\nmax_inflight_messages {inflight_max}\n\
             set_tcp_nodelay true\nlog_dest stderr\nlog_type error\nlog_type warning\n{extra}\n",
            dir.display()
        );
        std::fs::write(&config, text)?;
        let mut mosquitto = Mosquitto { process: None, port, config };
        mosquitto.restart()?;
        Ok(mosquitto)
    }

    /// Starts it again after [`Mosquitto::kill`] or [`Mosquitto::stop`], on the same port.
    ///
    /// # Errors
    /// When it does not listen within 10 s.
    pub fn restart(&mut self) -> io::Result<()> {
        let program = program().ok_or_else(|| io::Error::other("mosquitto is not installed"))?;
        let process = Process::start(Command::new(program).arg("-c").arg(&self.config))?;
        if !wait_for_port(self.address()) {
            let said = process.output().1;
            return Err(io::Error::other(format!("mosquitto does not listen: {said}")));
        }
        self.process = Some(process);
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Removes what a server that does not run has saved: sessions, queues, retained messages.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        match std::fs::remove_file(self.config.with_file_name("mosquitto.db")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// SIGKILL: what it had not saved is lost.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it in good order: it saves its sessions.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.signal(Signal::Term);
            let _ = process.wait(std::time::Duration::from_secs(5));
        }
    }

    /// Lets it read its access rules again.
    ///
    /// # Errors
    /// When it does not run.
    pub fn reload(&self) -> io::Result<()> {
        self.running()?.signal(Signal::Hup)
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> io::Result<()> {
        self.running()?.signal(Signal::Stop)
    }

    /// Ends a [`Mosquitto::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> io::Result<()> {
        self.running()?.signal(Signal::Cont)
    }

    /// What it has cost since its last start.
    pub fn usage(&mut self) -> Usage {
        self.process.as_mut().map(Process::usage).unwrap_or_default()
    }

    fn running(&self) -> io::Result<&Process> {
        self.process.as_ref().ok_or_else(|| io::Error::other("mosquitto does not run"))
    }
}
