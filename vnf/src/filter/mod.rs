//! Packet filters in tcpdump's language (Q1). libpcap compiles an expression to a program of the
//! classic packet filter machine, which is checked here and then runs in one of two ways, with the
//! same verdicts: interpreted, which is safe Rust and needs nothing; or, on the packet path of an
//! instance, as machine code that DPDK makes of its translation to the machine's extended form.
//!
//! | file | what it does |
//! | --- | --- |
//! | `compile` | an expression becomes a program, or an error that points into it |
//! | `locate` | where in an expression the mistake is |
//! | `program` | the instructions, and what a program must be |
//! | `interpreter` | runs a program |
//! | `extended` | translates a program for machine code |

mod compile;
mod extended;
mod interpreter;
mod locate;
mod program;

pub use extended::{Layout, translate};
pub use program::Program;

use std::fmt;
use std::sync::Arc;

use compile::compile;

/// A filter: a packet passes if it matches. Cheap to clone.
#[derive(Clone)]
pub struct Filter {
    expression: Arc<str>,
    program: Arc<Program>,
    native: Option<Arc<dyn Native>>,
}

/// Another form of a filter's program, with the same verdicts, that runs faster.
pub trait Native: Send + Sync + fmt::Debug {
    /// Does this packet, from its IP header on, match?
    fn matches(&self, packet: &[u8]) -> bool;
}

impl Filter {
    /// The most bytes of an expression.
    pub const LONGEST: usize = 16_384;

    /// Compiles an expression for packets that start with their IP header. The error says what is
    /// wrong, shows the expression and points at the place.
    pub fn new(expression: &str) -> Result<Self, String> {
        let program = Arc::new(compile(expression)?);
        Ok(Self { expression: expression.into(), program, native: None })
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

    /// Lets this run instead of the interpreter.
    pub fn accelerate(&mut self, native: Arc<dyn Native>) {
        self.native = Some(native);
    }

    /// Does something faster than the interpreter run?
    #[must_use]
    pub fn is_accelerated(&self) -> bool {
        self.native.is_some()
    }

    /// Does this packet, from its IP header to its end, match?
    #[must_use]
    pub fn matches(&self, packet: &[u8]) -> bool {
        match &self.native {
            Some(native) => native.matches(packet),
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
