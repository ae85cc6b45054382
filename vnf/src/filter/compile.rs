//! From an expression to a program, by libpcap.

use std::sync::{Mutex, PoisonError};

use pcap::{Capture, Linktype};

use super::Filter;
use super::locate::{Place, locate, pointed_at};
use super::program::{Program, Raw};

/// Packets that start with their IP header: DLT_RAW, as libpcap's compiler knows it on Linux.
const BARE_IP: Linktype = Linktype(12);

/// What libpcap says of an expression that is not in its language, without saying where.
const SYNTAX_ERROR: &str = "syntax error";

/// What would be right, by what libpcap says is wrong.
const REMEDIES: [(&str, &str); 12] = [
    (
        "expression rejects all packets",
        "filters see packets from their IPv4 or IPv6 header on, no Ethernet header and no VLAN",
    ),
    ("Raw IP", "filters see packets from their IPv4 or IPv6 header on"),
    ("ethernet addresses", "filters see packets from their IPv4 or IPv6 header on"),
    ("unknown host", "an address, or a name that this machine can look up"),
    ("unknown network", "a network like 192.0.2.0/24, or a name that this machine can look up"),
    ("illegal port", "ports go from 0 to 65535"),
    ("unknown port", "a number from 0 to 65535, or a name of /etc/services"),
    ("unknown ip proto", "a number from 0 to 255, or a name of /etc/protocols"),
    ("invalid IPv4 address", "four numbers from 0 to 255, like 192.0.2.1"),
    ("modifier applied to", "ip with IPv4 addresses, ip6 with IPv6 addresses"),
    ("non-network bits", "a network's address has no bits behind its prefix, as in 192.0.2.0/24"),
    ("division by zero", "a divisor that is not 0"),
];

/// Looking up protocols by name is not for several threads at once.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Compiles, or says what is wrong and points at it.
pub(super) fn compile(expression: &str) -> Result<Program, String> {
    if expression.len() > Filter::LONGEST {
        return Err(format!(
            "is {} bytes long: at most {}; networks instead of many hosts make it shorter",
            expression.len(),
            Filter::LONGEST
        ));
    }
    let raw = by_libpcap(expression, true).map_err(|said| explained(expression, &said))?;
    Program::new(&raw).map_err(|why| {
        let place = Place::of_word(expression, &why.to_string());
        pointed_at(expression, place, &why.to_string())
    })
}

/// The instructions that libpcap makes, or what it says.
fn by_libpcap(expression: &str, optimise: bool) -> Result<Vec<Raw>, String> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let said = |error: pcap::Error| match error {
        pcap::Error::PcapError(text) => text,
        other => other.to_string(),
    };
    let program =
        Capture::dead(BARE_IP).map_err(said)?.compile(expression, optimise).map_err(said)?;
    // Four numbers are all that the library shows of an instruction.
    let instructions = program.get_instructions().iter();
    instructions
        .map(|instruction| {
            let text = instruction.to_string();
            raw(&text).ok_or_else(|| format!("an instruction like {text:?} is not understood"))
        })
        .collect()
}

/// "code jt jf k"
fn raw(text: &str) -> Option<Raw> {
    let mut numbers = text.split(' ');
    let raw = Raw {
        code: numbers.next()?.parse().ok()?,
        if_true: numbers.next()?.parse().ok()?,
        if_false: numbers.next()?.parse().ok()?,
        k: numbers.next()?.parse().ok()?,
    };
    numbers.next().is_none().then_some(raw)
}

