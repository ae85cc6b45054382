//! A large table: read whole or page by page, the instance's memory stays what it was.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::lab::Instance;

/// So many softwires; what is not optimised gets fewer.
const SOFTWIRES: u32 = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };

const LIST: &str = "/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=test/\
                    binding-table/binding-entry";

#[test]
fn a_large_table_is_read_whole_and_by_pages_in_little_memory() {
    let mut table = String::new();
    for n in 0..SOFTWIRES {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + n / 64);
        let psid = n % 64;
        writeln!(
            table,
            "{address},6,6,{psid},2001:db8:b4::{:x}:{:x},2001:db8:ffff::1",
            n >> 16,
            n & 0xffff
        )
        .unwrap();
    }
    let instance = Instance::start(&table);
    let before = instance.memory();
    let all = instance.unix("GET", LIST).expect(200);
    let after = instance.most_memory();
    assert_eq!(all.body.matches("binding-ipv6info").count(), SOFTWIRES as usize);
    let taken = after.saturating_sub(before);
    println!("{SOFTWIRES} entries, {} bytes sent, {taken} kB more at the most", all.body.len());
    assert!(taken < 32 << 10, "{taken} kB");
    let json: Value = serde_json::from_str(&all.body).unwrap();
    let entries = json["ietf-softwire-br:binding-entry"].as_array().unwrap();

    let page = SOFTWIRES / 20;
    let mut seen = HashSet::new();
    for number in 0..20 {
        let path = format!("{LIST}?limit={page}&offset={}", number * page);
        let answer = instance.unix("GET", &path).expect(200).json();
        let part = answer["ietf-softwire-br:binding-entry"].as_array().unwrap();
        assert_eq!(part.len(), page as usize);
        assert_eq!(part[0], entries[(number * page) as usize]);
        seen.extend(
            part.iter().map(|entry| entry["binding-ipv6info"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(seen.len(), SOFTWIRES as usize);

    // The same from where the page before ended, which costs the same everywhere in the table.
    let page = SOFTWIRES as usize / 100;
    let (mut after, mut read) = (String::new(), 0);
    loop {
        let answer = instance.unix("GET", &format!("{LIST}?limit={page}{after}")).expect(200);
        let answer = answer.json();
        let part = answer["ietf-softwire-br:binding-entry"].as_array().unwrap();
        let Some(last) = part.last() else { break };
        assert_eq!(part[..], entries[read..read + part.len()]);
        read += part.len();
        let address = last["binding-ipv4-addr"].as_str().unwrap();
        after = format!("&after={address},{}", last["port-set"]["psid"]);
    }
    assert_eq!(read, entries.len());
    let after = instance.most_memory();
    assert!(after.saturating_sub(before) < 32 << 10, "{} kB", after - before);
    // A client that asks and then does not read.
    let mut stalled =
        std::os::unix::net::UnixStream::connect(instance.directory.path().join("api.sock"))
            .unwrap();
    std::io::Write::write_all(
        &mut stalled,
        format!("GET {LIST} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
    )
    .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    instance.unix("GET", "/api/status").expect(200);
    assert!(instance.most_memory().saturating_sub(before) < 32 << 10);
}
