//! The management API of a whole process, without ports: a child process serves it, and curl, which
//! knows nothing of ours, talks to it.

mod access;
mod inspect;
#[path = "../instance/mod.rs"]
mod instance;
mod lab;
mod large;
mod parameters;
mod restconf;
mod tls;
mod well_being;
mod yang;

/// Not a test: what [`lab::Instance`] starts. Serves until it is killed.
#[test]
fn instance() {
    instance::be(lab::serve);
}
