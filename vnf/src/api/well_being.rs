//! What monitoring systems, load balancers and orchestrators ask: metrics, alarms, health; and the
//! order to drain.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use prometheus::TEXT_FORMAT;

use super::Handle;
use super::caller::Caller;
use super::error::ApiError;
use super::media::json_answer;
use super::routes::{Access, READ, Routes, WRITE};
use crate::control::DRAIN_GRACE;

/// Adds the resources.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .add("/metrics", READ, get(metrics))
        .add("/readyz", Access::Anyone, get(ready))
        .add("/livez", Access::Anyone, get(live))
        .add("/api/alarms", READ, get(alarms))
        .add("/api/health", READ, get(health))
        .add("/api/drain", WRITE, post(drain))
        .add("/api/undrain", WRITE, post(undrain))
}

/// Everything for Prometheus, as `lwaftr metrics`.
async fn metrics(State(handle): State<Handle>) -> Response {
    text(TEXT_FORMAT, handle.control.metrics().await)
}

/// 200 when both sides can forward and nobody has drained it, else 503.
async fn ready(State(handle): State<Handle>) -> Response {
    verdict(handle.control.health().is_ready(), ["ready\n", "not ready\n"])
}

/// 200 when all workers make progress, else 503.
async fn live(State(handle): State<Handle>) -> Response {
    verdict(handle.control.health().is_live(), ["live\n", "not live\n"])
}

/// As `lwaftr alarms --json`.
async fn alarms(State(handle): State<Handle>) -> Response {
    json_answer("application/json", &handle.control.alarms())
}

/// As `lwaftr health --json`.
async fn health(State(handle): State<Handle>) -> Response {
    json_answer("application/json", &handle.control.health().to_json())
}

/// As `lwaftr drain`.
async fn drain(State(handle): State<Handle>, Extension(caller): Extension<Caller>) -> Response {
    json_answer("application/json", &handle.control.drain(&caller.actor, DRAIN_GRACE).await)
}

/// As `lwaftr undrain`.
async fn undrain(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, ApiError> {
    Ok(json_answer("application/json", &handle.control.undrain(&caller.actor).await?))
}

/// In short: whoever can connect may ask, but not learn why.
fn verdict(yes: bool, words: [&str; 2]) -> Response {
    let mut response = text("text/plain; charset=utf-8", words[usize::from(!yes)].to_owned());
    if !yes {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn text(media_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
