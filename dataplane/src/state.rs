//! The state directory: who this data plane is, and the last good snapshots for a start without the control plane.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use shared::{
    protocol::{BodyHash, InstanceId, Material, Snapshot},
    seal::{SealKey, read_or_create},
};
use tracing::warn;
use uuid::Uuid;

const CURRENT: &str = "snapshot";
const PREVIOUS: &str = "snapshot.previous";
const MATERIAL: &str = "material";

/// The state directory, locked while this lives.
pub(crate) struct StateDir {
    path: PathBuf,
    key: SealKey,
    /// Which data plane this is.
    pub(crate) instance: InstanceId,
    _lock: File,
}

impl StateDir {
    /// Opens the directory at `path`, which is made (0700) if it is missing.
    ///
    /// # Errors
    /// Another data plane uses it, or it cannot be read and written.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("state directory {}: {error}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(named)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(named)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            let reason = if error == rustix::io::Errno::WOULDBLOCK {
                "another data plane uses it".to_owned()
            } else {
                error.to_string()
            };
            named(io::Error::other(reason))
        })?;
        let instance = instance(path).map_err(named)?;
        let key = SealKey::load_or_create(&path.join("state.key")).map_err(named)?;
        Ok(Self { path: path.to_owned(), key, instance, _lock: lock })
    }

    /// The snapshots on disk, newest first; one that was damaged is left out with a warning.
    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        [CURRENT, PREVIOUS].iter().filter_map(|name| self.readable(name, read_snapshot)).collect()
    }

    /// Writes `snapshot` as the newest; the one before it is kept too, unless it was damaged: then the one before that.
    ///
    /// # Errors
    /// The disk. What was there stays.
    pub(crate) fn save_snapshot(&self, snapshot: &Snapshot) -> io::Result<()> {
        let body = serde_json::to_vec(snapshot)?;
        let mut bytes = format!("{}\n", BodyHash::of(&body)).into_bytes();
        bytes.extend_from_slice(&body);
        let temporary = self.write_temporary(CURRENT, &bytes)?;
        if self.readable(CURRENT, read_snapshot).is_some() {
            self.keep_as_previous()?;
        }
        self.settle(&temporary, CURRENT)
    }

    /// Gives the newest a second name, so that there is a newest at every moment.
    fn keep_as_previous(&self) -> io::Result<()> {
        let (current, linked) = (self.path.join(CURRENT), self.path.join(format!("{PREVIOUS}.new")));
        // One that a crash left behind.
        match fs::remove_file(&linked) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Not every file system has links.
        fs::hard_link(&current, &linked).or_else(|_| fs::copy(&current, &linked).map(drop))?;
        fs::rename(&linked, self.path.join(PREVIOUS))
    }

    /// The material on disk, if any.
    pub(crate) fn material(&self) -> Option<Material> {
        self.readable(MATERIAL, |bytes| {
            let plain = self.key.open(MATERIAL, bytes).map_err(|error| error.to_string())?;
            serde_json::from_slice(&plain).map_err(|error| error.to_string())
        })
    }

    /// Writes `material`, encrypted.
    ///
    /// # Errors
    /// The disk. What was there stays.
    pub(crate) fn save_material(&self, material: &Material) -> io::Result<()> {
        let sealed = self.key.seal(MATERIAL, &serde_json::to_vec(material)?);
        let temporary = self.write_temporary(MATERIAL, &sealed)?;
        self.settle(&temporary, MATERIAL)
    }

    fn readable<T>(&self, name: &str, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Option<T> {
        let path = self.path.join(name);
        let read = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            read => read.map_err(|error| error.to_string()),
        };
        read.and_then(|bytes| parse(&bytes))
            .inspect_err(|reason| warn!(path = %path.display(), reason, "a state file is not used"))
            .ok()
    }

    fn write_temporary(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.path.join(format!("{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(path)
    }

    fn settle(&self, temporary: &Path, name: &str) -> io::Result<()> {
        fs::rename(temporary, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }
}

fn instance(path: &Path) -> io::Result<InstanceId> {
    let text = read_or_create(&path.join("instance"), || format!("{}\n", Uuid::new_v4()))?;
    text.trim().parse().map(InstanceId).map_err(|_| io::Error::other("the file `instance` holds no UUID"))
}

/// A digest of the rest in hexadecimal digits, a line feed, the snapshot as JSON.
fn read_snapshot(bytes: &[u8]) -> Result<Snapshot, String> {
    let position = bytes.iter().position(|byte| *byte == b'\n').ok_or("the file has no first line")?;
    let (digest, body) = (&bytes[..position], &bytes[position + 1..]);
    if digest != BodyHash::of(body).to_string().as_bytes() {
        return Err("the file's digest is wrong: it was cut off or changed".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use shared::{
        config::Config,
        protocol::{Revision, StoreId},
    };

    use super::*;

    fn snapshot(revision: u64) -> Snapshot {
        Snapshot::new(StoreId(Uuid::nil()), Revision(revision), &Config::default())
    }

    fn revisions(state: &StateDir) -> Vec<u64> {
        state.snapshots().iter().map(|snapshot| snapshot.revision.0).collect()
    }

    #[test]
    fn the_last_two_are_kept_and_a_damaged_one_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("state")).unwrap();
        assert!(state.snapshots().is_empty());
        for revision in 1..=3 {
            state.save_snapshot(&snapshot(revision)).unwrap();
        }
        assert_eq!(revisions(&state), [3, 2]);
        let current = directory.path().join("state").join(CURRENT);
        let whole = fs::read(&current).unwrap();
        for damaged in [&whole[..whole.len() - 1], &b""[..], b"\n", b"x\n{}"] {
            fs::write(&current, damaged).unwrap();
            assert_eq!(revisions(&state), [2]);
        }
    }

    #[test]
    fn material_lies_encrypted() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        assert!(state.material().is_none());
        let material = Material { secrets: [("id".to_owned(), "c2VjcmV0".to_owned())].into(), ..Material::default() };
        state.save_material(&material).unwrap();
        assert!(state.material() == Some(material));
        let bytes = fs::read(directory.path().join(MATERIAL)).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"c2VjcmV0"));
    }

    #[test]
    fn one_directory_serves_one_process_and_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateDir::open(directory.path()).unwrap();
        assert!(StateDir::open(directory.path()).is_err_and(|error| error.to_string().contains("another data plane")));
        let instance = first.instance;
        drop(first);
        assert_eq!(StateDir::open(directory.path()).unwrap().instance, instance);
    }

    #[test]
    fn a_first_start_that_was_cut_off_can_be_repeated() {
        for file in ["instance", "state.key"] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(file), b"").unwrap();
            assert!(StateDir::open(directory.path()).is_ok(), "{file}");
        }
    }

    #[test]
    fn a_damaged_copy_never_replaces_a_good_one() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        state.save_snapshot(&snapshot(1)).unwrap();
        state.save_snapshot(&snapshot(2)).unwrap();
        fs::write(directory.path().join(CURRENT), b"damaged").unwrap();
        assert_eq!(revisions(&state), [1]);
        state.save_snapshot(&snapshot(3)).unwrap();
        assert_eq!(revisions(&state), [3, 1]);
    }
}
