//! What the relay says of its own accord, by the timers: that it is there (N1, N2), who else has
//! its addresses, and where its next hops are (N3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::context::Context;
use super::own_addresses::Saying;
use super::relay::Relay;
use crate::frame::{FramePool, TX_BURST};
use crate::side::Side;
use crate::wire::mld::Record;

impl<P: FramePool> Relay<P> {
    /// Says what is due. Groups come first: a probe's answer must find its way here.
    #[cold]
    pub(super) fn speak(&mut self, cx: &Context<'_>) {
        let neighbours = &cx.snapshot.neighbours;
        if self.announces {
            let due = neighbours.groups().iter().filter(|group| group.is_due(cx.now));
            let record = |joined: bool| if joined { Record::Joined } else { Record::Left };
            self.report_all(cx, due.map(|group| (record(group.is_joined()), group.address())));
        }
        for (side, own) in neighbours.own() {
            // Of very many addresses, some wait for the next time.
            if self.out[side.index()].room() < TX_BURST / 2 {
                continue;
            }
            while let Some(saying) = own.due(cx.now, self.announces) {
                let sent = self.say(cx, saying, own.address());
                self.note(*side, sent);
            }
        }
        for side in Side::BOTH {
            // A question tells the neighbour who asks. Silence ends without answers to them.
            if cx.snapshot.is_silent(side) {
                continue;
            }
            for hop in neighbours.next_hops(side).iter().filter(|hop| hop.is_due(cx.now)) {
                let sent = self.ask(cx, hop.address());
                self.note(side, sent);
            }
        }
    }

    /// What could not be sent is counted.
    pub(super) fn note(&self, side: Side, sent: Option<()>) {
        if sent.is_none() {
            self.counters.of(side).suppressed_errors.add(1);
        }
    }

    fn say(&mut self, cx: &Context<'_>, saying: Saying, address: IpAddr) -> Option<()> {
        match (address, saying) {
            (IpAddr::V4(address), Saying::Probe) => {
                self.request_arp(cx, Ipv4Addr::UNSPECIFIED, address)
            }
            (IpAddr::V4(address), Saying::Announce) => self.request_arp(cx, address, address),
            (IpAddr::V6(address), _) => self.solicit(cx, Ipv6Addr::UNSPECIFIED, address),
        }
    }

