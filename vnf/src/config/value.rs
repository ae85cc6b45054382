//! Kinds of values: how each is read from TOML, shown again, and named in messages and manuals.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use toml::Spanned;
use toml::de::DeValue;

use crate::filter::Filter;
use crate::softwire::shown;
use crate::wire::MacAddr;

/// A value as it stands in the file.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// What is wrong with a value, and what would be right.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Where it stands: bytes from the start of the file.
    pub(super) at: usize,
    pub(super) problem: String,
}

/// A kind of value that becomes a `V`.
pub(super) trait Kind<V> {
    /// "an integer from 1280 to 9000": ends "must be ...".
    fn name(&self) -> String;
    fn read(&self, node: &Node) -> Result<V, Vec<Wrong>>;
    /// As TOML; empty when there is nothing to show.
    fn show(&self, value: &V) -> String;

    fn wrong(&self, node: &Node) -> Vec<Wrong> {
        let problem = format!("{} is not accepted: must be {}", found(node.get_ref()), self.name());
        vec![Wrong { at: node.span().start, problem }]
    }
}

fn found(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => shown(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// `true` or `false`.
pub(super) struct Boolean;

impl Kind<bool> for Boolean {
    fn name(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, node: &Node) -> Result<bool, Vec<Wrong>> {
        node.get_ref().as_bool().ok_or_else(|| self.wrong(node))
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// An integer between two limits.
pub(super) struct Integer(pub(super) u32, pub(super) u32);

impl<V: TryFrom<u32> + Display> Kind<V> for Integer {
    fn name(&self) -> String {
        format!("an integer from {} to {}", self.0, self.1)
    }

    fn read(&self, node: &Node) -> Result<V, Vec<Wrong>> {
        let number = node.get_ref().as_integer().and_then(|number| {
            let number = u32::from_str_radix(number.as_str(), number.radix()).ok()?;
            (self.0..=self.1).contains(&number).then_some(number)
        });
        number.and_then(|number| number.try_into().ok()).ok_or_else(|| Kind::<V>::wrong(self, node))
    }

    fn show(&self, value: &V) -> String {
        value.to_string()
    }
}

/// Values that have a text form of their own.
pub(super) trait Text: FromStr + Display {
    const NAME: &str;
}

impl Text for Ipv4Addr {
    const NAME: &str = "an IPv4 address, like \"192.0.2.1\"";
}

impl Text for Ipv6Addr {
    const NAME: &str = "an IPv6 address, like \"2001:db8::1\"";
}

impl Text for Ipv4Net {
    const NAME: &str = "an IPv4 address with its prefix length, like \"192.0.2.2/24\"";
}

impl Text for Ipv6Net {
    const NAME: &str = "an IPv6 address with its prefix length, like \"2001:db8::2/64\"";
}

impl Text for SocketAddr {
    const NAME: &str = "an IP address and a port, like \"127.0.0.1:8676\" or \"[::1]:8676\"";
}

impl Text for Timestamp {
    const NAME: &str = "a time, like \"2027-01-31T00:00:00Z\"";
}

impl Text for MacAddr {
    const NAME: &str = "a MAC address, like \"02:00:00:00:00:01\"";
}

/// A string in the form its type defines.
pub(super) struct Parsed;

impl<V: Text> Kind<V> for Parsed {
    fn name(&self) -> String {
        V::NAME.to_owned()
    }

    fn read(&self, node: &Node) -> Result<V, Vec<Wrong>> {
        let value = node.get_ref().as_str().and_then(|text| text.parse().ok());
        value.ok_or_else(|| Kind::<V>::wrong(self, node))
    }

    fn show(&self, value: &V) -> String {
        format!("\"{value}\"")
    }
}

/// Any text that is not empty; the argument says what it means.
pub(super) struct Words(pub(super) &'static str);

impl Kind<String> for Words {
    fn name(&self) -> String {
        self.0.to_owned()
    }

    fn read(&self, node: &Node) -> Result<String, Vec<Wrong>> {
        let text = node.get_ref().as_str().filter(|text| {
            !text.is_empty() && text.trim() == *text && !text.contains(char::is_control)
        });
        text.map(str::to_owned).ok_or_else(|| Kind::<String>::wrong(self, node))
    }

    fn show(&self, value: &String) -> String {
        if value.is_empty() { String::new() } else { format!("{value:?}") }
    }
}

/// A path; the empty one stands for none.
impl Kind<PathBuf> for Words {
    fn name(&self) -> String {
        Kind::<String>::name(self)
    }

    fn read(&self, node: &Node) -> Result<PathBuf, Vec<Wrong>> {
        Kind::<String>::read(self, node).map(PathBuf::from)
    }

    fn show(&self, value: &PathBuf) -> String {
        Kind::<String>::show(self, &value.to_string_lossy().into_owned())
    }
}

/// A packet filter, in libpcap's language.
pub(super) struct Expression;

impl Kind<Filter> for Expression {
    fn name(&self) -> String {
        "a filter expression, like \"udp port 53\"".to_owned()
    }

    fn read(&self, node: &Node) -> Result<Filter, Vec<Wrong>> {
        let text = node.get_ref().as_str().filter(|text| {
            !text.trim().is_empty()
                && !text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace())
        });
        let text = text.ok_or_else(|| self.wrong(node))?;
        let one_line: Vec<_> = text.split_whitespace().collect();
        Filter::new(&one_line.join(" "))
            .map_err(|problem| vec![Wrong { at: node.span().start, problem }])
    }

    fn show(&self, value: &Filter) -> String {
        format!("{:?}", value.expression())
    }
}

/// One of a few words.
pub(super) struct OneOf<V: 'static>(pub(super) &'static [(&'static str, V)]);

impl<V: Copy + PartialEq> Kind<V> for OneOf<V> {
    fn name(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        words.join(" or ")
    }

    fn read(&self, node: &Node) -> Result<V, Vec<Wrong>> {
        let word = node.get_ref().as_str();
        let known = self.0.iter().find(|&&(known, _)| word == Some(known));
        known.map(|&(_, value)| value).ok_or_else(|| self.wrong(node))
    }

    fn show(&self, value: &V) -> String {
        let known = self.0.iter().find(|(_, known)| known == value);
        known.map(|(word, _)| format!("\"{word}\"")).unwrap_or_default()
    }
}

/// A word, or an integer that is wrapped into the same type.
pub(super) struct WordOr<V: 'static, N> {
    pub(super) word: OneOf<V>,
    pub(super) integer: Integer,
    pub(super) wrap: fn(N) -> V,
    pub(super) unwrap: fn(&V) -> Option<N>,
}

impl<V: Copy + PartialEq, N: TryFrom<u32> + Display> Kind<V> for WordOr<V, N> {
    fn name(&self) -> String {
        format!("{} or {}", self.word.name(), Kind::<N>::name(&self.integer))
    }

    fn read(&self, node: &Node) -> Result<V, Vec<Wrong>> {
        let integer = || self.integer.read(node).map(self.wrap);
        self.word.read(node).or_else(|_| integer()).map_err(|_| self.wrong(node))
    }

    fn show(&self, value: &V) -> String {
        (self.unwrap)(value).map_or_else(|| self.word.show(value), |number| number.to_string())
    }
}

/// May be absent.
pub(super) struct Maybe<K>(pub(super) K);

impl<V, K: Kind<V>> Kind<Option<V>> for Maybe<K> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn read(&self, node: &Node) -> Result<Option<V>, Vec<Wrong>> {
        self.0.read(node).map(Some)
    }

    fn show(&self, value: &Option<V>) -> String {
        value.as_ref().map(|value| self.0.show(value)).unwrap_or_default()
    }
}

/// A list; a single value may stand for a list of one.
pub(super) struct List<K>(pub(super) K);

impl<V, K: Kind<V>> Kind<Vec<V>> for List<K> {
    fn name(&self) -> String {
        format!("{}; or a list of such", self.0.name())
    }

    fn read(&self, node: &Node) -> Result<Vec<V>, Vec<Wrong>> {
        match node.get_ref() {
            DeValue::Array(items) => {
                let mut values = Vec::new();
                let mut wrong = Vec::new();
                for item in items {
                    match self.0.read(item) {
                        Ok(value) => values.push(value),
                        Err(problems) => wrong.extend(problems),
                    }
                }
                if wrong.is_empty() { Ok(values) } else { Err(wrong) }
            }
            DeValue::Table(_) => Err(self.wrong(node)),
            _ => self.0.read(node).map(|only| vec![only]),
        }
    }

    fn show(&self, value: &Vec<V>) -> String {
        let items: Vec<_> = value.iter().map(|item| self.0.show(item)).collect();
        format!("[{}]", items.join(", "))
    }
}
