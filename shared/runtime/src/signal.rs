//! SIGTERM and SIGINT: the first asks to stop in order, the second ends the process. The end of
//! standard input asks too, for a node that must not outlive whoever started it.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::source::Wake;

/// Whether somebody asked to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Not asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Sets `stop` and notifies `wake` at the first SIGTERM or SIGINT. At the second one the process
/// ends at once with exit code 1; the state is as of the last commit.
pub fn watch(stop: Stop, wake: Wake, handle: &Handle) -> std::io::Result<()> {
    let _entered = handle.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    handle.spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.asked() {
                std::process::exit(i32::from(Exit::Failed as u8));
            }
            tracing::info!("Stopping: taking a checkpoint and flushing.");
            stop.ask();
            wake.notify();
        }
    });
    Ok(())
}

/// Asks to stop at the end of standard input. A parent that holds the other end of the pipe and
/// dies, however it dies, so ends its children: the system closes the pipe for it. (Linux could
/// send a signal at a parent's death instead, but asking for it takes unsafe code.)
pub fn watch_input(stop: Stop, wake: Wake) -> std::io::Result<()> {
    std::thread::Builder::new().name("input".into()).stack_size(64 << 10).spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 256];
        // An error is an end too: there is nobody to be read from.
        while matches!(input.read(&mut buffer), Ok(1..)) {}
        tracing::info!("Whoever started this node is gone: stopping.");
        stop.ask();
        wake.notify();
    })?;
    Ok(())
}
