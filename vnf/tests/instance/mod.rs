//! A process of the test program itself that is an instance without ports. The program has a test
//! called `instance` that calls [`be`]: it does nothing but in such a process.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};

/// Tells a process to be an instance with this configuration.
const CONFIG: &str = "LWAFTR_TEST_CONFIG";

/// A process that is killed, as by kill -9, when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Is an instance that does this, if the process was started to be one.
pub(crate) fn be(serve: fn(&Path) -> Result<(), Box<dyn Error>>) {
    let Some(config) = std::env::var_os(CONFIG) else { return };
    if let Err(error) = serve(Path::new(&config)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

/// What runs the program once more.
pub(crate) fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// Starts one by a command that runs the program. It has its log and its state beside its configuration;
/// whether it lives is another question.
pub(crate) fn start(command: &mut Command, config: &Path) -> Running {
    let log = File::create(config.with_file_name("log")).unwrap();
    let child = command
        .args(["instance", "--exact", "--nocapture"])
        .env(CONFIG, config)
        .env("STATE_DIRECTORY", config.with_file_name("state"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Running(child.unwrap())
}
