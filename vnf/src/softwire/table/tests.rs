//! The table against a naive one, built and edited at random, and read while it changes.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;
use crate::frame::BATCH;
use crate::memory::Generations;
use crate::softwire::PortSet;

const BR: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

fn brs() -> Vec<Ipv6Addr> {
    BR.iter().map(|br| br.parse().unwrap()).collect()
}

fn rules(br_addresses: &[Ipv6Addr]) -> Rules<'_> {
    Rules { br_addresses, ..Rules::default() }
}

fn b4(n: u32) -> Ipv6Addr {
    Ipv6Addr::from(0x2001_0db8_00b4_u128 << 80 | u128::from(n))
}

fn softwire(ipv4: u32, (a, k): (u8, u8), psid: u16, n: u32) -> Softwire {
    Softwire {
        ipv4: ipv4.into(),
        port_set: PortSet::new(a, k, psid).unwrap(),
        b4: b4(n),
        br: brs()[n as usize % 2],
    }
}

/// A few addresses in dense and sparse /24s, each with a layout of its own.
fn any_address() -> impl Strategy<Value = u32> {
    prop_oneof![
        0x0a00_0000..0x0a00_0100_u32,
        0x0a00_0000..0x0a01_0000_u32,
        0xc633_6400..0xc633_6408_u32
    ]
}

fn layout(address: u32) -> (u8, u8) {
    [(0, 0), (0, 6), (4, 4), (6, 8), (0, 1), (16, 0)][address as usize % 6]
}

fn any_softwires() -> impl Strategy<Value = Vec<Softwire>> {
    prop::collection::btree_map((any_address(), any::<u16>()), any::<u32>(), 0..300).prop_map(
        |chosen| {
            let mut seen = std::collections::HashSet::new();
            let rows = chosen.into_keys().map(|(address, psid)| {
                let (a, k) = layout(address);
                (address, (a, k), psid & ((1_u32 << k) - 1) as u16)
            });
            rows.filter(|row| seen.insert(*row))
                .zip(1..)
                .map(|((address, layout, psid), n)| softwire(address, layout, psid, n))
                .collect()
        },
    )
}

fn naive_lookup(softwires: &[Softwire], ipv4: Ipv4Addr, port: u16) -> Option<Softwire> {
    softwires.iter().copied().find(|entry| entry.ipv4 == ipv4 && entry.port_set.contains(port))
}

