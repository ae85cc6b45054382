//! `lwaftr softwire add|del|show|lookup|list|top`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Subcommand, value_parser};
use jiff::Timestamp;
use serde_json::Value;

use super::output::{print, print_json};
use super::values::time;
use super::{Failure, Target, softwire_history, softwire_top};
use crate::control::protocol::{Lookup, Request};
use crate::control::{Key, NOT_COUNTED, Row};
use crate::softwire::Tally;
use crate::softwire::file::COLUMNS;

/// Look at the softwires of a running instance, and edit single ones
///
/// Edits take effect at once, without a reload. They survive reloads and restarts until the table
/// file contains them; with softwires.persist = false they last until the next reload or restart.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr softwire lookup 203.0.113.7:4711      which B4 owns that port?
  lwaftr softwire lookup 2001:db8:0:7::1       which softwires does that B4 have?
  lwaftr softwire lookup 203.0.113.7:4711 --at 2026-11-27T12:00:00Z      who had it then?
  lwaftr softwire add --ipv4 203.0.113.7 --psid-len 6 --psid 12 --b4 2001:db8:0:7::1
  lwaftr softwire add --file new.csv --replace
  lwaftr softwire del --ipv4 203.0.113.7 --psid 12
  lwaftr softwire list > softwires.csv         a table file of what runs now
  lwaftr softwire list --counters              the same with what each carried so far
  lwaftr softwire top                          who is busiest right now
")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,

    /// Which instance.
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add one softwire, or all of a file or none
    #[command(group = ArgGroup::new("what").required(true).args(["ipv4", "file"]))]
    Add(Add),
    /// Remove one softwire, or all of a file or none
    #[command(group = ArgGroup::new("what").required(true).args(["ipv4", "file"]))]
    Del(Del),
    /// Show the softwires of an IPv4 address
    Show(Show),
    /// Find out who owns an address or a port, or what a B4 has
    Lookup(LookUp),
    /// List all softwires, as a table file
    List(List),
    /// Watch the busiest softwires
    Top(softwire_top::Args),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The subscriber's IPv4 address
    #[arg(long, value_name = "ADDRESS", requires = "b4")]
    ipv4: Option<Ipv4Addr>,

    /// PSID offset a
    #[arg(long, value_name = "A", default_value_t = 0)]
    psid_offset: u8,

    /// PSID length k; 0: the whole address
    #[arg(long, value_name = "K", default_value_t = 0)]
    psid_len: u8,

    /// The PSID
    #[arg(long, value_name = "PSID", default_value_t = 0)]
    psid: u16,

    /// The B4's IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    b4: Option<Ipv6Addr>,

    /// Our end of the tunnel; needed where there are several BR addresses
    #[arg(long, value_name = "ADDRESS")]
    br: Option<Ipv6Addr>,

    /// A table file (CSV) whose softwires are added in one step
    #[arg(
        long,
        value_name = "CSV",
        conflicts_with_all = ["psid_offset", "psid_len", "psid", "b4", "br"]
    )]
    file: Option<PathBuf>,

    /// Softwires that have a port of the new ones give way, in the same step: so an address can
    /// change its PSID length
    #[arg(long)]
    replace: bool,

    /// When it ends by itself, like 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    valid_until: Option<Timestamp>,

    /// Undo it unless `lwaftr config confirm` comes within so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=86_400))]
    confirm_within: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct Del {
    /// The softwire's IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    ipv4: Option<Ipv4Addr>,

    /// Its PSID; 0 for a whole address
    #[arg(long, value_name = "PSID", default_value_t = 0)]
    psid: u16,

    /// A table file (CSV) whose softwires are removed in one step
    #[arg(long, value_name = "CSV", conflicts_with = "psid")]
    file: Option<PathBuf>,

    /// Undo it unless `lwaftr config confirm` comes within so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=86_400))]
    confirm_within: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The IPv4 address
    #[arg(value_name = "ADDRESS")]
    ipv4: Ipv4Addr,

    /// Only the softwire with this PSID
    #[arg(long, value_name = "PSID")]
    psid: Option<u16>,

    /// With what each carried so far
    #[arg(long)]
    counters: bool,

    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct LookUp {
    /// IPv4-ADDRESS:PORT, an IPv4 address, or a B4's IPv6 address
    #[arg(value_name = "WHAT")]
    what: Lookup,

    /// Who had it at that time, like 2026-11-27T12:00:00Z or 2026-11-27T14:00:00+02:00, since when
    /// and until when
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "counters")]
    at: Option<Timestamp>,

    /// With what each carried so far
    #[arg(long)]
    counters: bool,

    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    /// With what each carried so far; no table file then
    #[arg(long)]
    counters: bool,

    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { verb, target } = args;
    match verb {
        Verb::Add(add) => edit(&target, add.request()?),
        Verb::Del(del) => edit(&target, del.request()?),
        Verb::Show(Show { ipv4, psid, counters, json }) => {
            show(&target, Request::SoftwireShow { ipv4, psid }, counters, json)
        }
        Verb::Lookup(LookUp { what: lookup, at: Some(at), json, .. }) => {
            softwire_history::run(&target, lookup, at, json)
        }
        Verb::Lookup(LookUp { what: lookup, counters, json, .. }) => {
            show(&target, Request::SoftwireLookup(lookup), counters, json)
        }
        Verb::List(List { counters, json }) => list(&target, counters, json),
        Verb::Top(top) => softwire_top::run(&target, &top),
    }
}

