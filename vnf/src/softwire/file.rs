//! The table file: softwires as CSV, one a line, an optional trailer that proves it complete.
//!
//! ```text
//! ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6
//! 203.0.113.7,6,8,52,2001:db8:0:7::1,2001:db8:ffff::1
//! # rows=1 sha256=b2073707310a491f2e655a98d255498b06aaf50bf397b34e4a6031fc924fd9a0
//! ```
//!
//! The header and `br-ipv6` may be left out (the latter where there is one BR address). Blank
//! lines, lines that start with `#`, blanks around a field, CRLF and a byte order mark are
//! accepted. A seventh column, `valid-until`, says when a softwire ends by itself (RFC 3339); it
//! too may be left out, row by row. The digest covers every byte before the trailer's line, which is what
//! `head -n -1 FILE | sha256sum` prints.
//!
//! Everything here works on bytes: a million rows take a fraction of a second.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::Ipv6Addr;
use std::thread;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Binding, PortSet, PortSetError, Softwire, text};

/// The names of the columns, in their order.
pub const COLUMNS: [&str; 6] = ["ipv4", "psid-offset", "psid-len", "psid", "b4-ipv6", "br-ipv6"];

/// The name of the column that few files have.
pub const VALID_UNTIL: &str = "valid-until";

/// So many errors are described; the others are counted.
const DESCRIBED: usize = 50;

/// What a table file holds, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The softwires of all rows that are right, in the order of the file.
    pub softwires: Vec<Softwire>,
    /// When some of them end by themselves, each with its index.
    pub until: Vec<(usize, Timestamp)>,
    /// The SHA-256 of every byte before the trailer, if there is one, or of all.
    pub digest: [u8; 32],
    /// The last line is a trailer.
    pub has_trailer: bool,
    /// Which line each of them stands on.
    pub lines: Lines,
    /// The first errors, in the order of the file.
    pub errors: Vec<LineError>,
    /// How many more there are.
    pub more_errors: usize,
}

impl Parsed {
    /// The softwires with their ends.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> {
        let mut until = self.until.iter().copied().peekable();
        self.softwires.iter().enumerate().map(move |(row, &softwire)| Binding {
            softwire,
            until: until.next_if(|&(of, _)| of == row).map(|(_, until)| until),
        })
    }
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// The column's name, or what else of the line is wrong.
    pub key: &'static str,
    /// What is wrong: what would be right.
    pub problem: String,
}

/// Maps rows to lines, keeping only the places where lines without a row come between.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    jumps: Vec<(usize, usize)>,
}

impl Lines {
    /// The line of a row (both from the caller's view: rows from 0, lines from 1).
    #[must_use]
    pub fn of(&self, row: usize) -> usize {
        let next = self.jumps.partition_point(|&(first, _)| first <= row);
        let (first, line) = if next == 0 { (0, 1) } else { self.jumps[next - 1] };
        line + (row - first)
    }

    fn push(&mut self, row: usize, line: usize) {
        if self.jumps.is_empty() || self.of(row) != line {
            self.jumps.push((row, line));
        }
    }
}

/// Reads a table file. `only_br` is the BR address of rows that name none.
#[must_use]
pub fn parse(bytes: &[u8], only_br: Option<Ipv6Addr>) -> Parsed {
    let trailer_at = last_line_start(bytes);
    let has_trailer = is_trailer(&bytes[trailer_at..]);
    let body = if has_trailer { &bytes[..trailer_at] } else { bytes };
    thread::scope(|scope| {
        // A thread is worth it for large files only.
        let digest = move || <[u8; 32]>::from(Sha256::digest(body));
        let digesting = (bytes.len() > 1 << 16).then(|| scope.spawn(digest));
        let mut reader =
            Reader { only_br, last_br: None, data_lines: 0, parsed: Parsed::default() };
        reader.parsed.softwires.reserve(bytes.len() / 48);
        reader.body(body);
        let digest = match digesting.map(thread::ScopedJoinHandle::join) {
            None => digest(),
            Some(Ok(digest)) => digest,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        };
        reader.parsed.digest = digest;
        reader.parsed.has_trailer = has_trailer;
        if has_trailer {
            let line = 1 + bytes[..trailer_at].iter().filter(|&&byte| byte == b'\n').count();
            reader.trailer(&bytes[trailer_at..], line, &digest);
        }
        reader.parsed.softwires.shrink_to_fit();
        reader.parsed
    })
}

/// Where the last line that is not blank starts.
fn last_line_start(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |last| last + 1);
    bytes[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
}

fn is_trailer(line: &[u8]) -> bool {
    line.strip_prefix(b"#").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"rows="))
}

