//! The program is compiled for x86-64-v3. On an older CPU it would die of an illegal instruction
//! at some random moment; this says so at once.

/// What x86-64-v3 has beyond x86-64-v2, as the kernel names it.
const NEEDED: [&str; 8] = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm"];

/// Checks this machine's CPU; the error is for people. Where the kernel does not tell, we hope.
pub fn check() -> Result<(), String> {
    let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else { return Ok(()) };
    check_text(&text)
}

fn check_text(text: &str) -> Result<(), String> {
    let line = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim())
    };
    let Some(flags) = line("flags") else { return Ok(()) };
    let has = |flag: &str| flags.split(' ').any(|present| present == flag);
    let missing: Vec<&str> = NEEDED.into_iter().filter(|flag| !has(flag)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this CPU ({}) is not an x86-64-v3: it lacks {}. lwaftr needs a CPU of about 2015 or later \
         (Intel Haswell, AMD Excavator); in a virtual machine, pass the host's CPU model through",
        line("model name").unwrap_or("unknown model"),
        missing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing() {
        let old = "model name\t: Old CPU @ 2GHz\nflags\t\t: fpu sse4_2 avx popcnt\n";
        let error = check_text(old).unwrap_err();
        assert!(error.contains("Old CPU @ 2GHz") && error.contains("avx2, bmi1"), "{error}");
        let new = format!("flags\t: fpu {}\n", NEEDED.join(" "));
        assert_eq!(check_text(&new), Ok(()));
        assert_eq!(check_text("processor: 0"), Ok(()));
        assert_eq!(check(), Ok(()));
    }
}
