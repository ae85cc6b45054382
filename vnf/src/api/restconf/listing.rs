//! Lists as long as the binding table, sent part by part: no more of them than one part is ever in
//! memory, and the table is not held between two parts.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::Value;

use super::binding::{entry, is_listed};
use super::query::{Query, prune_entry};
use super::schema::{Kind, Listed, Node};
use super::tree::mark;
use crate::control::{Control, ControlError, Editor};
use crate::softwire::Softwire;

/// Entries of one part.
const PART: usize = 2_000;

/// Softwires that are looked at for one part: the table is held as long as that takes.
const LOOKED_AT: usize = 20_000;

/// A list being sent.
struct List {
    control: Arc<Control>,
    listed: Listed,
    node: &'static Node,
    query: Query,
    /// The level of the list's node.
    level: usize,
    /// The last address and PSID that was looked at.
    last: Option<(Ipv4Addr, u16)>,
    skip: usize,
    left: usize,
    /// Nothing has been sent yet.
    first: bool,
}

/// The answer's text, in which marks are replaced by lists.
pub(super) fn body(control: &Arc<Control>, text: String, query: Query, places: &[Place]) -> Body {
    let mut pieces = vec![Piece::Text(text)];
    for place in places {
        let mark = mark(place.listed).to_string();
        pieces = pieces
            .into_iter()
            .flat_map(|piece| piece.split(&mark, place, &query, control))
            .collect();
    }
    pieces.reverse();
    let parts = stream::unfold(pieces, |mut pieces| async {
        let part = match pieces.pop()? {
            Piece::Text(text) => Ok(Bytes::from(text)),
            Piece::List(mut list) => {
                let part = list.next().await;
                if let Ok((part, done)) = part {
                    if !done {
                        pieces.push(Piece::List(list));
                    }
                    Ok(Bytes::from(part))
                } else {
                    // The answer ends in the middle, so that nobody takes it for whole.
                    pieces.clear();
                    part.map(|_| Bytes::new())
                }
            }
        };
        Some((part, pieces))
    });
    Body::from_stream(parts)
}

/// Where a list stands in the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) listed: Listed,
    pub(super) node: &'static Node,
    pub(super) level: usize,
}

/// The lists below a node, which is at this level.
pub(super) fn places(node: &'static Node, level: usize) -> Vec<Place> {
    if let Kind::Entries(listed, _) = node.kind {
        return vec![Place { listed, node, level }];
    }
    node.children.iter().flat_map(|child| places(child, level + 1)).collect()
}

enum Piece {
    Text(String),
    List(Box<List>),
}

impl Piece {
    fn split(self, mark: &str, place: &Place, query: &Query, control: &Arc<Control>) -> Vec<Self> {
        let Self::Text(text) = &self else { return vec![self] };
        let Some((before, after)) = text.split_once(mark) else { return vec![self] };
        let &Place { listed, node, level } = place;
        let list = List {
            control: Arc::clone(control),
            listed,
            node,
            query: *query,
            level,
            last: query.after,
            skip: query.offset,
            left: query.limit.unwrap_or(usize::MAX),
            first: true,
        };
        vec![
            Self::Text(format!("{before}[")),
            Self::List(Box::new(list)),
            Self::Text(format!("]{after}")),
        ]
    }
}

impl List {
    /// The next part, and whether it is the last.
    async fn next(&mut self) -> Result<(String, bool), ControlError> {
        // Entries below the level that is wanted are not sent, however many there are.
        if self.level >= self.query.depth || self.left == 0 {
            return Ok((String::new(), true));
        }
        let (last, listed, skip, most) = (self.last, self.listed, self.skip, self.left.min(PART));
        let work = move |editor: &Editor| part_after(editor, listed, last, (skip, most));
        let Part { entries, skipped, end } = self.control.read(work).await?;
        let Some(end) = end else { return Ok((String::new(), true)) };
        self.last = Some(end);
        self.skip -= skipped;
        let mut text = String::new();
        for entry in entries {
            let keys = match self.node.kind {
                Kind::Entries(_, keys) => keys,
                _ => &[],
            };
            let Some(entry) = prune_entry(entry, self.node, keys, &self.query, self.level, false)
            else {
                continue;
            };
            self.left -= 1;
            if !std::mem::take(&mut self.first) {
                text.push(',');
            }
            text += &entry.to_string();
        }
        Ok((text, false))
    }
}

/// A part of a list.
#[derive(Default)]
struct Part {
    entries: Vec<Value>,
    /// Entries before them that were left out.
    skipped: usize,
    /// The last address and PSID that was looked at; none: there are no more.
    end: Option<(Ipv4Addr, u16)>,
}

/// What comes after this address and PSID: at first so many entries are left out, which costs little,
/// then there are at most so many.
fn part_after(
    editor: &Editor,
    listed: Listed,
    last: Option<(Ipv4Addr, u16)>,
    (skip, most): (usize, usize),
) -> Part {
    let first = last.map_or(Ipv4Addr::UNSPECIFIED, |(ipv4, _)| ipv4);
    let position = |softwire: &Softwire| (softwire.ipv4, softwire.port_set.psid());
    let is_new = |softwire: &Softwire| last.is_none_or(|last| position(softwire) > last);
    let table = editor.publisher().table();
    let tally = |softwire: &Softwire| {
        (listed == Listed::Softwires && table.counts())
            .then(|| table.tally(softwire).unwrap_or_default())
    };
    let mut part = Part::default();
    for softwire in table.softwires_from(first).filter(is_new).take(LOOKED_AT) {
        part.end = Some(position(&softwire));
        if !is_listed(listed, editor, &softwire) {
            continue;
        }
        if part.skipped < skip {
            part.skipped += 1;
            continue;
        }
        part.entries.push(entry(listed, &softwire, tally(&softwire)));
        if part.entries.len() == most {
            break;
        }
    }
    part
}
