//! The process: what every process has, and memory in huge pages, which the kernel counts apart.

use super::Families;

pub(super) fn add(families: &mut Families) {
    families.process();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let help = "Memory in huge pages, which is not part of process_resident_memory_bytes.";
    let mut family = families.gauge("lwaftr_process_huge_pages_bytes", help);
    if let Some(bytes) = huge_pages(&status) {
        family.sample(&[], bytes as f64);
    }
}

/// `HugetlbPages:   4096 kB`
fn huge_pages(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("HugetlbPages:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_understood() {
        assert_eq!(huge_pages("VmRSS:\t 5 kB\nHugetlbPages:\t    4096 kB\n"), Some(4_194_304));
        assert_eq!(huge_pages("VmRSS:\t 5 kB\n"), None);
        assert!(huge_pages(&std::fs::read_to_string("/proc/self/status").unwrap()).is_some());
    }
}
