//! The thread that sockets live on.

use std::thread::JoinHandle;

use tokio::runtime::Handle;

use crate::driver::RunError;
use crate::mqtt::pace;

/// The network thread: sockets live here.
pub(in crate::driver) struct Network {
    handle: Handle,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    pub(in crate::driver) fn start() -> Result<Self, RunError> {
        let failed =
            |error: std::io::Error| RunError::Failed(format!("no network thread: {error}"));
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().on_thread_park(pace::rest).build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("network".into())
            .stack_size(1 << 20)
            .spawn(move || {
                // Both a message and a dropped sender mean the end.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Network { handle, stop: Some(stop), thread: Some(thread) })
    }

    pub(in crate::driver) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the network thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
