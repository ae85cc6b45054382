//! RESTCONF (RFC 8040) with JSON (RFC 7951): ietf-softwire-br (RFC 8676), and what belongs to it.
//!
//! ```text
//!  path -> target (schema) -> get:  tree -> prune (query) -> listing (part by part)
//!                          -> edit: body -> drafts -> one batch, checked and applied as a whole
//! ```

mod binding;
mod counters;
mod draft;
mod edit;
mod events;
mod get;
mod listing;
mod modules;
mod parameters;
mod path;
mod plan;
mod query;
mod schema;
mod stamp;
mod tree;
mod wanted;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, patch, post, put};
use serde_json::json;

use super::error::{ApiError, Tag};
use super::media::{YANG_DATA, json_answer};
use super::routes::{Access, Routes};
use crate::config::Role;

/// Where the datastore is.
const DATA: &str = "/restconf/data";

/// Where the event stream is.
const STREAM: &str = "/restconf/streams/NETCONF";

/// The version of ietf-yang-library.
const LIBRARY: &str = "2019-01-04";

/// Adds all of RESTCONF's resources.
pub(super) fn add(routes: Routes) -> Routes {
    let (read, write) = (Access::Role(Role::Read), Access::Role(Role::Write));
    let mut routes = routes
        .add("/.well-known/host-meta", read, get(host_meta))
        .add("/restconf", read, get(api))
        .add("/restconf/yang-library-version", read, get(library_version))
        .add(STREAM, read, get(events::events))
        .add("/restconf/operations", read, get(operations))
        .add("/restconf/operations/{name}", write, post(no_operation));
    for path in [DATA, "/restconf/data/", "/restconf/data/{*path}"] {
        routes = routes.add(path, read, get(get::get).options(options)).add(
            path,
            write,
            put(edit::edit).merge(patch(edit::edit)).merge(post(edit::edit)).delete(edit::edit),
        );
    }
    routes
}

/// Where RESTCONF is (RFC 8040 section 3.1).
async fn host_meta() -> Response {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                <XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n  \
                <Link rel=\"restconf\" href=\"/restconf\"/>\n</XRD>\n";
    let mut response = Response::new(text.into());
    let xml = HeaderValue::from_static("application/xrd+xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}

async fn api() -> Response {
    let api = json!({"data": {}, "operations": {}, "yang-library-version": LIBRARY});
    json_answer(YANG_DATA, &json!({"ietf-restconf:restconf": api}))
}

async fn library_version() -> Response {
    json_answer(YANG_DATA, &json!({"ietf-restconf:yang-library-version": LIBRARY}))
}

async fn operations() -> Response {
    json_answer(YANG_DATA, &json!({"ietf-restconf:operations": {}}))
}

async fn no_operation(Path(name): Path<String>) -> ApiError {
    let mut name = name;
    name.truncate(name.char_indices().nth(64).map_or(name.len(), |(end, _)| end));
    ApiError::not_found(format!("there is no operation {name}"))
}

/// What can be done with a resource; no other site's page hears that it may.
async fn options() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    for (name, value) in [
        (header::ALLOW, "GET, HEAD, OPTIONS, PUT, PATCH, POST, DELETE"),
        (header::HeaderName::from_static("accept-patch"), YANG_DATA),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Nobody can change this.
fn read_only() -> ApiError {
    ApiError::protocol(Tag::OperationNotSupported, "this says how things are: it can only be read")
}
