//! The rules of docs/behaviour.md, one by one: each has at least one test here, whose name starts
//! with the rule's number. Packets and what must become of them are made by etherparse, from the
//! rule's words; every frame that leaves is parsed by it and its checksums are verified; and after
//! each step of each test the counters balance (A1).

mod accounting;
mod announcements;
mod captures;
mod decapsulation;
mod encapsulation;
mod filters;
mod fragments;
mod frames;
mod icmp;
mod lab;
mod link;
mod neighbours;
mod order;
mod outcome;
mod packets;
mod policy;
mod reassembly;
mod shared_fragments;
mod spreading;
mod tunnel;
mod workers;

// Shared with the properties, which ask it more.
#[allow(dead_code)]
#[path = "../properties/oracle.rs"]
mod oracle;
