//! Configuration and table files: taken, or refused with words about a line that is there.

use super::judge::taken_or_refused;

const CONFIG: &str = r#"[external]
port = "net_null0"
address = "192.0.2.2/24"
next-hop = "192.0.2.1"
[internal]
port = "net_null1"
address = "2001:db8:0:1::2/64"
next-hop = "2001:db8:0:1::1"
[softwires]
br-addresses = "2001:db8:ffff::1"
file = "table.csv"
"#;

const TABLE: &str = "203.0.113.7,6,6,0,2001:db8:0:200::1,2001:db8:ffff::1\n";

/// The text of a configuration.
pub(crate) fn config(input: &[u8]) {
    taken_or_refused(input, TABLE.as_bytes());
}

/// The text of a table file.
pub(crate) fn table_file(input: &[u8]) {
    taken_or_refused(CONFIG.as_bytes(), input);
}
