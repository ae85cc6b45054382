//! Connections to the control socket: who may talk, how much and how slowly, and the answers.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::actor::Actor;
use super::capture::capture;
use super::error::ControlError;
use super::places::Place;
use super::protocol::{LONGEST_REQUEST, Lookup, Reply, Request, parse_request, part_line};
use super::row::{CountedRow, Key};
use super::socket::is_trusted;
use super::state::Control;
use super::top::busiest;
use crate::log;
use crate::softwire::Softwire;

/// How long a connection may be silent between requests, take to send one, and take to receive a
/// piece of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Softwires in one part of a list.
const PART: usize = 1_000;

/// Serves one connection until it ends.
pub(super) async fn serve_connection(control: Arc<Control>, stream: UnixStream, place: Place) {
    tokio::select! {
        // Asked first: a place is lost before the next request is taken up, never within one.
        biased;
        () = place.lost() => {
            tracing::debug!("silent control connection closed: another one needs its place");
        }
        ended = converse(&control, stream, &place) => if let Err(error) = ended {
            tracing::debug!("control connection ended: {error}");
        },
    }
}

async fn converse(control: &Control, stream: UnixStream, place: &Place) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let (read, mut write) = stream.into_split();
    if !is_trusted(peer.uid(), peer.gid()) {
        let uid = peer.uid();
        tracing::warn!("control request of user {uid} refused");
        let words = "only root, the user that runs the instance, and members of the group lwaftr \
                     may control it";
        return send(&mut write, &Reply::Error(ControlError::refused(words))).await;
    }
    let actor = Actor::peer(peer.uid(), peer.pid());
    let mut read = BufReader::new(read);
    loop {
        place.waits(true);
        let line = read_line(&mut read).await?;
        place.waits(false);
        let line = match line {
            Line::End => return Ok(()),
            Line::TooLong => {
                let words = format!(
                    "the request is longer than {LONGEST_REQUEST} bytes: send fewer softwires at \
                     once, or put them into the table file and reload"
                );
                return send(&mut write, &Reply::Error(ControlError::usage(words))).await;
            }
            Line::Whole(line) => line,
        };
        let answer = match parse_request(&line) {
            Ok(Request::SoftwireList) => list(control, &mut write).await?,
            Ok(Request::Capture(options)) => capture(control, &actor, options, &mut write).await?,
            Ok(request) => answer(control, &actor, request).await,
            Err(error) => Err(error),
        };
        send(&mut write, &answer.map_or_else(Reply::Error, Reply::Ok)).await?;
    }
}

/// What a client sent up to a newline.
enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

async fn read_line(read: &mut BufReader<tokio::net::unix::OwnedReadHalf>) -> io::Result<Line> {
    let mut line = Vec::new();
    timeout(PATIENCE, read.fill_buf()).await??;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let bytes = timeout_at(deadline, read.fill_buf()).await??;
        if bytes.is_empty() {
            // A request without its newline is not whole, so it is none.
            return Ok(Line::End);
        }
        let newline = bytes.iter().position(|&byte| byte == b'\n');
        let taken = newline.map_or(bytes.len(), |position| position + 1);
        if line.len() + taken > LONGEST_REQUEST {
            return Ok(Line::TooLong);
        }
        line.extend_from_slice(&bytes[..taken]);
        read.consume(taken);
        if newline.is_some() {
            line.pop();
            return Ok(Line::Whole(line));
        }
    }
}

pub(super) async fn send(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    reply: &Reply,
) -> io::Result<()> {
    send_line(write, &reply.line()).await
}

async fn send_line(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    line: &[u8],
) -> io::Result<()> {
    for piece in line.chunks(64 << 10) {
        timeout(PATIENCE, write.write_all(piece)).await??;
    }
    Ok(())
}

