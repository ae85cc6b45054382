//! The relay under test as its own configuration tells of it: addresses, tables, flows.

use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vnf::config::{self, Config};
use vnf::softwire::{BindingTable, Softwire, TableWriter, file};

use super::direction::Direction;
use super::failure::Failure;
use super::flows::{Agreement, Flows};
use super::mix::Mix;

/// Errors of a table file that are printed.
const SHOWN: usize = 10;

/// The relay's configuration and everything derived from it.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) config: Config,
    /// Files that the table will be replaced with in turn; none where it stays what it is.
    pub(crate) tables: Vec<PathBuf>,
    pub(crate) softwires: usize,
    encap: Arc<Flows>,
    /// `None` where no B4 keeps its tunnel in all tables.
    decap: Option<Arc<Flows>>,
}

impl Relay {
    /// Reads the configuration with its table, and the tables that will follow. The first of
    /// `tables` is the one in force now.
    pub(crate) fn read(
        path: &Path,
        tables: &[PathBuf],
        flows: usize,
        seed: u64,
    ) -> Result<Self, Failure> {
        let (mut config, writer) =
            config::load_with_table(path).map_err(|errors| Failure::new(errors.to_string()))?;
        let softwires = config.rows().to_vec();
        config.forget_rows();
        let mut built = vec![Arc::clone(writer.table())];
        for table in tables.iter().skip(1) {
            built.push(read_table(table, &config)?);
        }
        let draw = |agreement| {
            let drawn = Flows::draw(&softwires, &built, agreement, flows, seed);
            drawn.map(Arc::new)
        };
        let encap = draw(Agreement::Each).ok_or_else(|| {
            Failure::new(format!(
                "{}: too few softwires are in every table to make {flows} flows of: a table with \
                 softwires, and --tables that share most of them",
                path.display()
            ))
        })?;
        let decap = if built.len() == 1 { Some(Arc::clone(&encap)) } else { draw(Agreement::Same) };
        Ok(Self { softwires: softwires.len(), tables: tables.to_vec(), config, encap, decap })
    }

    /// The flows of a direction.
    pub(crate) fn flows(&self, direction: Direction) -> Result<&Arc<Flows>, Failure> {
        match direction {
            Direction::Encap => Ok(&self.encap),
            Direction::Decap => self.decap.as_ref().ok_or_else(|| {
                Failure::new(
                    "too few B4s keep their tunnel in all --tables: what the others send is \
                     dropped, rightly, by one of the tables: --directions encap, or tables that \
                     share some softwires",
                )
            }),
        }
    }

    /// How many flows there are.
    pub(crate) fn flow_count(&self) -> usize {
        self.encap.len()
    }

    /// Every frame of the mix must fit both links in one piece.
    pub(crate) fn check_fits(&self, mix: &Mix) -> Result<(), Failure> {
        let packet = mix.largest_packet();
        let (external, internal) = (self.config.external.mtu, self.config.internal.mtu);
        if packet <= external && packet + 40 <= internal {
            return Ok(());
        }
        Err(Failure::new(format!(
            "frame size {mix}: its packets of {packet} bytes do not fit the relay's links in one \
             piece: external.mtu at least {packet} (it is {external}), internal.mtu at least {} \
             (it is {internal}), or --frame-sizes without it",
            packet + 40
        )))
    }

    /// Bytes of the VLAN tag on the internal link.
    pub(crate) fn tag(&self) -> u16 {
        if self.config.internal.vlan == 0 { 0 } else { 4 }
    }
}

/// A table file that obeys the relay's rules.
fn read_table(path: &Path, config: &Config) -> Result<Arc<BindingTable>, Failure> {
    let wrong = |text: String| Failure::new(format!("--tables {}: {text}", path.display()));
    let bytes = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let only_br: Option<Ipv6Addr> = match &*config.softwires.br_addresses {
        [only] => Some(*only),
        _ => None,
    };
    let parsed = file::parse(&bytes, only_br);
    if !parsed.errors.is_empty() {
        let line = |error: &file::LineError| {
            format!("\n  line {}: {}: {}", error.line, error.key, error.problem)
        };
        return Err(wrong(parsed.errors.iter().take(SHOWN).map(line).collect()));
    }
    build(&parsed.softwires, config).map_err(wrong)
}

fn build(softwires: &[Softwire], config: &Config) -> Result<Arc<BindingTable>, String> {
    match TableWriter::build(softwires, &config.rules()) {
        Ok(writer) => Ok(Arc::clone(writer.table())),
        Err(errors) => Err(format!(
            "{} of its rows contradict others or the configuration: `lwaftr check` with this \
             table as softwires.file says which",
            errors.len()
        )),
    }
}
