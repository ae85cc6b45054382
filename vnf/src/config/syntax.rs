//! What the TOML parser says, in the words of other refusals: which key, and what would be right.

use std::ops::Range;

/// The key that a mistake is about and what is wrong with it. `at` is where it stands in the text.
pub(super) fn explained(text: &str, at: Range<usize>, said: &str) -> (String, String) {
    const SYNTAX: &str = "TOML syntax";
    let line = line_at(text, at.start);
    match said {
        "duplicate key" => match table_of(line) {
            Some(table) => {
                let problem = "stands twice: one table of that name, with all its keys";
                (table.to_owned(), problem.to_owned())
            }
            None => {
                let name = key_of(line).unwrap_or(SYNTAX);
                (path(text, at.start, name), "stands twice in its table: once".to_owned())
            }
        },
        _ if said.contains("recurse") => match key_of(line) {
            Some(name) => {
                let problem = "lists or tables too deep in one another: no key takes such a value";
                (path(text, at.start, name), problem.to_owned())
            }
            None => (SYNTAX.to_owned(), "tables too deep in one another: [table]".to_owned()),
        },
        _ => (SYNTAX.to_owned(), said.to_owned()),
    }
}

/// The line that a place is in.
fn line_at(text: &str, at: usize) -> &str {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| at + newline);
    text.get(start..end).unwrap_or_default()
}

/// The name in `[name]` or `[[name]]`.
fn table_of(line: &str) -> Option<&str> {
    let inside = line.trim_start().strip_prefix('[')?;
    let name = inside.split(']').next().map(|name| name.trim_start_matches('[').trim())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

/// The name in `name = value`.
fn key_of(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    Some(name.trim()).filter(|name| !name.is_empty() && name.len() <= 40)
}

/// "table.name" of a key that stands here.
fn path(text: &str, at: usize, name: &str) -> String {
    let before = text.get(..at).unwrap_or_default();
    let earlier = before.rfind('\n').map_or("", |newline| &before[..newline]);
    let table = earlier.lines().rev().find_map(table_of);
    table.map_or_else(|| name.to_owned(), |table| format!("{table}.{name}"))
}