    /// Asks the link for a next hop, from an address of ours on the same network if there is one.
    fn ask(&mut self, cx: &Context<'_>, next_hop: IpAddr) -> Option<()> {
        match next_hop {
            IpAddr::V4(target) => {
                let addresses = &cx.snapshot.settings.external.addresses;
                let on_link = addresses.iter().find(|net| net.contains(&target));
                let source = on_link.or(addresses.first()).map(Ipv4Net::addr)?;
                self.request_arp(cx, source, target)
            }
            IpAddr::V6(target) => {
                let internal = &cx.snapshot.settings.internal;
                let global = internal.addresses.first().map(Ipv6Net::addr);
                let global = global.filter(|_| !target.is_unicast_link_local());
                self.solicit(cx, global.unwrap_or(internal.link_local), target)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::frame::{Frame, HeapFrame, HeapPool, TxBurst, TxQueue};
    use crate::lwaftr::settings::tests::settings;
    use crate::lwaftr::{NextHop, RelayParts, Settings, Snapshot};
    use crate::softwire::{BindingTable, Rules, TableWriter};
    use crate::wire::MacAddr;
    use crate::wire::arp::Arp;
    use crate::wire::icmpv6::Icmpv6;
    use crate::wire::ipv6::Ipv6;
    use crate::wire::ndp::Neighbour;

    /// A port that keeps what is sent.
    #[derive(Default)]
    struct Port(Vec<Vec<u8>>);

    impl TxQueue for Port {
        type Frame = HeapFrame;

        fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
            let count = frames.len();
            self.0.extend(frames.drain(..).map(|frame| frame.bytes().to_vec()));
            count
        }
    }

    fn relay() -> Relay<HeapPool> {
        Relay::new(RelayParts {
            pool: HeapPool,
            counters: Arc::default(),
            worker: 0,
            workers: 1,
            runs_timers: true,
            announces: true,
            seed: 0,
        })
    }

    fn table() -> Arc<BindingTable> {
        TableWriter::build(&[], &Rules::default()).unwrap().table().clone()
    }

    /// Next hops that need not be asked for.
    fn quiet_settings() -> Settings {
        let mut settings = settings();
        settings.know_next_hops(MacAddr([2, 0, 0, 0, 0, 0xfe]));
        settings
    }

    /// What is said on a side up to a time, in milliseconds: a line for each frame.
    fn said(relay: &mut Relay<HeapPool>, snapshot: &Snapshot, side: Side, ms: u64) -> Vec<String> {
        relay.tick(snapshot, ms * 1_000_000);
        let mut port = Port::default();
        relay.send(side, &mut port);
        port.0.iter().map(|frame| shown(frame)).collect()
    }

    fn shown(frame: &[u8]) -> String {
        if let Some(Arp { sender, target, target_mac, .. }) = Arp::parse(&frame[14..]) {
            assert_eq!((&frame[..6], target_mac), (&[0xff; 6][..], MacAddr::default()));
            return format!("arp {sender} {target}");
        }
        let packet = Ipv6::parse(&frame[14..]).unwrap();
        let (source, destination) = (packet.source().into(), packet.destination().into());
        assert_eq!(frame[..6], MacAddr::of_ipv6_multicast(destination).0);
        let payload = packet.upper().unwrap().payload;
        assert!(Icmpv6::parse(payload, source, destination).is_some(), "the checksum");
        if let Some(Neighbour { target, link_layer, .. }) = Neighbour::parse(payload) {
            assert_eq!(link_layer.is_none(), source.is_unspecified());
            return format!("solicit {source} {target}");
        }
        assert_eq!((payload[0], packet.hop_limit(), destination.segments()[7]), (143, 1, 0x16));
        let records: Vec<String> = payload[8..]
            .chunks_exact(20)
            .map(|record| format!("{}:{:02x}{:02x}", record[0], record[18], record[19]))
            .collect();
        format!("report {source} {}", records.join(" "))
    }

    #[test]
    fn at_start_everything_of_ours_is_announced_and_nothing_else() {
        let (mut relay, snapshot) = (relay(), Snapshot::new(quiet_settings(), table()));
        let arp = ["arp 0.0.0.0 192.0.2.1", "arp 192.0.2.1 192.0.2.1"];
        assert_eq!(said(&mut relay, &snapshot, Side::External, 0), arp);
        assert_eq!(
            said(&mut relay, &snapshot, Side::Internal, 0),
            [
                "report fe80::ff:fe00:2 4:0001 4:0002",
                "solicit :: 2001:db8:1::1",
                "solicit :: fe80::ff:fe00:2",
            ]
        );
        assert_eq!(
            said(&mut relay, &snapshot, Side::Internal, 900),
            ["report fe80::ff:fe00:2 4:0001 4:0002"]
        );
        assert_eq!(said(&mut relay, &snapshot, Side::External, 1_900), [""; 0]);
        assert_eq!(said(&mut relay, &snapshot, Side::External, 2_000), arp[1..]);
        for ms in (2_100..60_000).step_by(100) {
            for side in Side::BOTH {
                assert_eq!(said(&mut relay, &snapshot, side, ms), [""; 0]);
            }
        }
    }

    #[test]
    fn when_a_link_returns_what_was_said_on_it_is_said_again() {
        let (mut relay, snapshot) = (relay(), Snapshot::new(quiet_settings(), table()));
        for ms in [0, 1_000, 3_000] {
            for side in Side::BOTH {
                said(&mut relay, &snapshot, side, ms);
            }
        }
        snapshot.link_returned(Side::External);
        let arp = ["arp 0.0.0.0 192.0.2.1", "arp 192.0.2.1 192.0.2.1"];
        assert_eq!(said(&mut relay, &snapshot, Side::External, 9_000), arp);
        assert_eq!(said(&mut relay, &snapshot, Side::Internal, 9_000), [""; 0]);
        assert_eq!(said(&mut relay, &snapshot, Side::External, 11_000), arp[1..]);
        snapshot.link_returned(Side::Internal);
        let report = "report fe80::ff:fe00:2 4:0001 4:0002";
        assert_eq!(
            said(&mut relay, &snapshot, Side::Internal, 12_000),
            [report, "solicit :: 2001:db8:1::1", "solicit :: fe80::ff:fe00:2"]
        );
        assert_eq!(said(&mut relay, &snapshot, Side::Internal, 13_000), [report]);
        assert_eq!(said(&mut relay, &snapshot, Side::External, 60_000), [""; 0]);
    }

    #[test]
    fn a_change_announces_what_is_new_and_reports_what_was_left() {
        let (mut relay, first) = (relay(), Snapshot::new(quiet_settings(), table()));
        for ms in [0, 1_000, 3_000] {
            for side in Side::BOTH {
                said(&mut relay, &first, side, ms);
            }
        }
        let mut settings = quiet_settings();
        settings.external.addresses.push("192.0.2.7/24".parse().unwrap());
        settings.internal.link_local = "fe80::77".parse().unwrap();
        settings.br_addresses.push("2001:db8::99".parse().unwrap());
        let second = first.successor(settings, table());
        assert_eq!(
            said(&mut relay, &second, Side::External, 4_000),
            ["arp 0.0.0.0 192.0.2.7", "arp 192.0.2.7 192.0.2.7"]
        );
        assert_eq!(
            said(&mut relay, &second, Side::Internal, 4_000),
            ["report fe80::77 4:0077 4:0099 3:0002", "solicit :: fe80::77"]
        );
        // In another VLAN nobody knows us yet.
        let mut settings = second.settings.clone();
        settings.external.link.vlan = Some(9);
        let third = second.successor(settings, table());
        relay.tick(&third, 9_000_000_000);
        let mut port = Port::default();
        relay.send(Side::External, &mut port);
        assert_eq!(port.0.len(), 4, "a probe and an announcement of each address");
        assert!(port.0.iter().all(|frame| frame[12..16] == [0x81, 0, 0, 9]));
    }

    #[test]
    fn many_groups_need_several_reports() {
        let mut settings = quiet_settings();
        settings.br_addresses =
            (0..100_u16).map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, last)).collect();
        let (mut relay, snapshot) = (relay(), Snapshot::new(settings, table()));
        let said = said(&mut relay, &snapshot, Side::Internal, 0);
        let records: Vec<usize> = said
            .iter()
            .filter(|line| line.starts_with("report"))
            .map(|line| line.matches(" 4:").count())
            .collect();
        // Each BR address has a group of its own, two of them those of our other addresses.
        assert_eq!(records, [60, 42]);
    }

