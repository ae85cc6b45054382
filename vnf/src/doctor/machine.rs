//! The machine as the kernel shows it: `/proc` and `/sys`, below a root directory, so that a copy
//! of another machine's can be looked at as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::frame::nic::names;
use crate::memory::numa::cpu_list;

const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

/// A machine, or a copy of what its kernel shows.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The machine whose `/proc` and `/sys` are in this directory; `/` is this one.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where a file is, given its absolute path.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text, without the white space around it.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A file's bytes; none where it cannot be read.
    pub(crate) fn bytes(&self, path: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(path)).unwrap_or_default()
    }

    /// A file's number.
    pub(crate) fn number(&self, path: impl AsRef<Path>) -> Option<i64> {
        self.read(path)?.parse().ok()
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The names in a directory, in order.
    pub(crate) fn entries(&self, path: impl AsRef<Path>) -> Vec<String> {
        names(&self.path(path))
    }

    /// The last part of what a symbolic link points to.
    pub(crate) fn link(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        target.file_name().and_then(|name| name.to_str()).map(str::to_owned)
    }

    /// A file's list of CPUs.
    pub(crate) fn cpus(&self, path: impl AsRef<Path>) -> Option<Vec<usize>> {
        Some(cpu_list(&self.read(path)?))
    }

    /// The CPUs behind an option of the kernel's command line, such as `rcu_nocbs=2-5`, or `1-N`, where
    /// N is the last one.
    pub(crate) fn cpus_of_option(&self, option: &str) -> Vec<usize> {
        let last = self.cpus("/sys/devices/system/cpu/possible").unwrap_or_default().pop();
        let last = last.unwrap_or_default().to_string();
        let line = self.read("/proc/cmdline").unwrap_or_default();
        let values = line.split_whitespace().filter_map(|word| word.split_once('='));
        values
            .filter(|(key, _)| *key == option)
            .flat_map(|(_, value)| cpu_list(&value.replace('N', &last)))
            .collect()
    }

    /// The value behind `key:` in a file of such lines.
    pub(crate) fn field(&self, path: impl AsRef<Path>, key: &str) -> Option<String> {
        let text = self.read(path)?;
        let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    }

    /// The CPUs that a process started like this one may use.
    pub(crate) fn allowed_cpus(&self) -> Vec<usize> {
        self.field("/proc/self/status", "Cpus_allowed_list")
            .map_or_else(Vec::new, |list| cpu_list(&list))
    }

    /// The CPUs that workers may have: those, and the ones that the kernel was told to isolate, which
    /// no process is started on but any may go to.
    pub(crate) fn usable_cpus(&self) -> Vec<usize> {
        let mut cpus = self.allowed_cpus();
        cpus.extend(self.cpus(ISOLATED).unwrap_or_default());
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }

    /// What `ethtool -k` says of an interface; of a copied machine, the file `ethtool/INTERFACE`.
    pub(crate) fn features(&self, interface: &str) -> Option<String> {
        if self.root != Path::new("/") {
            return self.read(Path::new("/ethtool").join(interface));
        }
        let output = Command::new("ethtool").args(["-k", interface]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// CPUs for a sentence: `CPU 1`, or `CPUs 1, 2`.
pub(crate) fn named(cpus: &[usize]) -> String {
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    format!("{} {}", if cpus.len() == 1 { "CPU" } else { "CPUs" }, list.join(", "))
}

/// CPUs as the kernel's command line and `workers.cpus` want them: `1,2`.
pub(crate) fn listed(cpus: &[usize]) -> String {
    cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_in_words() {
        assert_eq!((named(&[3]), named(&[0, 3])), ("CPU 3".to_owned(), "CPUs 0, 3".to_owned()));
        assert_eq!(listed(&[0, 3]), "0,3");
    }
}
