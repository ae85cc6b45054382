//! Being the relay's neighbour: who we are on a link, what it may ask, and asking it.

use std::net::{Ipv4Addr, Ipv6Addr};

use vnf::config::Config;
use vnf::wire::arp::{self, Arp, Operation};
use vnf::wire::ethernet::{Ethernet, Template, ethertype};
use vnf::wire::icmpv6::Icmpv6;
use vnf::wire::ipv6::{self, Ipv6, Outer};
use vnf::wire::ndp::{self, Kind, Neighbour};
use vnf::wire::{MacAddr, protocol};

/// Our part on the external link.
#[derive(Debug, Clone)]
pub(crate) struct External {
    pub(crate) mac: MacAddr,
    pub(crate) vlan: Option<u16>,
    /// The relay's next hops, all of which are us; or somebody on its link.
    ours: Vec<Ipv4Addr>,
    relay: Ipv4Addr,
}

/// Our part on the internal link.
#[derive(Debug, Clone)]
pub(crate) struct Internal {
    pub(crate) mac: MacAddr,
    pub(crate) vlan: Option<u16>,
    /// The relay's next hops, as far as they have addresses.
    ours: Vec<Ipv6Addr>,
    relay: Ipv6Addr,
}

fn vlan(number: u16) -> Option<u16> {
    (number != 0).then_some(number)
}

impl External {
    /// As the relay's configuration has it; `port` is our port's MAC address.
    pub(crate) fn new(config: &Config, port: MacAddr) -> Option<Self> {
        let external = &config.external;
        let net = external.addresses.first()?;
        let relay = net.addr();
        let mut ours = external.next_hops.clone();
        if ours.is_empty() {
            ours.extend(net.hosts().find(|host| *host != relay));
        }
        Some(Self {
            mac: external.next_hop_mac.unwrap_or(port),
            vlan: vlan(external.vlan),
            ours,
            relay,
        })
    }

    /// Asks for the relay's MAC address.
    pub(crate) fn question(&self) -> Vec<u8> {
        let arp = Arp {
            operation: Operation::Request,
            sender_mac: self.mac,
            sender: self.ours.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED),
            target_mac: MacAddr::default(),
            target: self.relay,
        };
        self.frame(MacAddr::BROADCAST, &arp)
    }

    /// The relay's MAC address, if this is its answer.
    pub(crate) fn learn(&self, frame: &[u8]) -> Option<MacAddr> {
        let arp = self.parse(frame)?;
        let is_answer = arp.operation == Operation::Reply && arp.sender == self.relay;
        is_answer.then_some(arp.sender_mac)
    }

    /// What to answer to a question of the relay.
    pub(crate) fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let arp = self.parse(frame)?;
        let is_about_us = self.ours.contains(&arp.target) && !self.ours.contains(&arp.sender);
        if arp.operation != Operation::Request || !is_about_us {
            return None;
        }
        let answer = Arp {
            operation: Operation::Reply,
            sender_mac: self.mac,
            sender: arp.target,
            target_mac: arp.sender_mac,
            target: arp.sender,
        };
        Some(self.frame(arp.sender_mac, &answer))
    }

    fn parse(&self, frame: &[u8]) -> Option<Arp> {
        let ethernet = Ethernet::parse(frame)?;
        let is_arp = ethernet.ethertype == ethertype::ARP && ethernet.vlan == self.vlan;
        is_arp.then(|| Arp::parse(frame.get(ethernet.header_len()..)?)).flatten()
    }

    fn frame(&self, to: MacAddr, arp: &Arp) -> Vec<u8> {
        let header = Template::new(to, self.mac, self.vlan, ethertype::ARP);
        let mut frame = vec![0; header.header_len() + arp::LEN];
        if let Some(body) = header.write(&mut frame) {
            body.copy_from_slice(&arp.to_bytes());
        }
        frame
    }
}

impl Internal {
    /// As the relay's configuration has it; `port` is our port's MAC address.
    pub(crate) fn new(config: &Config, port: MacAddr) -> Option<Self> {
        let internal = &config.internal;
        Some(Self {
            mac: internal.next_hop_mac.unwrap_or(port),
            vlan: vlan(internal.vlan),
            ours: internal.next_hops.clone(),
            relay: internal.addresses.first()?.addr(),
        })
    }

    /// Asks for the relay's MAC address.
    pub(crate) fn question(&self) -> Vec<u8> {
        let group = ipv6::solicited_node(self.relay);
        let ask =
            Neighbour { kind: Kind::Solicitation, target: self.relay, link_layer: Some(self.mac) };
        self.frame(MacAddr::of_ipv6_multicast(group), self.mac.link_local(), group, &ask)
    }

