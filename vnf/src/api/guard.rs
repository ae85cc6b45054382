//! What every request must pass: the Host that is meant, no foreign page behind it, somebody whom
//! we know, and the role that the resource needs.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Handle;
use super::caller::{ANONYMOUS, Caller, Peer};
use super::error::{ApiError, Tag};
use super::routes::Access;
use crate::config::{ApiConfig, Role};

/// In front of all resources: finds out who asks, and leaves a [`Caller`] with the request.
pub(super) async fn front(
    State(handle): State<Handle>,
    mut request: Request,
    next: Next,
) -> Response {
    let config = handle.control.config();
    let mut response = match identify(&request, &config.api) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// In front of one resource: asks for the role that it needs. What changes something is gone through
/// with, and noted, also when whoever asked for it goes away meanwhile.
pub(super) async fn need(access: Access, request: Request, next: Next) -> Response {
    let needed = match access {
        Access::Anyone => return next.run(request).await,
        Access::Role(role) => role,
    };
    let Some(caller) = request.extensions().get::<Caller>() else {
        return ApiError::unauthorized("who asks?").into_response();
    };
    if caller.may(needed) {
        if needed < Role::Write {
            return next.run(request).await;
        }
        return match tokio::spawn(next.run(request)).await {
            Ok(response) => response,
            Err(error) => {
                let words = format!("the work broke down: {error}");
                ApiError::new(Tag::OperationFailed, words).into_response()
            }
        };
    }
    tracing::warn!(
        "{} {} by {} refused: needs the role {needed}",
        request.method(),
        request.uri().path(),
        caller.actor,
    );
    let how = "a bearer token, a client certificate, or the Unix socket (api.socket)";
    match caller.role {
        None => ApiError::unauthorized(format!("needs the role {needed}: {how}")),
        // An anonymous client may say who it is.
        Some(_) if caller.actor.who == ANONYMOUS => {
            ApiError::unauthorized(format!("needs the role {needed}: {how}"))
        }
        Some(role) => ApiError::protocol(
            Tag::AccessDenied,
            format!("needs the role {needed}; {} has {role}", caller.actor.who),
        ),
    }
    .into_response()
}

fn identify(request: &Request, api: &ApiConfig) -> Result<Caller, ApiError> {
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>();
    let peer = peer.ok_or_else(|| ApiError::unauthorized("the connection has no other end"))?;
    if matches!(peer, Peer::Remote { .. }) {
        check_host(request, api)?;
    }
    check_browser(request.method(), headers)?;
    let token = token(headers)?;
    Ok(Caller::of(peer, token, api))
}

/// A name that is not ours leads here when somebody's page wants us to be taken for its own server
/// (DNS rebinding). An address cannot be taken for another one.
fn check_host(request: &Request, api: &ApiConfig) -> Result<(), ApiError> {
    let misdirected = |message: &str| {
        ApiError::protocol(Tag::InvalidValue, message).with_status(StatusCode::MISDIRECTED_REQUEST)
    };
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(misdirected("one Host header is needed"));
    };
    let host = host.to_str().map_err(|_| misdirected("the Host header is not text"))?;
    let absolute = request.uri().authority().map(axum::http::uri::Authority::as_str);
    for host in [Some(host), absolute].into_iter().flatten() {
        if !is_ours(host_of(host), &api.host_names) {
            return Err(misdirected("Host is no name of this relay: api.host-names lists them"));
        }
    }
    Ok(())
}

fn is_ours(host: &str, names: &[String]) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Without port and brackets.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

/// Browsers say when a page of another site is behind a request. Following a link from there shows
/// that page nothing; anything else is refused.
fn check_browser(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let refused =
        || ApiError::protocol(Tag::AccessDenied, "a page of another site may not do this");
    let by_link = *method == Method::GET && text("sec-fetch-mode") == Some(b"navigate");
    match text("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => {}
        Some(_) if by_link && text("sec-fetch-dest") == Some(b"document") => {}
        Some(_) => return Err(refused()),
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return Ok(()) };
    let own = text(header::HOST.as_str()).unwrap_or_default();
    let authority = origin.strip_prefix(b"http://").or(origin.strip_prefix(b"https://"));
    if authority == Some(own) { Ok(()) } else { Err(refused()) }
}

const ORIGIN: HeaderName = header::ORIGIN;

/// The bearer token (RFC 6750), if there is an Authorization header.
fn token(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let (scheme, token) = value
        .to_str()
        .ok()
        .filter(|_| given.next().is_none())
        .and_then(|value| value.split_once(' '))
        .ok_or_else(|| ApiError::unauthorized("Authorization: Bearer TOKEN"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::unauthorized("Authorization: Bearer TOKEN"));
    }
    Ok(Some(token.trim()))
}
