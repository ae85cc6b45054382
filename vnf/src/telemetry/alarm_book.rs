//! The book of alarms: which are raised, each since when, and which are over.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::alarms::{Alarm, AlarmKind, seconds};

/// So many alarms that are over are remembered.
const REMEMBERED: usize = 100;

/// The alarms that are raised, each since when, and the last ones that are over; logs what is new.
#[derive(Debug, Default)]
pub struct AlarmBook {
    raised: Vec<(Alarm, SystemTime)>,
    over: VecDeque<Ended>,
    ever: [u64; AlarmKind::COUNT],
}

/// An alarm that is over.
#[derive(Debug)]
struct Ended {
    alarm: Alarm,
    since: SystemTime,
    until: SystemTime,
}

/// How often a kind of alarm is raised, and ever was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmCount {
    /// Which kind.
    pub kind: AlarmKind,
    /// Alarms of it that are raised.
    pub active: usize,
    /// Alarms of it since the start.
    pub raised: u64,
}

/// Something new in the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmEvent {
    /// Which alarm.
    pub alarm: Alarm,
    /// When it was raised.
    pub since: SystemTime,
    /// When it was over; none: it was just raised.
    pub until: Option<SystemTime>,
}

impl AlarmBook {
    /// Takes note of what is wrong now, and returns what is new about it.
    pub fn update(&mut self, alarms: Vec<Alarm>, now: SystemTime) -> Vec<AlarmEvent> {
        let mut news = Vec::new();
        let is_over =
            |(raised, _): &mut (Alarm, _)| !alarms.iter().any(|alarm| alarm.is_same(raised));
        for (alarm, since) in self.raised.extract_if(.., is_over) {
            let lasted = now.duration_since(since).unwrap_or_default().as_secs();
            let (name, place) = (alarm.kind.name(), alarm.place());
            tracing::info!("alarm cleared: {name}: {place}; it lasted {lasted} s");
            news.push(AlarmEvent { alarm: alarm.clone(), since, until: Some(now) });
            self.over.truncate(REMEMBERED - 1);
            self.over.push_front(Ended { alarm, since, until: now });
        }
        for alarm in alarms {
            match self.raised.iter_mut().find(|(raised, _)| raised.is_same(&alarm)) {
                Some((raised, _)) => *raised = alarm,
                None => {
                    let (name, remedy) = (alarm.kind.name(), alarm.kind.remedy());
                    let (place, text) = (alarm.place(), &alarm.text);
                    tracing::warn!("alarm: {name}: {place}: {text}: {remedy}");
                    self.ever[alarm.kind as usize] += 1;
                    news.push(AlarmEvent { alarm: alarm.clone(), since: now, until: None });
                    self.raised.push((alarm, now));
                }
            }
        }
        news
    }

    /// Those that are raised, as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.raised.iter().map(|(alarm, since)| alarm.to_json(Some(*since))).collect()
    }

    /// Those that are over, the last one first, as JSON.
    #[must_use]
    pub fn over_json(&self) -> Value {
        let ended = |Ended { alarm, since, until }: &Ended| {
            let mut json = alarm.to_json(Some(*since));
            json["until"] = seconds(*until).into();
            json
        };
        self.over.iter().map(ended).collect()
    }

    /// How often each kind is raised, and ever was.
    #[must_use]
    pub fn counts(&self) -> Vec<AlarmCount> {
        let of = |&kind: &AlarmKind| AlarmCount {
            kind,
            active: self.raised.iter().filter(|(alarm, _)| alarm.kind == kind).count(),
            raised: self.ever[kind as usize],
        };
        AlarmKind::ALL.iter().map(of).collect()
    }
}

impl AlarmEvent {
    /// As JSON: an alarm, with `until` when it is over.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = self.alarm.to_json(Some(self.since));
        if let Some(until) = self.until {
            json["until"] = seconds(until).into();
        }
        json
    }
}

