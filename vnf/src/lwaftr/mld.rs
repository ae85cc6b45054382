//! Multicast listener discovery (N2): routers, and switches that look on, learn which groups we
//! listen to, so that solicitations for our addresses reach us (RFC 3810).

use std::hash::{DefaultHasher, Hasher};
use std::net::Ipv6Addr;

use arrayvec::ArrayVec;

use super::context::Context;
use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::verdict::Verdict;
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::wire::ipv6::{self, Outer};
use crate::wire::mld::{self, Query, ROUTER_ALERT, Record, Version};
use crate::wire::{MacAddr, protocol};

/// Records of one report: it fits the smallest IPv6 link.
const RECORDS: usize = 60;

/// Queries about single groups that are answered apart; with more, about all groups at once.
const QUERIES: usize = 16;

const MILLISECOND: u64 = 1_000_000;

/// Records of a report to be sent.
pub(super) type Records = ArrayVec<(Record, Ipv6Addr), RECORDS>;

/// The queries that a worker has heard and not yet answered.
#[derive(Debug)]
pub(super) struct Queries {
    /// About all groups.
    general: Option<Answer>,
    /// About one.
    specific: ArrayVec<(Ipv6Addr, Answer), QUERIES>,
    seed: u64,
    heard: u64,
}

/// When and how to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    at: u64,
    version: Version,
}

impl Queries {
    pub(super) fn new(seed: u64) -> Self {
        Self { general: None, specific: ArrayVec::new(), seed, heard: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.general.is_none() && self.specific.is_empty()
    }

    /// RFC 3810 section 6.2: an answer comes after a random time, so that not everybody answers at
    /// once; never later than an earlier query asked.
    fn hear(&mut self, query: &Query, now: u64) {
        let at = now + self.random(u64::from(query.most_delay) * MILLISECOND);
        let answer = Answer { at, version: query.version };
        if self.general.is_some_and(|pending| pending.at <= at) {
            return;
        }
        if query.group.is_unspecified() {
            self.general = Some(answer);
            self.specific.clear();
            return;
        }
        let known = self.specific.iter_mut().find(|(group, _)| *group == query.group);
        if let Some((_, pending)) = known {
            pending.at = pending.at.min(at);
        } else if self.specific.try_push((query.group, answer)).is_err() {
            let first = self.specific.iter().map(|(_, pending)| pending.at).fold(at, u64::min);
            self.general = Some(Answer { at: first, ..answer });
            self.specific.clear();
        }
    }

    /// From 0 to `most`, evenly.
    fn random(&mut self, most: u64) -> u64 {
        self.heard += 1;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_u64(self.heard);
        ((u128::from(hasher.finish()) * (u128::from(most) + 1)) >> 64) as u64
    }

    /// The next answer that is due: to which group, unspecified for all, and in which version.
    fn due(&mut self, now: u64) -> Option<(Ipv6Addr, Version)> {
        if let Some(answer) = self.general.take_if(|answer| answer.at <= now) {
            return Some((Ipv6Addr::UNSPECIFIED, answer.version));
        }
        let due = self.specific.iter().position(|(_, answer)| answer.at <= now)?;
        let (group, answer) = self.specific.swap_remove(due);
        Some((group, answer.version))
    }
}

impl<P: FramePool> Relay<P> {
    /// A router asks. The answer comes later.
    pub(super) fn hear_query(&mut self, cx: &Context<'_>, query: &Query) -> Verdict {
        self.queries.hear(query, cx.now);
        Verdict::Consume
    }

    /// Answers the queries whose time has come.
    #[cold]
    pub(super) fn answer_queries(&mut self, cx: &Context<'_>) {
        while let Some((asked, version)) = self.queries.due(cx.now) {
            let groups = cx.snapshot.neighbours.groups().iter();
            let groups = groups.filter(|group| group.is_joined()).map(|group| group.address());
            let groups = groups.filter(|group| asked.is_unspecified() || *group == asked);
            match version {
                Version::One => groups.for_each(|group| {
                    let sent = self.report_1(cx, group);
                    self.note(Side::Internal, sent);
                }),
                Version::Two => {
                    self.report_all(cx, groups.map(|group| (Record::Listening, group)));
                }
            }
        }
    }

