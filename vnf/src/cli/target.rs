//! Which running instance a verb talks to.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::control::client::{Client, ClientError, SOCKET_DIRECTORY};
use crate::control::{ControlError, ErrorKind};

/// Options of every verb that talks to a running instance.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which instance")]
pub struct Target {
    /// The instance's name (`instance.name` of its configuration)
    #[arg(long, value_name = "NAME", default_value = "lwaftr", global = true)]
    pub instance: String,

    /// Its control socket, when that is not /run/lwaftr/NAME.sock
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
}

impl Target {
    /// Connects to the instance.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let usual = || Path::new(SOCKET_DIRECTORY).join(format!("{}.sock", self.instance));
        let path = self.socket.clone().unwrap_or_else(usual);
        Ok(Client::connect(&path)?)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable(text) => Self::Unreachable(text),
            ClientError::Control(error) => error.into(),
        }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error.kind {
            ErrorKind::Refused => Self::Refused(error.message),
            ErrorKind::Files => Self::Files(error.message),
            ErrorKind::Usage => Self::Usage(error.message),
            ErrorKind::Internal => Self::Internal(error.message),
        }
    }
}
