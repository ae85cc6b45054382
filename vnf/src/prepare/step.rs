//! One thing to do to a machine.

use std::fmt;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep the cards' MAC addresses, as the lines of [`crate::frame::nic::REMEMBERED`].
    Remember(String),
    /// Load a kernel module.
    Load(&'static str),
    /// Let the service use the devices of this driver, which needs more rights than vfio-pci.
    Allow,
    /// Have so many hugepages of this size in a directory of the kernel's; where they cannot be had
    /// in such large pieces, as much memory in pages of 2 MiB.
    Hugepages {
        /// Where they are counted: the machine's, or those of a NUMA node.
        directory: String,
        /// Their size.
        kilobytes: u64,
        /// How many there shall be.
        count: u64,
    },
    /// Hand a card to DPDK.
    Bind {
        /// Its PCI address.
        address: String,
        /// The driver that it gets.
        driver: &'static str,
        /// Why that one.
        why: &'static str,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remember(lines) => {
                write!(f, "remember which card is which: {}", lines.trim().replace('\n', "; "))
            }
            Self::Load(module) => write!(f, "load the kernel module {module}"),
            Self::Allow => f.write_str(
                "let the service see physical addresses, which it needs without an IOMMU",
            ),
            Self::Hugepages { directory, kilobytes, count } => {
                write!(f, "reserve hugepages: {count} of {kilobytes} kB in {directory}")
            }
            Self::Bind { address, driver, why } => {
                write!(f, "hand {address} to DPDK by {driver}: {why}")
            }
        }
    }
}
