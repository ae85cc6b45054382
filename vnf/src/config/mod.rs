//! The configuration: TOML and the table file in, [`Settings`] and softwires out, or everything
//! that is wrong with them at once, each with file, line and key.
//!
//! `tables` names the keys, `reader` walks the file, `interfaces` and `rules` check what keys mean
//! together, `rows` collects the softwires.

mod address;
mod alarms;
mod api;
mod credentials;
mod devices;
mod difference;
mod error;
mod interfaces;
mod key;
mod pools;
mod reader;
mod rows;
mod rules;
mod source;
mod suggest;
mod syntax;
mod tables;
mod tls;
mod value;

pub use address::is_globally_routable;
pub use alarms::{Alarms, ReasonRate};
pub use api::{ApiConfig, ApiFiles, DEFAULT_LISTEN, LoopbackRole};
pub use credentials::{Client, Credentials, Role};
pub use difference::{Difference, differences};
pub use error::{ConfigError, ConfigErrors};
pub use key::KeyInfo;
pub use pools::DESCRIPTORS;
pub(crate) use suggest::nearest;
pub use tables::{
    ExternalInterface, Idle, Instance, Interface, InternalInterface, LogFormat, SoftwiresConfig,
    Workers,
};

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use self::key::Table;
use self::reader::Reader;
use self::rows::Rows;
use self::tables::InlineSoftwire;
use crate::lwaftr::{External, Filters, Fragments, Internal, Link, NextHop, Policy, Settings};
use crate::softwire::{Rules, Softwire, TableWriter};
use crate::wire::MacAddr;

/// A configuration that has been read and checked.
#[derive(Debug)]
pub struct Config {
    /// `[instance]`
    pub instance: Instance,
    /// `[workers]`
    pub workers: Workers,
    /// `[external]`
    pub external: ExternalInterface,
    /// `[internal]`
    pub internal: InternalInterface,
    /// `[softwires]`
    pub softwires: SoftwiresConfig,
    /// `[policy]`
    pub policy: Policy,
    /// `[fragments]`
    pub fragments: Fragments,
    /// `[api]`
    pub api: ApiConfig,
    /// `[alarms]`
    pub alarms: Alarms,
    /// What works but should be known, as `file:line: key: text`.
    pub warnings: Vec<String>,
    /// The file that this was read from.
    pub path: PathBuf,
    /// The text of that file.
    pub text: String,
    /// What tells the text of both files from any other.
    pub fingerprint: String,
    rows: Rows,
    own_ipv4: Vec<Ipv4Addr>,
    own_ipv6: Vec<Ipv6Addr>,
}

/// Reads and checks a configuration, its softwires included.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    load_with_table(path).map(|(config, _)| config)
}

/// As [`load`], and hands over the binding table that the checks have built.
pub fn load_with_table(path: &Path) -> Result<(Config, TableWriter), ConfigErrors> {
    let file: Arc<Path> = path.into();
    let failed = |line, problem| {
        let mut errors = ConfigErrors::default();
        errors.push(ConfigError { file: Arc::clone(&file), line, key: String::new(), problem });
        errors
    };
    let bytes = source::read(path).map_err(|error| {
        let right = "the path of a configuration that this user may read";
        failed(0, format!("cannot be read ({error}): {right}"))
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        failed(line, "bytes that are not UTF-8: text in UTF-8".to_owned())
    })?;
    assemble(path, text, Rows::read)
}

/// What a configuration was that is kept elsewhere: its text, and all its softwires as the text of
/// a table file. Errors name the file `kept`.
pub fn load_kept(
    path: &Path,
    text: &str,
    kept: &Path,
    table: &[u8],
) -> Result<(Config, TableWriter), ConfigErrors> {
    assemble(path, text, |_, reader| Rows::of_text(kept, table, reader))
}

/// What a configuration would be with this text, and with this table file instead of the one that
/// it names.
pub fn load_text(
    path: &Path,
    text: &str,
    table: Option<&[u8]>,
) -> Result<(Config, TableWriter), ConfigErrors> {
    assemble(path, text, |config, reader| Rows::read_with(config, table, reader))
}

fn assemble(
    path: &Path,
    text: &str,
    rows: impl FnOnce(&Config, &mut Reader) -> Rows,
) -> Result<(Config, TableWriter), ConfigErrors> {
    let mut reader = Reader::new(path.into(), text);
    reader.top_level(&table_names());
    let mut config = Config {
        instance: reader.table(),
        workers: reader.table(),
        external: reader.table(),
        internal: reader.table(),
        softwires: reader.table(),
        policy: reader.table(),
        fragments: reader.table(),
        api: reader.table(),
        alarms: reader.table(),
        warnings: Vec::new(),
        path: path.to_owned(),
        text: text.to_owned(),
        fingerprint: String::new(),
        rows: Rows::default(),
        own_ipv4: Vec::new(),
        own_ipv6: Vec::new(),
    };
    rules::check(&mut config, &mut reader);
    config.rows = rows(&config, &mut reader);
    config.fingerprint = fingerprint(text, config.rows.digest());
    let writer = config.rows.build(&config, &mut reader);
    config.warnings = reader.warnings;
    match writer {
        Some(writer) if reader.errors.count() == 0 => Ok((config, writer)),
        _ => {
            reader.errors.sort(path);
            Err(reader.errors)
        }
    }
}

