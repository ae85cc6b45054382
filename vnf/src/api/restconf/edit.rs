//! Changing the binding table: one request, one transaction.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::{Extension, body::Body};
use serde_json::Value;

use super::draft::Draft;
use super::get::must_be_ours;
use super::parameters;
use super::path::{Target, encode};
use super::plan::Edit;
use super::query::Query;
use super::read_only;
use super::schema::{Kind, Listed};
use super::stamp::{Conditions, Version};
use super::wanted::read_edit;
use crate::api::error::{ApiError, Tag};
use crate::api::media::{YANG_DATA, body};
use crate::api::{Caller, Handle};
use crate::control::{Batch, Editor, Stamp};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// POST: it must not be there.
    Create,
    /// PUT: it is what the request says.
    Replace,
    /// PATCH: what the request says changes.
    Merge,
    /// DELETE.
    Remove,
}

/// `PUT`, `PATCH`, `POST` and `DELETE` below `/restconf/data`.
pub(super) async fn edit(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let path = request.uri().path().strip_prefix(super::DATA).unwrap_or_default();
    let target = Target::find(path)?;
    let query = Query::of_edit(request.uri().query())?;
    let method = match *request.method() {
        Method::POST => Manner::Create,
        Method::PUT => Manner::Replace,
        Method::PATCH => Manner::Merge,
        _ => Manner::Remove,
    };
    if target.is_state() {
        return Err(read_only());
    }
    must_be_ours(&handle, &target)?;
    let above = target.steps.iter().rev().skip(1);
    if above.clone().any(|step| matches!(step.node.kind, Kind::List(_)) && step.keys.is_none()) {
        return Err(ApiError::not_found("the path must say which bind-instance"));
    }
    let (parts, sent) = request.into_parts();
    let conditions = Conditions::of(&parts.headers);
    let value = match method {
        Manner::Remove => Value::Null,
        _ => {
            let bytes = body(&parts.headers, sent, YANG_DATA).await?;
            serde_json::from_slice(&bytes).map_err(|error| {
                ApiError::protocol(Tag::InvalidValue, format!("the body is not JSON: {error}"))
            })?
        }
    };
    if parameters::is_one(&target) {
        return set_parameters(&handle, &caller, (&target, method, &value), conditions).await;
    }
    let (listed, scope, drafts) = read_edit(&target, method, &value)?;
    let count = drafts.len();
    let first = drafts.first().copied();
    let edit = Edit { method, listed, scope, drafts, force: query.force, conditions };
    let stamp = handle.control.stamp().await?;
    let action = match method {
        Manner::Create => "api-create",
        Manner::Replace => "api-replace",
        Manner::Merge => "api-merge",
        Manner::Remove => "api-delete",
    };
    let made = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let created = std::sync::Arc::clone(&made);
    handle
        .control
        .edit(&caller.actor, action, move |editor| {
            let plan = edit.plan(
                editor,
                &Stamp { version: editor.version(), modified: editor.modified(), ..stamp },
            )?;
            created.store(plan.created, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, ApiError>((Batch::Change { remove: plan.remove, add: plan.add }, plan.what))
        })
        .await?;
    let mut response = Response::new(Body::empty());
    let created = made.load(std::sync::atomic::Ordering::Relaxed);
    *response.status_mut() = if created { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    if method == Manner::Create
        && count == 1
        && let Some(location) = first.and_then(|draft| location(&target, listed, &draft))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    for (name, value) in Version::of_datastore(&handle.control.stamp().await?).headers() {
        // An entry has a tag of its own, which whoever wants it reads.
        if name != header::ETAG || count != 1 {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

async fn set_parameters(
    handle: &Handle,
    caller: &Caller,
    (target, manner, body): (&Target, Manner, &Value),
    conditions: Conditions,
) -> Result<Response, ApiError> {
    let keys = parameters::keys(target, manner, body, &handle.control.config())?;
    let stamp = handle.control.stamp().await?;
    if keys.is_empty() {
        conditions.allow(Some(&Version::of_datastore(&stamp)))?;
    } else {
        let may = move |editor: &Editor| {
            let now = Stamp { version: editor.version(), modified: editor.modified(), ..stamp };
            conditions.allow(Some(&Version::of_datastore(&now)))
        };
        handle.control.set_keys(&caller.actor, keys, may).await?;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in Version::of_datastore(&handle.control.stamp().await?).headers() {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Where what was created is.
fn location(target: &Target, listed: Listed, draft: &Draft) -> Option<HeaderValue> {
    let mut path = super::DATA.to_owned();
    for (number, step) in target.steps.iter().enumerate() {
        if matches!(step.node.kind, Kind::Entries(..)) {
            break;
        }
        let module = target.top.filter(|_| number == 0).map(|top| format!("{}:", top.module));
        path += &format!("/{}{}", module.unwrap_or_default(), step.node.name);
        if let Some(keys) = &step.keys {
            let keys: Vec<String> = keys.iter().map(|key| encode(key)).collect();
            path += &format!("={}", keys.join(","));
        }
    }
    path += &match listed {
        Listed::BindingEntries => {
            format!("/binding-entry={}", encode(&draft.b4?.to_string()))
        }
        Listed::Softwires => {
            format!("/softwire={},{}", draft.ipv4?, draft.psid.unwrap_or(0))
        }
    };
    HeaderValue::from_str(&path).ok()
}
