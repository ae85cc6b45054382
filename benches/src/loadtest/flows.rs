//! Conversations through the relay, made up as RFC 4814 asks: random subscribers of the relay's
//! own table, random ports of their port sets, random hosts on the Internet with random ports.
//! Which of them a frame belongs to follows from its sequence number alone, so that the receiver
//! knows what every frame must look like.

use std::net::Ipv4Addr;
use std::sync::Arc;

use benches::softwires::Random;
use vnf::softwire::{BindingTable, PortSet, Softwire};

/// The network set aside for measurements (RFC 2544 appendix C.2.2), where remote hosts are.
const REMOTE_NETWORK: u32 = 198 << 24 | 18 << 16;
const REMOTE_HOSTS: u32 = 1 << 17;

/// RFC 4814 section 4.5 has source ports from 1024 and destination ports up to 49151. The remote
/// port is the source one way and the destination the other way: it obeys both.
const REMOTE_PORTS: std::ops::RangeInclusive<u16> = 1024..=49151;

/// Softwires are drawn so many times per wanted flow before giving up.
const PATIENCE: usize = 64;

/// A tunnel's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tunnel {
    pub(crate) b4: u128,
    pub(crate) br: u128,
}

impl From<Softwire> for Tunnel {
    fn from(softwire: Softwire) -> Self {
        Self { b4: softwire.b4.into(), br: softwire.br.into() }
    }
}

/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The subscriber's address and port.
    pub(crate) local: (Ipv4Addr, u16),
    /// The other host's.
    pub(crate) remote: (Ipv4Addr, u16),
}

/// All conversations of a direction, and the tunnel that each of the relay's tables gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flows {
    flows: Vec<Flow>,
    tunnels: Vec<Tunnel>,
    tables: usize,
    seed: u64,
}

/// What tunnels of several tables must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// There must be one in each table.
    Each,
    /// It must be the same in all: a B4 sends through one tunnel, whichever table is in force.
    Same,
}

impl Flows {
    /// Draws `count` flows of subscribers that `softwires` lists and all `tables` know. `None`
    /// when too few of them are as wanted.
    pub(crate) fn draw(
        softwires: &[Softwire],
        tables: &[Arc<BindingTable>],
        agreement: Agreement,
        count: usize,
        seed: u64,
    ) -> Option<Self> {
        let mut random = Random(seed);
        let mut drawn = Self {
            flows: Vec::with_capacity(count),
            tunnels: Vec::with_capacity(count * tables.len()),
            tables: tables.len(),
            seed,
        };
        let below = u32::try_from(softwires.len()).ok().filter(|&below| below > 0)?;
        for _ in 0..count.saturating_mul(PATIENCE) {
            if drawn.flows.len() == count {
                break;
            }
            let softwire = &softwires[random.below(below) as usize];
            let local = (softwire.ipv4, random_port(softwire.port_set, &mut random));
            let remote = (random_host(tables, &mut random)?, remote_port(&mut random));
            let found: Vec<Tunnel> = tables
                .iter()
                .filter_map(|table| table.lookup(local.0, local.1).map(Tunnel::from))
                .collect();
            let agreed = match agreement {
                Agreement::Each => true,
                Agreement::Same => found.windows(2).all(|pair| pair[0] == pair[1]),
            };
            if agreed && found.len() == tables.len() {
                drawn.flows.push(Flow { local, remote });
                drawn.tunnels.extend(found);
            }
        }
        (drawn.flows.len() == count).then_some(drawn)
    }

    /// The flow that a frame belongs to.
    #[inline]
    pub(crate) fn number(&self, sequence: u64) -> usize {
        let mixed = Random(self.seed ^ sequence.wrapping_mul(0x2545_f491_4f6c_dd1d))
            .below(self.flows.len() as u32);
        mixed as usize
    }

    /// A flow by its number.
    #[inline]
    pub(crate) fn flow(&self, number: usize) -> &Flow {
        &self.flows[number]
    }

    /// The tunnel that a table gives to a flow.
    #[inline]
    pub(crate) fn tunnel(&self, number: usize, table: usize) -> Tunnel {
        self.tunnels[number * self.tables + table]
    }

    /// How many flows there are.
    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// How many tables.
    pub(crate) fn tables(&self) -> usize {
        self.tables
    }
}

/// A port of the set, each as likely as the others; of a whole address, one that RFC 4814 allows
/// for source and destination. Never 0.
fn random_port(set: PortSet, random: &mut Random) -> u16 {
    if set.is_whole_address() {
        return remote_port(random);
    }
    loop {
        // RFC 7597 section 5.1: A, the PSID, j; with a > 0, A = 0 is nobody's.
        let first = u32::from(set.offset() > 0);
        let a = first + random.below((1 << set.offset()) - first);
        let j = random.below(1 << set.m());
        let port = a << (16 - set.offset()) | u32::from(set.psid()) << set.m() | j;
        // Port 0 alone can be all of a set.
        if port != 0 || (set.length() == 16 && set.psid() == 0) {
            return port as u16;
        }
    }
}

