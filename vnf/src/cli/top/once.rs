//! One measurement, printed.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::model::{Busiest, Model};
use crate::cli::softwire_top::short;
use crate::side::Side;
use crate::telemetry::LatencyKind;

/// For people.
pub(super) fn text(model: &Model) -> String {
    let mut text = String::new();
    for alarm in &model.alarms {
        _ = writeln!(text, "ALARM {alarm}");
    }
    _ = writeln!(
        text,
        "{:<10}{:>13}{:>13}{:>13}{:>13}{:>13}",
        "", "in packet/s", "in bit/s", "out packet/s", "out bit/s", "drops/s"
    );
    for side in Side::BOTH {
        let rates = model.throughput[side.index()];
        _ = writeln!(
            text,
            "{:<10}{:>13}{:>13}{:>13}{:>13}{:>13}",
            side.name(),
            short(rates.in_packets),
            short(rates.in_bits),
            short(rates.out_packets),
            short(rates.out_bits),
            short(rates.drops),
        );
    }
    for (number, worker) in model.workers.iter().enumerate() {
        let busy = worker.busy.map(|busy| format!(", {:.0} % busy", busy * 100.0));
        let busy = busy.unwrap_or_default();
        _ = writeln!(text, "worker {number}: {} packet/s{busy}", short(worker.packets));
    }
    for kind in LatencyKind::ALL {
        let latency = model.latency[kind as usize];
        if latency.rate > 0.0 {
            _ = writeln!(
                text,
                "{}: p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns",
                kind.name(),
                latency.p50,
                latency.p99,
                latency.p999,
                latency.max
            );
        }
    }
    for drops in model.sorted_drops() {
        let (side, reason) = (drops.side, &drops.reason);
        _ = writeln!(text, "drop {side} {reason}: {}/s, {} in all", short(drops.rate), drops.total);
    }
    match &model.busiest {
        Busiest::Known(answer) => {
            for softwire in answer["softwires"].as_array().into_iter().flatten() {
                let bytes = ["to-b4-bytes", "from-b4-bytes"]
                    .map(|key| softwire["counters"][key].as_f64().unwrap_or_default());
                let seconds = answer["seconds"].as_f64().unwrap_or(1.0);
                let [to, from] = bytes.map(|bytes| short(bytes * 8.0 / seconds));
                let (ipv4, psid) =
                    (softwire["ipv4"].as_str().unwrap_or_default(), &softwire["psid"]);
                _ = writeln!(
                    text,
                    "softwire {ipv4} psid {psid}: to B4 {to}bit/s, from B4 {from}bit/s"
                );
            }
        }
        Busiest::Not(words) => _ = writeln!(text, "softwires: {words}"),
        Busiest::Unknown => {}
    }
    text
}

/// For programs.
pub(super) fn json(model: &Model) -> Value {
    let interfaces = Side::BOTH.map(|side| {
        let rates = model.throughput[side.index()];
        (
            side.name().to_owned(),
            json!({
                "in-packets-per-second": rates.in_packets,
                "in-bits-per-second": rates.in_bits,
                "out-packets-per-second": rates.out_packets,
                "out-bits-per-second": rates.out_bits,
                "drops-per-second": rates.drops,
            }),
        )
    });
    let drops: Vec<Value> = model
        .sorted_drops()
        .iter()
        .map(|drops| {
            json!({"side": drops.side.name(), "reason": drops.reason, "per-second": drops.rate,
                "total": drops.total})
        })
        .collect();
    let workers: Vec<Value> = model
        .workers
        .iter()
        .map(|worker| json!({"packets-per-second": worker.packets, "busy": worker.busy}))
        .collect();
    let latency = LatencyKind::ALL.map(|kind| {
        let latency = model.latency[kind as usize];
        (
            kind.name().to_owned(),
            json!({"packets-per-second": latency.rate, "p50": latency.p50, "p99": latency.p99,
                "p999": latency.p999, "max": latency.max}),
        )
    });
    let softwires = match &model.busiest {
        Busiest::Known(answer) => answer.clone(),
        _ => Value::Null,
    };
    json!({
        "interfaces": interfaces.into_iter().collect::<serde_json::Map<_, _>>(),
        "drops": drops,
        "workers": workers,
        "latency": latency.into_iter().collect::<serde_json::Map<_, _>>(),
        "busiest": softwires,
        "alarms": model.alarms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::model::tests::reading;
    use std::time::Instant;

    #[test]
    fn text_and_json_have_the_same_figures() {
        let start = Instant::now();
        let mut model = Model::default();
        model.take(reading(start, 1));
        model.take(reading(start, 2));
        let text = text(&model);
        for words in [
            "ALARM next-hop-unresolved: 192.0.2.254: no answer",
            "worker 0: 20.00 k packet/s, 25 % busy",
            "drop external no-softwire: 1.00 k/s, 2000 in all",
            "encap: p50 1000 ns, p99 5000 ns, p99.9 90000 ns, max 90000 ns",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        let json = json(&model);
        assert_eq!(json["interfaces"]["external"]["in-packets-per-second"], 20_000.0);
        assert_eq!(json["drops"][0]["total"], 2_000);
        assert_eq!(json["latency"]["encap"]["p99"], 5_000);
    }
}
