//! Is a frame that came back what it must be?

use vnf::wire::ethernet::{Ethernet, ethertype};

use super::direction::Direction;
use super::flows::Tunnel;
use super::frames::{self, INNER, MOST_HEADERS};
use super::lane::Lane;
use super::stamp::{self, NoStamp, Stamp};

/// What a received frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One of ours, every byte as it must be.
    Good {
        sequence: u64,
        time: u64,
        /// Which table made it.
        table: usize,
    },
    /// One of ours, with wrong bytes.
    Corrupt,
    /// One of ours, but in a tunnel or on a link where it does not belong, or made by a table that
    /// is no longer in force.
    Misdirected,
    /// Left over from an earlier trial.
    Stale,
}

/// The direction that brings such frames back.
fn direction_of(ethertype: u16) -> Option<Direction> {
    match ethertype {
        ethertype::IPV6 => Some(Direction::Encap),
        ethertype::IPV4 => Some(Direction::Decap),
        _ => None,
    }
}

/// The stamp of a frame, and the direction that its form belongs to.
#[inline]
pub(crate) fn stamp_of(frame: &[u8]) -> (Option<Direction>, Result<Stamp, NoStamp>) {
    let Some(ethernet) = Ethernet::parse(frame) else { return (None, Err(NoStamp::Foreign)) };
    let Some(direction) = direction_of(ethernet.ethertype) else {
        return (None, Err(NoStamp::Foreign));
    };
    let at = frames::headers_len(ethernet.vlan.is_some(), direction == Direction::Encap);
    let stamp = frame.get(at..).and_then(|rest| rest.first_chunk()).ok_or(NoStamp::Foreign);
    (Some(direction), stamp.and_then(Stamp::read))
}

/// Judges a frame whose stamp says that it is of this lane's direction. `sent` is how many frames
/// had been sent when it was received.
#[inline]
pub(crate) fn judge(lane: &Lane, stamp: Stamp, frame: &[u8], sent: u64) -> Verdict {
    let traffic = &lane.traffic;
    if stamp.trial != traffic.trial {
        return Verdict::Stale;
    }
    if stamp.sequence >= sent {
        return Verdict::Corrupt;
    }
    let (likely, other) = lane.expectation.tables(stamp.sequence);
    let number = traffic.flows.number(stamp.sequence);
    for table in [Some(likely), other].into_iter().flatten() {
        if is_as_expected(lane, stamp, frame, traffic.flows.tunnel(number, table)) {
            return Verdict::Good { sequence: stamp.sequence, time: stamp.time, table };
        }
    }
    why_not(lane, stamp, frame)
}

#[inline]
fn is_as_expected(lane: &Lane, stamp: Stamp, frame: &[u8], tunnel: Tunnel) -> bool {
    let traffic = &lane.traffic;
    let shape = traffic.mix.shape(stamp.sequence);
    let flow = traffic.flows.flow(traffic.flows.number(stamp.sequence));
    let mut buffer = [0; MOST_HEADERS];
    let Some(expected) =
        traffic.framer.expected(&mut buffer, traffic.direction, flow, tunnel, shape)
    else {
        return false;
    };
    let Some((head, rest)) = frame.split_at_checked(expected.len()) else { return false };
    let Some((_, fill)) = rest.split_at_checked(stamp::LEN) else { return false };
    let heads_agree = match traffic.framer.free_label_at(traffic.direction) {
        None => head == expected,
        // E5: a hash is never 0. Its first byte shares four bits with the traffic class.
        Some(at) => {
            let label = [head[at] & 0x0f, head[at + 1], head[at + 2]];
            label != [0; 3]
                && head[..at] == expected[..at]
                && head[at] & 0xf0 == expected[at] & 0xf0
                && head[at + 3..] == expected[at + 3..]
        }
    };
    heads_agree && fill == shape.fill()
}

