//! Reading the data tree.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::binding::{b4_key, entry, only_one_of, own_key};
use super::listing::{self, Place};
use super::path::Target;
use super::query::{Content, Query, prune, prune_entry};
use super::schema::{Kind, Listed, Node, TOP};
use super::stamp::{Conditions, Version};
use super::tree;
use crate::api::Handle;
use crate::api::error::ApiError;
use crate::api::media::YANG_DATA;
use crate::control::Stamp;
use crate::softwire::Softwire;

/// `GET /restconf/data/...`
pub(super) async fn get(
    State(handle): State<Handle>,
    request: Request,
) -> Result<Response, ApiError> {
    let path = request.uri().path().strip_prefix(super::DATA).unwrap_or_default();
    let target = Target::find(path)?;
    let query = Query::of_get(request.uri().query())?;
    let conditions = Conditions::of(request.headers());
    let stamp = handle.control.stamp().await?;
    let is_list = target
        .steps
        .last()
        .is_some_and(|step| matches!(step.node.kind, Kind::Entries(..)) && step.keys.is_none());
    if query.pages() && !is_list {
        return Err(ApiError::not_found("limit and offset are for the lists of softwires")
            .with_status(StatusCode::BAD_REQUEST));
    }
    if let Some(found) = one_entry(&handle, &target, &stamp).await? {
        let (value, version) = found;
        if query.content == Content::All && conditions.is_known(&version) {
            return Ok(not_modified(&version));
        }
        let step = target.steps.iter().position(|step| matches!(step.node.kind, Kind::Entries(..)));
        let value = below_entry(value, &target, step.unwrap_or_default(), &query)?;
        return Ok(answer(
            Body::from(json!({target.qualified(): value}).to_string() + "\n"),
            Some(&version),
        ));
    }
    let version = Version::of_datastore(&stamp);
    // What is counted changes without a change of the configuration.
    let tagged = query.content == Content::Config || is_list;
    if tagged && conditions.is_known(&version) {
        return Ok(not_modified(&version));
    }
    let (text, places) = small(&handle, &target, &query).await?;
    let body = listing::body(&handle.control, text, query, &places);
    Ok(answer(body, Some(&version)))
}

fn answer(body: Body, version: Option<&Version>) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(YANG_DATA));
    for (name, value) in version.into_iter().flat_map(Version::headers) {
        headers.insert(name, value);
    }
    response
}

fn not_modified(version: &Version) -> Response {
    let mut response = answer(Body::empty(), Some(version));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// The softwire that a path leads to, or into; `None` when it leads elsewhere.
pub(super) async fn softwire(
    handle: &Handle,
    target: &Target,
) -> Result<Option<(Listed, Option<Softwire>)>, ApiError> {
    let step = target.steps.iter().find_map(|step| match (step.node.kind, &step.keys) {
        (Kind::Entries(listed, _), Some(keys)) => Some((listed, keys)),
        _ => None,
    });
    let Some((listed, keys)) = step else { return Ok(None) };
    must_be_ours(handle, target)?;
    let found = match listed {
        Listed::BindingEntries => {
            let b4 = b4_key(&keys[0])?;
            handle
                .control
                .read(move |editor| only_one_of(editor, b4))
                .await?
                .map_err(|error| error.with_status(StatusCode::NOT_FOUND))?
        }
        Listed::Softwires => {
            let key = own_key(keys)?;
            let at = move |editor: &crate::control::Editor| editor.publisher().table().at(key.ipv4);
            let all = handle.control.read(at).await?;
            all.into_iter().find(|softwire| softwire.port_set.psid() == key.psid)
        }
    };
    Ok(Some((listed, found)))
}

async fn one_entry(
    handle: &Handle,
    target: &Target,
    stamp: &Stamp,
) -> Result<Option<(Value, Version)>, ApiError> {
    let Some((listed, found)) = softwire(handle, target).await? else { return Ok(None) };
    let softwire = found.ok_or_else(|| ApiError::not_found("there is no such softwire"))?;
    let version = Version::of_entry(&entry(listed, &softwire, None), stamp);
    let tally = handle
        .control
        .read(move |editor| {
            let table = editor.publisher().table();
            table.counts().then(|| table.tally(&softwire).unwrap_or_default())
        })
        .await?;
    Ok(Some((entry(listed, &softwire, tally), version)))
}

/// What a path means below an entry, and what the query leaves of it.
fn below_entry(
    entry: Value,
    target: &Target,
    step: usize,
    query: &Query,
) -> Result<Value, ApiError> {
    let (list, below) = (&target.steps[step], &target.steps[step + 1..]);
    if below.is_empty() {
        let Kind::Entries(_, keys) = list.node.kind else { return Ok(entry) };
        let entry = prune_entry(entry, list.node, keys, query, 1, false);
        return Ok(entry.map_or(json!([]), |entry| json!([entry])));
    }
    let mut value = entry;
    for step in below {
        value = value[step.node.name].take();
    }
    if value.is_null() {
        return Err(ApiError::not_found("there is nothing in it"));
    }
    let node = below[below.len() - 1].node;
    prune(value, node, query, 1, target.is_state())
        .ok_or_else(|| ApiError::not_found("there is nothing of that content in it"))
}

/// There is one bind-instance.
pub(super) fn must_be_ours(handle: &Handle, target: &Target) -> Result<(), ApiError> {
    let named = target.steps.iter().find(|step| step.node.name == "bind-instance");
    let Some(name) = named.and_then(|step| step.keys.as_ref()) else { return Ok(()) };
    let config = handle.control.config();
    if *name == [config.instance.name.as_str()] {
        return Ok(());
    }
    Err(ApiError::not_found(format!("the one bind-instance is {}", config.instance.name)))
}

/// The text of an answer with marks for its lists, and where those are.
async fn small(
    handle: &Handle,
    target: &Target,
    query: &Query,
) -> Result<(String, Vec<Place>), ApiError> {
    let Some(top) = target.top else {
        let mut all = tree::whole(handle).await?;
        let mut kept = json!({});
        let mut places = Vec::new();
        for top in TOP {
            let name = format!("{}:{}", top.module, top.node.name);
            if query.depth > 1
                && let Some(value) = prune(all[&name].take(), &top.node, query, 2, false)
            {
                kept[&name] = value;
                places.extend(listing::places(&top.node, 2));
            }
        }
        return Ok((json!({"ietf-restconf:data": kept}).to_string() + "\n", places));
    };
    must_be_ours(handle, target)?;
    let mut value = tree::value(handle, top).await?;
    let nothing = || ApiError::not_found("there is nothing of that here");
    let mut node: &'static Node = &top.node;
    for (depth, step) in target.steps.iter().enumerate() {
        node = step.node;
        if depth > 0 {
            value = value[node.name].take();
        }
        let (Kind::List(names), Some(keys)) = (node.kind, &step.keys) else { continue };
        let is_it = |entry: &Value| {
            names.iter().zip(keys).all(|(name, key)| entry[*name].as_str() == Some(key))
        };
        value = value
            .as_array_mut()
            .and_then(|entries| entries.iter_mut().find(|entry| is_it(entry)))
            .map(Value::take)
            .ok_or_else(nothing)?;
        if depth + 1 == target.steps.len() {
            value = json!([value]);
        }
    }
    if value.is_null() {
        return Err(nothing());
    }
    let value = prune(value, node, query, 1, target.is_state()).ok_or_else(nothing)?;
    Ok((json!({target.qualified(): value}).to_string() + "\n", listing::places(node, 1)))
}
