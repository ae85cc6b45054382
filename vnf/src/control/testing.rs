//! What the tests of this module start from.

use std::io::Write as _;
use std::path::Path;

use crate::config::{self, Config};
use crate::lwaftr::Settings;
use crate::softwire::{PortSet, Softwire, TableWriter};
use crate::wire::MacAddr;

/// A configuration with this table file, written to a directory.
pub(super) fn write_config(directory: &Path, table: &[Softwire]) -> std::path::PathBuf {
    let path = directory.join("lwaftr.toml");
    std::fs::write(
        &path,
        r#"
[external]
port = "net_null0"
address = ["192.0.2.1/24"]
next-hop = "192.0.2.254"
[internal]
port = "net_null1"
address = ["2001:db8:0:1::1/64"]
next-hop = "2001:db8:0:1::ff"
[softwires]
br-addresses = ["2001:db8:ffff::1"]
file = "softwires.csv"
"#,
    )
    .unwrap();
    write_table(directory, table);
    path
}

/// The table file of that configuration.
pub(super) fn write_table(directory: &Path, table: &[Softwire]) {
    let mut out = std::fs::File::create(directory.join("softwires.csv")).unwrap();
    crate::softwire::file::write(&mut out, table.iter().copied()).unwrap();
    out.flush().unwrap();
}

/// Four softwires on 203.0.113.7, with a = 0, k = 2.
pub(super) fn table() -> Vec<Softwire> {
    (0..4).map(|psid| softwire(2, psid, u128::from(psid) + 1)).collect()
}

/// A softwire on 203.0.113.7.
pub(super) fn softwire(k: u8, psid: u16, b4: u128) -> Softwire {
    Softwire {
        ipv4: "203.0.113.7".parse().unwrap(),
        port_set: PortSet::new(0, k, psid).unwrap(),
        b4: (0x2001_0db8_00b4 << 80 | b4).into(),
        br: "2001:db8:ffff::1".parse().unwrap(),
    }
}

/// A softwire with a whole address.
pub(super) fn whole_address(ipv4: u32) -> Softwire {
    Softwire {
        ipv4: ipv4.into(),
        port_set: PortSet::WHOLE_ADDRESS,
        ..softwire(0, 0, u128::from(ipv4))
    }
}

/// The configuration with [`table`], loaded.
pub(super) fn config() -> (Config, TableWriter) {
    let directory = tempfile::tempdir().unwrap();
    let path = write_config(directory.path(), &table());
    config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Its settings.
pub(super) fn settings(config: &Config) -> Settings {
    config.settings(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]))
}
