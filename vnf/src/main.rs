//! `lwaftr`, the command.

mod cpu_level;

use std::process::ExitCode;

fn main() -> ExitCode {
    vnf::cli::main()
}
