//! One connection: TLS, then requests one after the other, each in its time.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::caller::Peer;
use super::patient::Patient;
use crate::control::{Place, is_trusted};

/// How long a client may take for its part of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may be silent between requests, and take to send a request's header.
const HEADER: Duration = Duration::from_secs(30);

/// The most that is kept of a request's header.
const LARGEST_HEADER: usize = 32 << 10;

/// Serves a connection over TCP. `tls` is `Some` where TLS is wanted; `Some(None)` where there is
/// none any more.
#[expect(clippy::option_option, reason = "wanted or not; there or not")]
pub(super) async fn serve_tcp(
    router: Router,
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Option<Arc<rustls::ServerConfig>>>,
    place: Place,
) {
    // Answers are small and somebody waits for them.
    _ = stream.set_nodelay(true);
    let stream = Patient::new(stream);
    match tls {
        None => {
            serve(router, stream, Peer::Remote { address, local: true, certificate: None }, place)
                .await;
        }
        Some(None) => {}
        Some(Some(config)) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let stream = tokio::select! {
                biased;
                () = place.lost() => return,
                done = timeout(HANDSHAKE, handshake) => match done {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return tracing::debug!("API, {address}: TLS: {error}"),
                    Err(_) => return tracing::debug!("API, {address}: TLS: too slow"),
                },
            };
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certificate = shown.map(|certificate| Arc::from(&**certificate));
            serve(router, stream, Peer::Remote { address, local: false, certificate }, place).await;
        }
    }
}

/// Serves a connection to the Unix socket.
pub(super) async fn serve_unix(router: Router, stream: UnixStream, place: Place) {
    let Ok(peer) = stream.peer_cred() else { return };
    let (uid, trusted) = (peer.uid(), is_trusted(peer.uid(), peer.gid()));
    let peer = Peer::Local { uid, pid: peer.pid(), trusted };
    serve(router, Patient::new(stream), peer, place).await;
}

async fn serve<S>(router: Router, stream: S, peer: Peer, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let place = Arc::new(place);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let busy = Busy::new(Arc::clone(&place));
        request.extensions_mut().insert(peer.clone());
        let answer = router.clone().oneshot(request.map(Body::new) as Request);
        async move {
            let response: Response = answer.await.unwrap_or_else(|never| match never {});
            Ok::<_, std::convert::Infallible>(response.map(|body| Kept { body, _busy: busy }))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(LARGEST_HEADER)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Asked first: a place is lost before the next request is taken up, never within one.
        biased;
        () = place.lost() => tracing::debug!("silent API connection closed: its place is needed"),
        ended = connection => if let Err(error) = ended {
            tracing::debug!("API connection ended: {error}");
        },
    }
}

/// As long as it is there, a request is being answered, and its connection keeps its place.
struct Busy(Arc<Place>);

impl Busy {
    fn new(place: Arc<Place>) -> Self {
        place.waits(false);
        Self(place)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.waits(true);
    }
}

/// The body of an answer, which is answered until it ends.
struct Kept {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