/// Alarms in the JSON that books make, for people: a line each; empty when there are none.
#[must_use]
pub(super) fn alarms_text(alarms: &Value, now: SystemTime) -> String {
    let mut text = String::new();
    for alarm in alarms.as_array().into_iter().flatten() {
        let word = |key: &str| alarm[key].as_str().unwrap_or_default();
        let time = |key: &str| alarm[key].as_u64().map(|s| UNIX_EPOCH + Duration::from_secs(s));
        let until = time("until");
        let lasted =
            time("since").and_then(|since| until.unwrap_or(now).duration_since(since).ok());
        let lasted =
            lasted.map_or_else(String::new, |lasted| format!(" for {} s", lasted.as_secs()));
        let title = match until.and_then(|until| now.duration_since(until).ok()) {
            Some(ago) => format!("over since {} s, was raised{lasted}", ago.as_secs()),
            None => format!("ALARM{lasted}"),
        };
        let side = alarm["side"].as_str().map_or_else(String::new, |side| format!("{side}, "));
        text += &format!(
            "{title}: {}: {side}{}: {}: {}\n",
            word("name"),
            word("about"),
            word("text"),
            word("remedy"),
        );
    }
    text
}

/// What `lwaftr alarms` prints of [`alarms_json`]; with `over`, those that are over as well.
#[must_use]
pub fn alarm_report(answer: &Value, over: bool, now: SystemTime) -> String {
    let mut text = match alarms_text(&answer["alarms"], now) {
        none if none.is_empty() => "no alarm is raised\n".to_owned(),
        text => text,
    };
    if over {
        text += &alarms_text(&answer["over"], now);
    }
    text
}

/// The answer about alarms: those that are raised, and those that are over.
#[must_use]
pub fn alarms_json(book: &AlarmBook) -> Value {
    json!({"alarms": book.to_json(), "over": book.over_json()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side::Side;

    fn alarm(kind: AlarmKind, text: &str) -> Alarm {
        let about = "192.0.2.1".to_owned();
        Alarm { kind, side: Some(Side::External), about, text: text.to_owned() }
    }

    #[test]
    fn an_alarm_lasts_from_its_first_sight_to_its_end() {
        let (first, second) = (AlarmKind::DuplicateAddress, AlarmKind::NextHopUnresolved);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mut book = AlarmBook::default();
        let news = book.update(vec![alarm(first, "one")], at(10));
        assert_eq!((news.len(), news[0].until), (1, None));
        let news = book.update(vec![alarm(first, "other"), alarm(second, "")], at(20));
        assert_eq!((news.len(), news[0].alarm.kind), (1, second), "only what is new");
        let json = book.to_json();
        assert_eq!((&json[0]["since"], &json[0]["text"]), (&10.into(), &"other".into()));
        assert_eq!((&json[1]["since"], &json[1]["name"]), (&20.into(), &second.name().into()));
        let text = alarms_text(&json, at(25));
        assert!(text.starts_with("ALARM for 15 s: duplicate-address: external, 192.0.2.1: other"));
        let news = book.update(vec![alarm(second, "")], at(30));
        assert_eq!((news.len(), news[0].until), (1, Some(at(30))));
        assert_eq!(book.to_json().as_array().unwrap().len(), 1);
        assert_eq!(book.over_json()[0]["until"], 30);
        let text = alarms_text(&book.over_json(), at(90));
        assert!(text.starts_with("over since 60 s, was raised for 20 s: duplicate-address"));
        book.update(vec![], at(40));
        assert_eq!(book.to_json(), json!([]));
        assert_eq!(book.over_json()[0]["name"], second.name(), "the last one comes first");
        assert_eq!(alarms_text(&book.to_json(), at(40)), "");
        let count = book.counts()[first as usize];
        assert_eq!((count.kind, count.active, count.raised), (first, 0, 1));
    }

    #[test]
    fn not_all_that_is_over_is_remembered() {
        let mut book = AlarmBook::default();
        for second in 0..1_000 {
            let now = UNIX_EPOCH + Duration::from_secs(second);
            book.update(vec![alarm(AlarmKind::LinkDown, "")], now);
            book.update(vec![], now);
        }
        assert_eq!(book.over_json().as_array().unwrap().len(), REMEMBERED);
        assert_eq!(book.over_json()[0]["since"], 999);
    }
}
