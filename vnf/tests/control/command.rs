//! The command without an instance.

use std::process::Command;

#[test]
fn nobody_there_is_another_answer_than_no() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
        .args(["stats", "--socket"])
        .arg(nowhere.path().join("none.sock"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no instance answers"));
}

#[test]
fn completions_and_man_pages() {
    let lwaftr = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lwaftr")).args(arguments).output().unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        let output = lwaftr(&["completions", shell]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains("softwire"));
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("man1");
    assert!(lwaftr(&["man", "--out", out.to_str().unwrap()]).status.success());
    for page in
        ["lwaftr", "lwaftr-check", "lwaftr-replay", "lwaftr-softwire", "lwaftr-softwire-add"]
    {
        let text = std::fs::read_to_string(out.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}
