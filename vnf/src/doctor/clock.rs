//! The time-stamp counter, by which workers tell time.

use super::{Finding, Scene};

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let machine = &scene.machine;
    let directory = "/sys/devices/system/clocksource/clocksource0";
    let source = machine.read(format!("{directory}/current_clocksource")).unwrap_or_default();
    let flags = machine.field("/proc/cpuinfo", "flags").unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    let virtual_machine = has("hypervisor");
    if !has("constant_tsc") || !has("nonstop_tsc") {
        let advice = if virtual_machine {
            "give the virtual machine the host's invariant TSC (QEMU: -cpu host,+invtsc); latencies \
             and rate limits are wrong when its rate changes"
        } else {
            "fix the CPU's frequency (see governor) and forbid deep sleep states \
             (processor.max_cstate=1): latencies and rate limits are wrong when the rate changes"
        };
        return vec![Finding::warning("the TSC is not said to be invariant", advice)];
    }
    // A guest may well prefer its hypervisor's clock to a TSC that is fine.
    let paravirtual = ["kvm-clock", "hyperv_clocksource_tsc_page", "xen"].contains(&&*source);
    if source == "tsc" || (virtual_machine && paravirtual) {
        return vec![Finding::ok(format!("the TSC is invariant; the kernel's clock is {source}"))];
    }
    vec![Finding::problem(
        format!("the kernel's clock is `{source}`: it does not trust the TSC, or was told not to"),
        "see `dmesg | grep -i tsc`; remove clocksource= and tsc= from the kernel's command line, \
         update the firmware; workers tell time by the TSC",
    )]
}
