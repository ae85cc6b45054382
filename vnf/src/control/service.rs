//! The control thread's loop: connections, signals, changed files, and freeing what workers let go.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use super::error::ControlError;
use super::reload::ReloadOptions;
use super::server::serve_connection;
use super::socket::Socket;
use super::state::Control;
use super::watch::Watch;

/// Connections served at the same time; more wait.
const CONNECTIONS: usize = 64;

/// How often retired memory is looked at.
const COLLECT: Duration = Duration::from_millis(100);

/// Runs the control plane on this thread until `stop` is ready. With `watch`, changed files are
/// reloaded without being asked.
pub fn run(
    control: Arc<Control>,
    socket: &Socket,
    watch: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), ControlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| ControlError::internal(format!("control thread: {error}")))?;
    let outcome = runtime.block_on(serve(control, socket, watch, stop));
    // A reload under way is of no use any more.
    runtime.shutdown_background();
    outcome
}

async fn serve(
    control: Arc<Control>,
    socket: &Socket,
    watch: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), ControlError> {
    let failed = |error: std::io::Error| ControlError::internal(format!("control plane: {error}"));
    let listener = socket.listener().map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let mut tick = interval(COLLECT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    if watch {
        let watch = Watch::new(control.files().await?).map_err(|error| {
            ControlError::internal(format!("instance.watch: the files cannot be watched: {error}"))
        })?;
        tokio::spawn(reload_when_changed(Arc::clone(&control), watch));
    }
    tokio::pin!(stop);
    loop {
        let place = Arc::clone(&room).acquire_owned();
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => control.collect(),
            _ = hangup.recv() => {
                tracing::info!("SIGHUP: reloading");
                let control = Arc::clone(&control);
                tokio::spawn(async move { control.reload(ReloadOptions::default()).await });
            }
            (Ok(place), accepted) = async { let place = place.await; (place, listener.accept().await) } => {
                match accepted {
                    Ok((stream, _)) => {
                        let control = Arc::clone(&control);
                        tokio::spawn(async move {
                            serve_connection(control, stream).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        // Too many open files, say: it passes, or the log tells.
                        tracing::warn!("control socket: {error}");
                        tokio::time::sleep(COLLECT).await;
                    }
                }
            }
        }
    }
}

/// Reloads whenever the files have changed; a refusal is in the log.
async fn reload_when_changed(control: Arc<Control>, mut watch: Watch) {
    loop {
        watch.changed().await;
        tracing::info!("the configuration has changed: reloading");
        if control.reload(ReloadOptions::default()).await.is_err() {
            continue;
        }
        // The table file may be another one now.
        let followed = control.files().await.map(|files| watch.follow(files));
        match followed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the files cannot be watched any more: {error}"),
            Err(error) => tracing::warn!("the files cannot be watched any more: {error}"),
        }
    }
}
