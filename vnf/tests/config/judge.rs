//! Loading what stands in memory, and what a refusal must look like.

use std::fs;

use tempfile::TempDir;
use vnf::config::{self, Config};

/// Loads a configuration and its table from a directory of their own. The directory's name is
/// taken out of the messages.
pub(crate) fn load(toml: &[u8], csv: &[u8]) -> Result<Config, String> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("relay.toml");
    fs::write(&path, toml).unwrap();
    fs::write(directory.path().join("table.csv"), csv).unwrap();
    let prefix = format!("{}/", directory.path().display());
    config::load(&path).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

/// Whatever a file holds, it is taken or refused with words; each message has a line that is there.
pub(crate) fn taken_or_refused(toml: &[u8], csv: &[u8]) {
    let Err(text) = load(toml, csv) else { return };
    let file_of = |line: &str| {
        [("relay.toml:", toml), ("table.csv:", csv)]
            .into_iter()
            .find_map(|(file, bytes)| Some((line.strip_prefix(file)?.to_owned(), bytes)))
    };
    assert!(text.lines().next().and_then(file_of).is_some(), "{text}");
    // Other lines show the expression of a filter, or say how many errors there are besides.
    for message in text.lines() {
        let Some((rest, bytes)) = file_of(message) else { continue };
        let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
        let line: usize = rest.split_once(':').unwrap().0.parse().unwrap();
        assert!((1..=lines).contains(&line), "{message}");
    }
}
