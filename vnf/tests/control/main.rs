//! The control plane of a whole process, without ports: a child process serves the socket of a
//! configuration, and the real command talks to it.

mod changes;
mod command;
mod edits;
mod faults;
#[path = "../instance/mod.rs"]
mod instance;
mod lab;
mod lists;
mod reloads;
mod socket;
mod watching;

/// Not a test: what [`lab::Instance`] starts. Serves until it is killed.
#[test]
fn instance() {
    instance::be(lab::serve);
}
