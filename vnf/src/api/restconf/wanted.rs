//! What a request wants changed: which list, what of it, and the entries in its body.

use serde_json::Value;

use super::draft::{Draft, members, unknown};
use super::edit::Manner;
use super::path::Target;
use super::schema::{Kind, Listed};
use crate::api::error::{ApiError, Tag};

/// What of a list is meant.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// The entry with this key.
    Entry(Vec<String>),
    /// All of it.
    List,
}

/// What a request wants of which list.
pub(super) fn read_edit(
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