struct Reader {
    only_br: Option<Ipv6Addr>,
    /// The last BR address and its text: nearly always the same again.
    last_br: Option<(Vec<u8>, Ipv6Addr)>,
    /// Lines that are meant to be rows.
    data_lines: usize,
    parsed: Parsed,
}

impl Reader {
    fn body(&mut self, bytes: &[u8]) {
        let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut number = 0;
        let mut header_possible = true;
        while !rest.is_empty() {
            number += 1;
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            let line = rest[..end].trim_ascii();
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.first().is_none_or(|&byte| byte == b'#') {
                if is_trailer(line) {
                    self.error(number, "trailer", "rows follow it: the last line of the file");
                }
                continue;
            }
            if std::mem::take(&mut header_possible) && line.starts_with(COLUMNS[0].as_bytes()) {
                self.header(line, number);
            } else {
                self.row(line, number);
            }
        }
    }

    fn header(&mut self, line: &[u8], number: usize) {
        let names = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let complete = COLUMNS.iter().copied().chain([VALID_UNTIL]).map(str::as_bytes);
        if !(5..=7).any(|columns| names.clone().eq(complete.clone().take(columns))) {
            self.error(
                number,
                "header",
                format!("{} is not it: {}", shown(line), COLUMNS.join(",")),
            );
        }
    }

    fn row(&mut self, line: &[u8], number: usize) {
        self.data_lines += 1;
        let mut fields: [&[u8]; 7] = [b""; 7];
        let mut count = 0;
        for field in line.split(|&byte| byte == b',') {
            if let Some(slot) = fields.get_mut(count) {
                *slot = field.trim_ascii();
            }
            count += 1;
        }
        if !(5..=7).contains(&count) {
            let wanted = format!("5 to 7 separated by commas: {},{VALID_UNTIL}", COLUMNS.join(","));
            return self.error(number, "row", format!("{count} columns: {wanted}"));
        }
        let ipv4 = self.field(number, 0, text::ipv4(fields[0]), fields[0], IPV4);
        let offset = self.field(number, 1, up_to_16(fields[1]), fields[1], SIXTEEN);
        let length = self.field(number, 2, up_to_16(fields[2]), fields[2], SIXTEEN);
        let psid = self.field(number, 3, text::number(fields[3]), fields[3], PSID);
        let b4 = self.field(number, 4, text::ipv6(fields[4]), fields[4], IPV6);
        let br = self.br(number, fields[5]);
        let until = if fields[6].is_empty() {
            None
        } else {
            let until = time(fields[6]);
            if self.field(number, 6, until, fields[6], TIME).is_none() {
                return;
            }
            until
        };
        let port_set = match (offset, length, psid) {
            (Some(offset), Some(length), Some(psid)) => {
                let port_set = PortSet::new(offset, length, psid);
                port_set.map_err(|problem| self.port_set_error(number, problem)).ok()
            }
            _ => None,
        };
        if let (Some(ipv4), Some(port_set), Some(b4), Some(br)) = (ipv4, port_set, b4, br) {
            let row = self.parsed.softwires.len();
            self.parsed.lines.push(row, number);
            self.parsed.until.extend(until.map(|until| (row, until)));
            self.parsed.softwires.push(Softwire { ipv4, port_set, b4, br });
        }
    }

    fn br(&mut self, number: usize, field: &[u8]) -> Option<Ipv6Addr> {
        if field.is_empty() {
            if self.only_br.is_none() {
                let problem = "missing: one of the br-addresses, as there are several";
                self.error(number, COLUMNS[5], problem);
            }
            return self.only_br;
        }
        if let Some((last, br)) = &self.last_br
            && last == field
        {
            return Some(*br);
        }
        let br = self.field(number, 5, text::ipv6(field), field, IPV6)?;
        self.last_br = Some((field.to_vec(), br));
        Some(br)
    }

    /// Passes a column's value on, or says what is wrong with its text.
    fn field<V>(
        &mut self,
        line: usize,
        column: usize,
        value: Option<V>,
        field: &[u8],
        right: &str,
    ) -> Option<V> {
        if value.is_none() {
            let problem = if field.is_empty() {
                format!("missing: {right}")
            } else {
                format!("{} is not accepted: {right}", shown(field))
            };
            self.error(line, COLUMNS.get(column).unwrap_or(&VALID_UNTIL), problem);
        }
        value
    }

    fn port_set_error(&mut self, line: usize, problem: PortSetError) {
        let (key, problem) = port_set_problem(problem);
        self.error(line, key, problem);
    }

