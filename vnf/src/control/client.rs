//! The other end of the control socket: what `lwaftr stats` and its like use.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::error::ControlError;
use super::protocol::{LONGEST_REQUEST, Message, Reply, Request};

/// Where instances have their sockets unless told otherwise.
pub const SOCKET_DIRECTORY: &str = "/run/lwaftr";

/// How long an instance may take for an answer that it has at hand.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to load and check a large table, or until such work has ended.
const LONG_PATIENCE: Duration = Duration::from_secs(900);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there, or does not speak to us.
    #[error("{0}")]
    Unreachable(String),
    /// The instance says no.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// A connection to a running instance.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects to the instance behind this socket.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|error| {
            let path = path.display();
            if error.kind() == io::ErrorKind::PermissionDenied {
                return ClientError::Control(ControlError::refused(format!(
                    "{path}: permission denied: be root, or a member of the group lwaftr"
                )));
            }
            ClientError::Unreachable(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
                    "no instance answers at {path}: start one with `lwaftr run CONFIG`, or name \
                     another with --instance NAME or --socket PATH{}",
                    running()
                ),
                _ => format!("{path}: {error}"),
            })
        })?;
        Ok(Self { stream: BufReader::new(stream), path: path.to_owned() })
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, request: Request) -> Result<Value, ClientError> {
        self.ask_for_parts(request, |_| Ok(true))
    }

    /// Asks for a long answer, whose parts are handed to `part` as they come, until that says
    /// false.
    pub fn ask_for_parts<E: From<ClientError>>(
        &mut self,
        request: Request,
        mut part: impl FnMut(Value) -> Result<bool, E>,
    ) -> Result<Value, E> {
        let patience = match request {
            // These wait for a disk.
            Request::Reload(_)
            | Request::SoftwireAdd { .. }
            | Request::SoftwireDel { .. }
            | Request::SoftwireHistory { .. }
            | Request::ConfigDiff
            | Request::ConfigFold
            | Request::ConfigRollback
            | Request::ConfigConfirm => LONG_PATIENCE,
            // So do these, for one line of the audit log.
            Request::Log { .. }
            | Request::Audit { .. }
            | Request::Drain { .. }
            | Request::Undrain
            | Request::Capture(_)
            // Others may be measuring before us.
            | Request::SoftwireTop(_) => 12 * PATIENCE,
            _ => PATIENCE,
        };
        let sent = self.send(request, patience).map_err(|error| self.broken(&error))?;
        sent.map_err(ClientError::from)?;
        loop {
            match self.receive()? {
                Reply::Part(value) => {
                    if !part(value)? {
                        return Ok(Value::Null);
                    }
                }
                Reply::Ok(value) => return Ok(value),
                Reply::Error(error) => return Err(ClientError::from(error).into()),
            }
        }
    }

    fn send(
        &mut self,
        request: Request,
        patience: Duration,
    ) -> io::Result<Result<(), ControlError>> {
        let mut line = serde_json::to_vec(&Message::new(request)).map_err(io::Error::other)?;
        line.push(b'\n');
        if line.len() > LONGEST_REQUEST {
            return Ok(Err(ControlError::usage(format!(
                "{} bytes are more than the {LONGEST_REQUEST} that an instance takes at once: send \
                 fewer softwires, or put them into the table file and reload",
                line.len()
            ))));
        }
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        match stream.write_all(&line) {
            // It hung up on us; it may have said why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(does_not_answer()),
            outcome => outcome.map(Ok),
        }
    }

    fn receive(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(0) => Err(self.broken(&io::Error::other("it closed the connection"))),
            Ok(_) => Reply::parse(&line).map_err(|problem| {
                let path = self.path.display();
                ClientError::Unreachable(format!("{path}: an answer that is none: {problem}"))
            }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(self.broken(&does_not_answer()))
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, error: &io::Error) -> ClientError {
        ClientError::Unreachable(format!("the instance at {}: {error}", self.path.display()))
    }
}

/// It took the connection, or its system did for it, and nothing came.
fn does_not_answer() -> io::Error {
    io::Error::other("does not answer (stopped? `ps` shows its state as T)")
}

/// The instances that answer in the usual place, for a message.
fn running() -> String {
    let Ok(entries) = std::fs::read_dir(SOCKET_DIRECTORY) else { return String::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| control_socket(&entry.ok()?.path())).collect();
    names.sort();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" (there are instances: {})", names.join(", ")),
    }
}

/// The name of the instance behind this path; `None` for the API's socket, and for one that nobody
/// listens at any more.
fn control_socket(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".sock")?;
    (!name.ends_with("-api") && UnixStream::connect(path).is_ok()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_instances_that_answer_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let _here = ["a.sock", "a-api.sock"].map(|name| UnixListener::bind(path(name)).unwrap());
        drop(UnixListener::bind(path("killed.sock")).unwrap());
        assert_eq!(control_socket(&path("a.sock")).as_deref(), Some("a"));
        for other in ["a-api.sock", "killed.sock", "a.sock.lock"] {
            assert_eq!(control_socket(&path(other)), None, "{other}");
        }
    }
}
