//! Query parameters of a request for data (RFC 8040 section 4.8), and what they leave of it.
//!
//! `limit`, `offset` and `after` are an extension of ours: a page of a list.

use std::net::Ipv4Addr;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::schema::{Kind, Node};
use crate::api::error::{ApiError, Tag};

/// Configuration, state, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Content {
    #[default]
    All,
    Config,
    NonConfig,
}

/// The parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query {
    /// Levels of nodes, the target's being the first.
    pub(super) depth: usize,
    pub(super) content: Content,
    /// Entries of a list at most.
    pub(super) limit: Option<usize>,
    /// Entries that are left out before.
    pub(super) offset: usize,
    /// The list begins behind this address and PSID.
    pub(super) after: Option<(Ipv4Addr, u16)>,
    /// Remove as many softwires as the request says.
    pub(super) force: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            depth: usize::MAX,
            content: Content::All,
            limit: None,
            offset: 0,
            after: None,
            force: false,
        }
    }
}

impl Query {
    /// Those of a request that reads.
    pub(super) fn of_get(text: Option<&str>) -> Result<Self, ApiError> {
        Self::parse(text, &["depth", "content", "limit", "offset", "after", "with-defaults"])
    }

    /// Those of a request that changes something.
    pub(super) fn of_edit(text: Option<&str>) -> Result<Self, ApiError> {
        Self::parse(text, &["force"])
    }

    fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut query = Self::default();
        let mut seen = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            let wrong = |what: &str| {
                ApiError::protocol(Tag::InvalidValue, format!("query parameter {name}: {what}"))
            };
            if !known.contains(&name) {
                return Err(wrong(&format!("not known here: {}", known.join(", "))));
            }
            if seen.contains(&name) {
                return Err(wrong("given twice"));
            }
            seen.push(name);
            let number = |least: usize| {
                let number = value.parse().ok().filter(|&number: &usize| number >= least);
                number.ok_or_else(|| wrong(&format!("a number from {least} on")))
            };
            match (name, &*value) {
                ("depth", "unbounded") => {}
                ("depth", _) => {
                    query.depth = number(1)?;
                    if query.depth > 65_535 {
                        return Err(wrong("a number from 1 to 65535, or unbounded"));
                    }
                }
                ("content", "all") => {}
                ("content", "config") => query.content = Content::Config,
                ("content", "nonconfig") => query.content = Content::NonConfig,
                ("content", _) => return Err(wrong("all, config or nonconfig")),
                ("with-defaults", "report-all") => {}
                ("with-defaults", _) => return Err(wrong("report-all is what there is")),
                ("limit", _) => query.limit = Some(number(1)?),
                ("offset", _) => query.offset = number(0)?,
                ("after", _) => {
                    let position = value.split_once(',').and_then(|(address, psid)| {
                        Some((address.parse().ok()?, psid.parse().ok()?))
                    });
                    let what = "the IPv4 address and PSID of a softwire, like 203.0.113.7,3";
                    query.after = Some(position.ok_or_else(|| wrong(what))?);
                }
                ("force", "true") => query.force = true,
                _ => return Err(wrong("true")),
            }
        }
        Ok(query)
    }

    /// True when a page of a list is wanted.
    pub(super) fn pages(&self) -> bool {
        self.limit.is_some() || self.offset > 0 || self.after.is_some()
    }
}

/// What the parameters leave of a node; `None` for nothing. `level` is the node's, `state` says
/// whether it is below state.
pub(super) fn prune(
    value: Value,
    node: &Node,
    query: &Query,
    level: usize,
    state: bool,
) -> Option<Value> {
    let state = state || node.state;
    let wanted = match query.content {
        Content::All => true,
        Content::Config => !state,
        Content::NonConfig => state,
    };
    match (node.kind, value) {
        (Kind::Leaf, value) => wanted.then_some(value),
        (Kind::Container, Value::Object(members)) => {
            let members = prune_members(members, node, &[], query, level, state);
            // A container that has nothing else to say says nothing.
            (wanted || !members.is_empty()).then_some(Value::Object(members))
        }
        (Kind::List(keys), Value::Array(entries)) => {
            let entries: Vec<Value> = entries
                .into_iter()
                .filter_map(|entry| prune_entry(entry, node, keys, query, level, state))
                .collect();
            (wanted || !entries.is_empty()).then_some(Value::Array(entries))
        }
        // A place for entries, filled in when they are sent.
        (Kind::Entries(..), value) => {
            let state_below = node.children.iter().any(|child| child.state);
            (wanted || state_below).then_some(value)
        }
        (_, value) => Some(value),
    }
}

/// The same for one entry of a list.
pub(super) fn prune_entry(
    entry: Value,
    node: &Node,
    keys: &[&str],
    query: &Query,
    level: usize,
    state: bool,
) -> Option<Value> {
    let Value::Object(members) = entry else { return Some(entry) };
    let members = prune_members(members, node, keys, query, level, state);
    let only_keys = members.keys().all(|name| keys.contains(&name.as_str()));
    let wanted = match query.content {
        Content::All => true,
        Content::Config => !state,
        Content::NonConfig => state || !only_keys,
    };
    wanted.then_some(Value::Object(members))
}

fn prune_members(
    members: Map<String, Value>,
    node: &Node,
    keys: &[&str],
    query: &Query,
    level: usize,
    state: bool,
) -> Map<String, Value> {
    if level >= query.depth {
        return Map::new();
    }
    let mut kept = Map::new();
    for (name, value) in members {
        let Some(child) = node.children.iter().find(|child| child.name == name) else { continue };
        let value = if keys.contains(&child.name) {
            Some(value)
        } else {
            prune(value, child, query, level + 1, state)
        };
        if let Some(value) = value {
            kept.insert(name, value);
        }
    }
    kept
}
