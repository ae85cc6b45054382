//! What a configuration asks of the machine.

use std::path::Path;

use serde_json::Value;

use super::machine::Machine;
use crate::config::Config;
use crate::control::client::{Client, ClientError, SOCKET_DIRECTORY};
use crate::control::protocol::Request;
use crate::frame::device::{Argument, Target, member_argument};
use crate::frame::plan::PoolPlan;

/// A device that a port is, or is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// Which one, for people: `external port 0000:01:00.0`.
    pub(crate) name: String,
    pub(crate) argument: Argument,
    /// IP bytes that it is to carry; 0 where nothing says.
    pub(super) mtu: u16,
}

impl Port {
    /// Its address, when it is a PCI device.
    pub(crate) fn pci(&self) -> Option<&str> {
        match &self.argument.target {
            Target::Pci(address) => Some(address),
            Target::Nic(_) | Target::Virtual { .. } => None,
        }
    }

    /// It is a network card, by whatever name.
    pub(crate) fn is_card(&self) -> bool {
        matches!(self.argument.target, Target::Pci(_) | Target::Nic(_))
    }

    /// The kernel's interface that it works through.
    pub(super) fn interface(&self) -> Option<&str> {
        match self.argument.driver()? {
            "net_af_xdp" | "net_af_packet" | "net_pcap" => self.argument.option("iface"),
            "net_tap" => self.argument.option("remote"),
            _ => None,
        }
    }
}

/// What is asked of the machine.
#[derive(Debug)]
pub struct Setup {
    /// There is a configuration that says so.
    pub(super) configured: bool,
    pub(crate) ports: Vec<Port>,
    /// The CPUs of the workers.
    pub(super) workers: Vec<usize>,
    /// MiB of packet memory.
    pub(crate) megabytes: u64,
    /// What the running instance counts, or why nobody answers.
    pub(super) stats: Result<Value, String>,
}

impl Setup {
    /// What a configuration asks for; without one, what can be said of any.
    #[must_use]
    pub fn new(machine: &Machine, config: Option<&Config>) -> Self {
        let usual = || Path::new(SOCKET_DIRECTORY).join("lwaftr.sock");
        let socket = config.map_or_else(usual, |config| config.instance.control_socket.clone());
        let cpus = config.map(|config| config.workers.cpus.clone()).unwrap_or_default();
        Self {
            configured: config.is_some(),
            ports: config.map(|config| ports(machine, config)).unwrap_or_default(),
            workers: match &cpus[..] {
                [] => machine.usable_cpus().last().copied().into_iter().collect(),
                _ => cpus,
            },
            megabytes: config
                .map(|config| PoolPlan::derive(&config.pool_needs()).megabytes)
                .unwrap_or_default(),
            stats: stats(&machine.path(socket)).map_err(|error| error.to_string()),
        }
    }

    /// The ports that are PCI devices, with their addresses.
    pub(super) fn pci_ports(&self) -> impl Iterator<Item = (&Port, &str)> {
        self.ports.iter().filter_map(|port| Some((port, port.pci()?)))
    }

    /// Why a check of ports has nothing to look at.
    pub(super) fn no_port(&self, kind: &str) -> String {
        if self.configured {
            format!("no port of the configuration {kind}")
        } else {
            "no configuration was given".to_owned()
        }
    }
}

fn stats(socket: &Path) -> Result<Value, ClientError> {
    Client::connect(socket)?.ask(Request::Stats)
}

/// The ports and what they are made of. Cards that are not there keep the name that they were given.
pub(crate) fn ports(machine: &Machine, config: &Config) -> Vec<Port> {
    let locate = |argument: Argument| {
        let located = argument.clone().located(&machine.path("/"));
        located.unwrap_or(argument)
    };
    let mut named = vec![("external port", &config.external.port, config.external.mtu)];
    if config.on_a_stick() {
        named[0] = ("port", &config.external.port, config.external.mtu.max(config.internal.mtu));
    } else {
        named.push(("internal port", &config.internal.port, config.internal.mtu));
    }
    named.extend(config.instance.devices.iter().map(|device| ("device", device, 0)));
    let mut ports = Vec::new();
    for (what, text, mtu) in named {
        // The checks of the configuration have refused what cannot be parsed.
        let Ok(mut argument) = Argument::parse(text) else { continue };
        let name = |text: &str| format!("{what} {text}");
        for (_, value) in argument.members_mut() {
            let member = member_argument(value);
            if let Ok(argument) = Argument::parse(member) {
                ports.push(Port { name: name(member), argument: locate(argument), mtu });
            }
        }
        ports.push(Port { name: name(text), argument: locate(argument), mtu });
    }
    ports
}
