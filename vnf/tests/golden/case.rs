//! One golden case under one wiring: a directory that the builder wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::compare;

/// A directory with a configuration, captures and expectations.
pub(crate) struct Case {
    /// Theme, name and wiring.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    numbers: String,
    description: String,
    arguments: Vec<String>,
}

impl Case {
    /// All cases below a directory, in alphabetical order.
    pub(crate) fn all_in(root: &Path) -> impl Iterator<Item = Self> {
        let mut directories = vec![root.to_owned()];
        for _ in ["theme", "case", "wiring"] {
            directories = directories.iter().flat_map(|parent| children(parent)).collect();
        }
        directories.into_iter().map(|directory| Self::read(&directory))
    }

    fn read(directory: &Path) -> Self {
        let header = json(&directory.join("case.json"));
        let text = |key: &str| header[key].as_str().unwrap().to_owned();
        let list = |key: &str| -> Vec<String> {
            let items = header[key].as_array().unwrap();
            items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
        };
        Self {
            name: format!("{}/{}", text("name"), text("wiring")),
            directory: directory.to_owned(),
            numbers: list("numbers").join(" "),
            description: text("description"),
            arguments: list("arguments"),
        }
    }

    /// Replays the case; all that is wrong with it, as a text.
    pub(crate) fn run(&self) -> Result<(), String> {
        self.verdict(self.problems())
    }

    /// Compares what came out of the case elsewhere.
    #[cfg(feature = "dpdk")]
    pub(crate) fn judge(&self, sent: &[Vec<Vec<u8>>; 2], counters: &Value) -> Result<(), String> {
        self.verdict(self.differences(sent, counters))
    }

    /// What a command-line option of the case is set to.
    #[cfg(feature = "dpdk")]
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        let known = ["--next-hop-mac", "--until"];
        let names = self.arguments.iter().step_by(2);
        assert!(names.clone().all(|name| known.contains(&&**name)), "{:?}", self.arguments);
        let position = names.clone().position(|option| option == name)?;
        self.arguments.get(2 * position + 1).map(String::as_str)
    }

    fn verdict(&self, problems: Vec<String>) -> Result<(), String> {
        if problems.is_empty() {
            return Ok(());
        }
        let Self { name, numbers, description, .. } = self;
        let mut text = format!("{name} [{numbers}]: {description}");
        for problem in problems {
            text.push_str("\n  ");
            text.push_str(problem.trim_end().replace('\n', "\n  ").as_str());
        }
        Err(text)
    }

    fn problems(&self) -> Vec<String> {
        let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .current_dir(&self.directory)
            .args(["replay", "lwaftr.toml"])
            .args(["--external-in", "external-in.pcap", "--internal-in", "internal-in.pcap"])
            .args(["--external-out", "external-got.pcap", "--internal-out", "internal-got.pcap"])
            .args(["--counters", "counters-got.json"])
            .args(&self.arguments)
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return vec![format!("replay ended with {}\n{said}", output.status)];
        }
        let sent = ["external", "internal"]
            .map(|side| compare::frames(&self.directory.join(format!("{side}-got.pcap"))));
        self.differences(&sent, &json(&self.directory.join("counters-got.json")))
    }

    fn differences(&self, sent: &[Vec<Vec<u8>>; 2], counters: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        for (side, got) in ["external", "internal"].into_iter().zip(sent) {
            let expected = compare::frames(&self.directory.join(format!("{side}-out.pcap")));
            problems.extend(compare::captures(side, &expected, got));
        }
        let expected = json(&self.directory.join("counters.json"));
        problems.extend(compare::counters(&expected, counters));
        problems.extend(compare::alarms(&expected, counters));
        problems.extend(compare::identity(counters));
        problems
    }
}

fn children(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
