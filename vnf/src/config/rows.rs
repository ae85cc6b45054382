//! The softwires of a configuration, where each stands, and what is wrong among them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::Config;
use super::error::ConfigError;
use super::reader::Reader;
use super::source;
use super::tables::InlineSoftwire;
use crate::lwaftr::Policy;
use crate::softwire::file::{self, COLUMNS, Lines, port_set_problem};
use crate::softwire::{PortSet, RowError, RowProblem, Softwire, TableWriter};

/// So many errors between softwires are described; the others are counted.
const DESCRIBED: usize = 50;

/// Softwires: those of `[[softwire]]` first, then those of the table file.
#[derive(Debug)]
pub(super) struct Rows {
    softwires: Vec<Softwire>,
    /// When some of them end by themselves: address, PSID, time.
    until: Vec<(Ipv4Addr, u16, Timestamp)>,
    /// SHA-256 of the table file.
    digest: [u8; 32],
    /// The lines of the inline ones.
    inline: Vec<usize>,
    /// The lines of the others.
    lines: Lines,
    config_file: Arc<Path>,
    table_file: Arc<Path>,
}

impl Default for Rows {
    fn default() -> Self {
        let none: Arc<Path> = PathBuf::new().into();
        Self {
            softwires: Vec::new(),
            until: Vec::new(),
            digest: [0; 32],
            inline: Vec::new(),
            lines: Lines::default(),
            config_file: Arc::clone(&none),
            table_file: none,
        }
    }
}

impl Rows {
    /// Collects the softwires of both files.
    pub(super) fn read(config: &Config, reader: &mut Reader) -> Self {
        Self::read_with(config, None, reader)
    }

    /// The same with another text of the table file.
    pub(super) fn read_with(config: &Config, table: Option<&[u8]>, reader: &mut Reader) -> Self {
        let mut rows = Self { config_file: reader.file(), ..Self::default() };
        let only_br = only_br(config);
        for (row, line) in reader.tables::<InlineSoftwire>() {
            match softwire_of(&row, only_br) {
                Ok(softwire) => {
                    rows.until.extend(row.until.map(|until| end_of(&softwire, until)));
                    rows.softwires.push(softwire);
                    rows.inline.push(line);
                }
                Err((column, problem)) => {
                    reader.error(line, &format!("softwire.{column}"), problem);
                }
            }
        }
        if let Some(path) = &config.softwires.file {
            match table {
                Some(bytes) => {
                    rows.table_file = path.as_path().into();
                    rows.take(file::parse(bytes, only_br), reader);
                }
                None => rows.read_file(path, only_br, reader),
            }
        }
        rows
    }

