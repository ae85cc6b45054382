//! Whether an instance can forward: both links up, a next hop on both sides, all workers at work.

use serde_json::{Value, json};

use crate::lwaftr::Snapshot;
use crate::side::Side;
use crate::telemetry::LinkStatus;

/// How an instance is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why a side cannot forward, by side.
    pub sides: [Option<String>; 2],
    /// The workers that make no progress.
    pub stalled: Vec<String>,
    /// Somebody has asked for a drain.
    pub draining: bool,
}

impl Health {
    pub(super) fn of(
        snapshot: &Snapshot,
        links: [Option<LinkStatus>; 2],
        stalled: Vec<String>,
        draining: bool,
    ) -> Self {
        let sides = Side::BOTH.map(|side| side_problem(snapshot, side, links[side.index()]));
        Self { sides, stalled, draining }
    }

    /// Traffic may be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.problems().is_empty()
    }

    /// A restart would not help.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stalled.is_empty()
    }

    /// Has this side what it needs to forward?
    #[must_use]
    pub fn can_forward(&self, side: Side) -> bool {
        self.sides[side.index()].is_none()
    }

    /// Why traffic should not be sent here, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let sides = Side::BOTH
            .into_iter()
            .filter_map(|side| Some(format!("{side}: {}", self.sides[side.index()].as_ref()?)));
        let stalled = self.stalled.iter().map(|worker| format!("{worker}: makes no progress"));
        let drained = self.draining.then(|| "drained: `lwaftr undrain` ends that".to_owned());
        sides.chain(stalled).chain(drained).collect()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "ready": self.is_ready(),
            "live": self.is_live(),
            "draining": self.draining,
            "problems": self.problems(),
        })
    }
}

/// Why a side cannot forward.
fn side_problem(snapshot: &Snapshot, side: Side, link: Option<LinkStatus>) -> Option<String> {
    if link.is_some_and(|link| !link.up) {
        return Some("the link is down".to_owned());
    }
    let hops = snapshot.next_hops(side);
    match hops.iter().find(|hop| hop.in_use) {
        None => Some("no next hop has answered".to_owned()),
        Some(hop) if !hop.answers => {
            let address = hop.address.map(|address| address.to_string()).unwrap_or_default();
            Some(format!("the next hop {address} does not answer any more"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing;
    use crate::lwaftr::NextHop;

    const UP: Option<LinkStatus> = Some(LinkStatus { up: true, megabits: None });
    const DOWN: Option<LinkStatus> = Some(LinkStatus { up: false, megabits: None });

    #[test]
    fn both_sides_and_all_workers_are_needed() {
        let (config, writer) = testing::config();
        let mut settings = testing::settings(&config);
        let mac = crate::wire::MacAddr([2, 0, 0, 0, 0, 9]);
        settings.external.next_hop = NextHop::Fixed(mac);
        let snapshot = Snapshot::new(settings.clone(), writer.table().clone());
        let health = Health::of(&snapshot, [UP, None], vec![], false);
        assert_eq!(health.problems(), ["internal: no next hop has answered"]);
        assert!(health.is_live() && !health.is_ready());
        assert!(health.can_forward(Side::External) && !health.can_forward(Side::Internal));

        settings.internal.next_hop = NextHop::Fixed(mac);
        let snapshot = snapshot.successor(settings, writer.table().clone());
        assert!(Health::of(&snapshot, [UP, UP], vec![], false).is_ready());
        let health = Health::of(&snapshot, [DOWN, UP], vec!["worker 1".to_owned()], true);
        assert_eq!(
            health.problems(),
            [
                "external: the link is down",
                "worker 1: makes no progress",
                "drained: `lwaftr undrain` ends that"
            ]
        );
        assert!(!health.is_live());
        assert_eq!(health.to_json()["draining"], true);
    }
}
