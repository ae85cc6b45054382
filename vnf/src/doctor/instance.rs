//! What the running instance knows: who answers on its links, and what its ports lost.

use super::{Finding, Scene};
use crate::side::Side;

/// Do the next hops answer?
pub(super) fn next_hops(scene: &Scene) -> Vec<Finding> {
    let stats = match &scene.setup.stats {
        Ok(stats) => stats,
        Err(why) => return vec![Finding::not_applicable(format!("known once one runs: {why}"))],
    };
    let mut findings = Vec::new();
    for side in Side::BOTH {
        let hops = stats["next-hops"][side.name()].as_array().map_or(&[][..], Vec::as_slice);
        let anyone = hops.iter().any(|hop| hop["answers"] == true);
        for hop in hops {
            let address = hop["address"].as_str().unwrap_or("next-hop-mac");
            let known = hop["mac"].as_str().map_or_else(String::new, |mac| format!(", {mac}"));
            let text = format!("{side}: next hop {address}{known}");
            let advice = "check the cable, the VLAN and the addresses of both ends";
            findings.push(match (hop["answers"] == true, anyone) {
                (true, _) => Finding::ok(text),
                (false, true) => Finding::warning(format!("{text} does not answer"), advice),
                (false, false) => Finding::problem(
                    format!("{text} does not answer"),
                    format!("{advice}: packets to it are dropped"),
                ),
            });
        }
    }
    if findings.is_empty() {
        findings.push(Finding::not_applicable("no next hop is asked for"));
    }
    findings
}

/// Did receive rings overflow?
pub(super) fn queues(scene: &Scene) -> Vec<Finding> {
    let stats = match &scene.setup.stats {
        Ok(stats) => stats,
        Err(why) => return vec![Finding::not_applicable(format!("known once one runs: {why}"))],
    };
    Side::BOTH
        .into_iter()
        .map(|side| {
            let interface = &stats["interfaces"][side.name()];
            let count = |value: &serde_json::Value| value.as_u64().unwrap_or_default();
            let received = count(&interface["in-packets"]);
            let missed = count(&interface["port"]["rx-missed"]);
            let starved = count(&interface["port"]["rx-nombuf"]);
            if missed + starved == 0 {
                return Finding::ok(format!("{side}: none of {received} frames lost by the port"));
            }
            Finding::warning(
                format!(
                    "{side}: the port lost {missed} frames in a full ring, {starved} for want of \
                     buffers; the relay saw {received}"
                ),
                "a ring of 1024 bridges 0.1 ms at 10 Gbit/s of the smallest frames: find what \
                 interrupts the worker (isolated-cores, interrupts, core-neighbours), or give it \
                 help (workers.cpus)",
            )
        })
        .collect()
}