impl Add {
    fn request(self) -> Result<Request, Failure> {
        let Self { ipv4, psid_offset, psid_len, psid, b4, br, file, replace, .. } = self;
        let (valid_until, confirm_within) = (self.valid_until, self.confirm_within);
        let csv = file.as_deref().map(read).transpose()?;
        let row = |(ipv4, b4_ipv6)| Row {
            ipv4,
            psid_offset,
            psid_len,
            psid,
            b4_ipv6,
            br_ipv6: br,
            valid_until,
        };
        let softwires = ipv4.zip(b4).map(row).into_iter().collect();
        Ok(Request::SoftwireAdd { softwires, csv, replace, confirm_within })
    }
}

impl Del {
    fn request(self) -> Result<Request, Failure> {
        let Self { ipv4, psid, file, confirm_within } = self;
        let csv = file.as_deref().map(read).transpose()?;
        let softwires = ipv4.map(|ipv4| Key { ipv4, psid }).into_iter().collect();
        Ok(Request::SoftwireDel { softwires, csv, confirm_within })
    }
}

/// The text of a table file; the instance reads it, as it knows the BR addresses.
fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Refused(format!("{}: cannot be read: {error}", path.display())))
}

fn edit(target: &Target, request: Request) -> Result<(), Failure> {
    let answer = target.connect()?.ask(request)?;
    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
    let (added, removed) = (count("added"), count("removed"));
    print(&format!("{added} added, {removed} removed\n")).map(|_| ())
}

fn show(target: &Target, request: Request, counters: bool, json: bool) -> Result<(), Failure> {
    let mut answer = target.connect()?.ask(request)?;
    let softwires = answer["softwires"].take();
    if json {
        return print_json(&softwires);
    }
    print(&format!("{}{}", header(counters), csv(softwires, counters)?)).map(|_| ())
}

fn list(target: &Target, counters: bool, json: bool) -> Result<(), Failure> {
    let mut client = target.connect()?;
    let mut wanted = print(&if json { "[".to_owned() } else { header(counters) })?;
    let mut separator = "\n";
    client.ask_for_parts(Request::SoftwireList, |part| {
        let text = if json { json_lines(&part, &mut separator) } else { csv(part, counters)? };
        wanted = wanted && print(&text)?;
        Ok::<_, Failure>(wanted)
    })?;
    if json && wanted { print("\n]\n").map(|_| ()) } else { Ok(()) }
}

/// Array elements, one a line.
fn json_lines(part: &Value, separator: &mut &str) -> String {
    let mut text = String::new();
    for row in part.as_array().into_iter().flatten() {
        text += separator;
        text += &row.to_string();
        *separator = ",\n";
    }
    text
}

/// The first line of a table file; with the names of counters it is none any more.
fn header(counters: bool) -> String {
    let counted = if counters { &Tally::NAMES[..] } else { &[] };
    [&COLUMNS[..], counted].concat().join(",") + "\n"
}

/// Lines of a table file, with what each softwire carried if that is wanted.
fn csv(softwires: Value, counters: bool) -> Result<String, Failure> {
    let mut text = String::new();
    let Value::Array(softwires) = softwires else {
        return Err(Failure::Internal("the answer has no softwires".to_owned()));
    };
    for mut softwire in softwires {
        let carried = softwire.as_object_mut().and_then(|row| row.remove("counters"));
        let mut row: Row = serde_json::from_value(softwire)
            .map_err(|error| Failure::Internal(format!("the answer has no softwires: {error}")))?;
        if counters {
            // Each line has as many columns as the next.
            row.valid_until = None;
        }
        text += &row.csv();
        if counters {
            let carried = carried.ok_or_else(|| Failure::Refused(NOT_COUNTED.to_owned()))?;
            for name in Tally::NAMES {
                text += &format!(",{}", carried[name]);
            }
        }
        text.push('\n');
    }
    Ok(text)
}
