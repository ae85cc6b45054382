//! What keys must observe beyond their kinds: each by itself, and together.

use std::net::Ipv6Addr;
use std::path::Path;

use ipnet::{Ipv4Net, Ipv6Net};

use super::address::{ipv4_host_problem, is_globally_routable};
use super::reader::Reader;
use super::{Config, api, devices, interfaces};
use crate::softwire::Softwire;

/// Checks everything but the softwires, and completes what follows from other keys.
pub(super) fn check(config: &mut Config, reader: &mut Reader) {
    instance(config, reader);
    workers(config, reader);
    interfaces::check(config, reader);
    devices::check(config, reader);
    softwires(config, reader);
    policy(config, reader);
    fragments(config, reader);
    api::check(config, reader);
    alarms(config, reader);
}

fn instance(config: &mut Config, reader: &mut Reader) {
    let instance = &mut config.instance;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if instance.name.len() > 32
        || instance.name.starts_with('.')
        || !instance.name.bytes().all(plain)
    {
        let right = "at most 32 letters, digits, \"-\", \"_\" and \".\", no \".\" in front";
        reader.wrong("instance.name", format!("{:?} is not accepted: {right}", instance.name));
    }
    if instance.control_socket.as_os_str().is_empty() {
        instance.control_socket = format!("/run/lwaftr/{}.sock", instance.name).into();
    }
    if !instance.control_socket.is_absolute() {
        let right = "a path that starts with \"/\", as other programs look for it";
        reader.wrong("instance.control-socket", format!("is a relative path: {right}"));
    }
    if let Err(problem) = crate::log::parse(&instance.log_level) {
        reader.wrong("instance.log-level", problem);
    }
    let crash = &instance.crash_directory;
    if !crash.as_os_str().is_empty() && !crash.is_absolute() {
        let right = "a path that starts with \"/\", to be found after a crash";
        reader.wrong("instance.crash-directory", format!("is a relative path: {right}"));
    } else if crash.exists() && !crash.is_dir() {
        let right = "the path of a directory, or of nothing yet";
        reader.wrong("instance.crash-directory", format!("{crash:?} is no directory: {right}"));
    }
    // The kernel's limit on the path of a Unix socket.
    if instance.control_socket.as_os_str().len() > 107 {
        reader.wrong("instance.control-socket", "is longer than a socket may have: 107 bytes");
    }
}

fn workers(config: &Config, reader: &mut Reader) {
    if let Some(cpu) = repeated(&config.workers.cpus) {
        reader.wrong("workers.cpus", format!("names CPU {cpu} twice: one worker a CPU"));
    }
}

fn softwires(config: &mut Config, reader: &mut Reader) {
    const KEY: &str = "softwires.br-addresses";
    if reader.has(KEY) && reader.is_right(KEY) && config.softwires.br_addresses.is_empty() {
        reader.wrong(KEY, "is empty: at least one tunnel endpoint of the relay");
    }
    if config.softwires.br_addresses.len() > 4096 {
        reader.wrong(KEY, "has more than 4096 addresses: as few as your B4s are configured with");
    }
    for &br in &config.softwires.br_addresses {
        if let Err(problem) = Softwire::check_b4(br) {
            reader.wrong(KEY, format!("{br} {problem}: an address that B4s can send to"));
        }
    }
    if let Some(br) = repeated(&config.softwires.br_addresses) {
        reader.wrong(KEY, format!("names {br} twice: each address once"));
    }
    if let Some(file) = &mut config.softwires.file {
        *file = config.path.parent().unwrap_or(Path::new("")).join(&file);
    }
    config.own_ipv6 = own_ipv6(config);
    config.own_ipv4 = config.external.addresses.iter().map(Ipv4Net::addr).collect();
}

/// The relay's own IPv6 addresses, BR addresses aside.
fn own_ipv6(config: &Config) -> Vec<Ipv6Addr> {
    let addresses = config.internal.addresses.iter().map(Ipv6Net::addr);
    addresses.chain(config.internal.link_local).collect()
}

fn policy(config: &Config, reader: &mut Reader) {
    const SOURCE: &str = "policy.icmpv4-source";
    let policy = &config.policy;
    if let Some(source) = policy.icmpv4_source
        && let Some(problem) = ipv4_host_problem(source)
    {
        reader.wrong(SOURCE, format!("{source} is {problem}: an address of this relay"));
    }
    let first_address = config.external.addresses.first().map(Ipv4Net::addr);
    if let Some(source) = policy.icmpv4_source.or(first_address)
        && !is_globally_routable(source)
    {
        let key = if reader.has(SOURCE) { SOURCE } else { "external.address" };
        reader.warn(
            key,
            &format!(
                "ICMPv4 errors come from {source}, which is not globally routable: routers that \
                 filter such sources drop them, and path MTU discovery through this relay fails \
                 (set policy.icmpv4-source)"
            ),
        );
    }
    if policy.rates.too_big == 0 {
        reader.warn(
            "policy.too-big-rate",
            "no \"packet too big\" message is ever sent: hosts that rely on path MTU discovery \
             (nearly all) will hang",
        );
    }
    for martian in &policy.martians {
        if martian.prefix_len() == 0 {
            reader.wrong("policy.martians", "0.0.0.0/0 is every address: narrower networks");
        }
    }
}

fn alarms(config: &Config, reader: &mut Reader) {
    let reasons: Vec<_> = config.alarms.drop_rates.iter().map(|rate| rate.reason).collect();
    if let Some(reason) = repeated(&reasons) {
        reader.wrong("alarms.drop-rates", format!("names {reason} twice: each reason once"));
    }
}

/// One source may not have more than there is for all.
fn fragments(config: &Config, reader: &mut Reader) {
    let of = &config.fragments;
    for (each, key, all, of_all) in [
        (of.packets_per_source, "packets-per-source", of.packets, "packets"),
        (of.bytes_per_source, "bytes-per-source", of.bytes, "bytes"),
    ] {
        if each > all {
            let path = format!("fragments.{key}");
            let problem = format!(
                "{each} (the default, if it is not set) is more than {of_all}, which is {all}: set it to {all} at most"
            );
            reader.wrong(&path, problem);
        }
    }
    if of.bytes_per_source < ONE_PACKET {
        reader.warn(
            "fragments.bytes-per-source",
            "the largest packets cannot be put together: they need 70000 bytes and more",
        );
    }
}

/// The largest packet in fragments of 1500 bytes, as it is stored.
const ONE_PACKET: u32 = 70_000;

/// A value that is in the list twice.
pub(super) fn repeated<V: Copy + Ord>(values: &[V]) -> Option<V> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
