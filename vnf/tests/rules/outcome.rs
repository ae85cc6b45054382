//! What became of frames: what was counted and what was sent.

use std::collections::BTreeMap;

use vnf::replay::Session;
use vnf::side::Side;
use vnf::telemetry::{DropReason, IgnoreReason};

use crate::link::Wire;
use crate::packets::Bytes;

/// All counters of both sides, by their names in the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts([BTreeMap<String, u64>; 2]);

impl Counts {
    pub(crate) fn of(session: &Session) -> Self {
        Self(Side::BOTH.map(|side| {
            let totals = session.totals(side);
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for (name, count) in totals.named() {
                counts.insert(name.to_owned(), count);
            }
            for reason in DropReason::ALL {
                let counted = totals.drops[reason.index()];
                counts.insert(format!("drop {reason}"), counted.packets);
                counts.insert(format!("drop {reason} bytes"), counted.bytes);
            }
            for reason in IgnoreReason::ALL {
                let counted = totals.ignored[reason.index()];
                counts.insert(format!("ignored {reason}"), counted.packets);
                counts.insert(format!("ignored {reason} bytes"), counted.bytes);
            }
            counts
        }))
    }

    /// What was added; what was taken away (from `held`) does not count.
    pub(crate) fn since(self, before: &Self) -> Self {
        let [external, internal] = self.0;
        let less = |counts: BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            let added = |(name, count): (String, u64)| {
                let more = count.checked_sub(before[&name])?;
                (more > 0).then_some((name, more))
            };
            counts.into_iter().filter_map(added).collect()
        };
        Self([less(external, &before.0[0]), less(internal, &before.0[1])])
    }

    pub(crate) fn get(&self, side: Side, name: &str) -> u64 {
        self.0[side.index()].get(name).copied().unwrap_or(0)
    }
}

/// What became of one frame, or of several.
#[must_use]
#[derive(Debug)]
pub(crate) struct Outcome {
    counts: Counts,
    pub(crate) sent: Vec<(Side, Vec<u8>)>,
    wires: [Wire; 2],
}

/// Where a frame can end (A1).
const FATES: [&str; 7] = [
    "forwarded-packets",
    "hairpinned-packets",
    "answered-packets",
    "consumed-packets",
    "absorbed-packets",
    "reassembled-packets",
    "held-packets",
];

impl Outcome {
    pub(crate) fn new(counts: Counts, sent: Vec<(Side, Vec<u8>)>, wires: [Wire; 2]) -> Self {
        Self { counts, sent, wires }
    }

    /// How much was added to a counter.
    pub(crate) fn counted(&self, side: Side, name: &str) -> u64 {
        self.counts.get(side, name)
    }

    /// The side on which a frame came in.
    fn side(&self) -> Side {
        let came = |side: &Side| self.counted(*side, "in-packets") > 0;
        Side::BOTH.into_iter().find(came).expect("a frame came in")
    }

    /// The one fate of the one frame.
    pub(crate) fn fate(&self) -> String {
        let counts = &self.counts.0[self.side().index()];
        let is_fate = |name: &&String| {
            FATES.contains(&name.as_str())
                || (name.starts_with("drop ") || name.starts_with("ignored "))
                    && !name.ends_with(" bytes")
        };
        let fates: Vec<&String> = counts.keys().filter(is_fate).collect();
        assert!(fates.len() == 1 && counts[fates[0]] == 1, "not one fate: {counts:?}");
        fates[0].clone()
    }

    /// The packets of the frames that left, all of them on this side, by the next hop.
    #[track_caller]
    pub(crate) fn packets(&self, side: Side) -> Vec<Vec<u8>> {
        let wire = self.wires[side.index()];
        let packet = |(on, frame): &(Side, Vec<u8>)| {
            assert_eq!(*on, side, "{self:?}");
            let header = wire.outgoing(&vec![]);
            assert_eq!(frame[..header.len()], header);
            frame[header.len()..].to_vec()
        };
        self.sent.iter().map(packet).collect()
    }

    fn to_next_hop(&self, side: Side, packet: &dyn Bytes) -> (Side, Vec<u8>) {
        (side, self.wires[side.index()].outgoing(packet))
    }

    #[track_caller]
    fn ends(self, fate: &str, sent: &[(Side, Vec<u8>)]) {
        assert_eq!(self.fate(), fate, "{self:02x?}");
        assert!(self.sent == sent, "sent {:02x?}\n not {sent:02x?}", self.sent);
    }

    /// Leaves on the other side, in these pieces.
    #[track_caller]
    pub(crate) fn forwarded(self, pieces: &[&dyn Bytes]) {
        let to = self.side().other();
        let frames: Vec<_> = pieces.iter().map(|piece| self.to_next_hop(to, *piece)).collect();
        assert_eq!(self.counted(to, "extra-fragments"), pieces.len() as u64 - 1);
        self.ends("forwarded-packets", &frames);
    }

    /// Leaves where it came from, to another B4.
    #[track_caller]
    pub(crate) fn hairpinned(self, packet: &dyn Bytes) {
        let frame = self.to_next_hop(self.side(), packet);
        self.ends("hairpinned-packets", &[frame]);
    }

    /// This frame is the answer.
    #[track_caller]
    pub(crate) fn answered(self, frame: &[u8]) {
        let answer = (self.side(), frame.to_vec());
        self.ends("answered-packets", &[answer]);
    }

    /// Was for the relay, which says nothing.
    #[track_caller]
    pub(crate) fn consumed(self) {
        self.ends("consumed-packets", &[]);
    }

    /// Was for the relay, which tells somebody on this side.
    #[track_caller]
    pub(crate) fn consumed_and_told(self, side: Side, packet: &dyn Bytes) {
        let frame = self.to_next_hop(side, packet);
        assert_eq!(self.counted(side, "originated-packets"), 1);
        self.ends("consumed-packets", &[frame]);
    }

    /// Other people's business.
    #[track_caller]
    pub(crate) fn ignored(self, reason: &str) {
        self.ends(&format!("ignored {reason}"), &[]);
    }

    /// Dropped, and nobody is told, nor would anybody have been but for a rate limit.
    #[track_caller]
    pub(crate) fn dropped(self, reason: &str) {
        for side in Side::BOTH {
            assert_eq!(self.counted(side, "suppressed-errors"), 0, "{self:?}");
        }
        self.ends(&format!("drop {reason}"), &[]);
    }

    /// Dropped, and its sender is told on the side it came from.
    #[track_caller]
    pub(crate) fn dropped_and_told(self, reason: &str, error: &dyn Bytes) {
        let side = self.side();
        let frame = self.to_next_hop(side, error);
        assert_eq!(self.counted(side, "originated-packets"), 1);
        self.ends(&format!("drop {reason}"), &[frame]);
    }

    /// Dropped, and a rate limit holds back the error about it.
    #[track_caller]
    pub(crate) fn dropped_in_silence(self, reason: &str) {
        assert_eq!(self.counted(self.side(), "suppressed-errors"), 1, "{self:?}");
        self.ends(&format!("drop {reason}"), &[]);
    }
}
