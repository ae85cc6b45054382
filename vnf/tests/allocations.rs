//! Packets cost no allocation, whatever becomes of them.

#![allow(missing_docs, unsafe_code)]

mod buffers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use buffers::{HOST, Lab, PORT, SHARED, WHOLE, from_b4, from_internet, udp};
use vnf::frame::BURST;
use vnf::side::Side;
use vnf::telemetry::DropReason;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates.
struct Counting;

// SAFETY: the system's allocator does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while the relay works on bursts of this frame.
fn allocations(lab: &mut Lab, side: Side, frame: &[u8]) -> u64 {
    let mut counted = 0;
    for _ in 0..20 {
        lab.fill(frame);
        let before = ALLOCATIONS.get();
        lab.relay(side);
        counted += ALLOCATIONS.get() - before;
    }
    counted
}

/// What `allocations` sends.
const PACKETS: u64 = 20 * BURST as u64;

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn forwarding_allocates_nothing() {
    let mut lab = Lab::new(0);
    let encap = from_internet(&udp((HOST, 53), (SHARED, PORT), 64));
    assert_eq!(allocations(&mut lab, Side::External, &encap), 0);
    assert_eq!(lab.totals(Side::External).forwarded, PACKETS);
    let decap = from_b4(2, &udp((SHARED, PORT), (HOST, 53), 64));
    assert_eq!(allocations(&mut lab, Side::Internal, &decap), 0);
    assert_eq!(lab.totals(Side::Internal).forwarded, PACKETS);
    let hairpin = from_b4(2, &udp((SHARED, PORT), (WHOLE, 53), 64));
    assert_eq!(allocations(&mut lab, Side::Internal, &hairpin), 0);
    assert_eq!(lab.totals(Side::Internal).hairpinned, PACKETS);
}

#[test]
fn drops_and_errors_allocate_nothing() {
    const FRAMES: usize = 20 * BURST;
    let mut lab = Lab::new(6 * FRAMES);
    let spoofed = from_b4(1, &udp((SHARED, PORT), (HOST, 53), 64));
    let foreign = from_internet(&udp((HOST, 53), (SHARED, 1), 64));
    let mut broken = from_internet(&udp((HOST, 53), (SHARED, PORT), 64));
    broken[24] ^= 1;
    let dying = from_internet(&udp((HOST, 53), (SHARED, PORT), 1));
    for (side, frame, reason) in [
        (Side::Internal, spoofed, DropReason::SourceWrongB4),
        (Side::External, foreign, DropReason::NoSoftwire),
        (Side::External, broken, DropReason::Ipv4BadChecksum),
        (Side::External, dying, DropReason::TtlExpired),
    ] {
        assert_eq!(allocations(&mut lab, side, &frame), 0, "{}", reason.name());
        let dropped = lab.totals(side).drops[reason.index()].packets;
        assert_eq!(dropped, PACKETS, "{}", reason.name());
    }
    // Errors were made, in frames of the stock.
    assert!(Side::BOTH.iter().all(|&side| lab.totals(side).originated > 0));
}

/// Fragments without end: each drives out an older one once the books are full.
#[test]
fn a_flood_of_fragments_allocates_nothing() {
    const ROUNDS: u32 = 800;
    let mut lab = Lab::new(0);
    let mut counted = [0; 2];
    let mut number = 0_u32;
    for round in 0..2 * ROUNDS {
        for side in Side::BOTH {
            let frames: Vec<Vec<u8>> = (0..BURST)
                .map(|_| {
                    number += 1;
                    lonely_fragment(side, number)
                })
                .collect();
            lab.fill_each(&frames);
            let before = ALLOCATIONS.get();
            lab.relay(side);
            counted[usize::from(round >= ROUNDS)] += ALLOCATIONS.get() - before;
        }
    }
    // What they need is taken at first, and then kept.
    assert!((1..100).contains(&counted[0]), "{} at first", counted[0]);
    assert_eq!(counted[1], 0);
    for (side, reason) in [
        (Side::External, DropReason::Ipv4FragmentLimit),
        (Side::Internal, DropReason::Ipv6FragmentLimit),
    ] {
        let dropped = lab.totals(side).drops[reason.index()].packets;
        assert!(dropped > u64::from(ROUNDS) * BURST as u64, "{dropped}");
    }
}

/// A fragment of a packet that nothing else comes of.
fn lonely_fragment(side: Side, number: u32) -> Vec<u8> {
    let mut packet = udp((HOST, 53), (SHARED, PORT), 64);
    match side {
        Side::External => {
            packet[4..6].copy_from_slice(&(number as u16).to_be_bytes());
            packet[6..8].copy_from_slice(&[0x20, 8]);
            packet[10..12].fill(0);
            let header = etherparse::Ipv4HeaderSlice::from_slice(&packet).unwrap().to_header();
            packet[10..12].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
            from_internet(&packet)
        }
        Side::Internal => {
            let header = [[4, 0, 0, 1], number.to_be_bytes()].concat();
            let mut frame = from_b4(number as u16, &[&header, &packet[..80]].concat());
            frame[20] = 44;
            frame
        }
    }
}
