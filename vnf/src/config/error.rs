//! What is wrong with a configuration: all of it at once, each with its place.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// So many are printed; the others are counted.
const PRINTED: usize = 50;

/// One thing that is wrong. Prints as `file:line: key: what is wrong: what would be right`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration file, or the table file.
    pub file: Arc<Path>,
    /// The line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// `table.key`, or a column of the table file; empty when it is about the file as a whole.
    pub key: String,
    /// What is wrong: what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.problem)
    }
}

/// Everything that is wrong with a configuration; never empty. Prints one error a line, the first
/// fifty of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    /// Errors that nobody described because there were so many.
    undescribed: usize,
}

impl ConfigErrors {
    /// The errors: those of the configuration file first, then those of the table file, by line.
    #[must_use]
    pub fn described(&self) -> &[ConfigError] {
        &self.errors
    }

    /// How many errors there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.errors.len() + self.undescribed
    }

    pub(super) fn push(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    pub(super) fn add_undescribed(&mut self, more: usize) {
        self.undescribed += more;
    }

    /// Puts them into the order of the files, `first` before others.
    pub(super) fn sort(&mut self, first: &Path) {
        self.errors.sort_by(|a, b| {
            let key = |error: &ConfigError| (*error.file != *first, error.line);
            key(a).cmp(&key(b))
        });
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = &self.errors[..self.errors.len().min(PRINTED)];
        for (index, error) in printed.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        match self.count() - printed.len() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for ConfigErrors {}
