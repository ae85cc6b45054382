//! The parameters of the bind-instance: leaves of the model that are keys of the configuration.

use axum::http::StatusCode;
use serde_json::Value;

use super::draft::{local, number, text, unknown};
use super::edit::Manner;
use super::path::Target;
use super::schema::{Kind, Node};
use crate::api::error::{ApiError, Tag};
use crate::config::Config;
use crate::control::NewKey;
use crate::lwaftr::Hairpinning;

/// True when a path leads to a parameter, or to what has parameters and no entries.
pub(super) fn is_one(target: &Target) -> bool {
    let below = target.steps.iter().position(|step| step.node.name == "bind-instance");
    below.is_some_and(|instance| {
        let last = target.steps.last().map(|step| step.node);
        let named = target.steps[instance].keys.is_some();
        named
            && last.is_some_and(|node| {
                node.name != "binding-table" && !matches!(node.kind, Kind::Entries(..))
            })
    })
}

/// The keys that a request sets.
pub(super) fn keys(
    target: &Target,
    manner: Manner,
    body: &Value,
    config: &Config,
) -> Result<Vec<NewKey>, ApiError> {
    let Some(node) = target.node() else { return Err(unsupported()) };
    let instance = target.steps.iter().position(|step| step.node.name == "bind-instance");
    let below = &target.steps[instance.map_or(0, |at| at + 1)..];
    let path: Vec<&str> = below.iter().map(|step| step.node.name).collect();
    let path = path.join("/");
    let mut leaves = Vec::new();
    match manner {
        Manner::Create => return Err(unsupported()),
        // The instance is there as long as this process.
        Manner::Remove | Manner::Replace if path.is_empty() => return Err(unsupported()),
        Manner::Remove => {}
        Manner::Replace | Manner::Merge => {
            let outer = target.qualified();
            let object = body.as_object().filter(|object| object.len() == 1);
            let content = object.and_then(|object| object.get(&outer)).ok_or_else(|| {
                let words = format!("the body must be an object with {outer}");
                ApiError::new(Tag::MissingElement, words)
            })?;
            let content = match (node.kind, content) {
                (Kind::List(_), Value::Array(entries)) if entries.len() == 1 => &entries[0],
                (Kind::List(_), _) => {
                    let words = "one entry is addressed: one in the body";
                    return Err(ApiError::new(Tag::InvalidValue, words));
                }
                _ => content,
            };
            flatten(node, content, &path, &mut leaves)?;
        }
    }
    if matches!(manner, Manner::Remove | Manner::Replace) {
        let mut all = Vec::new();
        every_leaf(node, &path, &mut all);
        let absent: Vec<_> =
            all.into_iter().filter(|leaf| !leaves.iter().any(|(path, _)| path == leaf)).collect();
        leaves.extend(absent.into_iter().map(|leaf| (leaf, None)));
    }
    let mut keys = Vec::new();
    for (leaf, value) in &leaves {
        keys.extend(key(leaf, *value, config).map_err(|error| error.at(leaf.as_str()))?);
    }
    Ok(keys)
}

fn unsupported() -> ApiError {
    let words = "the one bind-instance is there as long as the process; its parameters can be \
                 merged (PATCH), and each can be replaced or deleted";
    ApiError::protocol(Tag::OperationNotSupported, words)
}

fn flatten<'a>(
    node: &Node,
    value: &'a Value,
    path: &str,
    leaves: &mut Vec<(String, Option<&'a Value>)>,
) -> Result<(), ApiError> {
    if node.kind == Kind::Leaf {
        leaves.push((path.to_owned(), Some(value)));
        return Ok(());
    }
    let object = value
        .as_object()
        .ok_or_else(|| ApiError::new(Tag::InvalidValue, "must be an object").at(path))?;
    for (name, value) in object {
        let name = local(name);
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let child = node.children.iter().find(|child| child.name == name);
        let child = child.filter(|child| !child.state).ok_or_else(|| unknown(name, &below))?;
        if child.name == "binding-table" {
            let words = "entries and parameters are changed by requests of their own";
            return Err(ApiError::new(Tag::OperationFailed, words)
                .with_status(StatusCode::PRECONDITION_FAILED)
                .at(below));
        }
        flatten(child, value, &below, leaves)?;
    }
    Ok(())
}

