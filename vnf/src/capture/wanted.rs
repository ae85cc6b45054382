//! Which frames a capture wants: what can be told without looking into them. What can only be told
//! by looking, the softwire, is for the relay, which knows how (`lwaftr::tap`).

use serde::{Deserialize, Serialize};

use super::record::Event;
use crate::side::Side;
use crate::softwire::Softwire;
use crate::telemetry::DropReason;

/// Which way, seen from the B4s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Received on the external side, or sent on the internal one.
    ToB4,
    /// Received on the internal side, or sent on the external one.
    FromB4,
}

impl Direction {
    fn of(side: Side, event: Event) -> Self {
        if (side == Side::External) == event.is_inbound() { Self::ToB4 } else { Self::FromB4 }
    }
}

/// Which frames, and how much of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Only what is dropped; if reasons are given, only for one of these.
    pub drops: Option<Vec<DropReason>>,
    /// Only this way.
    pub direction: Option<Direction>,
    /// Only what belongs to one of these softwires.
    pub softwires: Option<Vec<Softwire>>,
    /// So many bytes of each frame.
    pub snap_length: u32,
}

impl Wanted {
    /// Is a frame wanted to which this happened on this side, whatever is in it?
    #[must_use]
    pub fn includes(&self, side: Side, event: Event) -> bool {
        let direction = self.direction.is_none_or(|wanted| wanted == Direction::of(side, event));
        let drop = self.drops.as_ref().is_none_or(|reasons| {
            event
                .drop_reason()
                .is_some_and(|reason| reasons.is_empty() || reasons.contains(&reason))
        });
        direction && drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Way;

    const ALL: Wanted =
        Wanted { drops: None, direction: None, softwires: None, snap_length: 65_535 };

    #[test]
    fn directions_are_seen_from_the_b4s() {
        let to_b4 = Wanted { direction: Some(Direction::ToB4), ..ALL };
        let sent = Event::Sent(Way::Forwarded);
        for (side, event, is_to_b4) in [
            (Side::External, Event::Received, true),
            (Side::Internal, sent, true),
            (Side::Internal, Event::Received, false),
            (Side::External, sent, false),
            (Side::External, Event::Dropped(DropReason::TooBig), true),
            (Side::External, Event::Refused, false),
        ] {
            assert_eq!(to_b4.includes(side, event), is_to_b4, "{side} {event:?}");
            assert!(ALL.includes(side, event));
        }
    }

    #[test]
    fn drops_of_some_reasons_or_all() {
        let drops = |reasons| Wanted { drops: Some(reasons), ..ALL };
        let too_big = Event::Dropped(DropReason::TooBig);
        assert!(drops(vec![]).includes(Side::External, too_big));
        assert!(drops(vec![]).includes(Side::External, Event::Refused));
        assert!(!drops(vec![]).includes(Side::External, Event::Received));
        assert!(drops(vec![DropReason::TooBig]).includes(Side::External, too_big));
        assert!(!drops(vec![DropReason::TxFull]).includes(Side::External, too_big));
        assert!(drops(vec![DropReason::TxFull]).includes(Side::External, Event::Refused));
    }
}
