//! What the relay did to a packet, read off the frame that came and the frames that left.

use super::view::View;
use super::{Decision, Fate, Sent};
use crate::side::Side;

/// Adds what follows from how the frame ended and from what left.
pub(super) fn decide(
    decisions: &mut Vec<Decision>,
    side: Side,
    received: &View,
    fates: &[Fate],
    sent: &[Sent],
) {
    for fate in fates {
        decisions.extend(fate_decision(fate, received));
    }
    let moved = |fate: &Fate| matches!(fate.fate, "forwarded" | "hairpinned");
    let (pieces, own): (Vec<&Sent>, Vec<&Sent>) = if fates.iter().any(moved) {
        sent.iter().partition(|sent| is_same(received, &sent.view))
    } else if fates.iter().any(|fate| fate.fate == "answered") {
        return;
    } else {
        (Vec::new(), sent.iter().collect())
    };
    if let Some(first) = pieces.first() {
        packet_changes(decisions, side, received, &first.view);
    }
    if pieces.len() > 1 {
        let sizes: Vec<String> = pieces.iter().map(|piece| size(&piece.view)).collect();
        let rule = if side == Side::External { "E8" } else { "D5" };
        let text = format!("too large for the link ahead: cut into {} bytes", sizes.join(" + "));
        decisions.push(Decision { rules: vec![rule, "F5"], text });
    }
    for own in own {
        let rule = match &own.view.ipv4 {
            Some(_) => "I5",
            None if own.view.other.is_some() => "N1",
            None => "I5",
        };
        decisions
            .push(Decision::new(rule, format!("sends on the {} side: {}", own.side, own.view)));
    }
}

/// Is what left the packet that came, as opposed to something of the relay's own?
fn is_same(received: &View, sent: &View) -> bool {
    match (&received.ipv4, &sent.ipv4, &sent.ipv6) {
        (Some(came), Some(left), _) => {
            came.source == left.source
                && came.destination == left.destination
                && came.protocol == left.protocol
        }
        // A piece of a tunnelled packet, or of one that was reassembled.
        (_, None, Some(outer)) => {
            outer.carries.as_ref().is_some_and(|carries| carries.starts_with("a fragment"))
        }
        (None, Some(_), _) => received.ipv6.is_some(),
        _ => false,
    }
}

fn size(view: &View) -> String {
    match (&view.ipv6, &view.ipv4) {
        (Some(outer), _) => outer.length.to_string(),
        (None, Some(inner)) => inner.length.to_string(),
        _ => view.length.to_string(),
    }
}

fn fate_decision(fate: &Fate, received: &View) -> Option<Decision> {
    let decision = |rules: &[&'static str], text: &str| {
        Some(Decision { rules: rules.to_vec(), text: text.to_owned() })
    };
    match fate.fate {
        "dropped" | "ignored" => {
            let what = if fate.fate == "dropped" { "dropped" } else { "ignored: not our business" };
            let (reason, meaning) = (fate.reason?, fate.meaning?);
            let text = format!("{what}, {reason}: {meaning}");
            Some(Decision { rules: fate.rules.clone(), text })
        }
        "hairpinned" => decision(&["D6"], "for another B4: it goes straight there"),
        "answered" if received.other.is_some() => decision(&["N1"], "made an answer"),
        "answered" if received.ipv4.is_some() && received.ipv6.is_some() => {
            decision(&["D7", "N4"], "for the relay itself: answered through the tunnel")
        }
        "answered" if received.ipv4.is_some() => {
            decision(&["N4"], "for the relay itself: answered")
        }
        "answered" => decision(&["N2", "N4"], "for the relay itself: answered"),
        "consumed" => decision(&[], "for the relay itself: taken note of"),
        "held" if received.ipv4.as_ref().is_some_and(|packet| packet.fragment.is_some()) => {
            decision(&["F2", "F3"], "a fragment ahead of its packet's first: it waits for that")
        }
        "held" if received.ipv6.as_ref().is_some_and(|outer| outer.carries.is_some()) => {
            decision(&["F1"], "a fragment of a tunnelled packet: it waits for the others")
        }
        "held" => decision(&["N3"], "the next hop is not known yet: it waits"),
        "absorbed" => decision(&["F1"], "put together with the other fragments of its packet"),
        _ => None,
    }
}

/// What became of one packet's headers.
fn packet_changes(decisions: &mut Vec<Decision>, side: Side, came: &View, left: &View) {
    let came_tunnelled = came.ipv6.as_ref();
    if let Some(outer) = came_tunnelled {
        let text = format!("taken out of the tunnel {} -> {}", outer.source, outer.destination);
        decisions.push(Decision::new("D1", text));
    }
    if let (Some(before), Some(after)) = (&came.ipv4, &left.ipv4) {
        let (to_b4, from_b4) = (side == Side::External, side == Side::Internal);
        if before.ttl != after.ttl {
            let rule = if to_b4 { "E6" } else { "D4" };
            decisions.push(Decision::new(rule, format!("TTL {} -> {}", before.ttl, after.ttl)));
        }
        if before.tos != after.tos {
            let rule = if from_b4 { "D3" } else { "E4" };
            let text = format!("DSCP and ECN {:#04x} -> {:#04x}", before.tos, after.tos);
            decisions.push(Decision::new(rule, text));
        }
        if let (Some(before), Some(after)) = (before.mss, after.mss)
            && before != after
        {
            let text = format!("TCP segment size {before} -> {after}");
            decisions.push(Decision::new("E10", text));
        }
    }
    if let Some(outer) = &left.ipv6 {
        let text = format!(
            "put into the tunnel {} -> {}: hop limit {}, traffic class {:#04x}, flow label {:#07x}",
            outer.source, outer.destination, outer.hop_limit, outer.traffic_class, outer.flow_label
        );
        decisions.push(Decision { rules: vec!["E3", "E4", "E5"], text });
    }
}
