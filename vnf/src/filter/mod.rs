//! Packet filters in tcpdump's language (Q1). libpcap compiles an expression to a program of the
//! classic packet filter machine, which is checked here and then runs in one of two ways, with the
//! same verdicts: interpreted, as a replay does; or as machine code, as an instance does.
//!
//! The machine code is our own. DPDK's converter and code generator were tried first: they load
//! bytes and words behind the wrong register, tests of small bit masks become wrong code, and some
//! random programs got jumps into the middle of instructions.
//!
//! | file | what it does |
//! | --- | --- |
//! | `compile` | an expression becomes a program, or an error that points into it |
//! | `locate` | where in an expression the mistake is |
//! | `program` | the instructions, and what a program must be |
//! | `interpreter` | runs a program |
//! | `machine` | makes machine code of a program |

mod compile;
mod interpreter;
mod locate;
mod machine;
mod program;

pub use program::Program;

use std::sync::Arc;
use std::{fmt, io};

use compile::compile;

use crate::memory::code::Code;

/// A filter: a packet passes if it matches. Cheap to clone.
#[derive(Clone)]
pub struct Filter {
    expression: Arc<str>,
    program: Arc<Program>,
    code: Option<Arc<Code>>,
}

impl Filter {
    /// The most bytes of an expression.
    pub const LONGEST: usize = 16_384;

    /// Compiles an expression for packets that start with their IP header. The error says what is
    /// wrong, shows the expression and points at the place.
    pub fn new(expression: &str) -> Result<Self, String> {
        let program = Arc::new(compile(expression)?);
        Ok(Self { expression: expression.into(), program, code: None })
    }

    /// The expression.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// What it was compiled to.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Makes machine code, which runs from now on; returns how many bytes it has. The error leaves
    /// the filter as it was.
    pub fn accelerate(&mut self) -> io::Result<usize> {
        let code = machine::machine_code(&self.program)?;
        let len = code.len();
        self.code = Some(Arc::new(code));
        Ok(len)
    }

    /// Does machine code run?
    #[must_use]
    pub fn is_accelerated(&self) -> bool {
        self.code.is_some()
    }

    /// Does this packet, from its IP header to its end, match?
    #[must_use]
    pub fn matches(&self, packet: &[u8]) -> bool {
        match &self.code {
            Some(code) => code.run(packet) != 0,
            None => self.program.matches(packet),
        }
    }
}

/// Filters are the same when their expressions are, however they run.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.expression).finish()
    }
}
