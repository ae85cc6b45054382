//! Built with `--cfg lwaftr_no_panic` and optimised, this program links only if no marked function
//! of the fast path can panic: each has an end that the compiler must be able to prove unreachable
//! (`make test-deep`). Running it shows that these functions were in it.

#![cfg(lwaftr_no_panic)]
#![allow(missing_docs)]

mod buffers;

use buffers::{HOST, Lab, PORT, SHARED, WHOLE, from_b4, from_internet, udp};
use vnf::frame::BURST;
use vnf::side::Side;

#[test]
fn the_fast_path_cannot_panic() {
    let mut lab = Lab::new(0);
    lab.fill(&from_internet(&udp((HOST, 53), (WHOLE, 1024), 64)));
    lab.relay(Side::External);
    lab.fill(&from_b4(2, &udp((SHARED, PORT), (HOST, 53), 64)));
    lab.relay(Side::Internal);
    lab.fill(&from_b4(2, &udp((SHARED, PORT), (WHOLE, 53), 64)));
    lab.relay(Side::Internal);
    let [external, internal] = Side::BOTH.map(|side| lab.totals(side));
    let each = BURST as u64;
    assert_eq!(
        (external.forwarded, internal.forwarded, internal.hairpinned),
        (each, each, each)
    );
}
