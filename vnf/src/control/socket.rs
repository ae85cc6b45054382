//! The Unix socket: one live instance behind each path, and only people it trusts in front.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::actor::user_name;
use super::error::ControlError;

/// Members of this group may use the socket, where the group exists.
const GROUP: &str = "lwaftr";

/// The socket of a running instance; gone when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Locked as long as the instance lives, also when it is killed.
    _lock: File,
}

impl Socket {
    /// Begins to listen. What a killed instance left is replaced; a live one is never disturbed.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let failed = |error: io::Error| {
            ControlError::refused(format!(
                "socket {}: {error}: run as root, or have a directory there that this user \
                 may write to (systemd: RuntimeDirectory=), or name another with \
                 instance.control-socket or api.socket",
                path.display()
            ))
        };
        let in_use = || {
            ControlError::refused(format!(
                "socket {}: another instance is running there: stop it, or give this one \
                 another instance.name",
                path.display()
            ))
        };
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
        }
        let lock = lock_file(path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(in_use()),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ControlError::refused(format!(
                    "socket {}: there is something else of that name: move it away",
                    path.display()
                )));
            }
            // Somebody listens who knows nothing of our lock.
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(in_use()),
            Ok(_) => {
                tracing::info!("{}: left by an instance that died; replaced", path.display());
                fs::remove_file(path).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        // Who connects before this is checked by its credentials all the same.
        fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed)?;
        if let Some(group) = trusted_group() {
            std::os::unix::fs::chown(path, None, Some(group.id)).map_err(failed)?;
        }
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For the async runtime.
    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The lock is still held, so it is ours; a second removal harms nobody.
        _ = fs::remove_file(&self.path);
    }
}

/// Opens `PATH.lock`.
fn lock_file(path: &Path) -> io::Result<File> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(lock)
}

/// May a peer with these ids give orders? Root, our own user, and the group's members may.
pub(crate) fn is_trusted(uid: u32, gid: u32) -> bool {
    uid == 0
        || uid == rustix::process::geteuid().as_raw()
        || trusted_group().is_some_and(|group| {
            group.id == gid || user_name(uid).is_some_and(|name| group.members.contains(&name))
        })
}

struct Group {
    id: u32,
    members: Vec<String>,
}

/// The group, as /etc/group has it now: people join and leave while the instance runs.
fn trusted_group() -> Option<Group> {
    let text = fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(parse_group)
}

/// `lwaftr:x:998:ann,bob`
fn parse_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    if fields.next() != Some(GROUP) {
        return None;
    }
    let id = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or_default().split(',').map(str::to_owned).collect();
    Some(Group { id, members })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ErrorKind;

    #[test]
    fn a_live_socket_is_left_alone_and_a_dead_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/a.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let error = Socket::bind(&path).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("another instance is running"), "{error}");
        drop(socket);
        assert!(!path.exists());

        // What kill -9 leaves: a socket without listener and a lock that nobody holds.
        drop(UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(socket);

        // A listener that knows nothing of locks.
        let stranger = UnixListener::bind(&path).unwrap();
        assert_eq!(Socket::bind(&path).unwrap_err().kind, ErrorKind::Refused);
        drop(stranger);

        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(Socket::bind(&path).unwrap_err().message.contains("something else"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn root_and_ourselves_are_trusted() {
        assert!(is_trusted(0, 0));
        let own = rustix::process::geteuid().as_raw();
        assert!(is_trusted(own, 4_000_000_000));
        let stranger = if own == 4_000_000_001 { 4_000_000_002 } else { 4_000_000_001 };
        assert!(!is_trusted(stranger, 4_000_000_000));
    }

    #[test]
    fn group_lines() {
        let group = parse_group("lwaftr:x:998:ann,bob").unwrap();
        assert_eq!((group.id, group.members), (998, vec!["ann".to_owned(), "bob".to_owned()]));
        assert!(parse_group("lwaftrx:x:998:ann").is_none());
        assert!(parse_group("lwaftr:x:many:ann").is_none());
    }
}
