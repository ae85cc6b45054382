//! Changing the binding table: one request, one transaction.

use std::collections::HashSet;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::{Extension, body::Body};
use serde_json::Value;

use super::binding::{Draft, b4_key, entry, is_listed, members, only_one_of, own_key, unknown};
use super::get::must_be_ours;
use super::parameters;
use super::path::{Target, encode};
use super::query::Query;
use super::read_only;
use super::schema::{Kind, Listed};
use super::stamp::{Conditions, Version};
use crate::api::error::{ApiError, Tag};
use crate::api::media::{YANG_DATA, body};
use crate::api::{Caller, Handle};
use crate::control::{Batch, Editor, Key, Stamp};
use crate::softwire::{Binding, Softwire};

/// So many softwires are named in the audit log.
const NAMED: usize = 5;

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

/// What of a list is meant.
#[derive(Debug, Clone)]
enum Scope {
    /// The entry with this key.
    Entry(Vec<String>),
    /// All of it.
    List,
}

/// A change of a list.
#[derive(Debug, Clone)]
struct Edit {
    method: Manner,
    listed: Listed,
    scope: Scope,
    drafts: Vec<Draft>,
    force: bool,
    conditions: Conditions,
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

/// What a request wants of which list.
fn read_edit(
    target: &Target,
    method: Manner,
    value: &Value,
) -> Result<(Listed, Scope, Vec<Draft>), ApiError> {
    let Some(last) = target.steps.last() else { return Err(not_here()) };
    // The list itself, or the container that has nothing else.
    let (list, keys) = match last.node.kind {
        Kind::Entries(listed, _) => (listed, last.keys.as_ref()),
        Kind::Container if matches!(last.node.children, [only] if matches!(only.kind, Kind::Entries(..))) => {
            match last.node.children[0].kind {
                Kind::Entries(listed, _) => (listed, None),
                _ => return Err(not_here()),
            }
        }
        _ => return Err(not_here()),
    };
    let is_container = last.node.kind == Kind::Container;
    let list_name = match list {
        Listed::BindingEntries => "binding-entry",
        Listed::Softwires => "softwire",
    };
    let scope = match keys {
        Some(keys) => Scope::Entry(keys.clone()),
        None => Scope::List,
    };
    match (method, &scope) {
        (Manner::Remove, Scope::List) => {
            return Err(ApiError::protocol(
                Tag::OperationNotSupported,
                "a whole table is not deleted: its entries are, or PUT replaces it",
            ));
        }
        (Manner::Remove, Scope::Entry(_)) => return Ok((list, scope, Vec::new())),
        (Manner::Create, Scope::Entry(_)) => {
            return Err(ApiError::protocol(
                Tag::OperationNotSupported,
                "POST goes to the list; PUT creates or replaces one entry",
            ));
        }
        _ => {}
    }
    // The body has one member: the target's name, or for POST the list's.
    let module = target.top.map_or("", |top| top.module);
    let outer =
        format!("{module}:{}", if method == Manner::Create { list_name } else { last.node.name });
    let object = value.as_object().filter(|object| object.len() == 1);
    let content = object.and_then(|object| object.get(&outer)).ok_or_else(|| {
        ApiError::new(Tag::MissingElement, format!("the body must be an object with {outer}"))
    })?;
    let at = format!("/{outer}");
    let entries = if is_container && method != Manner::Create {
        let mut entries = &Value::Array(Vec::new());
        for (name, value) in members(content, &at)? {
            if name != list_name {
                return Err(unknown(name, &format!("{at}/{name}")));
            }
            entries = value;
        }
        entries.clone()
    } else {
        content.clone()
    };
    let Value::Array(entries) = entries else {
        return Err(
            ApiError::new(Tag::InvalidValue, format!("{list_name} must be an array")).at(at)
        );
    };
    if matches!(scope, Scope::Entry(_)) && entries.len() != 1 {
        return Err(
            ApiError::new(Tag::InvalidValue, "one entry is addressed: one in the body").at(at)
        );
    }
    let drafts: Result<Vec<Draft>, ApiError> = (1..)
        .zip(&entries)
        .map(|(number, entry)| {
            Draft::read(list, entry, &format!("/{module}:{list_name}[{number}]"))
        })
        .collect();
    Ok((list, scope, drafts?))
}

fn not_here() -> ApiError {
    ApiError::protocol(
        Tag::OperationNotSupported,
        "what can be changed: the lists of softwires and their entries, and the parameters of the \
         bind-instance",
    )
}

/// What an edit comes to.
struct Plan {
    remove: Vec<Key>,
    add: Vec<Binding>,
    /// Something is there that was not.
    created: bool,
    what: String,
}

impl Edit {
    fn plan(&self, editor: &Editor, stamp: &Stamp) -> Result<Plan, ApiError> {
        let br_addresses = &editor.config().softwires.br_addresses;
        let mut plan =
            Plan { remove: Vec::new(), add: Vec::new(), created: false, what: String::new() };
        if let Scope::Entry(keys) = &self.scope {
            let old = self.find(editor, keys)?;
            let now = old.map(|old| Version::of_entry(&entry(self.listed, &old, None), stamp));
            self.conditions.allow(now.as_ref())?;
            if old.is_none() && matches!(self.method, Manner::Remove | Manner::Merge) {
                return Err(ApiError::not_found("there is no such softwire"));
            }
            if self.method == Manner::Remove {
                plan.remove.extend(old.map(|old| Key::of(&old)));
            }
        } else {
            self.conditions.allow(Some(&Version::of_datastore(stamp)))?;
        }
        let mut seen = HashSet::new();
        for (number, draft) in (1..).zip(&self.drafts) {
            let at = format!("entry {number}");
            let (draft, old) = self.complete(editor, *draft, &at)?;
            let base = old.as_ref().filter(|_| self.method == Manner::Merge);
            let new = draft.softwire(base, br_addresses, &at)?;
            let name = match self.listed {
                Listed::BindingEntries => new.b4.to_string(),
                Listed::Softwires => Key::of(&new).to_string(),
            };
            if !seen.insert(name.clone()) {
                return Err(
                    ApiError::new(Tag::InvalidValue, format!("{name} is there twice")).at(at)
                );
            }
            if self.method == Manner::Create && old.is_some() {
                return Err(
                    ApiError::new(Tag::DataExists, format!("{name} is there already")).at(at)
                );
            }
            plan.created |= old.is_none()
                && !matches!(
                    (&self.scope, self.method),
                    (Scope::List, Manner::Replace | Manner::Merge)
                );
            if old != Some(new) {
                plan.remove.extend(old.map(|old| Key::of(&old)));
                // What the model has no word for stays, unless the entry is another one now.
                let until = base.and_then(|old| editor.bind(*old).until);
                plan.add.push(Binding { softwire: new, until });
            }
        }
        if self.method == Manner::Replace && matches!(self.scope, Scope::List) {
            self.remove_others(editor, &seen, &mut plan)?;
        }
        let names =
            plan.add.iter().map(|new| Key::of(&new.softwire)).chain(plan.remove.iter().copied());
        let mut names: Vec<String> = names.take(NAMED).map(|key| key.to_string()).collect();
        names.dedup();
        plan.what = names.join(", ");
        let total = plan.add.len() + plan.remove.len();
        if total > NAMED {
            plan.what += &format!(" and others, {total} in all");
        }
        Ok(plan)
    }

