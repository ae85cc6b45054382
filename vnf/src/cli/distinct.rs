//! Files that a verb writes must not be those that it reads.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Failure;

/// Refuses when a file to be written is one of the others, under whatever name. Each comes with
/// the option that names it. Devices, such as /dev/null, may be had as often as one likes.
pub(super) fn check(
    read: &[(&str, Option<&Path>)],
    written: &[(&str, Option<&Path>)],
) -> Result<(), Failure> {
    let known = |files: &[(&str, Option<&Path>)]| -> Vec<(String, PathBuf, Identity)> {
        let named = files.iter().filter_map(|&(option, path)| Some((option, path?)));
        named
            .filter_map(|(option, path)| Some((option.into(), path.into(), Identity::of(path)?)))
            .collect()
    };
    let mut others = known(read);
    for (option, path, identity) in known(written) {
        if let Some((other, ..)) = others.iter().find(|(.., other)| *other == identity) {
            return Err(Failure::Usage(format!(
                "{option} {} is the file of {other}, too, and would be overwritten: give it \
                 another name",
                path.display()
            )));
        }
        others.push((option, path, identity));
    }
    Ok(())
}

/// What makes two paths the same file.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// Device and inode.
    There(u64, u64),
    /// Directory and name of a file that is yet to be made.
    New(PathBuf),
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => None,
            Ok(found) => Some(Self::There(found.dev(), found.ino())),
            Err(_) => {
                let directory = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                Some(Self::New(fs::canonicalize(directory).ok()?.join(path.file_name()?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_is_recognised_under_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a.pcap"), "a").unwrap();
        fs::write(at("b.pcap"), "b").unwrap();
        fs::hard_link(at("a.pcap"), at("hard.pcap")).unwrap();
        std::os::unix::fs::symlink(at("a.pcap"), at("soft.pcap")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        let clash = |input: &str, outputs: [&str; 2]| {
            let [one, other] = outputs.map(at);
            check(
                &[("--in", Some(&at(input))), ("--absent", None)],
                &[("--one", Some(&one)), ("--other", Some(&other))],
            )
        };
        for outputs in [
            ["a.pcap", "new.pcap"],
            ["new.pcap", "hard.pcap"],
            ["soft.pcap", "new.pcap"],
            ["sub/../a.pcap", "new.pcap"],
        ] {
            let words = clash("a.pcap", outputs).unwrap_err().to_string();
            assert!(words.contains("is the file of --in"), "{words}");
        }
        let words = clash("a.pcap", ["new.pcap", "sub/../new.pcap"]).unwrap_err().to_string();
        assert!(words.starts_with("--other ") && words.contains("of --one"), "{words}");
        clash("a.pcap", ["b.pcap", "new.pcap"]).unwrap();
        let null = Path::new("/dev/null");
        check(&[("--in", Some(null))], &[("--one", Some(null)), ("--other", Some(null))]).unwrap();
    }
}