    /// The relay's MAC address, if this is its answer.
    pub(crate) fn learn(&self, frame: &[u8]) -> Option<MacAddr> {
        let (ethernet, _, said) = self.parse(frame)?;
        let is_answer =
            matches!(said.kind, Kind::Advertisement { .. }) && said.target == self.relay;
        is_answer.then(|| said.link_layer.unwrap_or(ethernet.source))
    }

    /// What to answer to a question of the relay.
    pub(crate) fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let (ethernet, asker, asked) = self.parse(frame)?;
        let ours = *self.ours.iter().find(|ours| **ours == asked.target)?;
        if asked.kind != Kind::Solicitation {
            return None;
        }
        let answer = Neighbour {
            kind: Kind::Advertisement { router: true, solicited: true, over_ride: true },
            target: ours,
            link_layer: Some(self.mac),
        };
        Some(self.frame(ethernet.source, ours, asker, &answer))
    }

    fn parse(&self, frame: &[u8]) -> Option<(Ethernet, Ipv6Addr, Neighbour)> {
        let ethernet = Ethernet::parse(frame)?;
        if ethernet.ethertype != ethertype::IPV6 || ethernet.vlan != self.vlan {
            return None;
        }
        let packet = Ipv6::parse(frame.get(ethernet.header_len()..)?).ok()?;
        if packet.next_header() != protocol::ICMPV6 || packet.hop_limit() != ndp::HOP_LIMIT {
            return None;
        }
        let (source, destination) = (packet.source().into(), packet.destination().into());
        let message = Icmpv6::parse(packet.payload(), source, destination)?;
        Some((ethernet, source, Neighbour::parse(message.message())?))
    }

    fn frame(&self, mac: MacAddr, from: Ipv6Addr, to: Ipv6Addr, said: &Neighbour) -> Vec<u8> {
        let header = Template::new(mac, self.mac, self.vlan, ethertype::IPV6);
        let len = said.message_len();
        let mut frame = vec![0; header.header_len() + ipv6::HEADER + len];
        let parts = header.write(&mut frame).and_then(<[u8]>::split_first_chunk_mut);
        if let Some((head, message)) = parts {
            let outer = Outer {
                traffic_class: 0,
                flow_label: 0,
                payload_len: len as u16,
                next_header: protocol::ICMPV6,
                hop_limit: ndp::HOP_LIMIT,
                source: from.into(),
                destination: to.into(),
            };
            ipv6::write_header(head, &outer);
            _ = said.write(message, from, to);
        }
        frame
    }
}

/// Answers on one port, which may be both links at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Neighbours {
    pub(crate) external: Option<External>,
    pub(crate) internal: Option<Internal>,
}

impl Neighbours {
    /// What to answer to a frame, if it is a question to us.
    #[cold]
    pub(crate) fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let by_arp = self.external.as_ref().and_then(|external| external.answer(frame));
        by_arp.or_else(|| self.internal.as_ref().and_then(|internal| internal.answer(frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const RELAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    /// Two ends of a link, each the other's relay.
    fn external(mac: MacAddr, vlan: Option<u16>) -> External {
        let (ours, relay) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        if mac == US {
            External { mac, vlan, ours: vec![ours], relay }
        } else {
            External { mac, vlan, ours: vec![relay], relay: ours }
        }
    }

    fn internal(mac: MacAddr, vlan: Option<u16>) -> Internal {
        let (ours, relay) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        if mac == US {
            Internal { mac, vlan, ours: vec![ours], relay }
        } else {
            Internal { mac, vlan, ours: vec![relay], relay: ours }
        }
    }

    #[test]
    fn two_ends_find_each_other() {
        for vlan in [None, Some(5)] {
            let (us, them) = (external(US, vlan), external(RELAY, vlan));
            let answer = them.answer(&us.question()).unwrap();
            assert_eq!(us.learn(&answer), Some(RELAY));
            assert_eq!(us.answer(&answer), None, "an answer is no question");
            let (us, them) = (internal(US, vlan), internal(RELAY, vlan));
            let answer = them.answer(&us.question()).unwrap();
            assert_eq!(us.learn(&answer), Some(RELAY));
            assert_eq!(us.answer(&answer), None);
        }
    }

    #[test]
    fn questions_about_others_are_not_answered() {
        let mut them = external(RELAY, None);
        them.relay = Ipv4Addr::new(192, 0, 2, 77);
        let us =
            Neighbours { external: Some(external(US, None)), internal: Some(internal(US, None)) };
        assert!(us.answer(&them.question()).is_none());
        assert!(us.answer(&external(RELAY, None).question()).is_some());
        assert!(us.answer(&external(RELAY, Some(3)).question()).is_none(), "another VLAN");
        assert!(us.answer(&internal(RELAY, None).question()).is_some());
        let mut nameless = internal(US, None);
        nameless.ours.clear();
        assert!(nameless.answer(&internal(RELAY, None).question()).is_none());
        assert!(us.answer(&[0; 9]).is_none());
    }
}
