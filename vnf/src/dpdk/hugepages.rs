//! How much memory free hugepages hold.

use std::{fs, path::Path};

/// MiB in free hugepages of every size.
pub(super) fn free_megabytes() -> u64 {
    free_under(Path::new("/sys/kernel/mm/hugepages"))
}

fn free_under(root: &Path) -> u64 {
    let Ok(sizes) = fs::read_dir(root) else { return 0 };
    sizes
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let kilobytes: u64 =
                name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let free = fs::read_to_string(entry.path().join("free_hugepages")).ok()?;
            Some(free.trim().parse::<u64>().ok()? * kilobytes / 1024)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_every_page_size() {
        let dir = tempfile::tempdir().unwrap();
        for (name, free) in [("hugepages-2048kB", "7\n"), ("hugepages-1048576kB", "2\n")] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("free_hugepages"), free).unwrap();
        }
        assert_eq!(free_under(dir.path()), 7 * 2 + 2 * 1024);
        assert_eq!(free_under(&dir.path().join("nowhere")), 0);
    }
}
