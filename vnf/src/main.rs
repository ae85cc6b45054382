//! `lwaftr`.
fn main() {}