    /// Sends as many reports as these records need.
    pub(super) fn report_all(
        &mut self,
        cx: &Context<'_>,
        records: impl Iterator<Item = (Record, Ipv6Addr)>,
    ) {
        let mut report = Records::new();
        let mut records = records.peekable();
        while let Some(record) = records.next() {
            report.push(record);
            if report.is_full() || records.peek().is_none() {
                let sent = self.report(cx, &report);
                self.note(Side::Internal, sent);
                report.clear();
            }
        }
    }

    /// A report of version 2.
    fn report(&mut self, cx: &Context<'_>, records: &Records) -> Option<()> {
        let source = cx.snapshot.settings.internal.link_local;
        self.send_listener(cx, mld::ROUTERS, mld::report_len(records.len()), |message| {
            mld::write_report(message, records, source)
        })
    }

    /// A report of version 1.
    fn report_1(&mut self, cx: &Context<'_>, group: Ipv6Addr) -> Option<()> {
        let source = cx.snapshot.settings.internal.link_local;
        self.send_listener(cx, group, mld::REPORT_1, |message| {
            mld::write_report_1(message.first_chunk_mut()?, group, source);
            Some(())
        })
    }

    fn send_listener(
        &mut self,
        cx: &Context<'_>,
        to: Ipv6Addr,
        len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<()> {
        let header = cx.to_station(Side::Internal, MacAddr::of_ipv6_multicast(to));
        let payload_len = ROUTER_ALERT.len() + len;
        let mut frame = self.pool.frame(header.header_len() + ipv6::HEADER + payload_len)?;
        let (head, payload) = header.write(frame.bytes_mut())?.split_first_chunk_mut()?;
        let outer = Outer {
            traffic_class: 0,
            flow_label: 0,
            payload_len: payload_len as u16,
            next_header: protocol::HOP_BY_HOP,
            hop_limit: mld::HOP_LIMIT,
            source: cx.snapshot.settings.internal.link_local.into(),
            destination: to.into(),
        };
        ipv6::write_header(head, &outer);
        let (alert, message) = payload.split_first_chunk_mut()?;
        *alert = ROUTER_ALERT;
        write(message)?;
        self.out[Side::Internal.index()].push(frame, Fate::Originated, Received::default()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(last: u16, most_delay: u32) -> Query {
        let group = match last {
            0 => Ipv6Addr::UNSPECIFIED,
            last => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, last),
        };
        Query { version: Version::Two, group, most_delay }
    }

    fn all_due(queries: &mut Queries, now: u64) -> Vec<u16> {
        let mut due = Vec::new();
        while let Some((group, _)) = queries.due(now) {
            due.push(group.segments()[7]);
        }
        due.sort_unstable();
        due
    }

    #[test]
    fn answers_come_at_random_within_the_time_that_was_asked_for() {
        let mut times = Vec::new();
        for seed in 0..100 {
            let mut queries = Queries::new(seed);
            queries.hear(&query(0, 1000), 0);
            let at = queries.general.unwrap().at;
            assert!(at <= 1000 * MILLISECOND);
            assert_eq!(all_due(&mut queries, at.saturating_sub(1)), [0; 0]);
            assert_eq!(all_due(&mut queries, at), [0]);
            assert!(queries.is_empty());
            times.push(at);
        }
        let early = times.iter().filter(|&&at| at < 500 * MILLISECOND).count();
        assert!((30..70).contains(&early), "{early} of 100 in the first half");
    }

    #[test]
    fn a_general_answer_covers_later_ones_about_single_groups() {
        let mut queries = Queries::new(1);
        queries.hear(&query(0, 0), 0);
        queries.hear(&query(3, 1000), 0);
        assert_eq!(all_due(&mut queries, u64::MAX), [0]);
        queries.hear(&query(3, 0), 5);
        queries.hear(&query(4, 0), 5);
        queries.hear(&query(3, 1000), 5);
        assert_eq!(all_due(&mut queries, 5), [3, 4]);
        assert!(queries.is_empty());
    }

    #[test]
    fn too_many_single_answers_become_one_about_all_and_none_is_late() {
        let mut queries = Queries::new(1);
        queries.hear(&query(1, 0), 7);
        for last in 2..100 {
            queries.hear(&query(last, 1000), 7);
        }
        assert_eq!(queries.due(7).map(|(group, _)| group), Some(Ipv6Addr::UNSPECIFIED));
    }
}
