//! The data tree, top by top, as it is now. Where a list of entries stands there is a mark, which
//! [`super::listing`] replaces while the answer is sent.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::counters::traffic_stat;
use super::modules::{MODULES, Module};
use super::schema::{LWAFTR, Listed, SOFTWIRE_BR, TOP, Top};
use crate::api::Handle;
use crate::api::error::ApiError;
use crate::config::Config;
use crate::control::Stamp;
use crate::lwaftr::Hairpinning;
use crate::side::Side;

/// Stands for a list of entries. No other string of an answer begins with this character.
pub(super) fn mark(listed: Listed) -> Value {
    let name = match listed {
        Listed::BindingEntries => "\u{1}binding-entry",
        Listed::Softwires => "\u{1}softwire",
    };
    name.into()
}

/// Everything below one node at the top.
pub(super) async fn value(handle: &Handle, top: &Top) -> Result<Value, ApiError> {
    Ok(match top.module {
        SOFTWIRE_BR => {
            let stamp = handle.control.stamp().await?;
            let instance = instance(handle, &stamp);
            json!({"binding": {"bind-instance": [instance]}})
        }
        LWAFTR => json!({"softwire": mark(Listed::Softwires)}),
        "ietf-interfaces" => interfaces(handle),
        "ietf-yang-library" if top.node.name == "modules-state" => modules_state(),
        "ietf-yang-library" => yang_library(),
        _ => restconf_state(),
    })
}

/// All of it.
pub(super) async fn whole(handle: &Handle) -> Result<Value, ApiError> {
    let mut all = json!({});
    for top in TOP {
        all[format!("{}:{}", top.module, top.node.name)] = value(handle, top).await?;
    }
    Ok(all)
}

/// The one bind-instance.
fn instance(handle: &Handle, stamp: &Stamp) -> Value {
    let config = handle.control.config();
    let started = handle.control.started_at().to_string();
    let mut instance = parameters(&config);
    let own = || stamp.version.to_string();
    instance["binding-table-versioning"] = json!({
        "version": config.api.table_version.clone().unwrap_or_else(own),
        "date": config.api.table_date.unwrap_or(stamp.modified).to_string(),
    });
    instance["binding-table"] = json!({"binding-entry": mark(Listed::BindingEntries)});
    instance["traffic-stat"] = traffic_stat(&handle.control.stats(), &started);
    instance
}

/// Its name and its parameters.
pub(super) fn parameters(config: &Config) -> Value {
    let policy = &config.policy;
    let mut instance = json!({
        "name": config.instance.name,
        "softwire-num-max": match config.softwires.max_softwires {
            0 => u32::MAX,
            most => most,
        },
        "softwire-payload-mtu": config.tunnel_mtu(),
        "softwire-path-mru": config.api.softwire_path_mru.unwrap_or(config.internal.mtu),
        "enable-hairpinning": policy.hairpinning != Hairpinning::External,
        "icmp-policy": {
            "icmpv4-errors": {
                "allow-incoming-icmpv4": policy.allow_incoming_icmpv4,
                "generate-icmpv4-errors": policy.generate_icmpv4_errors,
            },
            "icmpv6-errors": {
                "generate-icmpv6-errors": policy.generate_icmpv6_errors,
                "icmpv6-rate": policy.rates.icmpv6,
            },
        },
    });
    // 0 is no limit, which the model says by saying nothing.
    if policy.icmpv4_rate > 0 {
        instance["icmp-policy"]["icmpv4-errors"]["icmpv4-rate"] = policy.icmpv4_rate.into();
    }
    instance
}

fn interfaces(handle: &Handle) -> Value {
    let (config, stats) = (handle.control.config(), handle.control.stats());
    let started = handle.control.started_at().to_string();
    let macs = handle.control.macs();
    let ports = [&config.external.port, &config.internal.port];
    let interface = |side: Side| {
        let counted = &stats["interfaces"][side.name()];
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let drops = counted["drops"].as_object().into_iter().flatten();
        let dropped: u64 = drops.map(|(_, drop)| number(&drop["packets"])).sum();
        let lost = number(&counted["port"]["rx-missed"]) + number(&counted["port"]["rx-nombuf"]);
        let text = |value: u64| value.to_string();
        json!({
            "name": side.name(),
            "description": ports[side.index()],
            "type": "iana-if-type:ethernetCsmacd",
            "enabled": true,
            "oper-status": match counted["port"]["link"]["up"].as_bool() {
                Some(true) => "up",
                Some(false) => "down",
                None => "unknown",
            },
            "phys-address": macs[side.index()].to_string(),
            "statistics": {
                "discontinuity-time": started,
                "in-octets": text(number(&counted["in-bytes"])),
                // Counter32: it starts again at zero.
                "in-discards": (dropped + lost) & 0xffff_ffff,
                "in-errors": number(&counted["port"]["rx-errors"]) & 0xffff_ffff,
                "out-octets": text(number(&counted["out-bytes"])),
                "out-errors": number(&counted["port"]["tx-errors"]) & 0xffff_ffff,
            },
        })
    };
    json!({"interface": Side::BOTH.map(interface)})
}

/// A module as ietf-yang-library has it.
fn module(module: &Module) -> Value {
    let mut entry = json!({
        "name": module.name,
        "revision": module.revision,
        "namespace": module.namespace,
    });
    if !module.features.is_empty() {
        entry["feature"] = module.features.into();
    }
    entry
}

fn module_set() -> Value {
    let (modules, imports): (Vec<&Module>, Vec<&Module>) =
        MODULES.iter().partition(|module| module.implemented);
    let entries = |modules: Vec<&Module>| modules.into_iter().map(module).collect::<Vec<_>>();
    json!([{"name": "all", "module": entries(modules), "import-only-module": entries(imports)}])
}

/// Another one when the modules are others.
fn content_id() -> String {
    let digest = Sha256::digest(module_set().to_string());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn yang_library() -> Value {
    json!({
        "module-set": module_set(),
        "schema": [{"name": "all", "module-set": ["all"]}],
        "datastore": [
            {"name": "ietf-datastores:running", "schema": "all"},
            {"name": "ietf-datastores:operational", "schema": "all"},
        ],
        "content-id": content_id(),
    })
}

/// The same for clients of before RFC 8525.
fn modules_state() -> Value {
    let all = MODULES.iter().map(|one| {
        let mut entry = module(one);
        entry["conformance-type"] = if one.implemented { "implement" } else { "import" }.into();
        entry
    });
    json!({"module-set-id": content_id(), "module": all.collect::<Vec<_>>()})
}

fn restconf_state() -> Value {
    json!({
        "capabilities": {"capability": [
            "urn:ietf:params:restconf:capability:defaults:1.0?basic-mode=report-all",
            "urn:ietf:params:restconf:capability:depth:1.0",
            "urn:lwaftr:restconf:capability:paging:1.0",
        ]},
        "streams": {"stream": [{
            "name": "NETCONF",
            "description": "Changes of the binding table, and alarms",
            "replay-support": false,
            "access": [{"encoding": "json", "location": super::STREAM}],
        }]},
    })
}