    fn trailer(&mut self, bytes: &[u8], line: usize, digest: &[u8; 32]) {
        let Some((rows, expected)) = parse_trailer(bytes) else {
            let wrong = format!("{} is not one: {TRAILER}", shown(bytes.trim_ascii()));
            return self.error(line, "trailer", wrong);
        };
        if rows != self.data_lines as u64 {
            let there = self.data_lines;
            let wrong = format!("announces {rows} rows, the file has {there}: {MAKE_IT_AGAIN}");
            self.error(line, "rows", wrong);
        } else if expected != *digest {
            let wrong =
                format!("is not that of the lines above ({}): {MAKE_IT_AGAIN}", hex(digest));
            self.error(line, "sha256", wrong);
        }
    }

    fn error(&mut self, line: usize, key: &'static str, problem: impl Into<String>) {
        if self.parsed.errors.len() < DESCRIBED {
            self.parsed.errors.push(LineError { line, key, problem: problem.into() });
        } else {
            self.parsed.more_errors += 1;
        }
    }
}

const IPV4: &str = "an IPv4 address, like 203.0.113.7";
const IPV6: &str = "an IPv6 address, like 2001:db8::7";
const SIXTEEN: &str = "a number from 0 to 16";
const TIME: &str = "a time, like 2027-01-31T00:00:00Z";
const PSID: &str = "a number from 0 to 65535, below 2^psid-len";
const TRAILER: &str = "# rows=N sha256=HEX (64 hexadecimal digits)";
const MAKE_IT_AGAIN: &str = "the complete file as it was made, or no trailer";

/// RFC 3339, with any offset; whole seconds are kept.
fn time(field: &[u8]) -> Option<Timestamp> {
    let time: Timestamp = std::str::from_utf8(field).ok()?.parse().ok()?;
    Timestamp::from_second(time.as_second()).ok()
}

fn up_to_16(field: &[u8]) -> Option<u8> {
    text::number(field).filter(|&number| number <= 16).and_then(|number| u8::try_from(number).ok())
}

/// Which column a bad port set is blamed on, and what is wrong with it.
#[must_use]
pub fn port_set_problem(problem: PortSetError) -> (&'static str, String) {
    match problem {
        PortSetError::TooManyBits { offset, length } => (
            COLUMNS[2],
            format!(
                "psid-offset {offset} and psid-len {length} are more than the 16 bits of a port: \
                 psid-len at most {}",
                16_u8.saturating_sub(offset)
            ),
        ),
        PortSetError::PsidTooBig { psid, length, largest } => (
            COLUMNS[3],
            format!("{psid} does not fit psid-len {length}: a number from 0 to {largest}"),
        ),
    }
}

fn parse_trailer(line: &[u8]) -> Option<(u64, [u8; 32])> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.trim().strip_prefix('#')?.split_ascii_whitespace();
    let rows = words.next()?.strip_prefix("rows=")?.parse().ok()?;
    let hex = words.next()?.strip_prefix("sha256=")?.as_bytes();
    if words.next().is_some() || hex.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some((rows, digest))
}

/// A piece of the file in a message: quoted, made printable, cut to 40 characters.
fn shown(field: &[u8]) -> String {
    text::shown(&String::from_utf8_lossy(&field[..field.len().min(200)]))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The trailer of a file with so many rows, newline included; the digest is that of all before it.
#[must_use]
pub fn trailer(rows: u64, digest: &[u8]) -> String {
    format!("# rows={rows} sha256={}\n", hex(digest))
}

/// Writes a table file with header and trailer; returns how many rows it has.
pub fn write<B: Into<Binding>>(
    out: impl Write,
    softwires: impl IntoIterator<Item = B>,
) -> io::Result<u64> {
    let mut out =
        Hashing { out: io::BufWriter::with_capacity(1 << 16, out), digest: Sha256::new() };
    let mut row = COLUMNS.join(",") + "\n";
    out.line(row.as_bytes())?;
    let mut rows = 0;
    let mut last_br = (Ipv6Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED.to_string());
    for binding in softwires {
        let Binding { softwire: Softwire { ipv4, port_set, b4, br }, until } = binding.into();
        if last_br.0 != br {
            last_br = (br, br.to_string());
        }
        let (offset, length, psid) = (port_set.offset(), port_set.length(), port_set.psid());
        row.clear();
        // Writing to a String cannot fail.
        let _ = write!(row, "{ipv4},{offset},{length},{psid},{b4},{}", last_br.1);
        let _ = match until {
            Some(until) => writeln!(row, ",{until}"),
            None => writeln!(row),
        };
        out.line(row.as_bytes())?;
        rows += 1;
    }
    let digest = out.digest.finalize();
    out.out.write_all(trailer(rows, &digest).as_bytes())?;
    out.out.flush()?;
    Ok(rows)
}

struct Hashing<W: Write> {
    out: io::BufWriter<W>,
    digest: Sha256,
}

impl<W: Write> Hashing<W> {
    fn line(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }
}
