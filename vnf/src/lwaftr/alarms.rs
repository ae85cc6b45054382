//! What is wrong on the links, told from what is known of the neighbours (N1, N2, N3).

use super::neighbours::Hop;
use super::snapshot::Snapshot;
use crate::side::Side;
use crate::telemetry::{Alarm, AlarmKind, NextHopStatus};

/// Everything that is wrong now.
pub(super) fn of(snapshot: &Snapshot) -> Vec<Alarm> {
    let silent = Side::BOTH.into_iter().filter_map(|side| silent_next_hops(snapshot, side));
    let duplicates = snapshot.neighbours.own().iter().filter_map(|(side, own)| {
        let text = format!("{} has it too", own.duplicate()?);
        let about = own.address().to_string();
        Some(Alarm { kind: AlarmKind::DuplicateAddress, side: Some(*side), about, text })
    });
    silent.chain(duplicates).collect()
}

/// A side whose preferred next hop does not answer.
fn silent_next_hops(snapshot: &Snapshot, side: Side) -> Option<Alarm> {
    let hops = snapshot.neighbours.next_hops(side);
    let silent: Vec<String> = hops
        .iter()
        .take_while(|hop| hop.is_silent())
        .map(|hop| hop.address().to_string())
        .collect();
    if silent.is_empty() {
        return None;
    }
    let chosen = snapshot.neighbours.chosen(side);
    let (kind, text) = match chosen {
        None => (AlarmKind::NextHopUnresolved, "packets to it are dropped".to_owned()),
        Some(hop) if hop.is_silent() => {
            let mac = hop.mac().unwrap_or_default();
            (
                AlarmKind::NextHopUnresolved,
                format!("packets still go to {mac}, which once answered"),
            )
        }
        Some(hop) => (AlarmKind::NextHopFallback, format!("packets go to {}", hop.address())),
    };
    Some(Alarm { kind, side: Some(side), about: silent.join(", "), text })
}

/// How a side's next hops are.
pub(super) fn next_hops(snapshot: &Snapshot, side: Side) -> Vec<NextHopStatus> {
    if let Some(mac) = snapshot.fixed_next_hop(side) {
        let (address, mac) = (None, Some(mac));
        return vec![NextHopStatus { address, mac, answers: true, in_use: true }];
    }
    let chosen = snapshot.neighbours.chosen(side).map(Hop::address);
    let status = |hop: &Hop| NextHopStatus {
        address: Some(hop.address()),
        mac: hop.mac(),
        answers: hop.mac().is_some() && !hop.is_silent(),
        in_use: chosen == Some(hop.address()),
    };
    snapshot.neighbours.next_hops(side).iter().map(|hop| status(hop)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwaftr::settings::NextHop;
    use crate::lwaftr::settings::tests::settings;
    use crate::softwire::{Rules, TableWriter};
    use crate::wire::MacAddr;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    fn snapshot() -> Snapshot {
        let table = TableWriter::build(&[], &Rules::default()).unwrap();
        let mut settings = settings();
        settings.external.next_hop =
            NextHop::Addresses(vec![[192, 0, 2, 253].into(), [192, 0, 2, 254].into()]);
        Snapshot::new(settings, table.table().clone())
    }

    fn names(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
        snapshot.alarms().into_iter().map(|alarm| (alarm.kind.name(), alarm.about)).collect()
    }

    /// The asking worker runs for ten seconds from here, and one next hop answers all the time.
    fn ten_seconds(snapshot: &Snapshot, from: u64, answering: Option<usize>) {
        for tenth in from * 10..(from + 10) * 10 {
            for (number, hop) in snapshot.neighbours.next_hops(Side::External).iter().enumerate() {
                if hop.is_due(tenth * 100_000_000) && answering == Some(number) {
                    hop.heard(MAC, true, true);
                }
            }
        }
    }

    #[test]
    fn silence_is_an_alarm_and_so_is_a_fallback() {
        let snapshot = snapshot();
        assert_eq!(names(&snapshot), []);
        ten_seconds(&snapshot, 0, None);
        let both = "192.0.2.253, 192.0.2.254".to_owned();
        assert_eq!(names(&snapshot), [("next-hop-unresolved", both.clone())]);
        ten_seconds(&snapshot, 10, Some(1));
        assert_eq!(names(&snapshot), [("next-hop-fallback", "192.0.2.253".to_owned())]);
        let used: Vec<bool> =
            snapshot.next_hops(Side::External).iter().map(|hop| hop.in_use).collect();
        assert_eq!(used, [false, true]);
        ten_seconds(&snapshot, 20, Some(0));
        assert_eq!(names(&snapshot), []);
        ten_seconds(&snapshot, 30, None);
        assert_eq!(names(&snapshot), [("next-hop-unresolved", both)]);
        assert!(snapshot.alarms()[0].text.contains("still go to 02:00:00:00:00:09"));
    }

    #[test]
    fn a_duplicate_is_an_alarm_with_the_others_mac_address() {
        let snapshot = snapshot();
        let own = snapshot.neighbours.own_address("2001:db8:1::1".parse().unwrap()).unwrap();
        own.collides(MAC);
        assert_eq!(names(&snapshot), [("duplicate-address", "2001:db8:1::1".to_owned())]);
        assert_eq!(snapshot.alarms()[0].side, Some(Side::Internal));
        assert_eq!(snapshot.alarms()[0].text, "02:00:00:00:00:09 has it too");
    }
}
