//! What must hold for every packet, whatever it is: a packet that goes in at one end of a softwire
//! comes out at the other, nothing crashes or unbalances the relay, and all that it sends is well
//! formed.

#[path = "properties/fragments.rs"]
mod fragments;
#[path = "properties/oracle.rs"]
mod oracle;
#[path = "properties/packets.rs"]
mod packets;
#[path = "properties/setup.rs"]
mod setup;

use packets::{Datagram, any_bytes, any_datagram};
use proptest::prelude::*;
use setup::{B4, BR, HOST, SHARED, Softwire, any_softwire};
use vnf::side::Side;

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig { cases: usual, ..ProptestConfig::default() },
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// E1-E6 and D1-D4: into the tunnel, turned around by the B4, and out again. The packet goes
    /// from one port of the softwire to another, so that it is legitimate both ways.
    #[test]
    fn decapsulation_undoes_encapsulation(
        softwire in any_softwire(),
        datagram in any_datagram(),
        (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let mut session = setup::session(&softwire, "hairpinning = \"external\"");
        let packet = datagram.between(
            (SHARED, softwire.port(&from)),
            (SHARED, softwire.port(&to)),
        );
        session.receive(Side::External, 0, &setup::from_internet(&packet));
        let sent = session.take_output();
        prop_assert_eq!(sent.len(), 1);
        prop_assert_eq!(sent[0].0, Side::Internal);
        let mut tunnelled = setup::payload(&sent[0].1).to_vec();
        let (source, destination) = (BR.octets(), B4.octets());
        prop_assert_eq!(&tunnelled[8..24], &source);
        prop_assert_eq!(&tunnelled[24..40], &destination);
        tunnelled[8..24].copy_from_slice(&destination);
        tunnelled[24..40].copy_from_slice(&source);
        session.receive(Side::Internal, 1_000, &setup::from_b4(&tunnelled));
        let sent = session.take_output();
        prop_assert_eq!(sent.len(), 1);
        prop_assert_eq!(sent[0].0, Side::External);
        prop_assert_eq!(setup::payload(&sent[0].1), datagram.aged(&packet, 2));
        oracle::balanced(&session)?;
    }

    /// E1, E2: exactly the ports of the set reach the B4; D2: exactly they may leave it.
    #[test]
    fn a_softwire_owns_its_ports_and_no_others(
        softwire in any_softwire(),
        datagram in any_datagram(),
        port: u16,
    ) {
        let mut session = setup::session(&softwire, "hairpinning = \"external\"");
        let owned = softwire.owns(port);
        let inbound = datagram.between((HOST, 99), (SHARED, port));
        session.receive(Side::External, 0, &setup::from_internet(&inbound));
        prop_assert_eq!(session.totals(Side::External).forwarded, u64::from(owned));
        let outbound = datagram.between((SHARED, port), (HOST, 99));
        session.receive(Side::Internal, 1_000, &setup::from_b4(&setup::tunnelled(&outbound)));
        prop_assert_eq!(session.totals(Side::Internal).forwarded, u64::from(owned));
        oracle::balanced(&session)?;
    }

    /// E5: packets of one flow have one label, and it is not 0.
    #[test]
    fn a_flow_has_one_label(
        first in any_datagram(),
        second in any_datagram(),
        port: u16,
    ) {
        let mut session = setup::session(&Softwire::WHOLE, "flow-label = \"hash\"");
        let mut label = |datagram: &Datagram| {
            let same = datagram.with_protocol(first.protocol());
            let packet = same.between((HOST, port), (SHARED, 7));
            session.receive(Side::External, 0, &setup::from_internet(&packet));
            oracle::flow_label(setup::payload(&session.take_output()[0].1))
        };
        let labels = (label(&first), label(&second));
        prop_assert_eq!(labels.0, labels.1);
        prop_assert_ne!(labels.0, 0);
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    /// Any bytes, on either side, in several configurations: no panic, every frame is accounted
    /// for (A1), and what is sent is well formed and fits its link.
    #[test]
    fn whatever_comes_what_goes_is_well_formed(
        frames in prop::collection::vec((any::<bool>(), any_bytes()), 1..8),
        variant in 0..setup::VARIANTS,
    ) {
        let mut session = setup::variant(variant);
        for (now, (external, frame)) in (0_u64..).zip(&frames) {
            let side = if *external { Side::External } else { Side::Internal };
            session.receive(side, now * 1_000_000, frame);
        }
        for (side, frame) in session.take_output() {
            oracle::well_formed(side, &frame, setup::mtu(variant, side))?;
        }
        oracle::balanced(&session)?;
    }
}

/// E5: flows differ in their labels; fragments of one packet do not.
#[test]
fn labels_spread_over_flows_and_fragments_share_theirs() {
    let mut session = setup::session(&Softwire::WHOLE, "flow-label = \"hash\"");
    let mut label = |packet: &[u8]| {
        session.receive(Side::External, 0, &setup::from_internet(packet));
        oracle::flow_label(setup::payload(&session.take_output()[0].1))
    };
    let datagram = Datagram::udp(b"data of one flow among many".to_vec());
    let labels: std::collections::BTreeSet<u32> =
        (0..1000).map(|port| label(&datagram.between((HOST, port), (SHARED, 53)))).collect();
    // A thousand of a million labels: about half a collision is expected.
    assert!(labels.len() > 990, "{} labels for 1000 flows", labels.len());
    let [first, second, other] = [(true, 0, 1), (false, 4, 1), (true, 0, 2)]
        .map(|(more, offset, port)| datagram.fragment(more, offset, (HOST, port), (SHARED, 53)));
    assert_eq!(label(&first), label(&second));
    // The ports of a first fragment must not matter: the others do not have them.
    assert_eq!(label(&first), label(&other));
}

/// F5: nobody guesses the next identification from the last ones, and yet a replay repeats them.
#[test]
fn identifications_follow_from_the_seed_and_from_nothing_else() {
    const PACKETS: usize = 2_000;
    let packet = Datagram::udp(vec![0; 1400]).between((HOST, 1), (SHARED, 2));
    let frame = setup::from_internet(&packet);
    let identifications = |seed| -> Vec<u32> {
        let mut session = setup::seeded_variant(2, seed);
        let send = |_| {
            session.receive(Side::External, 0, &frame);
            let pieces = session.take_output();
            let of = |(_, piece): &(Side, Vec<u8>)| oracle::identification(setup::payload(piece));
            let (first, is_first) = of(&pieces[0]);
            assert!(pieces.len() == 2 && is_first);
            assert_eq!(of(&pieces[1]), (first, false));
            first
        };
        (0..PACKETS).map(send).collect()
    };
    let distinct = |numbers: &mut dyn Iterator<Item = u32>| {
        numbers.collect::<std::collections::BTreeSet<u32>>().len()
    };
    let (once, again, otherwise) = (identifications(7), identifications(7), identifications(8));
    assert_eq!(once, again);
    let both = &mut once.iter().chain(&otherwise).copied();
    // Among so many random numbers of 32 bits, a pair of equals is seldom and two are never.
    assert!(distinct(both) + 1 >= 2 * PACKETS);
    // Neither a counter nor a walk in few different steps.
    let mut steps = once.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    assert!(distinct(&mut steps) + 1 >= PACKETS - 1);
    // Every bit is a coin.
    for bit in 0..32 {
        let ones = once.iter().filter(|&&number| number >> bit & 1 == 1).count();
        assert!((PACKETS * 2 / 5..PACKETS * 3 / 5).contains(&ones), "bit {bit}: {ones}");
    }
}
