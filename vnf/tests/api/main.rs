//! The management API of a whole process, without ports: a child process serves it, and curl, which
//! knows nothing of ours, talks to it.

mod access;
mod lab;
mod well_being;

/// Not a test: what [`lab::Instance`] starts. Serves until it is killed.
#[test]
fn instance() {
    lab::be_an_instance();
}
