//! The data directory: one process at a time, nobody else's business.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

/// A locked data directory; the lock ends with the value, or with the process.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (mode 0700) if it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("{} cannot be opened", lock_path.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => anyhow::bail!(
                "the data directory {} is in use by another control plane: stop it, or choose another --data-dir",
                path.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be locked", lock_path.display())),
        }
        let data_dir = Self { path: path.to_owned(), _lock: lock };
        // SQLite would make it as readable as the umask allows, and gives its log files the same mode.
        let store = data_dir.store();
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&store)
            .with_context(|| format!("the database {} cannot be opened for writing", store.display()))?;
        Ok(data_dir)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The database.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("tidegate.db")
    }

    /// The key of the secrets in the database.
    pub(crate) fn secret_key(&self) -> PathBuf {
        self.path.join("secret.key")
    }

    /// The first admin token.
    pub(crate) fn admin_token(&self) -> PathBuf {
        self.path.join("admin.token")
    }

    /// Writes the admin token: whole or not at all, and for nobody else to read at any time.
    pub(crate) fn write_admin_token(&self, token: &str) -> io::Result<()> {
        let temporary = self.path.join("admin.token.new");
        // One that a crash left behind may have any mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(format!("{token}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, self.admin_token())?;
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_process_is_told_so() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(first.store()).unwrap().permissions().mode() & 0o777, 0o600);
        let error = DataDir::open(&path).err().unwrap().to_string();
        assert!(error.contains("is in use by another control plane"), "{error}");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_admin_token_is_for_its_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDir::open(parent.path()).unwrap();
        fs::write(parent.path().join("admin.token.new"), "left behind").unwrap();
        for token in ["tg_one", "tg_two"] {
            directory.write_admin_token(token).unwrap();
            assert_eq!(fs::read_to_string(directory.admin_token()).unwrap(), format!("{token}\n"));
            assert_eq!(fs::metadata(directory.admin_token()).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
