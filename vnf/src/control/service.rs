//! The control thread's loop: connections, signals, changed files, and freeing what workers let go.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::actor::Actor;
use super::error::ControlError;
use super::places::Places;
use super::reload::ReloadOptions;
use super::server::serve_connection;
use super::socket::Socket;
use super::state::Control;
use super::watch::Watch;
use crate::log;

/// Connections served at the same time.
const CONNECTIONS: usize = 64;

/// How often retired memory is looked for, and alarms.
const COLLECT: Duration = Duration::from_millis(100);

/// The control thread's runtime. It is made before everything else: signals that come while an
/// instance starts wait here until it runs.
#[derive(Debug)]
pub struct Service {
    runtime: Runtime,
    hangup: Signal,
}

impl Service {
    /// From now on SIGHUP asks for a reload.
    pub fn new() -> Result<Self, ControlError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let hangup = listen(&runtime, SignalKind::hangup())?;
        Ok(Self { runtime, hangup })
    }

    /// From now on this signal can be waited for, in [`Self::run`].
    #[cfg(feature = "dpdk")]
    pub(super) fn signal(&self, kind: SignalKind) -> Result<Signal, ControlError> {
        listen(&self.runtime, kind)
    }

    /// Runs the control plane on this thread until `stop` is ready. With `watch`, changed files
    /// are reloaded without being asked.
    pub fn run(
        self,
        control: Arc<Control>,
        socket: &Socket,
        watch: bool,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ControlError> {
        let Self { runtime, hangup } = self;
        let outcome = runtime.block_on(serve(control, socket, hangup, watch, stop));
        // A reload under way is of no use any more.
        runtime.shutdown_background();
        outcome
    }
}

fn listen(runtime: &Runtime, kind: SignalKind) -> Result<Signal, ControlError> {
    let _in_runtime = runtime.enter();
    signal(kind).map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> ControlError {
    ControlError::internal(format!("control plane: {error}"))
}

async fn serve(
    control: Arc<Control>,
    socket: &Socket,
    hangup: Signal,
    watch: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), ControlError> {
    let listener = socket.listener().map_err(|error| failed(&error))?;
    let mut tick = interval(COLLECT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let places = Places::new(CONNECTIONS);
    let watch = if watch {
        let watch = Watch::new(control.files().await?).map_err(|error| {
            ControlError::internal(format!("instance.watch: the files cannot be watched: {error}"))
        })?;
        Some(watch)
    } else {
        None
    };
    tokio::spawn(reload_when_wanted(Arc::clone(&control), hangup, watch));
    let busy = Arc::new(AtomicBool::new(false));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {
                control.collect();
                log::tick();
                if !busy.load(Relaxed) && control.is_due() {
                    busy.store(true, Relaxed);
                    let (control, busy) = (Arc::clone(&control), Arc::clone(&busy));
                    tokio::spawn(async move {
                        control.do_what_is_due().await;
                        busy.store(false, Relaxed);
                    });
                }
                control.watch_over();
            }
            accepted = async { places.available().await; listener.accept().await } => {
                match accepted {
                    Ok((stream, _)) => {
                        let place = places.take();
                        tokio::spawn(serve_connection(Arc::clone(&control), stream, place));
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

/// Reloads on SIGHUP, and when watched files have changed; a refusal is in the log. However many
/// signals come during one reload, one more follows it.
async fn reload_when_wanted(control: Arc<Control>, mut hangup: Signal, mut watch: Option<Watch>) {
    loop {
        // Changes that come while one waits for its confirmation come after it.
        let actor = tokio::select! {
            _ = hangup.recv() => {
                tracing::info!("SIGHUP: reloading");
                Actor::signal()
            }
            () = changed(watch.as_mut()) => {
                tracing::info!("the configuration has changed: reloading");
                Actor::watch()
            }
        };
        control.settled().await;
        if let Some(watch) = &mut watch {
            watch.look();
        }
        if control.reload(&actor, ReloadOptions::default()).await.is_err() {
            continue;
        }
        let Some(watch) = &mut watch else { continue };
        // The table file may be another one now.
        let followed = control.files().await.map(|files| watch.follow(files));
        match followed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the files cannot be watched any more: {error}"),
            Err(error) => tracing::warn!("the files cannot be watched any more: {error}"),
        }
    }
}

/// Waits for a change of watched files, for ever if none are.
async fn changed(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
