//! Paths of data resources (RFC 8040 section 3.5.3): `module:name=key,key/name/...`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::schema::{Kind, Node, TOP, Top};
use crate::api::error::{ApiError, Tag};

/// More steps than any path has.
const LONGEST: usize = 16;

/// What stands for itself in a key.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A step of a path that leads somewhere.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) node: &'static Node,
    /// Of one entry of a list; `None` for all of them, and what is no list.
    pub(super) keys: Option<Vec<String>>,
}

/// A data resource; without steps, the datastore.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) top: Option<&'static Top>,
    pub(super) steps: Vec<Step>,
}

impl Target {
    /// Where a path leads.
    pub(super) fn find(path: &str) -> Result<Self, ApiError> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Ok(Self { top: None, steps: Vec::new() });
        }
        let (mut top, mut steps) = (None::<&Top>, Vec::<Step>::new());
        for part in path.split('/') {
            if steps.len() == LONGEST {
                return Err(ApiError::not_found("a path too long for any resource"));
            }
            let (name, keys) = match part.split_once('=') {
                Some((name, keys)) => (name, Some(keys)),
                None => (part, None),
            };
            let name = decode(name)?;
            let (module, name) = match name.split_once(':') {
                Some((module, name)) => (Some(module), name),
                None => (None, &*name),
            };
            let node = match (steps.last(), top) {
                (Some(last), Some(top)) if module.is_none_or(|module| module == top.module) => {
                    last.node.children.iter().find(|child| child.name == name)
                }
                (None, _) => {
                    top =
                        TOP.iter().find(|top| Some(top.module) == module && top.node.name == name);
                    top.map(|top| &top.node)
                }
                _ => None,
            };
            let node =
                node.ok_or_else(|| ApiError::not_found(format!("there is no {part} here")))?;
            steps.push(Step { node, keys: keys.map(|keys| keys_of(node, keys)).transpose()? });
        }
        Ok(Self { top, steps })
    }

    /// The node it leads to.
    pub(super) fn node(&self) -> Option<&'static Node> {
        self.steps.last().map(|step| step.node)
    }

    /// True when what it leads to is state, which nobody can change.
    pub(super) fn is_state(&self) -> bool {
        self.steps.iter().any(|step| step.node.state)
    }

    /// `module:name`, as it is called in a body.
    pub(super) fn qualified(&self) -> String {
        match (self.top, self.node()) {
            (Some(top), Some(node)) => format!("{}:{}", top.module, node.name),
            _ => "ietf-restconf:data".to_owned(),
        }
    }
}

fn keys_of(node: &Node, text: &str) -> Result<Vec<String>, ApiError> {
    let (Kind::List(names) | Kind::Entries(_, names)) = node.kind else {
        let words = format!("{} is no list and has no key", node.name);
        return Err(ApiError::protocol(Tag::InvalidValue, words));
    };
    let keys: Vec<String> = text.split(',').map(decode).collect::<Result<_, _>>()?;
    if keys.len() != names.len() {
        let words = format!("{} has the key {}", node.name, names.join(","));
        return Err(ApiError::protocol(Tag::InvalidValue, words));
    }
    Ok(keys)
}

fn decode(text: &str) -> Result<String, ApiError> {
    let decoded = percent_decode_str(text).decode_utf8();
    let wrong = |_| ApiError::protocol(Tag::InvalidValue, "the path is not UTF-8");
    decoded.map(std::borrow::Cow::into_owned).map_err(wrong)
}

/// A key as it stands in a path.
pub(super) fn encode(key: &str) -> String {
    utf8_percent_encode(key, PLAIN).to_string()
}
