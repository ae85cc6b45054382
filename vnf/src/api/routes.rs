//! Every resource of the API, one line each, with the role that it needs.

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use serde_json::Value;

use super::error::ApiError;
use super::media::json_answer;
use super::{Handle, guard, inspect, page, restconf, well_being};
use crate::config::Role;

/// Who may use a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever can connect.
    Anyone,
    /// Whoever has this role or a higher one.
    Role(Role),
}

pub(super) const READ: Access = Access::Role(Role::Read);
pub(super) const INSPECT: Access = Access::Role(Role::Inspect);
pub(super) const WRITE: Access = Access::Role(Role::Write);

/// Resources being put together.
#[derive(Default)]
pub struct Routes(Router<Handle>);

impl Routes {
    /// Adds a resource. The same path may be added again with other methods.
    #[must_use]
    pub fn add(self, path: &str, access: Access, methods: MethodRouter<Handle>) -> Self {
        let guarded =
            methods.route_layer(from_fn(move |request, next| guard::need(access, request, next)));
        Self(self.0.route(path, guarded))
    }
}

/// All of them.
pub(super) fn all(handle: Handle) -> Router {
    let routes =
        Routes::default().add("/api/status", READ, get(status)).add("/api/stats", READ, get(stats));
    let Routes(router) = restconf::add(page::add(inspect::add(well_being::add(routes))));
    router
        .fallback(async || ApiError::not_found("there is no such resource"))
        .layer(from_fn_with_state(handle.clone(), guard::front))
        .with_state(handle)
}

/// What instance this is, as `lwaftr status --json`.
async fn status(State(handle): State<Handle>) -> Response {
    json_answer("application/json", &handle.control.status().await)
}

/// The counters, as `lwaftr stats --json` without examples of dropped frames.
async fn stats(State(handle): State<Handle>) -> Response {
    json_answer("application/json", &without_examples(handle.control.stats()))
}

/// What subscribers sent is for those who may inspect.
pub(super) fn without_examples(mut stats: Value) -> Value {
    let sides = stats["interfaces"].as_object_mut().into_iter().flatten();
    for (_, side) in sides {
        for (_, drop) in side["drops"].as_object_mut().into_iter().flatten() {
            if let Some(drop) = drop.as_object_mut() {
                drop.remove("example");
            }
        }
    }
    stats
}