async fn answer(control: &Control, actor: &Actor, request: Request) -> Result<Value, ControlError> {
    match request {
        Request::Ping => Ok(json!({})),
        Request::Status => Ok(control.status().await),
        Request::Stats => Ok(control.stats()),
        Request::Latency { full: false } => Ok(control.latency().await.json()),
        Request::Latency { full: true } => Ok(control.latency().await.full_json()),
        Request::Hdr => Ok(json!({"log": control.latency_log().await?})),
        Request::Reload(options) => {
            control.reload(actor, options).await.map(|report| json!(report))
        }
        Request::SoftwireAdd { softwires, csv, replace, confirm_within } => {
            let edited = control.add(actor, softwires, csv, (replace, confirm_within)).await?;
            Ok(json!({"added": edited.added, "removed": edited.removed}))
        }
        Request::SoftwireDel { softwires, csv, confirm_within } => {
            let edited = control.remove(actor, softwires, csv, confirm_within).await?;
            Ok(json!({"added": edited.added, "removed": edited.removed}))
        }
        Request::SoftwireShow { ipv4, psid } => {
            let mut found = control.lookup(Lookup::Ipv4 { ipv4, port: None }).await?;
            found.retain(|softwire| psid.is_none_or(|psid| Key::of(softwire).psid == psid));
            control.softwires_or(&found, || match psid {
                Some(psid) => format!("there is no softwire {}", Key { ipv4, psid }),
                None => format!("{ipv4} has no softwires"),
            })
        }
        Request::SoftwireLookup(lookup) => {
            let found = control.lookup(lookup).await?;
            control.softwires_or(&found, || match lookup {
                Lookup::Ipv4 { ipv4, port: Some(port) } => {
                    format!("nobody owns port {port} of {ipv4}")
                }
                Lookup::Ipv4 { ipv4, port: None } => format!("nobody owns {ipv4}"),
                Lookup::B4 { b4 } => format!("{b4} has no softwire"),
            })
        }
        Request::SoftwireHistory { at, ipv4, port, b4 } => {
            let lookup = match (ipv4, port, b4) {
                (Some(ipv4), port, None) => Lookup::Ipv4 { ipv4, port },
                (None, None, Some(b4)) => Lookup::B4 { b4 },
                _ => return Err(ControlError::usage("name an address, or a B4")),
            };
            let had = control.lookup_at(lookup, at).await?;
            if had.is_empty() {
                return Err(ControlError::refused(format!("nobody had it at {at}")));
            }
            Ok(json!({"at": at, "softwires": had}))
        }
        Request::ConfigDiff => control.diff().await.map(|report| json!(report)),
        Request::ConfigFold => control.fold(actor).await.map(|folded| json!(folded)),
        Request::ConfigRollback => {
            control.roll_back(actor).await.map(|undone| json!({"undone": undone}))
        }
        Request::ConfigConfirm => {
            control.confirm(actor).await.map(|confirmed| json!({"confirmed": confirmed}))
        }
        Request::Log { filter } => {
            if let Some(filter) = filter {
                log::filter(&filter).map_err(ControlError::usage)?;
                control.audit().note(actor, "log", &filter, Ok("set")).await;
            }
            Ok(json!({"filter": log::filter_now()}))
        }
        Request::Audit { count } => Ok(json!({"records": control.audit().last(count).await?})),
        Request::Alarms => Ok(control.alarms()),
        Request::Health => Ok(control.health().to_json()),
        Request::Drain { grace } => {
            Ok(control.drain(actor, Duration::from_secs(grace.into())).await)
        }
        Request::Undrain => control.undrain(actor).await,
        Request::Metrics => Ok(json!({"text": control.metrics().await})),
        Request::SoftwireTop(options) => busiest(control, options).await,
        Request::SoftwireList | Request::Capture(_) => {
            Err(ControlError::internal("this answer is sent in parts"))
        }
    }
}

impl Control {
    /// Softwires as an answer; none is a negative one.
    fn softwires_or(
        &self,
        found: &[Softwire],
        nothing: impl Fn() -> String,
    ) -> Result<Value, ControlError> {
        if found.is_empty() {
            return Err(ControlError::refused(nothing()));
        }
        let view = self.view();
        let (table, leases) = (&view.snapshot.table, self.leases());
        let rows = found.iter().map(|softwire| CountedRow::of(softwire, table, &leases));
        Ok(json!({"softwires": rows.collect::<Vec<_>>()}))
    }
}

/// Sends all softwires, part by part, while others are served and edits and reloads are made: each
/// softwire is as it was at some moment in between. No table is held while a part is sent, so that
/// a client that reads slowly keeps no memory of ours.
async fn list(
    control: &Control,
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<Result<Value, ControlError>> {
    let mut last = None;
    let mut count = 0;
    loop {
        let part = part_after(control, last);
        last = part.last().map(|counted| (counted.row.ipv4, counted.row.psid));
        if last.is_none() {
            return Ok(Ok(json!({"softwires": count})));
        }
        count += part.len();
        send_line(write, &part_line(&part)).await?;
        tokio::task::yield_now().await;
    }
}

/// The next softwires of a list after the last address and PSID that it had.
fn part_after(control: &Control, last: Option<(Ipv4Addr, u16)>) -> Vec<CountedRow> {
    let view = control.view();
    let first = last.map_or(Ipv4Addr::UNSPECIFIED, |(ipv4, _)| ipv4);
    let is_new = |softwire: &Softwire| {
        last.is_none_or(|last| (softwire.ipv4, softwire.port_set.psid()) > last)
    };
    let (table, leases) = (&view.snapshot.table, control.leases());
    let next = table.softwires_from(first).filter(is_new).take(PART);
    next.map(|softwire| CountedRow::of(&softwire, table, &leases)).collect()
}
