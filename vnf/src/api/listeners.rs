//! Where the API listens, and who is accepted there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, select_all};

use super::connection::{serve_tcp, serve_unix};
use super::{Handle, routes};
use crate::config::Config;
use crate::control::{Control, ControlError, Places, Socket};

/// Connections at the same time, at each listener.
const CONNECTIONS: usize = 64;

/// How long nobody is accepted after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// The API of an instance, before it runs.
#[derive(Debug)]
pub struct Api {
    socket: Socket,
    listeners: Vec<TcpListener>,
}

impl Api {
    /// Begins to listen where the configuration says. Connections wait until it is served.
    pub fn open(config: &Config) -> Result<Self, ControlError> {
        let socket = Socket::bind(&config.api.socket)?;
        let mut listeners = Vec::new();
        for address in config.api.addresses() {
            let listener = TcpListener::bind(address).and_then(|listener| {
                listener.set_nonblocking(true)?;
                Ok(listener)
            });
            match listener {
                Ok(listener) => listeners.push(listener),
                // Nobody asked for it, so nobody may depend on it; packets must flow.
                Err(error) if config.api.listen.is_none() => {
                    tracing::warn!(
                        "the API does not listen on {address}: {error}; it does on {} (another \
                         address: api.listen)",
                        config.api.socket.display()
                    );
                }
                Err(error) => {
                    return Err(ControlError::refused(format!(
                        "api.listen = {address}: {error}: another address or port"
                    )));
                }
            }
        }
        Ok(Self { socket, listeners })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves it, for ever, on the control thread's runtime.
    pub async fn serve(self, control: Arc<Control>) -> Result<(), ControlError> {
        let failed = |error: io::Error| ControlError::internal(format!("API: {error}"));
        let router = routes::all(Handle { control: Arc::clone(&control) });
        let mut all: Vec<BoxFuture<'static, ()>> = Vec::new();
        for listener in self.listeners {
            let address = listener.local_addr().map_err(failed)?;
            let with_tls = !address.ip().is_loopback();
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            tracing::info!("API on {}://{address}", if with_tls { "https" } else { "http" });
            let (router, control) = (router.clone(), Arc::clone(&control));
            let places = Places::new(CONNECTIONS);
            all.push(
                async move {
                    loop {
                        places.available().await;
                        match listener.accept().await {
                            Ok((stream, address)) => {
                                let tls = || control.config().api.files.tls.clone();
                                let tls = with_tls.then(tls);
                                let place = places.take();
                                let router = router.clone();
                                tokio::spawn(serve_tcp(router, stream, address, tls, place));
                            }
                            Err(error) => pause(&error).await,
                        }
                    }
                }
                .boxed(),
            );
        }
        let listener = self.socket.listener().map_err(failed)?;
        let places = Places::new(CONNECTIONS);
        all.push(
            async move {
                loop {
                    places.available().await;
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            tokio::spawn(serve_unix(router.clone(), stream, places.take()));
                        }
                        Err(error) => pause(&error).await,
                    }
                }
            }
            .boxed(),
        );
        select_all(all).await;
        Ok(())
    }
}

/// Too many open files, say: it passes, or the log tells.
async fn pause(error: &io::Error) {
    tracing::warn!("API: {error}");
    tokio::time::sleep(PAUSE).await;
}
