//! Files that are replaced as a whole: after a power failure there is the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces what a file holds, or makes it: written aside, synced, renamed. Where there is a link,
/// what it points to is replaced. Owner and mode stay as they were.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(&path).ok();
    let mode = before.as_ref().map_or(0o640, |before| before.mode() & 0o7777);
    let aside = aside(&path);
    let made = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
        write(&mut file)?;
        if let Some(before) = &before {
            file.set_permissions(before.permissions())?;
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.sync_all()?;
        fs::rename(&aside, &path)
    })();
    if made.is_err() {
        // What could not be completed is of no use, and takes room where there may be none.
        _ = fs::remove_file(&aside);
        return made;
    }
    sync_directory(&path)
}

/// Makes a directory for what an instance keeps, and what is missing above it, so that they survive a
/// power failure. Who had which address is nobody else's business.
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory_of(directory);
    create_directory(above)?;
    match fs::DirBuilder::new().mode(0o750).create(directory) {
        // Another instance was faster.
        Err(_) if directory.is_dir() => {}
        created => created?,
    }
    File::open(above)?.sync_all()
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Takes a file away; that it is not there is well.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    aside.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_an_instance_keeps_is_not_for_everybody() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("state/history");
        create_directory(&directory).unwrap();
        create_directory(&directory).unwrap();
        for directory in [directory.as_path(), directory.parent().unwrap()] {
            let mode = fs::metadata(directory).unwrap().permissions().mode();
            assert_eq!(mode & 0o777 & !0o750, 0, "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let failed = replace(&link, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
        replace(&link, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o604);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