    #[test]
    fn n2_each_of_very_many_br_addresses_is_asked_for_once() {
        let mut settings = quiet_settings();
        settings.internal.br_anycast = false;
        settings.br_addresses =
            (0..500_u16).map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 2, last)).collect();
        // One that is an internal address too.
        settings.br_addresses.push("2001:db8:1::1".parse().unwrap());
        let (mut relay, snapshot) = (relay(), Snapshot::new(settings, table()));
        let mut asked = Vec::new();
        for ms in (0..60_000).step_by(100) {
            let said = said(&mut relay, &snapshot, Side::Internal, ms);
            asked.extend(said.into_iter().filter(|line| line.starts_with("solicit")));
        }
        assert_eq!(relay.counters.of(Side::Internal).suppressed_errors.get(), 0);
        let count = asked.len();
        asked.sort();
        asked.dedup();
        assert_eq!((count, asked.len()), (502, 502));
    }

    #[test]
    fn next_hops_are_asked_for_from_our_addresses() {
        let mut settings = settings();
        let hops = ["fe80::fe".parse().unwrap(), "2001:db8:1::fe".parse().unwrap()];
        settings.internal.next_hop = NextHop::Addresses(hops.into());
        let (mut relay, snapshot) = (relay(), Snapshot::new(settings, table()));
        let asked = said(&mut relay, &snapshot, Side::Internal, 0);
        assert_eq!(
            asked[3..],
            ["solicit fe80::ff:fe00:2 fe80::fe", "solicit 2001:db8:1::1 2001:db8:1::fe"]
        );
    }
}
