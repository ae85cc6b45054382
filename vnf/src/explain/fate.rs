//! How a frame ended, read off the counters (A1): the one that moved.

use serde::Serialize;

use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason, InterfaceTotals};

/// How frames that came by one interface ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fate {
    /// The interface they came by.
    pub side: &'static str,
    /// `forwarded`, `hairpinned`, `answered`, `consumed`, `held`, `absorbed`, `ignored`, `dropped`.
    pub fate: &'static str,
    /// Why, if they were dropped or ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<&'static str>,
    /// By which rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<&'static str>,
    /// How many frames.
    pub frames: u64,
}

/// What was counted between two readings.
pub(super) fn between(side: Side, before: &InterfaceTotals, after: &InterfaceTotals) -> Vec<Fate> {
    let side = side.name();
    let plain = [
        ("forwarded", before.forwarded, after.forwarded),
        ("hairpinned", before.hairpinned, after.hairpinned),
        ("answered", before.answered, after.answered),
        ("consumed", before.consumed, after.consumed),
        ("held", before.held, after.held),
        ("absorbed", before.absorbed, after.absorbed),
    ];
    let plain = plain.into_iter().filter(|(_, before, after)| after > before).map(
        |(fate, before, after)| Fate {
            side,
            fate,
            reason: None,
            meaning: None,
            rules: Vec::new(),
            frames: after - before,
        },
    );
    let dropped = DropReason::ALL.iter().map(|&reason| {
        let at = |totals: &InterfaceTotals| totals.drops[reason.index()].packets;
        let (words, rules) = (reason.words(), reason.rules());
        ("dropped", reason.name(), words, rules, at(after) - at(before))
    });
    let ignored = IgnoreReason::ALL.iter().map(|&reason| {
        let at = |totals: &InterfaceTotals| totals.ignored[reason.index()].packets;
        ("ignored", reason.name(), reason.words(), vec!["P1"], at(after) - at(before))
    });
    let with_reason = dropped.chain(ignored).filter(|&(.., frames)| frames > 0).map(
        |(fate, reason, meaning, rules, frames)| Fate {
            side,
            fate,
            reason: Some(reason),
            meaning: Some(meaning.trim_end_matches('.')),
            rules,
            frames,
        },
    );
    plain.chain(with_reason).collect()
}