    /// What has this key now.
    fn find(&self, editor: &Editor, keys: &[String]) -> Result<Option<Softwire>, ApiError> {
        match self.listed {
            Listed::BindingEntries => only_one_of(editor, b4_key(&keys[0])?),
            Listed::Softwires => Ok(of_key(editor, own_key(keys)?)),
        }
    }

    /// A draft with the key of the addressed entry, and what has that key now.
    fn complete(
        &self,
        editor: &Editor,
        mut draft: Draft,
        at: &str,
    ) -> Result<(Draft, Option<Softwire>), ApiError> {
        let other = || {
            ApiError::new(Tag::InvalidValue, "the key in the body is not the key in the path")
                .at(at)
        };
        let missing = || ApiError::new(Tag::MissingElement, "an entry needs its key").at(at);
        match self.listed {
            Listed::BindingEntries => {
                if let Scope::Entry(keys) = &self.scope {
                    let b4 = b4_key(&keys[0])?;
                    if *draft.b4.get_or_insert(b4) != b4 {
                        return Err(other());
                    }
                }
                let old = only_one_of(editor, draft.b4.ok_or_else(missing)?)?;
                Ok((draft, old))
            }
            Listed::Softwires => {
                if let Scope::Entry(keys) = &self.scope {
                    let Key { ipv4, psid } = own_key(keys)?;
                    if *draft.ipv4.get_or_insert(ipv4) != ipv4
                        || *draft.psid.get_or_insert(psid) != psid
                    {
                        return Err(other());
                    }
                }
                let ipv4 = draft.ipv4.ok_or_else(missing)?;
                let old = of_key(editor, Key { ipv4, psid: draft.psid.unwrap_or(0) });
                Ok((draft, old))
            }
        }
    }

    /// What a new table has no more; not too much of it unless that is meant.
    fn remove_others(
        &self,
        editor: &Editor,
        kept: &HashSet<String>,
        plan: &mut Plan,
    ) -> Result<(), ApiError> {
        let table = editor.publisher().table();
        let others = table.softwires().filter(|old| {
            let name = match self.listed {
                Listed::BindingEntries => old.b4.to_string(),
                Listed::Softwires => Key::of(old).to_string(),
            };
            is_listed(self.listed, editor, old) && !kept.contains(&name)
        });
        let others: Vec<Key> = others.map(|old| Key::of(&old)).collect();
        let (gone, all) = (others.len(), table.len());
        let limit = usize::from(editor.config().softwires.max_removal);
        if !self.force && gone * 100 > all * limit {
            return Err(ApiError::new(
                Tag::InvalidValue,
                format!(
                    "would remove {gone} of {all} softwires, more than softwires.max-removal = \
                     {limit} per cent: is the table complete? ?force=true removes them"
                ),
            ));
        }
        plan.remove.extend(others);
        Ok(())
    }
}

fn of_key(editor: &Editor, key: Key) -> Option<Softwire> {
    let all = editor.publisher().table().at(key.ipv4);
    all.into_iter().find(|softwire| softwire.port_set.psid() == key.psid)
}
