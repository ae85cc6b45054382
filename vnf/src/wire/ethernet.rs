//! Ethernet II and its 802.1Q tag.

use super::MacAddr;

/// Bytes of a header without tag.
pub const HEADER: usize = 14;

/// Bytes of a header with one tag.
pub const TAGGED: usize = 18;

/// EtherTypes.
pub mod ethertype {
    /// IPv4
    pub const IPV4: u16 = 0x0800;
    /// ARP
    pub const ARP: u16 = 0x0806;
    /// 802.1Q tag
    pub const VLAN: u16 = 0x8100;
    /// IPv6
    pub const IPV6: u16 = 0x86dd;
    /// 802.3 slow protocols (LACP)
    pub const SLOW: u16 = 0x8809;
    /// LLDP
    pub const LLDP: u16 = 0x88cc;
}

/// A received frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ethernet {
    /// Where it goes.
    pub destination: MacAddr,
    /// Where it comes from.
    pub source: MacAddr,
    /// VLAN identifier, when there is a tag; 0 is a priority tag.
    pub vlan: Option<u16>,
    /// EtherType, behind the tag.
    pub ethertype: u16,
}

impl Ethernet {
    /// Reads the header, its tag included; `None` when the frame is shorter.
    #[inline]
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let head: &[u8; HEADER] = frame.first_chunk()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *head;
        let destination = MacAddr([d0, d1, d2, d3, d4, d5]);
        let source = MacAddr([s0, s1, s2, s3, s4, s5]);
        let ethertype = u16::from_be_bytes([t0, t1]);
        if ethertype != ethertype::VLAN {
            return Some(Self { destination, source, vlan: None, ethertype });
        }
        let tag: &[u8; 4] = frame.get(HEADER..)?.first_chunk()?;
        Some(Self {
            destination,
            source,
            vlan: Some(u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff),
            ethertype: u16::from_be_bytes([tag[2], tag[3]]),
        })
    }

    /// Bytes before the payload.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        if self.vlan.is_some() { TAGGED } else { HEADER }
    }

    /// True for 01:80:c2:00:00:00 to 0f (802.1D's reserved addresses), the groups that IS-IS says hello
    /// to, Cisco's link protocols, and protocols that never leave a link.
    #[must_use]
    pub fn is_link_control(&self) -> bool {
        matches!(
            self.destination.0,
            [0x01, 0x80, 0xc2, 0, 0, 0..=0x0f | 0x14 | 0x15]
                | [0x09, 0x00, 0x2b, 0, 0, 0x04 | 0x05]
                | [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc | 0xcd]
        ) || matches!(self.ethertype, ethertype::LLDP | ethertype::SLOW)
    }
}

/// A header ready to be written in front of packets.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    bytes: [u8; TAGGED],
    tagged: bool,
}

impl Template {
    /// A header with this content; a tag has priority 0.
    #[must_use]
    pub fn new(destination: MacAddr, source: MacAddr, vlan: Option<u16>, ethertype: u16) -> Self {
        let mut bytes = [0; TAGGED];
        bytes[..6].copy_from_slice(&destination.0);
        bytes[6..12].copy_from_slice(&source.0);
        let tail = if let Some(vlan) = vlan {
            bytes[12..14].copy_from_slice(&ethertype::VLAN.to_be_bytes());
            bytes[14..16].copy_from_slice(&vlan.to_be_bytes());
            16
        } else {
            12
        };
        bytes[tail..tail + 2].copy_from_slice(&ethertype.to_be_bytes());
        Self { bytes, tagged: vlan.is_some() }
    }

    /// Bytes of it.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        if self.tagged { TAGGED } else { HEADER }
    }

    /// Is it a tagged one?
    #[inline]
    #[must_use]
    pub const fn is_tagged(&self) -> bool {
        self.tagged
    }

    /// Writes it to bytes that are as many as it has.
    #[inline(always)]
    pub fn copy_to<const N: usize>(&self, header: &mut [u8; N]) {
        if let Some(bytes) = self.bytes.first_chunk() {
            *header = *bytes;
        }
    }

    /// Writes it to the start of a frame and returns what follows; `None` when the frame is
    /// shorter.
    #[inline]
    #[must_use]
    pub fn write<'a>(&self, frame: &'a mut [u8]) -> Option<&'a mut [u8]> {
        // Two fixed sizes, so that each is a few moves instead of a call.
        if self.tagged {
            let (head, rest) = frame.split_first_chunk_mut::<TAGGED>()?;
            self.copy_to(head);
            Some(rest)
        } else {
            let (head, rest) = frame.split_first_chunk_mut::<HEADER>()?;
            self.copy_to(head);
            Some(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_back() {
        let (to, from) = (MacAddr([2, 0, 0, 0, 0, 9]), MacAddr([2, 0, 0, 0, 0, 1]));
        for vlan in [None, Some(4094)] {
            let template = Template::new(to, from, vlan, ethertype::IPV6);
            let mut frame = vec![0; template.header_len() + 3];
            assert_eq!(template.write(&mut frame).map(|rest| rest.len()), Some(3));
            let header = Ethernet::parse(&frame).unwrap();
            assert_eq!(
                header,
                Ethernet { destination: to, source: from, vlan, ethertype: ethertype::IPV6 }
            );
            assert_eq!(header.header_len(), template.header_len());
            assert!(template.write(&mut [0; 13]).is_none());
        }
    }

    #[test]
    fn too_short_is_nothing() {
        let mut frame = [0; 17];
        frame[12..14].copy_from_slice(&ethertype::VLAN.to_be_bytes());
        assert_eq!(Ethernet::parse(&frame), None);
        assert_eq!(Ethernet::parse(&frame[..13]), None);
    }

    #[test]
    fn link_control_is_known_by_address_or_type() {
        let of = |text: &str, ethertype| Ethernet {
            destination: text.parse().unwrap(),
            source: MacAddr::default(),
            vlan: None,
            ethertype,
        };
        assert!(of("01:80:c2:00:00:00", 38).is_link_control());
        assert!(of("02:00:00:00:00:01", ethertype::LLDP).is_link_control());
        assert!(!of("01:80:c2:00:00:10", 38).is_link_control());
        assert!(!of("33:33:00:00:00:01", ethertype::IPV6).is_link_control());
    }
}