fn check_all(
    writer: &TableWriter,
    expected: &[Softwire],
    ports: &[u16],
) -> Result<(), TestCaseError> {
    let table = writer.table();
    prop_assert_eq!(table.len(), expected.len());
    let mut sorted = expected.to_vec();
    sorted.sort_by_key(|entry| (entry.ipv4, entry.port_set.psid()));
    prop_assert_eq!(table.softwires().collect::<Vec<_>>(), sorted.clone());
    for entry in expected.iter().take(5) {
        let rest: Vec<_> =
            sorted.iter().copied().filter(|other| other.ipv4 >= entry.ipv4).collect();
        prop_assert_eq!(table.softwires_from(entry.ipv4).collect::<Vec<_>>(), rest);
    }
    let mut keys = Vec::new();
    for entry in expected {
        prop_assert_eq!(writer.of_b4(entry.b4), vec![*entry]);
        prop_assert!(table.has_address(entry.ipv4.into()));
        for &port in ports {
            for address in [entry.ipv4, Ipv4Addr::from(u32::from(entry.ipv4) ^ 1)] {
                let found = naive_lookup(expected, address, port);
                prop_assert_eq!(table.lookup(address, port), found);
                keys.push((Key::with_port(address.into(), port), found));
            }
        }
        let whole = table.locate(Key::address_only(entry.ipv4.into()));
        prop_assert_eq!(whole == Slot::PORT_NEEDED, !entry.port_set.is_whole_address());
    }
    for batch in keys.chunks(BATCH) {
        let mut slots = [Slot::NOBODY; BATCH];
        let only: Vec<_> = batch.iter().map(|(key, _)| *key).collect();
        table.locate_batch(&only, |key| *key, &mut slots[..only.len()]);
        for ((_, found), slot) in batch.iter().zip(slots) {
            let b4 = table.endpoints(slot).map(|ends| Ipv6Addr::from(ends.b4));
            prop_assert_eq!(b4, found.map(|softwire| softwire.b4));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn finds_what_a_list_finds(softwires in any_softwires(), ports: [u16; 6]) {
        let brs = brs();
        let writer = TableWriter::build(&softwires, &rules(&brs)).unwrap();
        check_all(&writer, &softwires, &ports)?;
    }

    #[test]
    fn edits_do_what_they_do_to_a_list(
        start in any_softwires(),
        batches in prop::collection::vec(prop::collection::vec((any_address(), any::<u16>(), any::<bool>()), 1..20), 1..12),
        ports: [u16; 4],
    ) {
        let brs = brs();
        let mut writer = TableWriter::build(&start, &rules(&brs)).unwrap();
        let mut model: BTreeMap<_, _> =
            start.iter().map(|entry| ((entry.ipv4, entry.port_set.psid()), *entry)).collect();
        let mut next = 100_000;
        for batch in batches {
            let mut edits = HashMap::new();
            for (address, psid, remove) in batch {
                let (a, k) = layout(address);
                let psid = psid & ((1_u32 << k) - 1) as u16;
                let key = (Ipv4Addr::from(address), psid);
                next += 1;
                let new = Edit::Add(softwire(address, (a, k), psid, next));
                let gone = Edit::Remove { ipv4: key.0, psid };
                edits.insert(key, match (model.contains_key(&key), remove) {
                    (true, true) => vec![gone],
                    (true, false) => vec![gone, new],
                    (false, _) => vec![new],
                });
            }
            let edits: Vec<_> = edits.into_values().flatten().collect();
            let applied = writer.apply(&edits, &rules(&brs)).unwrap();
            writer.release(applied.retired);
            for edit in edits {
                match edit {
                    Edit::Add(entry) => _ = model.insert((entry.ipv4, entry.port_set.psid()), entry),
                    Edit::Remove { ipv4, psid } => _ = model.remove(&(ipv4, psid)),
                }
            }
            let expected: Vec<_> = model.values().copied().collect();
            check_all(&writer, &expected, &ports)?;
        }
    }
}

#[test]
fn says_what_is_wrong_with_each_row() {
    let brs = brs();
    let own = [Ipv4Addr::new(192, 0, 2, 1)];
    let own6 = ["2001:db8:ffff::1".parse().unwrap()];
    let rules = Rules { br_addresses: &brs, own_ipv4: &own, own_ipv6: &own6, ..Rules::default() };
    let good = softwire(0x0a00_0001, (0, 6), 1, 1);
    let rows = [
        good,
        Softwire { b4: b4(2), ..good },
        softwire(0x0a00_0001, (0, 7), 9, 3),
        softwire(0x0a00_0000, (0, 6), 9, 1),
        Softwire { br: "2001:db8::9".parse().unwrap(), ..softwire(0x0a00_0003, (0, 0), 0, 5) },
        Softwire { b4: "fe80::1".parse().unwrap(), ..softwire(0x0a00_0004, (0, 0), 0, 5) },
        Softwire { b4: brs[0], ..softwire(0x0a00_0005, (0, 0), 0, 5) },
        Softwire { b4: own6[0], ..softwire(0x0a00_0006, (0, 0), 0, 5) },
        Softwire { ipv4: own[0], ..softwire(0, (0, 0), 0, 7) },
    ];
    let errors = TableWriter::build(&rows, &rules).unwrap_err();
    let problems: Vec<_> = errors.into_iter().map(|error| (error.row, error.problem)).collect();
    assert_eq!(
        problems,
        [
            (1, RowProblem::Duplicate { other: Some(0) }),
            (2, RowProblem::Layout { other: Some(0), expected: (0, 6), found: (0, 7) }),
            (3, RowProblem::B4Twice { other: Some(0) }),
            (4, RowProblem::BrNotOurs("2001:db8::9".parse().unwrap())),
            (
                5,
                RowProblem::BadB4(
                    "fe80::1".parse().unwrap(),
                    crate::softwire::B4Problem::LinkLocal
                )
            ),
            (6, RowProblem::B4IsOurs(brs[0])),
            (7, RowProblem::B4IsOurs(own6[0])),
            (8, RowProblem::AddressIsOurs(own[0])),
        ]
    );
}

#[test]
fn sparse_port_sets_are_bounded() {
    let brs = brs();
    let rows: Vec<_> = (0..40).map(|n| softwire(0x0a00_0000 + n, (0, 16), 7, n + 1)).collect();
    let errors = TableWriter::build(&rows, &rules(&brs)).unwrap_err();
    assert!(matches!(errors[0].problem, RowProblem::TooSparse { length: 16, .. }));
    let mut writer = TableWriter::build(&rows[..10], &rules(&brs)).unwrap();
    let edits: Vec<_> = rows[10..].iter().map(|row| Edit::Add(*row)).collect();
    assert!(matches!(writer.apply(&edits, &rules(&brs)), Err(EditError::Invalid(_))));
    assert_eq!(writer.table().len(), 10);
}

#[test]
fn a_batch_is_all_or_nothing_and_can_change_a_layout() {
    let brs = brs();
    let rows: Vec<_> = (0..4).map(|n| softwire(0x0a00_0001, (0, 2), n, u32::from(n) + 1)).collect();
    let mut writer = TableWriter::build(&rows, &rules(&brs)).unwrap();
    let remove = |psid| Edit::Remove { ipv4: Ipv4Addr::new(10, 0, 0, 1), psid };
    let longer = softwire(0x0a00_0001, (0, 3), 5, 9);
    let refused = writer.apply(&[remove(0), Edit::Add(longer)], &rules(&brs)).unwrap_err();
    assert!(matches!(&refused, EditError::Invalid(errors) if errors[0].row == 1));
    assert_eq!(writer.table().softwires().collect::<Vec<_>>(), rows);
    let all = [remove(0), remove(1), remove(2), remove(3), Edit::Add(longer)];
    let applied = writer.apply(&all, &rules(&brs)).unwrap();
    assert_eq!((applied.added, applied.removed), (1, 4));
    writer.release(applied.retired);
    assert_eq!(writer.table().softwires().collect::<Vec<_>>(), [longer]);
    assert!(writer.of_b4(rows[0].b4).is_empty());
}

/// `softwire-num-max` of RFC 8676: no more than so many, and a table that has more may shrink.
#[test]
fn there_are_at_most_as_many_softwires_as_there_may_be() {
    let brs = brs();
    let row = |number: u32| softwire(0x0a00_0000 + number, (0, 0), 0, number);
    let three: Vec<Softwire> = (1..=3).map(row).collect();
    let limited = |most| Rules { most, ..rules(&brs) };
    let too_many = |row, most| RowError { row, problem: RowProblem::TooMany { most } };
    assert_eq!(TableWriter::build(&three, &limited(2)).unwrap_err(), [too_many(2, 2)]);
    let mut writer = TableWriter::build(&three, &limited(3)).unwrap();
    let removal = |number| Edit::Remove { ipv4: row(number).ipv4, psid: 0 };
    let refused = writer.apply(&[Edit::Add(row(4)), Edit::Add(row(5))], &limited(3));
    assert_eq!(refused.unwrap_err(), EditError::Invalid(vec![too_many(1, 3)]));
    for (edits, len) in [
        (vec![removal(1), Edit::Add(row(4))], 3),
        (vec![removal(4), removal(2), Edit::Add(row(5))], 2),
    ] {
        let applied = writer.apply(&edits, &limited(if len == 3 { 3 } else { 1 })).unwrap();
        writer.release(applied.retired);
        assert_eq!(writer.table().len(), len);
    }
}

#[test]
fn readers_see_the_old_or_the_new_softwire_and_never_a_mixture() {
    const ROUNDS: u32 = 3_000;
    let brs = brs();
    let rows: Vec<_> =
        (0..64).map(|n| softwire(0x0a00_0001, (0, 6), n, u32::from(n) + 1)).collect();
    let mut writer = TableWriter::build(&rows, &rules(&brs)).unwrap();
    let (generations, readers) = Generations::new(1);
    let table = writer.table().clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let reading = std::thread::spawn(move || {
        let reader = readers.into_iter().next().unwrap();
        let mut found = 0_u64;
        while !stopped.load(Relaxed) {
            reader.quiescent(|| ());
            for port in (0..=u16::MAX).step_by(512) {
                // Every version of this softwire has the BR that belongs to its B4.
                let softwire =
                    table.lookup(Ipv4Addr::new(10, 0, 0, 1), port).expect("always there");
                let n = u128::from(softwire.b4) as u32;
                assert_eq!(softwire.br, self::brs()[n as usize % 2]);
                assert!(softwire.port_set.contains(port));
                found += 1;
            }
        }
        found
    });
    let mut waiting = std::collections::VecDeque::new();
    for round in 0..ROUNDS {
        let psid = (round % 64) as u16;
        let new = softwire(0x0a00_0001, (0, 6), psid, 1000 + round);
        let edits = [Edit::Remove { ipv4: new.ipv4, psid }, Edit::Add(new)];
        let applied = writer.apply(&edits, &rules(&brs)).unwrap();
        waiting.push_back((generations.advance(), applied.retired));
        while let Some((generation, _)) = waiting.front() {
            if !generations.passed(*generation) {
                break;
            }
            writer.release(waiting.pop_front().unwrap().1);
        }
    }
    stop.store(true, Relaxed);
    assert!(reading.join().unwrap() > 0);
}
