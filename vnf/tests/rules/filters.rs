//! Q1: filters.

use vnf::side::Side;

use crate::lab::{
    ALICES, BOB, BOBS, BR2, DNS, EXTERNAL, HOST, Lab, MACS, alices, at_alice, our_error, to_alice,
};
use crate::link::{is_at, who_has};
use crate::packets::Ipv4;
use crate::tunnel::Ipv6;

/// A relay with one filter.
fn filtered(side: Side, key: &str, expression: &str) -> Lab {
    Lab::configured(|config| {
        let line = format!("{key} = \"{expression}\"\n");
        match side {
            Side::External => config.external = line,
            Side::Internal => config.internal = line,
        }
    })
}

fn tcp_to_alice() -> Ipv4 {
    Ipv4::tcp(DNS, ALICES, |tcp| tcp.ack = true)
}

fn alices_tcp() -> Ipv4 {
    Ipv4::tcp(ALICES, DNS, |tcp| tcp.ack = true)
}

#[test]
fn q1_what_does_not_match_is_dropped_on_either_side_in_either_direction() {
    let mut lab = filtered(Side::External, "ingress-filter", "udp");
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    lab.internet_sends(&tcp_to_alice()).dropped("filter-ingress");
    lab.alice_sends(&alices_tcp()).forwarded(&[&alices_tcp().aged()]);
    let mut lab = filtered(Side::External, "egress-filter", "udp");
    lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
    lab.alice_sends(&alices_tcp()).dropped("filter-egress");
    lab.internet_sends(&tcp_to_alice()).forwarded(&[&at_alice(&tcp_to_alice().aged())]);
    // On the internal side filters see the tunnel packet.
    let mut lab = filtered(Side::Internal, "ingress-filter", "dst host 2001:db8:ff::1");
    lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
    lab.b4s_send(&Ipv6::tunnel(BOB, BR2, &Ipv4::udp(BOBS, DNS, 9))).dropped("filter-ingress");
    let mut lab = filtered(Side::Internal, "egress-filter", "dst host 2001:db8:b4::12");
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    lab.internet_sends(&Ipv4::udp(DNS, BOBS, 9)).dropped("filter-egress");
}

#[test]
fn q1_filters_see_ip_packets_without_their_tag() {
    let mut lab = Lab::configured(|config| {
        config.vlans = [Some(10), Some(20)];
        config.external = "ingress-filter = \"ip[0] = 0x45\"\n".into();
    });
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    let odd = to_alice().options(&[1, 1, 1, 0]);
    lab.internet_sends(&odd).dropped("filter-ingress");
}

#[test]
fn q1_on_the_way_out_a_packet_is_asked_about_before_it_is_cut() {
    let mut lab = filtered(Side::Internal, "egress-filter", "ip6[6] = 4");
    // As fragments their next header would be 44.
    let large = Ipv4::udp(DNS, ALICES, 1472);
    assert_eq!(lab.internet_sends(&large).packets(Side::Internal).len(), 2);
}

#[test]
fn q1_arp_echo_to_ourselves_and_our_own_icmp_are_exempt() {
    let mut lab = Lab::configured(|config| {
        let none = "ingress-filter = \"less 1\"\negress-filter = \"less 1\"\n";
        config.external = none.into();
        config.internal = none.into();
    });
    let (station, address) = ([2, 0, 0, 0, 0, 0x77], std::net::Ipv4Addr::new(192, 0, 2, 77));
    lab.frame(Side::External, &who_has((station, address), EXTERNAL))
        .answered(&is_at((MACS[0], EXTERNAL), (station, address)));
    assert_eq!(lab.internet_sends(&Ipv4::echo(8, HOST, EXTERNAL, 1)).fate(), "answered-packets");
    lab.internet_sends(&to_alice()).dropped("filter-ingress");
    lab.alice_sends(&alices()).dropped("filter-ingress");
    let mut lab = filtered(Side::External, "egress-filter", "less 1");
    let expired = to_alice().ttl(1);
    let error = our_error((11, 0), 0, &expired, HOST);
    lab.internet_sends(&expired).dropped_and_told("ttl-expired", &error);
}
