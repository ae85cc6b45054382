//! What the device arguments must observe, as far as that can be told without DPDK.

use super::Config;
use super::reader::Reader;
use crate::frame::device::{Argument, DRIVERS, Target, member_argument};

const DEVICES: &str = "instance.devices";
const EXTERNAL: &str = "external.port";
const INTERNAL: &str = "internal.port";

pub(super) fn check(config: &Config, reader: &mut Reader) {
    let mut named = Vec::new();
    let mut wanted: Vec<(&str, &str)> =
        config.instance.devices.iter().map(|device| (DEVICES, &**device)).collect();
    wanted.push((EXTERNAL, &config.external.port));
    if !config.on_a_stick() {
        wanted.push((INTERNAL, &config.internal.port));
    }
    for (key, text) in wanted {
        if text.is_empty() {
            // Missing, which has been said.
            continue;
        }
        match device(text) {
            Err(problem) => reader.wrong(key, problem),
            Ok(target) if named.contains(&target) => reader.wrong(
                key,
                format!(
                    "`{text}` is a device that is named already: each device once, or the very \
                         same text as port of both sides (on-a-stick)"
                ),
            ),
            // Without a number, each is another device.
            Ok(Target::Virtual { number: None, .. }) => {}
            Ok(target) => named.push(target),
        }
    }
}

/// What an argument names, its bonding members checked as well.
fn device(text: &str) -> Result<Target, String> {
    let mut argument =
        Argument::parse(text).map_err(|bad| format!("`{text}`: {}: {}", bad.wrong, bad.right))?;
    if let Some(driver) = argument.driver()
        && !DRIVERS.contains(&driver)
    {
        return Err(format!("`{text}`: there is no driver `{driver}`: {}", DRIVERS.join(", ")));
    }
    for (_, value) in argument.members_mut() {
        device(member_argument(value))?;
    }
    Ok(argument.target)
}