fn every_leaf(node: &Node, path: &str, leaves: &mut Vec<String>) {
    if node.kind == Kind::Leaf {
        leaves.push(path.to_owned());
    }
    for child in node.children.iter().filter(|child| !child.state) {
        every_leaf(child, &format!("{path}/{}", child.name), leaves);
    }
}

/// The key that a leaf is; none when it says what is so anyway.
fn key(leaf: &str, value: Option<&Value>, config: &Config) -> Result<Option<NewKey>, ApiError> {
    let set = |table, key, value| Ok(Some(NewKey { table, key, value }));
    let truth = |value: Option<&Value>| match value {
        None => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some((*truth).into())),
        Some(_) => Err(ApiError::new(Tag::InvalidValue, "must be true or false")),
    };
    let rate = |value: Option<&Value>| {
        let rate = value.map(|value| number::<i64>(value, 100_000_000, leaf)).transpose()?;
        Ok::<_, ApiError>(rate.map(toml_edit::Value::from))
    };
    match leaf {
        "softwire-num-max" => {
            let most =
                value.map(|value| number::<i64>(value, u32::MAX.into(), leaf)).transpose()?;
            match most {
                // With us 0 is no limit.
                Some(0) => Err(ApiError::new(Tag::InvalidValue, "must be above 0")),
                most => set("softwires", "max-softwires", most.map(toml_edit::Value::from)),
            }
        }
        "softwire-payload-mtu" => {
            let Some(value) = value else { return set("internal", "mtu", None) };
            let mtu = number::<i64>(value, 8_960, leaf)?;
            set("internal", "mtu", Some((mtu + 40).into()))
        }
        "enable-hairpinning" => match value {
            None => set("policy", "hairpinning", None),
            Some(Value::Bool(false)) => set("policy", "hairpinning", Some("external".into())),
            // "drop" is hairpinning, too: it is the relay that decides.
            Some(Value::Bool(true)) if config.policy.hairpinning != Hairpinning::External => {
                Ok(None)
            }
            Some(Value::Bool(true)) => set("policy", "hairpinning", Some("local".into())),
            Some(_) => Err(ApiError::new(Tag::InvalidValue, "must be true or false")),
        },
        "icmp-policy/icmpv4-errors/allow-incoming-icmpv4" => {
            set("policy", "allow-incoming-icmpv4", truth(value)?)
        }
        "icmp-policy/icmpv4-errors/icmpv4-rate" => match value {
            // 0 is no limit with us, and none at all in the model.
            Some(value) if value.as_u64() == Some(0) => {
                let words = "a rate of 0: allow-incoming-icmpv4 = false lets none in";
                Err(ApiError::new(Tag::InvalidValue, words))
            }
            value => set("policy", "icmpv4-rate", rate(value)?),
        },
        "icmp-policy/icmpv4-errors/generate-icmpv4-errors" => {
            set("policy", "generate-icmpv4-errors", truth(value)?)
        }
        "icmp-policy/icmpv6-errors/generate-icmpv6-errors" => {
            set("policy", "generate-icmpv6-errors", truth(value)?)
        }
        "softwire-path-mru" => {
            let mru = value.map(|value| number::<i64>(value, 65_535, leaf)).transpose()?;
            set("api", "softwire-path-mru", mru.map(toml_edit::Value::from))
        }
        // 64-bit numbers are strings (RFC 7951); what else they must be, the configuration checks.
        "binding-table-versioning/version" => {
            let version = value.map(|value| text(value, leaf)).transpose()?;
            set("api", "table-version", version.map(toml_edit::Value::from))
        }
        "binding-table-versioning/date" => {
            let date = value.map(|value| text(value, leaf)).transpose()?;
            set("api", "table-date", date.map(toml_edit::Value::from))
        }
        "icmp-policy/icmpv6-errors/icmpv6-rate" => set("policy", "icmpv6-rate", rate(value)?),
        // What says what is so is no change.
        "name" if value.and_then(Value::as_str) == Some(&config.instance.name) => Ok(None),
        _ => {
            let words = format!("{leaf} is reported, and cannot be set");
            Err(ApiError::new(Tag::OperationFailed, words)
                .with_status(StatusCode::PRECONDITION_FAILED))
        }
    }
}
