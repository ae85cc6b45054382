//! Built with `--cfg lwaftr_no_panic` and optimised, this program links only if no marked function
//! of the fast path can panic: each has an end that the compiler must be able to prove unreachable
//! (`make test-deep`). Running it shows that these functions were in it.
//!
//! It is not a test, because tests are built together with `lwaftr` itself, whose replay has frames
//! on the heap: to allocate one can panic.

#[cfg(lwaftr_no_panic)]
#[path = "../tests/buffers/mod.rs"]
mod buffers;

#[cfg(lwaftr_no_panic)]
fn main() {
    use buffers::{HOST, Lab, PORT, SHARED, WHOLE, from_b4, from_internet, udp};
    use vnf::frame::BURST;
    use vnf::side::Side;

    let mut lab = Lab::new(0);
    lab.fill(&from_internet(&udp((HOST, 53), (WHOLE, 1024), 64)));
    lab.relay(Side::External);
    lab.fill(&from_b4(2, &udp((SHARED, PORT), (HOST, 53), 64)));
    lab.relay(Side::Internal);
    lab.fill(&from_b4(2, &udp((SHARED, PORT), (WHOLE, 53), 64)));
    lab.relay(Side::Internal);
    let [external, internal] = Side::BOTH.map(|side| lab.totals(side));
    let done = (external.forwarded, internal.forwarded, internal.hairpinned);
    assert_eq!(done, (BURST as u64, BURST as u64, BURST as u64));
    println!("The marked functions cannot panic, and did their work.");
}

#[cfg(not(lwaftr_no_panic))]
fn main() {
    println!("This proves something only with --cfg lwaftr_no_panic: see `make test-deep`.");
}
