//! Made-up softwires, and keys that find them or find nobody.

use std::net::{Ipv4Addr, Ipv6Addr};

use vnf::softwire::{Key, PortSet, Rules, Softwire, TableWriter};

/// The relay's tunnel endpoint.
pub const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// Subscribers on an address where addresses are dense, as bits: 64.
const SHARED: u8 = 6;

/// Where the IPv4 addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One after another, 64 subscribers on each.
    Dense,
    /// All over IPv4, one subscriber on each: it has the whole address.
    Scattered,
}

impl Layout {
    /// Its name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Scattered => "scattered",
        }
    }

    /// Address and PSID of a softwire by its number. No number is in 128.0.0.0/1.
    fn place(self, number: u32) -> (u32, u16) {
        match self {
            Self::Dense => ((10 << 24) + (number >> SHARED), (number & ((1 << SHARED) - 1)) as u16),
            // An odd factor is a permutation of 2^31 numbers.
            Self::Scattered => (number.wrapping_mul(0x9e37_79b1) & 0x7fff_ffff, 0),
        }
    }

    /// The softwire of this number.
    #[must_use]
    pub fn softwire(self, number: u32) -> Softwire {
        let (address, psid) = self.place(number);
        let port_set = match self {
            Self::Dense => PortSet::new(0, SHARED, psid).expect("a PSID of six bits"),
            Self::Scattered => PortSet::WHOLE_ADDRESS,
        };
        let b4 = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)) + u128::from(number);
        Softwire { ipv4: Ipv4Addr::from(address), port_set, b4: b4.into(), br: BR }
    }

    /// A table of softwires 0 to `count`.
    #[must_use]
    pub fn table(self, count: u32) -> TableWriter {
        let softwires: Vec<_> = (0..count).map(|number| self.softwire(number)).collect();
        TableWriter::build(&softwires, &rules()).expect("made-up softwires have no conflicts")
    }

    /// Keys of random ports of random softwires among the first `count`, or of nobody.
    #[must_use]
    pub fn keys(self, count: u32, hit: bool, number: usize) -> Vec<Key> {
        let mut random = Random(1);
        (0..number)
            .map(|_| {
                let (address, psid) = self.place(random.below(count));
                let low = random.below(1 << 16) as u16;
                match (hit, self) {
                    (false, _) => Key::with_port(address | 1 << 31, low),
                    (true, Self::Dense) => Key::with_port(address, psid << 10 | low & 0x3ff),
                    (true, Self::Scattered) => Key::with_port(address, low),
                }
            })
            .collect()
    }
}

/// What made-up softwires obey.
#[must_use]
pub fn rules() -> Rules<'static> {
    Rules { br_addresses: &[BR], ..Rules::default() }
}

/// Numbers that look random and are the same every time (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((((mixed ^ (mixed >> 31)) >> 32) * u64::from(bound)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vnf::softwire::Slot;

    #[test]
    fn keys_find_somebody_or_nobody() {
        for layout in [Layout::Dense, Layout::Scattered] {
            let table = layout.table(1000);
            let table = table.table();
            for key in layout.keys(1000, true, 500) {
                assert!(table.endpoints(table.locate(key)).is_some());
            }
            for key in layout.keys(1000, false, 500) {
                assert_eq!(table.locate(key), Slot::NOBODY);
            }
        }
    }
}
