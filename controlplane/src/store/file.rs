use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::StoreError;

/// What every SQLite database begins with, <https://sqlite.org/fileformat.html>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The file that the connections hold open, as opposed to what lies at its path by now.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl DatabaseFile {
    /// The file at `path`, which was just opened.
    pub(super) fn opened(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }

    /// That the file is still at its path: SQLite goes on with a file that was removed or replaced, and all is lost at the end.
    pub(super) fn check_place(&self) -> Result<(), StoreError> {
        if identity(&self.path)? == self.identity { Ok(()) } else { Err(StoreError::Replaced) }
    }

    /// That it is at its place and is a database still: pages that SQLite has in its cache say nothing about the file.
    pub(super) fn check_content(&self) -> Result<(), StoreError> {
        self.check_place()?;
        let mut begin = [0; MAGIC.len()];
        let read = File::open(&self.path).and_then(|mut file| file.read_exact(&mut begin));
        match read {
            Ok(()) if begin == *MAGIC => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(sqlx::Error::Io(error).into()),
            _ => Err(StoreError::Content("the database file is damaged: it does not begin like a database".to_owned())),
        }
    }
}

fn identity(path: &Path) -> Result<(u64, u64), StoreError> {
    let metadata = fs::metadata(path).map_err(sqlx::Error::Io)?;
    Ok((metadata.dev(), metadata.ino()))
}
