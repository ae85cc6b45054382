//! What the CPU can do.

use super::{Finding, Scene};

/// What x86-64-v3 adds to what every CPU of a DPDK host has, by the names of `/proc/cpuinfo`; `abm`
/// is LZCNT there.
const LEVEL: [&str; 14] = [
    "cx16", "lahf_lm", "popcnt", "ssse3", "sse4_1", "sse4_2", "avx", "avx2", "bmi1", "bmi2",
    "f16c", "fma", "abm", "movbe",
];

/// The whole program is compiled for x86-64-v3.
pub(super) fn level(scene: &Scene) -> Vec<Finding> {
    let model = scene.machine.field("/proc/cpuinfo", "model name").unwrap_or_default();
    let Some(flags) = scene.machine.field("/proc/cpuinfo", "flags") else {
        return vec![Finding::problem(
            "/proc/cpuinfo names no flags: this is no x86-64 machine",
            "lwaftr is built for x86-64-v3: Intel Haswell, AMD Excavator or newer",
        )];
    };
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let missing: Vec<&str> = LEVEL.into_iter().filter(|flag| !flags.contains(flag)).collect();
    if missing.is_empty() {
        return vec![Finding::ok(format!("{model}: has x86-64-v3"))];
    }
    vec![Finding::problem(
        format!("{model}: lacks {} of x86-64-v3", missing.join(", ")),
        "take an Intel Haswell, an AMD Excavator or newer; for a virtual machine choose the CPU \
         model `host` or `Haswell`",
    )]
}