fn fingerprint(text: &str, table: &[u8; 32]) -> String {
    let digest = Sha256::new().chain_update(text).chain_update(table).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every key that a configuration can have, table by table.
#[must_use]
pub fn all_keys() -> Vec<KeyInfo> {
    [
        Instance::describe(),
        Workers::describe(),
        ExternalInterface::describe(),
        InternalInterface::describe(),
        SoftwiresConfig::describe(),
        InlineSoftwire::describe(),
        Policy::describe(),
        Fragments::describe(),
        ApiConfig::describe(),
        Alarms::describe(),
    ]
    .concat()
}

fn table_names() -> [&'static str; 10] {
    [
        Instance::NAME,
        Workers::NAME,
        ExternalInterface::NAME,
        InternalInterface::NAME,
        SoftwiresConfig::NAME,
        InlineSoftwire::NAME,
        Policy::NAME,
        Fragments::NAME,
        ApiConfig::NAME,
        Alarms::NAME,
    ]
}

impl Config {
    /// What the data plane goes by. The arguments are the ports' own MAC addresses, which count
    /// where the configuration gives none.
    #[must_use]
    pub fn settings(&self, external_mac: MacAddr, internal_mac: MacAddr) -> Settings {
        let external_link = link(&self.external, external_mac);
        let internal_link = link(&self.internal, internal_mac);
        Settings {
            external: External {
                link: external_link,
                addresses: self.external.addresses.clone(),
                proxy_arp: self.external.proxy_arp,
                next_hop: next_hop(&self.external),
            },
            internal: Internal {
                link: internal_link,
                addresses: self.internal.addresses.clone(),
                link_local: self.internal.link_local.unwrap_or(internal_link.mac.link_local()),
                br_anycast: self.internal.br_anycast,
                next_hop: next_hop(&self.internal),
            },
            on_a_stick: self.on_a_stick(),
            br_addresses: self.softwires.br_addresses.clone(),
            policy: self.policy.clone(),
            filters: Filters {
                ingress: [
                    self.external.ingress_filter.clone(),
                    self.internal.ingress_filter.clone(),
                ],
                egress: [self.external.egress_filter.clone(), self.internal.egress_filter.clone()],
            },
            fragments: self.fragments,
        }
    }

    /// Both sides share one port.
    #[must_use]
    pub fn on_a_stick(&self) -> bool {
        self.external.port == self.internal.port
    }

    /// What softwires must observe, those of later edits too.
    #[must_use]
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            br_addresses: &self.softwires.br_addresses,
            own_ipv4: &self.own_ipv4,
            own_ipv6: &self.own_ipv6,
            several_per_b4: self.softwires.several_per_b4,
            most: match self.softwires.max_softwires {
                0 => usize::MAX,
                most => most as usize,
            },
        }
    }

    /// All softwires of the configuration: those of `[[softwire]]`, then those of the table file.
    #[must_use]
    pub fn rows(&self) -> &[Softwire] {
        self.rows.softwires()
    }

    /// When some of them end by themselves: IPv4 address, PSID, time.
    #[must_use]
    pub fn ends(&self) -> &[(Ipv4Addr, u16, Timestamp)] {
        self.rows.until()
    }

    /// Forgets the list of softwires: what runs needs the table alone, and ten million rows are
    /// 400 MB.
    pub fn forget_rows(&mut self) {
        self.rows = Rows::default();
    }

    /// Where the softwire of a row stands, as `file:line`.
    #[must_use]
    pub fn origin(&self, row: usize) -> String {
        let (file, line) = self.rows.place(row);
        format!("{}:{line}", file.display())
    }

    /// The largest IPv4 packet that fits the tunnel in one piece (E8).
    #[must_use]
    pub fn tunnel_mtu(&self) -> u16 {
        self.internal.mtu - 40
    }

    /// The files whose change is a change of the configuration.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&*self.path).chain(self.softwires.file.as_deref()).chain(self.api.paths())
    }
}

fn link<A, N>(interface: &Interface<A, N>, port_mac: MacAddr) -> Link {
    Link {
        mac: interface.mac.unwrap_or(port_mac),
        vlan: Some(interface.vlan).filter(|&vlan| vlan != 0),
        mtu: interface.mtu,
        promiscuous: interface.promiscuous,
    }
}

/// A fixed MAC address wins; the checks refuse the absence of both.
fn next_hop<A: Clone, N>(interface: &Interface<A, N>) -> NextHop<A> {
    match interface.next_hop_mac {
        Some(mac) => NextHop::Fixed(mac),
        None => NextHop::Addresses(interface.next_hops.clone()),
    }
}
