//! What the suite under AddressSanitizer (`make test-deep`) rests on: it does notice a byte that is
//! read or written on either side of a test frame, whatever was done to the frame before.

#![allow(missing_docs, unsafe_code)]

use std::hint::black_box;
use std::process::Command;

use vnf::frame::{Frame, HeapFrame};

const MISTAKE: &str = "LWAFTR_MISTAKE";

/// A mistake that [`what_lies_beside_a_frame_is_out_of_bounds`] makes, in a process of its own.
fn make(mistake: &str) {
    let mut frame = HeapFrame::new(&[7; 61]);
    assert!(frame.grow_front(40) && frame.grow_back(3));
    frame.truncate(99);
    frame.shrink_front(26);
    let len = frame.bytes().len();
    let start = frame.bytes_mut().as_mut_ptr();
    // SAFETY: none; it is the sanitizer's task to stop this.
    unsafe {
        match mistake {
            "read past the end" => drop(black_box(start.add(len).read_volatile())),
            "read before the start" => drop(black_box(start.sub(1).read_volatile())),
            "write past the end" => start.add(len).write_volatile(1),
            "write before the start" => start.sub(1).write_volatile(1),
            other => panic!("{other}?"),
        }
    }
}

#[test]
fn what_lies_beside_a_frame_is_out_of_bounds() {
    if let Ok(mistake) = std::env::var(MISTAKE) {
        return make(&mistake);
    }
    if std::env::var_os("LWAFTR_ASAN").is_none() {
        println!("skipped: this is no build with AddressSanitizer (`make test-deep` makes one)");
        return;
    }
    for mistake in [
        "read past the end",
        "read before the start",
        "write past the end",
        "write before the start",
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["what_lies_beside_a_frame_is_out_of_bounds", "--exact", "--nocapture"])
            .env(MISTAKE, mistake)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "a {mistake} went unnoticed");
        assert!(said.contains("heap-buffer-overflow"), "{mistake}: {said}");
    }
}