fn remote_port(random: &mut Random) -> u16 {
    let (first, last) = (*REMOTE_PORTS.start(), *REMOTE_PORTS.end());
    first + random.below(u32::from(last - first) + 1) as u16
}

/// A host that is no subscriber, or its packets would be hairpinned.
fn random_host(tables: &[Arc<BindingTable>], random: &mut Random) -> Option<Ipv4Addr> {
    (0..PATIENCE)
        .map(|_| REMOTE_NETWORK + random.below(REMOTE_HOSTS))
        .find(|&host| !tables.iter().any(|table| table.has_address(host)))
        .map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use benches::softwires::{Layout, rules};
    use vnf::softwire::TableWriter;

    fn table(softwires: &[Softwire]) -> Arc<BindingTable> {
        Arc::clone(TableWriter::build(softwires, &rules()).unwrap().table())
    }

    fn softwires(count: u32) -> Vec<Softwire> {
        (0..count).map(|number| Layout::Dense.softwire(number)).collect()
    }

    #[test]
    fn flows_are_of_the_table_and_ports_are_spread_as_rfc_4814_asks() {
        let softwires = softwires(640);
        let table = table(&softwires);
        let tables = [Arc::clone(&table)];
        let flows = Flows::draw(&softwires, &tables, Agreement::Each, 20_000, 1).unwrap();
        let mut quarters = [0; 4];
        let mut owners = std::collections::HashSet::new();
        for (number, flow) in flows.flows.iter().enumerate() {
            let owner = table.lookup(flow.local.0, flow.local.1).unwrap();
            assert_eq!(flows.tunnel(number, 0), owner.into());
            owners.insert(owner);
            assert!(REMOTE_PORTS.contains(&flow.remote.1), "{flow:?}");
            assert_eq!(u32::from(flow.remote.0) >> 17, REMOTE_NETWORK >> 17);
            quarters[usize::from(flow.remote.1 - 1024) * 4 / 48_128] += 1;
        }
        assert_eq!(owners.len(), 640, "every subscriber has flows");
        assert!(quarters.iter().all(|count| (4_700..5_300).contains(count)), "{quarters:?}");
    }

    #[test]
    fn ports_of_a_set_are_all_met_equally() {
        let set = PortSet::new(2, 6, 3).unwrap();
        let mut random = Random(9);
        let mut counts = std::collections::BTreeMap::<u16, u32>::new();
        for _ in 0..768 * 100 {
            *counts.entry(random_port(set, &mut random)).or_default() += 1;
        }
        assert_eq!(counts.len(), 3 * 256);
        assert!(counts.keys().all(|&port| set.contains(port)));
        assert!(counts.values().all(|count| (50..160).contains(count)), "{counts:?}");
        let zero = PortSet::new(0, 6, 0).unwrap();
        assert!((0..5000).all(|_| random_port(zero, &mut random) != 0));
        assert_eq!(random_port(PortSet::new(0, 16, 0).unwrap(), &mut random), 0);
    }

    #[test]
    fn sequence_numbers_meet_all_flows_in_no_order() {
        let softwires = softwires(64);
        let tables = [table(&softwires)];
        let flows = Flows::draw(&softwires, &tables, Agreement::Each, 100, 3).unwrap();
        let mut counts = [0; 100];
        (0..100_000).for_each(|sequence| counts[flows.number(sequence)] += 1);
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        let in_order = (0..99).filter(|&n| flows.number(n) + 1 == flows.number(n + 1)).count();
        assert!(in_order < 10);
    }

    #[test]
    fn b4s_send_through_tunnels_that_no_table_changes() {
        let old = softwires(64);
        let mut new = old.clone();
        for softwire in new.iter_mut().step_by(2) {
            softwire.b4 = (u128::from(softwire.b4) + (1 << 64)).into();
        }
        let gone = new.pop().unwrap();
        let tables = [table(&old), table(&new)];
        let each = Flows::draw(&old, &tables, Agreement::Each, 500, 3).unwrap();
        assert!((0..500).any(|flow| each.tunnel(flow, 0) != each.tunnel(flow, 1)));
        assert!(
            each.flows
                .iter()
                .all(|flow| { flow.local.0 != gone.ipv4 || !gone.port_set.contains(flow.local.1) })
        );
        let same = Flows::draw(&old, &tables, Agreement::Same, 500, 3).unwrap();
        assert!((0..500).all(|flow| same.tunnel(flow, 0) == same.tunnel(flow, 1)));
        assert_eq!(Flows::draw(&[], &tables, Agreement::Same, 1, 3), None);
        let other = [table(&old), table(&[gone])];
        assert!(Flows::draw(&old[..9], &other, Agreement::Each, 5, 3).is_none());
    }
}
