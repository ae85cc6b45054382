//! What the benchmarks share: made-up softwires and keys, and the relay on plain memory.

pub mod buffer;
pub mod fragments;
pub mod lab;
pub mod softwires;