    fn read_file(&mut self, path: &Path, only_br: Option<Ipv6Addr>, reader: &mut Reader) {
        self.table_file = path.into();
        let bytes = match source::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let path = path.display();
                let problem = format!("{path} cannot be read ({error}): the path of a table file");
                return reader.wrong("softwires.file", problem);
            }
        };
        self.take(file::parse(&bytes, only_br), reader);
    }

    /// The softwires of a table file's text alone, which is none of ours.
    pub(super) fn of_text(path: &Path, bytes: &[u8], reader: &mut Reader) -> Self {
        let mut rows = Self { config_file: reader.file(), ..Self::default() };
        rows.table_file = path.into();
        rows.take(file::parse(bytes, None), reader);
        rows
    }

    fn take(&mut self, parsed: file::Parsed, reader: &mut Reader) {
        let until = |&(row, until): &(usize, Timestamp)| end_of(&parsed.softwires[row], until);
        self.until.extend(parsed.until.iter().map(until));
        self.digest = parsed.digest;
        for error in parsed.errors {
            reader.errors.push(ConfigError {
                file: Arc::clone(&self.table_file),
                line: error.line,
                key: error.key.to_owned(),
                problem: error.problem,
            });
        }
        reader.errors.add_undescribed(parsed.more_errors);
        self.lines = parsed.lines;
        if self.softwires.is_empty() {
            self.softwires = parsed.softwires;
        } else {
            self.softwires.extend(parsed.softwires);
        }
    }

    pub(super) fn until(&self) -> &[(Ipv4Addr, u16, Timestamp)] {
        &self.until
    }

    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn softwires(&self) -> &[Softwire] {
        &self.softwires
    }

    /// File and line of a row.
    pub(super) fn place(&self, row: usize) -> (&Arc<Path>, usize) {
        match self.inline.get(row) {
            Some(&line) => (&self.config_file, line),
            None => (&self.table_file, self.lines.of(row - self.inline.len())),
        }
    }

    /// Builds the binding table, unless something is wrong.
    pub(super) fn build(&self, config: &Config, reader: &mut Reader) -> Option<TableWriter> {
        // Without the right BR addresses every row would be blamed for theirs.
        if config.softwires.br_addresses.is_empty() || !reader.is_right("softwires.br-addresses") {
            return None;
        }
        let workers = if config.softwires.counters { config.workers.number() } else { 0 };
        let built = TableWriter::build(&self.softwires, &config.rules());
        match built.and_then(|writer| writer.counting(workers)) {
            Ok(writer) => {
                self.warn_well_known_ports(reader);
                self.warn_martians(&config.policy, reader);
                self.warn_on_link(config, reader);
                if self.softwires.is_empty() {
                    reader.warn("softwires", "there are no softwires: nothing is forwarded");
                }
                Some(writer)
            }
            Err(errors) => {
                for error in errors.iter().take(DESCRIBED) {
                    reader.errors.push(self.error(error));
                }
                reader.errors.add_undescribed(errors.len().saturating_sub(DESCRIBED));
                None
            }
        }
    }

    fn error(&self, RowError { row, problem }: &RowError) -> ConfigError {
        if matches!(problem, RowProblem::NoRoom { .. }) {
            return ConfigError {
                file: Arc::clone(&self.config_file),
                line: 0,
                key: "softwires".to_owned(),
                problem: problem.to_string(),
            };
        }
        let (file, line) = self.place(*row);
        let column = match problem {
            RowProblem::Duplicate { .. }
            | RowProblem::AddressIsOurs(_)
            | RowProblem::NotThere
            | RowProblem::TooMany { .. }
            | RowProblem::NoRoom { .. } => 0,
            RowProblem::Layout { .. } | RowProblem::TooSparse { .. } => 2,
            RowProblem::B4Twice { .. } | RowProblem::BadB4(..) | RowProblem::B4IsOurs(_) => 4,
            RowProblem::BrNotOurs(_) => 5,
        };
        let inline = *row < self.inline.len();
        let table = if inline { "softwire." } else { "" };
        let other = problem.other().map_or_else(String::new, |other| {
            let (file, line) = self.place(other);
            format!(" (the other one: {}:{line})", file.display())
        });
        ConfigError {
            file: Arc::clone(file),
            line,
            key: format!("{table}{}", COLUMNS[column]),
            problem: format!("{problem}{other}"),
        }
    }

    fn warn_well_known_ports(&self, reader: &mut Reader) {
        let holds = |softwire: &Softwire| {
            !softwire.port_set.is_whole_address()
                && softwire.port_set.ranges().next().is_some_and(|ports| *ports.start() < 1024)
        };
        self.warn_about(
            holds,
            "shared softwires that hold ports below 1024, which servers refuse or trust",
            "psid-offset 6 keeps these ports out",
            reader,
        );
    }

    fn warn_martians(&self, policy: &Policy, reader: &mut Reader) {
        let is_martian = |softwire: &Softwire| {
            policy.martians.iter().any(|network| network.contains(&softwire.ipv4))
        };
        self.warn_about(
            is_martian,
            "softwires with an address in one of policy.martians",
            "all their packets are dropped",
            reader,
        );
    }

    fn warn_on_link(&self, config: &Config, reader: &mut Reader) {
        let is_on_link = |softwire: &Softwire| {
            config.external.addresses.iter().any(|network| network.contains(&softwire.ipv4))
        };
        self.warn_about(
            is_on_link,
            "softwires with an address on the external link",
            "routers there ask for it by ARP, which the relay answers for its own addresses only: \
             give them a route to the relay",
            reader,
        );
    }

    /// One warning for all softwires that something is true of, with the place of the first.
    fn warn_about(
        &self,
        is_so: impl Fn(&Softwire) -> bool,
        what: &str,
        so: &str,
        reader: &mut Reader,
    ) {
        let mut found = (0..self.softwires.len()).filter(|&row| is_so(&self.softwires[row]));
        if let Some(first) = found.next() {
            let count = 1 + found.count();
            let (file, line) = self.place(first);
            let (file, key) = (file.display(), COLUMNS[0]);
            let text = format!("{what}: {count}, the first one here ({so})");
            reader.warnings.push(format!("{file}:{line}: {key}: {text}"));
        }
    }
}

fn end_of(softwire: &Softwire, until: Timestamp) -> (Ipv4Addr, u16, Timestamp) {
    (softwire.ipv4, softwire.port_set.psid(), until)
}

/// The BR address of rows that name none. Where there is none at all, that is the error, not the
/// rows.
fn only_br(config: &Config) -> Option<Ipv6Addr> {
    match config.softwires.br_addresses[..] {
        [] => Some(Ipv6Addr::UNSPECIFIED),
        [only] => Some(only),
        _ => None,
    }
}

/// The softwire of an inline row, or the column that is wrong and what is wrong with it.
fn softwire_of(
    row: &InlineSoftwire,
    only_br: Option<Ipv6Addr>,
) -> Result<Softwire, (&'static str, String)> {
    let missing = |column: usize| (COLUMNS[column], "missing".to_owned());
    let port_set =
        PortSet::new(row.psid_offset, row.psid_len, row.psid).map_err(port_set_problem)?;
    Ok(Softwire {
        ipv4: row.ipv4.ok_or_else(|| missing(0))?,
        port_set,
        b4: row.b4.ok_or_else(|| missing(4))?,
        br: row.br.or(only_br).ok_or_else(|| {
            (COLUMNS[5], "missing: one of the br-addresses, as there are several".to_owned())
        })?,
    })
}
