//! What a change of a list comes to: softwires that go, and softwires that come.

use std::collections::HashSet;

use super::binding::{b4_key, entry, is_listed, only_one_of, own_key};
use super::draft::Draft;
use super::edit::Manner;
use super::schema::Listed;
use super::stamp::{Conditions, Version};
use super::wanted::Scope;
use crate::api::error::{ApiError, Tag};
use crate::control::{Editor, Key, Stamp};
use crate::softwire::{Binding, Softwire};

/// So many softwires are named in the audit log.
const NAMED: usize = 5;

/// A change of a list.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) method: Manner,
    pub(super) listed: Listed,
    pub(super) scope: Scope,
    pub(super) drafts: Vec<Draft>,
    pub(super) force: bool,
    pub(super) conditions: Conditions,
}

/// What an edit comes to.
pub(super) struct Plan {
    pub(super) remove: Vec<Key>,
    pub(super) add: Vec<Binding>,
    /// Something is there that was not.
    pub(super) created: bool,
    pub(super) what: String,
}

impl Edit {
    pub(super) fn plan(&self, editor: &Editor, stamp: &Stamp) -> Result<Plan, ApiError> {
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
