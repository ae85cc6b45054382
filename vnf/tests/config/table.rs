//! The table file: its forms, its trailer, and the way back.

use proptest::prelude::*;
use vnf::softwire::{PortSet, Softwire, file};

use crate::{BASE, TABLE, load, table_messages};

#[test]
fn a_table_may_look_different_and_mean_the_same() {
    let expected = load(BASE.as_bytes(), TABLE.as_bytes()).unwrap().rows().to_vec();
    let (_, rows) = TABLE.split_once('\n').unwrap();
    let same = [
        rows.to_owned(),
        TABLE.trim_end().to_owned(),
        TABLE.replace('\n', "\r\n"),
        TABLE.replace('\n', "\n\n# a remark, with commas, in it\n  \n"),
        TABLE.replace(',', "\t, "),
        format!("\u{feff}{TABLE}"),
        TABLE.to_uppercase().replace("IPV4,PSID-OFFSET,PSID-LEN,PSID,B4-IPV6,BR-IPV6", ""),
        TABLE.replace("2001:db8:0:201::1", "2001:db8:0:201:0:0:0.0.0.1,"),
    ];
    for csv in same {
        assert_eq!(load(BASE.as_bytes(), csv.as_bytes()).unwrap().rows(), expected, "{csv:?}");
    }
}

#[test]
fn a_table_that_was_cut_is_refused() {
    let rows = (0..500_u16).map(|row| Softwire {
        ipv4: [203, 0, 113, (row / 64) as u8].into(),
        port_set: PortSet::new(4, 6, row % 64).unwrap(),
        b4: [0x2001, 0xdb8, 0, row, 0, 0, 0, 1].into(),
        br: [0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1].into(),
    });
    let mut csv = Vec::new();
    assert_eq!(file::write(&mut csv, rows.clone()).unwrap(), 500);
    let config = load(BASE.as_bytes(), &csv).unwrap();
    assert!(rows.eq(config.rows().iter().copied()));
    assert!(config.origin(499).ends_with("table.csv:501"));

    let text = String::from_utf8(csv).unwrap();
    let without = |line: usize| {
        let kept = text.lines().enumerate().filter(|&(number, _)| number != line);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(
        table_messages(&without(7)),
        "table.csv:501: rows: announces 500 rows, the file has 499: \
         the complete file as it was made, or no trailer"
    );
    let changed = text.replacen("2001:db8:0:7::1", "2001:db8:1:7::1", 1);
    assert!(table_messages(&changed).starts_with("table.csv:502: sha256: is not that"));
    assert!(
        load(BASE.as_bytes(), changed.lines().take(501).collect::<Vec<_>>().join("\n").as_bytes())
            .is_ok()
    );
    assert!(
        load(BASE.as_bytes(), format!("{}\n\n \n", text.replace("sha256=", " sha256=")).as_bytes())
            .is_ok()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_written_is_read(softwires in prop::collection::vec(any_softwire(), 0..40)) {
        let mut csv = Vec::new();
        file::write(&mut csv, softwires.iter().copied()).unwrap();
        let parsed = file::parse(&csv, None);
        prop_assert_eq!(parsed.errors, []);
        for row in 0..softwires.len() {
            prop_assert_eq!(parsed.lines.of(row), row + 2);
        }
        prop_assert_eq!(parsed.softwires, softwires);
    }

    #[test]
    fn rows_know_their_lines(gaps in prop::collection::vec(0..3_usize, 1..30)) {
        let mut csv = String::new();
        let mut expected = Vec::new();
        for (row, gap) in gaps.iter().enumerate() {
            csv.push_str(&"#\n".repeat(*gap));
            csv += &format!("1.2.3.{row},0,0,0,2001:db8::{row:x},::1\n");
            expected.push(csv.lines().count());
        }
        let parsed = file::parse(csv.as_bytes(), None);
        let lines: Vec<_> = (0..gaps.len()).map(|row| parsed.lines.of(row)).collect();
        prop_assert_eq!(lines, expected);
    }
}

fn any_softwire() -> impl Strategy<Value = Softwire> {
    let set = (0..=16_u8).prop_flat_map(|offset| (Just(offset), 0..=16 - offset, any::<u16>()));
    (any::<u32>(), set, any::<u128>(), any::<u128>()).prop_map(
        |(ipv4, (offset, length, psid), b4, br)| Softwire {
            ipv4: ipv4.into(),
            port_set: PortSet::new(offset, length, psid & ((1_u32 << length) - 1) as u16).unwrap(),
            b4: b4.into(),
            br: br.into(),
        },
    )
}
