//! `lwaftr`.
mod cpu_level;

fn main() {}