/// Tells a right packet in the wrong tunnel from a wrong packet.
#[cold]
fn why_not(lane: &Lane, stamp: Stamp, frame: &[u8]) -> Verdict {
    let traffic = &lane.traffic;
    if traffic.direction == Direction::Decap {
        return Verdict::Corrupt;
    }
    let tunnel_at = frames::headers_len(traffic.framer.returns_tagged(Direction::Encap), true);
    let Some(outer) = frame.get(tunnel_at - INNER - 32..tunnel_at - INNER) else {
        return Verdict::Corrupt;
    };
    let (br, b4) = outer.split_at(16);
    let address = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum << 8 | u128::from(byte));
    let actual = Tunnel { br: address(br), b4: address(b4) };
    if is_as_expected(lane, stamp, frame, actual) { Verdict::Misdirected } else { Verdict::Corrupt }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::flows::{Agreement, Flows};
    use crate::frames::Framer;
    use crate::frames::tests::LINKS;
    use crate::lane::Traffic;
    use crate::mix::Mix;
    use benches::softwires::{Layout, rules};
    use std::sync::Arc;
    use vnf::softwire::{Softwire, TableWriter};

    /// A lane over 64 softwires and two tables, of which the second has other B4s.
    pub(crate) fn lane(direction: Direction, mix: Mix) -> Lane {
        let old: Vec<Softwire> = (0..64).map(|number| Layout::Dense.softwire(number)).collect();
        let mut new = old.clone();
        if direction == Direction::Encap {
            for softwire in &mut new {
                softwire.b4 = (u128::from(softwire.b4) + (1 << 64)).into();
            }
        }
        let tables = [&old, &new]
            .map(|rows| Arc::clone(TableWriter::build(rows, &rules()).unwrap().table()));
        let flows = Flows::draw(&old, &tables, Agreement::Each, 100, 1).unwrap();
        let framer = Framer::new(LINKS);
        Lane::new(Traffic { direction, trial: 3, flows: flows.into(), mix, framer }, 0)
    }

    /// The frame with this number as a table makes it.
    fn back(lane: &Lane, sequence: u64, table: usize) -> Vec<u8> {
        let traffic = &lane.traffic;
        let (shape, number) = (traffic.mix.shape(sequence), traffic.flows.number(sequence));
        let (flow, tunnel) = (traffic.flows.flow(number), traffic.flows.tunnel(number, table));
        let mut buffer = [0; MOST_HEADERS];
        let head =
            traffic.framer.expected(&mut buffer, traffic.direction, flow, tunnel, shape).unwrap();
        let mut frame = head.to_vec();
        let mut stamp = [0; stamp::LEN];
        let direction = traffic.direction;
        Stamp { direction, trial: traffic.trial, sequence, time: 5 }.write(&mut stamp);
        frame.extend(stamp);
        frame.extend(shape.fill());
        if let Some(at) = traffic.framer.free_label_at(direction) {
            frame[at + 2] = 0x77;
        }
        frame
    }

    fn verdict(lane: &Lane, frame: &[u8]) -> Option<Verdict> {
        match stamp_of(frame) {
            (Some(direction), Ok(stamp)) if direction == stamp.direction => {
                Some(judge(lane, stamp, frame, 1000))
            }
            (_, Ok(_)) => Some(Verdict::Misdirected),
            (_, Err(NoStamp::Broken)) => Some(Verdict::Corrupt),
            (_, Err(NoStamp::Foreign)) => None,
        }
    }

    #[test]
    fn every_byte_counts() {
        for direction in [Direction::Encap, Direction::Decap] {
            let lane = lane(direction, Mix::fixed(128).unwrap());
            let mut frame = back(&lane, 7, 0);
            assert_eq!(
                verdict(&lane, &frame),
                Some(Verdict::Good { sequence: 7, time: 5, table: 0 })
            );
            let label = lane.traffic.framer.free_label_at(direction);
            for at in 0..frame.len() {
                frame[at] ^= 0x01;
                let is_label = label.is_some_and(|label| (label..label + 3).contains(&at));
                let found = verdict(&lane, &frame);
                assert_eq!(
                    matches!(found, Some(Verdict::Good { .. })),
                    is_label,
                    "{at}: {found:?}"
                );
                frame[at] ^= 0x01;
            }
            frame.push(0);
            assert_eq!(verdict(&lane, &frame), Some(Verdict::Corrupt), "one byte more");
            frame.truncate(frame.len() - 2);
            assert_eq!(verdict(&lane, &frame), Some(Verdict::Corrupt), "one byte less");
        }
    }

    #[test]
    fn the_wrong_tunnel_is_told_from_a_wrong_packet() {
        let lane = lane(Direction::Encap, Mix::fixed(64).unwrap());
        let by_new = back(&lane, 9, 1);
        assert_eq!(verdict(&lane, &by_new), Some(Verdict::Misdirected));
        lane.expectation.begin(1);
        assert_eq!(verdict(&lane, &by_new), Some(Verdict::Good { sequence: 9, time: 5, table: 1 }));
        lane.expectation.finish(9);
        assert_eq!(verdict(&lane, &back(&lane, 9, 0)), Some(Verdict::Misdirected), "too late");
        assert!(matches!(verdict(&lane, &back(&lane, 8, 0)), Some(Verdict::Good { table: 0, .. })));
        let mut unlabelled = by_new;
        let at = lane.traffic.framer.free_label_at(Direction::Encap).unwrap();
        unlabelled[at + 2] = 0;
        assert_eq!(verdict(&lane, &unlabelled), Some(Verdict::Corrupt));
    }

    #[test]
    fn what_was_never_sent_or_is_old_is_not_taken() {
        let mut lane = lane(Direction::Decap, Mix::fixed(64).unwrap());
        assert_eq!(verdict(&lane, &back(&lane, 1000, 0)), Some(Verdict::Corrupt));
        let frame = back(&lane, 3, 0);
        lane.traffic.trial = 4;
        assert_eq!(verdict(&lane, &frame), Some(Verdict::Stale));
        assert_eq!(verdict(&lane, &frame[..20]), None, "none of ours");
    }
}
