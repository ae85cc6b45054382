//! `lwaftr`, the command.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(problem) = vnf::cpu_level::check() {
        eprintln!("lwaftr: {problem}");
        return ExitCode::from(4);
    }
    vnf::cli::main()
}
