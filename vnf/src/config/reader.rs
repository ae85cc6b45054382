//! From the text of a configuration file to its tables, noting what is wrong and where things
//! stand so that later checks can point at them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors};
use super::key::Table;
use super::suggest::nearest;
use super::syntax;
use super::value::Node;
use crate::softwire::shown;

/// A configuration file being read.
pub(super) struct Reader<'a> {
    file: Arc<Path>,
    /// Where each line ends.
    newlines: Vec<usize>,
    root: DeTable<'a>,
    /// Lines with syntax errors. When there are any, what is missing may only have been misread.
    misread: HashSet<usize>,
    /// Line of each key ("table.key") and table ("table") that is there.
    places: HashMap<String, usize>,
    pub(super) errors: ConfigErrors,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: Arc<Path>, text: &'a str) -> Self {
        let newlines =
            text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at);
        let (root, syntax_errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            file,
            newlines: newlines.collect(),
            root: root.into_inner(),
            misread: HashSet::new(),
            places: HashMap::new(),
            errors: ConfigErrors::default(),
            warnings: Vec::new(),
        };
        for error in syntax_errors {
            let span = error.span().unwrap_or_default();
            let line = reader.line(span.start);
            // The parser says several things about one mistake; the first one is the mistake.
            let (key, problem) = syntax::explained(text, span, error.message());
            reader.error(line, &key, problem);
            reader.misread.insert(line);
        }
        reader
    }

    /// The line of a place in the text.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.newlines.partition_point(|&newline| newline < at)
    }

    /// The line of a key, of its table if the key is not there, or else the first.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let table = key.split('.').next().unwrap_or_default();
        self.places.get(key).or_else(|| self.places.get(table)).copied().unwrap_or(1)
    }

    /// True when the key is in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// True when nothing is known to be wrong with a key.
    pub(super) fn is_right(&self, key: &str) -> bool {
        !self.errors.described().iter().any(|error| error.key == key)
    }

    /// True when there are no syntax errors, so that what is not there has been left out.
    pub(super) fn is_readable(&self) -> bool {
        self.misread.is_empty()
    }

    /// The configuration file.
    pub(super) fn file(&self) -> Arc<Path> {
        Arc::clone(&self.file)
    }

    /// Notes that a key's value is wrong.
    pub(super) fn wrong(&mut self, key: &str, problem: impl Into<String>) {
        self.error(self.line_of(key), key, problem.into());
    }

    /// Notes something that works but should be known.
    pub(super) fn warn(&mut self, key: &str, text: &str) {
        self.warnings.push(format!("{}:{}: {key}: {text}", self.file.display(), self.line_of(key)));
    }

    /// Notes that something on a line is wrong.
    pub(super) fn error(&mut self, line: usize, key: &str, problem: String) {
        // On a line that could not be read, every other complaint is a consequence.
        if self.misread.contains(&line) {
            return;
        }
        self.errors.push(ConfigError { file: self.file(), line, key: key.to_owned(), problem });
    }

    /// Refuses what is at the top level and is not one of `tables`.
    pub(super) fn top_level(&mut self, tables: &[&'static str]) {
        let root = std::mem::take(&mut self.root);
        for (name, node) in &root {
            let line = self.line(name.span().start);
            if tables.contains(&&**name.get_ref()) {
                self.places.insert(name.get_ref().to_string(), line);
                continue;
            }
            let name = name.get_ref();
            let what = if holds_tables(node) { "table" } else { "key" };
            let advice = match nearest(name, tables.iter().copied()) {
                Some(table) => format!("did you mean [{table}]?"),
                None => match home_of(name) {
                    Some(table) => format!("it belongs in [{table}]"),
                    None => format!("the tables are [{}]", tables.join("], [")),
                },
            };
            self.error(line, &printable(name), format!("unknown {what}: {advice}"));
        }
        self.root = root;
    }

    /// Reads one `[table]`.
    pub(super) fn table<T: Table>(&mut self) -> T {
        let root = std::mem::take(&mut self.root);
        let mut value = T::default();
        match root.get(T::NAME).map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => {
                self.keys(&mut value, table);
                self.missing_keys::<T>(table, self.line_of(T::NAME));
            }
            Some(DeValue::Array(items)) if items.iter().any(|item| item.get_ref().is_table()) => {
                self.wrong(T::NAME, format!("is there as [[{0}]]: one [{0}]", T::NAME));
            }
            Some(_) => self.wrong(T::NAME, format!("is not a table: [{}]", T::NAME)),
            None => {
                let required = T::keys().into_iter().filter(|key| key.flags.required);
                let required: Vec<_> = required.map(|key| key.name).collect();
                if !required.is_empty() && self.is_readable() {
                    let right = format!("[{}] with {}", T::NAME, required.join(", "));
                    self.wrong(T::NAME, format!("missing: {right}"));
                }
            }
        }
        self.root = root;
        value
    }

    /// Reads every `[[table]]`, each with its line.
    pub(super) fn tables<T: Table>(&mut self) -> Vec<(T, usize)> {
        let root = std::mem::take(&mut self.root);
        let mut values = Vec::new();
        match root.get(T::NAME).map(Spanned::get_ref) {
            Some(DeValue::Array(items)) => {
                for item in items {
                    values.extend(self.item(item));
                }
            }
            Some(_) => self.wrong(T::NAME, format!("is not a list of tables: [[{}]]", T::NAME)),
            None => {}
        }
        self.root = root;
        values
    }

    fn item<T: Table>(&mut self, item: &Node) -> Option<(T, usize)> {
        let line = self.line(item.span().start);
        let DeValue::Table(table) = item.get_ref() else {
            self.error(line, T::NAME, format!("is not a table: [[{}]]", T::NAME));
            return None;
        };
        let mut value = T::default();
        let wrong_before = self.errors.count();
        self.keys(&mut value, table);
        self.missing_keys::<T>(table, line);
        (self.errors.count() == wrong_before).then_some((value, line))
    }

    fn missing_keys<T: Table>(&mut self, table: &DeTable, line: usize) {
        for key in T::keys().into_iter().filter(|key| key.flags.required) {
            if self.is_readable() && !table.contains_key(key.name) {
                let problem = format!("missing: {}", (key.kind)());
                self.error(line, &format!("{}.{}", T::NAME, key.name), problem);
            }
        }
    }

    fn keys<T: Table>(&mut self, value: &mut T, table: &DeTable) {
        let keys = T::keys();
        for (name, node) in table {
            let line = self.line(name.span().start);
            let name = name.get_ref();
            let path = format!("{}.{}", T::NAME, printable(name));
            if let Some(key) = keys.iter().find(|key| key.name == *name) {
                for wrong in (key.set)(value, node).err().unwrap_or_default() {
                    self.error(self.line(wrong.at), &path, wrong.problem);
                }
                self.places.insert(path, line);
                continue;
            }
            let advice = match nearest(name, keys.iter().map(|key| key.name)) {
                Some(known) => format!("did you mean {known}?"),
                None => match home_of(name) {
                    Some(home) => format!("it belongs in [{home}]"),
                    None => {
                        let known: Vec<_> = keys.iter().map(|key| key.name).collect();
                        format!("the keys of [{}] are {}", T::NAME, known.join(", "))
                    }
                },
            };
            self.error(line, &path, format!("unknown key: {advice}"));
        }
    }
}

fn holds_tables(node: &Node) -> bool {
    match node.get_ref() {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().any(|item| item.get_ref().is_table()),
        _ => false,
    }
}

/// The table that has a key of this name.
fn home_of(name: &str) -> Option<&'static str> {
    super::all_keys().into_iter().find(|key| key.name == name).map(|key| key.table)
}

/// A key as it can stand in a message.
fn printable(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.len() <= 40 && name.bytes().all(plain) {
        name.to_owned()
    } else {
        shown(name)
    }
}