/// What libpcap said, in whole sentences and with the place.
fn explained(expression: &str, said: &str) -> String {
    if said.ends_with(SYNTAX_ERROR) {
        let parses = |text: &str| {
            by_libpcap(text, false).err().is_none_or(|said| !said.ends_with(SYNTAX_ERROR))
        };
        let place = locate(expression, parses);
        let what = match place.text(expression) {
            "" => "ends too early".to_owned(),
            token => format!("{token:?} cannot stand here"),
        };
        let right = "an expression as tcpdump takes it, see pcap-filter(7)";
        return pointed_at(expression, place, &format!("{what}: {right}"));
    }
    let right = REMEDIES.iter().find(|(mistake, _)| said.contains(mistake));
    let right = right.map_or("an expression as tcpdump takes it, see pcap-filter(7)", |of| of.1);
    pointed_at(expression, Place::of_word(expression, said), &format!("{said}: {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an expression: the message, and the marked text.
    fn refused(expression: &str) -> (String, String) {
        let text = compile(expression).unwrap_err();
        let lines: Vec<_> = text.lines().collect();
        let [message, shown, marks] = lines[..] else { panic!("{text}") };
        let marked = marks.find('^').unwrap()..marks.len();
        let at_end = format!("{shown} ");
        (message.to_owned(), at_end[marked].trim().to_owned())
    }

    #[test]
    fn syntax_errors_point_at_the_first_word_that_cannot_stand_there() {
        for (expression, wrong) in [
            ("tcp prot 80", "prot"),
            ("frob", "frob"),
            ("ip)", ")"),
            ("tcp port 80 or udp prt 53 or icmp", "prt"),
            ("host 192.0.2.1 and (tcp or udp) nd port 80", "nd"),
            ("tcp[13] & 2 != = 0", "="),
            ("(ip and tcp[12:1] && && 0xf0 = 0x50)", "&&"),
            ("len > > 100", ">"),
            ("ip[0] = 0x45 @ udp", "@"),
        ] {
            let (message, marked) = refused(expression);
            assert!(message.contains("cannot stand here"), "{expression}: {message}");
            assert!(wrong.starts_with(&marked), "{expression}: {marked}");
        }
        for expression in
            ["tcp and", "(ip", "tcp[", "tcp[0:", "len >", "not", "portrange 5-", "(tcp and (ip[2"]
        {
            let (message, marked) = refused(expression);
            assert!(message.starts_with("ends too early: "), "{expression}: {message}");
            assert_eq!(marked, "", "{expression}");
        }
    }

    #[test]
    fn other_errors_point_at_the_word_they_are_about() {
        for (expression, says, wrong) in [
            ("ip host 1.2.3.400", "address '1.2.3.400': four numbers from 0 to 255", "1.2.3.400"),
            ("udp and port nosuch", "port 'nosuch': a number from 0 to 65535", "nosuch"),
            ("tcp port 99999", "> 65535: ports go from 0 to 65535", "99999"),
            ("portrange 5-70000", "ports go from 0 to 65535", "portrange 5-70000"),
            ("ip6 host 192.0.2.1", "ip host: ip with IPv4 addresses", "ip6"),
            ("net 10.0.0.1/8", "10.0.0.1/8\": a network's address", "net 10.0.0.1/8"),
            ("len / 0 = 1", "division by zero: a divisor", "len / 0 = 1"),
            ("ip[0:3] = 1", "data size must be 1, 2, or 4: an expression as", "ip[0:3] = 1"),
            ("vlan 5 and ip", "no VLAN support", "vlan"),
            ("tcp and ip6 protochain 6", "cannot be converted to machine code", "protochain"),
            ("ip and inbound", "not in the packet", "inbound"),
            ("ip[70000] = 1", "which no packet has", "70000"),
            ("ip[-1] = 1", "in front of the packet", "-1"),
            ("arp", "from their IPv4 or IPv6 header on", "arp"),
        ] {
            let (message, marked) = refused(expression);
            assert!(message.contains(says), "{expression}: {message}");
            assert_eq!(marked, wrong, "{expression}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_refused_in_time() {
        let hosts: Vec<String> =
            (0..2000).map(|host| format!("host 10.{}.{}.1", host / 200, host % 200)).collect();
        let text = compile(&hosts.join(" or ")).unwrap_err();
        assert!(text.contains("at most 16384"), "{text}");
        let deep = "(".repeat(5_000);
        assert!(compile(&format!("{deep}ip")).is_err());
        assert!(compile(&"not ".repeat(4_000)).is_err());
        assert!(compile("ip\0").is_err());
    }
}
