//! A CPU that is too old is told so, instead of dying of an illegal instruction.

use std::process::{Command, Output};

fn run_on(cpu: &str) -> Option<Output> {
    let mut command = Command::new("qemu-x86_64");
    command.args(["-cpu", cpu, env!("CARGO_BIN_EXE_lwaftr"), "--version"]);
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: qemu-x86_64 (Debian package qemu-user) does not run: {error}");
            assert!(std::env::var_os("CI").is_none(), "CI installs it");
            None
        }
    }
}

#[test]
fn an_older_cpu_gets_a_message() {
    let Some(output) = run_on("Nehalem") else { return };
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("x86-64-v3"), "{message}");
}

#[test]
fn a_new_enough_cpu_runs() {
    let Some(output) = run_on("max") else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
