//! The relay itself (RFC 7596), free of DPDK: frames and a snapshot in, verdicts and frames out.

mod settings;

pub use settings::{
    DecapDscp, DecapTtl, Dscp, Ecn, External, FlowLabel, Hairpinning, Internal, Link, NextHop,
    Policy, Rates, Settings,
};
