//! Alarms: what somebody should look after, from when it begins until it is over. Each kind stands
//! here once; its name, meaning and remedy in logs, statistics and documentation derive from it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::side::Side;
use crate::wire::MacAddr;

macro_rules! alarms {
    ($($(#[doc = $text:literal])+ $variant:ident = $key:literal, $remedy:literal;)+) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AlarmKind { $($(#[doc = $text])+ $variant,)+ }

        impl AlarmKind {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in statistics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $key),+ }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+)),+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }
        }
    };
}

alarms! {
    /// No next hop of the side has answered three questions in a row (N3).
    NextHopUnresolved = "next-hop-unresolved",
        "is the router up, and on this link and VLAN? does it have this address?";
    /// The preferred next hop does not answer, and another one of the list is used (N3).
    NextHopFallback = "next-hop-fallback",
        "is that router up, and on this link and VLAN?";
    /// Another station has an address of ours (N1, N2).
    DuplicateAddress = "duplicate-address",
        "find the station with this MAC address and take the address away from one of the two";
}

/// Something that is wrong: `kind`, `side` and `about` tell one alarm from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// On which link.
    pub side: Side,
    /// With which addresses.
    pub about: String,
    /// What it comes to.
    pub text: String,
}

impl Alarm {
    fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.side, &self.about) == (other.kind, other.side, &other.about)
    }

    /// As JSON, with the time it was raised if that is known.
    #[must_use]
    pub fn to_json(&self, since: Option<SystemTime>) -> Value {
        let mut json = json!({
            "name": self.kind.name(),
            "side": self.side.name(),
            "about": self.about,
            "text": self.text,
            "remedy": self.kind.remedy(),
        });
        if let Some(since) = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()) {
            json["since"] = since.as_secs().into();
        }
        json
    }
}

/// The alarms that are raised, each since when; logs what is new about them.
#[derive(Debug, Default)]
pub struct AlarmBook(Vec<(Alarm, SystemTime)>);

impl AlarmBook {
    /// Takes note of what is wrong now.
    pub fn update(&mut self, alarms: Vec<Alarm>, now: SystemTime) {
        self.0.retain(|(raised, since)| {
            let stays = alarms.iter().any(|alarm| alarm.is_same(raised));
            if !stays {
                let Alarm { kind, side, about, .. } = raised;
                let lasted = now.duration_since(*since).unwrap_or_default().as_secs();
                tracing::info!(
                    "alarm cleared: {}: {side}, {about}; it lasted {lasted} s",
                    kind.name()
                );
            }
            stays
        });
        for alarm in alarms {
            match self.0.iter_mut().find(|(raised, _)| raised.is_same(&alarm)) {
                Some((raised, _)) => *raised = alarm,
                None => {
                    let Alarm { kind, side, about, text } = &alarm;
                    let (name, remedy) = (kind.name(), kind.remedy());
                    tracing::warn!("alarm: {name}: {side}, {about}: {text}: {remedy}");
                    self.0.push((alarm, now));
                }
            }
        }
    }

    /// Those that are raised, as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|(alarm, since)| alarm.to_json(Some(*since))).collect()
    }
}

/// The alarms in the JSON of statistics, for people; empty when there are none.
pub(super) fn alarms_text(alarms: &Value, now: SystemTime) -> String {
    let mut text = String::new();
    for alarm in alarms.as_array().into_iter().flatten() {
        let word = |key: &str| alarm[key].as_str().unwrap_or_default();
        let since = alarm["since"].as_u64().map(|since| UNIX_EPOCH + Duration::from_secs(since));
        let lasted = since.and_then(|since| now.duration_since(since).ok());
        let lasted =
            lasted.map_or_else(String::new, |lasted| format!(" for {} s", lasted.as_secs()));
        text += &format!(
            "ALARM{lasted}: {}: {}, {}: {}: {}\n",
            word("name"),
            word("side"),
            word("about"),
            word("text"),
            word("remedy"),
        );
    }
    text
}

/// How a next hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextHopStatus {
    /// Its address, unless its MAC address is given.
    pub address: Option<IpAddr>,
    /// Its MAC address, once it is known.
    pub mac: Option<MacAddr>,
    /// Whether it answers; one whose MAC address is given is not asked.
    pub answers: bool,
    /// Whether packets go there.
    pub in_use: bool,
}

impl NextHopStatus {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { address, mac, answers, in_use } = self;
        json!({
            "address": address.map(|address| address.to_string()),
            "mac": mac.map(|mac| mac.to_string()),
            "answers": answers,
            "in-use": in_use,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(kind: AlarmKind, text: &str) -> Alarm {
        let about = "192.0.2.1".to_owned();
        Alarm { kind, side: Side::External, about, text: text.to_owned() }
    }

    #[test]
    fn an_alarm_lasts_from_its_first_sight_to_its_end() {
        let (first, second) = (AlarmKind::DuplicateAddress, AlarmKind::NextHopUnresolved);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mut book = AlarmBook::default();
        book.update(vec![alarm(first, "one")], at(10));
        book.update(vec![alarm(first, "other"), alarm(second, "")], at(20));
        let json = book.to_json();
        assert_eq!((&json[0]["since"], &json[0]["text"]), (&10.into(), &"other".into()));
        assert_eq!((&json[1]["since"], &json[1]["name"]), (&20.into(), &second.name().into()));
        let text = alarms_text(&json, at(25));
        assert!(text.starts_with("ALARM for 15 s: duplicate-address: external, 192.0.2.1: other"));
        book.update(vec![alarm(second, "")], at(30));
        assert_eq!(book.to_json().as_array().unwrap().len(), 1);
        book.update(vec![], at(40));
        assert_eq!(book.to_json(), json!([]));
        assert_eq!(alarms_text(&book.to_json(), at(40)), "");
    }
}
