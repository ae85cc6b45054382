//! The instruction gate (`benches/compare.py`), on repositories made up for it, whose `cargo` and
//! `valgrind` are scripts: the counts of a tree are in its file `counts`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compare.py");

/// Makes a program of the tree it is called in: it lists the stages, or says that it ran 100 times.
const CARGO: &str = r##"#!/bin/sh
set -e
mkdir -p "$CARGO_TARGET_DIR/release"
program="$CARGO_TARGET_DIR/release/instructions"
rm -f "$program"
{
    echo '#!/bin/sh'
    sed 's/^/# /' counts
    echo "[ \$# = 0 ] || { echo 100; exit; }"
    sed 's/^\([a-z]*\) .*/echo \1/' counts
} > "$program"
chmod +x "$program"
printf '{"reason":"compiler-artifact","target":{"name":"instructions"},"executable":"%s"}\n' "$program"
"##;

/// Runs a program as told and finds its count in it.
const VALGRIND: &str = r##"#!/bin/sh
set -e
for argument; do
    case $argument in --log-file=*) log=${argument#--log-file=};; esac
    stage=$argument
done
while [ "${1#--}" != "$1" ]; do shift; done
count=$(sed -n "s/^# $stage //p" "$1")
echo "==1== Collected : $count" > "$log"
"$@"
"##;

/// A repository with this tree's script in it.
struct Repository(TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(TempDir::new().unwrap());
        repository.git(&["init", "-q"]);
        repository.write(".gitignore", "/target\n/bin\n");
        repository.write("benches/compare.py", &fs::read_to_string(SCRIPT).unwrap());
        for (name, text) in [("bin/cargo", CARGO), ("bin/valgrind", VALGRIND)] {
            repository.write(name, text);
            let path = repository.path().join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        repository
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
    }

    /// A commit with these counts, or one that does not count.
    fn commit(&self, counts: Option<&str>, message: &str) {
        if let Some(counts) = counts {
            self.write("counts", &format!("{counts}\n"));
            self.write("benches/src/bin/instructions.rs", "");
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    fn compare(&self, more: &[&str]) -> (bool, String) {
        let path = std::env::var("PATH").unwrap();
        let output: Output = Command::new("python3")
            .arg(self.path().join("benches/compare.py"))
            .arg("instructions")
            .args(more)
            .env("PATH", format!("{}:{path}", self.path().join("bin").display()))
            .env_remove("CARGO_TARGET_DIR")
            .current_dir("/")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

#[test]
fn more_than_three_per_cent_more_fails_with_the_numbers() {
    let repository = Repository::new();
    repository.commit(Some("encap 60000\ndecap 70000"), "one");
    repository.commit(Some("encap 61700\ndecap 70000\nfilter 5"), "two");
    let (passed, text) = repository.compare(&[]);
    assert!(passed && text.contains("617.0     +2.8%"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("filter") && line.contains(" - ")), "{text}");

    repository.commit(Some("encap 61700\ndecap 72200\nfilter 5"), "three");
    let (passed, text) = repository.compare(&[]);
    assert!(!passed, "{text}");
    assert!(text.contains("FAILED: more than 3% more instructions than"), "{text}");
    assert!(text.contains("decap +3.1% (700.0 -> 722.0)"), "{text}");
    assert!(!text.contains("encap +"), "{text}");

    // Against an earlier one, both have grown by then, or one of them.
    let (passed, text) = repository.compare(&["HEAD~2"]);
    assert!(!passed && text.contains("decap +3.1%") && text.contains("+2.8%"), "{text}");
}

#[test]
fn an_increase_is_accepted_with_a_reason() {
    let repository = Repository::new();
    repository.commit(Some("encap 100"), "one");
    repository.commit(Some("encap 200"), "two\n\nInstructions: accepted, it is right now");
    let (passed, text) = repository.compare(&[]);
    assert!(passed && text.contains("accepted (it is right now): encap +100.0%"), "{text}");

    repository.commit(Some("encap 300"), "three\n\nInstructions: accepted,");
    let (passed, text) = repository.compare(&[]);
    assert!(!passed, "no reason: {text}");
}

#[test]
fn changes_not_yet_committed_are_compared_with_the_last_commit() {
    let repository = Repository::new();
    repository.commit(Some("encap 100"), "one");
    repository.commit(Some("encap 200"), "two");
    repository.write("counts", "encap 204\n");
    let (passed, text) = repository.compare(&[]);
    assert!(passed && text.contains("+2.0%"), "{text}");
}

#[test]
fn what_cannot_be_compared_says_why_and_passes() {
    let repository = Repository::new();
    repository.commit(None, "one, which does not count");
    repository.commit(Some("encap 100"), "two");
    let (passed, text) = repository.compare(&[]);
    assert!(passed && text.contains("does not count instructions yet"), "{text}");
    assert!(text.contains("encap"), "this tree's are shown: {text}");

    let shallow = TempDir::new().unwrap();
    let url = format!("file://{}", repository.path().display());
    repository.git(&["clone", "-q", "--depth", "1", &url, shallow.path().to_str().unwrap()]);
    let bin = shallow.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["cargo", "valgrind"] {
        fs::copy(repository.path().join("bin").join(name), bin.join(name)).unwrap();
    }
    let (passed, text) = Repository(shallow).compare(&[]);
    assert!(passed && text.contains("not compared: this commit has no parent here"), "{text}");

    let (passed, text) = repository.compare(&["nonsense"]);
    assert!(passed && text.contains("there is no commit nonsense here"), "{text}");
}
