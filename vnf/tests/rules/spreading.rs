//! F7: with several workers, all fragments of a packet meet the same one. Ports decide about that,
//! so this asks real ones.

#![cfg(feature = "dpdk")]

// Shared with the tests of the ports, which use more of it.
#[allow(dead_code)]
#[path = "../dpdk_vdev/support.rs"]
mod support;

use support::{Lab, PORT, alone};
use vnf::dpdk::PortConfig;

const TWO: PortConfig = PortConfig { queues: 2, ..PORT };

#[test]
fn f7_a_port_that_does_not_spread_by_addresses_alone_gets_one_queue() {
    alone("spreading::f7_a_port_that_does_not_spread_by_addresses_alone_gets_one_queue", || {
        let lab = Lab::new();
        let device = lab.attach("net_tap,iface=lwtap7");
        let said = device.configure(&TWO, &lab.pools).unwrap_err().to_string();
        assert!(said.contains("all fragments") && said.contains("by ports"), "{said}");
        let one = lab.start("net_tap,iface=lwtap8");
        assert_eq!(one.queues.len(), 1);
        one.close();
        lab.assert_full();
    });
}

/// `net_null` is the virtual port that says it can hash addresses.
#[test]
fn f7_a_port_that_can_hash_addresses_gets_as_many_as_it_has() {
    alone("spreading::f7_a_port_that_can_hash_addresses_gets_as_many_as_it_has", || {
        let lab = Lab::new();
        let port = lab.start_with("net_null", &TWO);
        assert_eq!(port.queues.len(), 2);
        port.close();
        lab.assert_full();
    });
}
