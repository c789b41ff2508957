//! Encryption at rest: secrets in the control plane's database and in a data plane's state directory.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{AeadInPlace, Key, KeyInit, XChaCha20Poly1305, XNonce};

const NONCE: usize = 24;

/// A 256-bit key (XChaCha20-Poly1305) for bytes that lie on this machine's disk.
pub struct SealKey(XChaCha20Poly1305);

/// Why sealed bytes did not open: another key, another context, or they were changed.
#[derive(Debug, thiserror::Error)]
#[error("sealed bytes do not open: they were changed, or written with another key")]
pub struct OpenError;

impl SealKey {
    /// The key with the base64 text `text`.
    ///
    /// # Errors
    /// A sentence, if it is not 32 bytes in base64.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).map_err(|error| format!("the key is not base64: {error}"))?;
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|bytes: Vec<u8>| format!("the key has {} bytes, not 32", bytes.len()))?;
        Ok(Self(XChaCha20Poly1305::new(Key::from_slice(&bytes))))
    }

    /// The key in the file at `path`, which is made with a random key (mode 0600) if it is missing.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no key.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        let text = read_or_create(path, || STANDARD.encode(random::<32>()))?;
        Self::from_base64(&text)
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display())))
    }

    /// Encrypts `plain`; only [`open`](Self::open) with the same `context` gives it back.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = random();
        let mut sealed = plain.to_vec();
        self.0
            .encrypt_in_place(XNonce::from_slice(&nonce), context.as_bytes(), &mut sealed)
            .expect("encrypting into a vector fails only past 256 GiB");
        [&nonce[..], &sealed].concat()
    }

    /// Decrypts what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// The bytes, the key or the context are not those of sealing.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(OpenError)?;
        let mut plain = sealed.to_vec();
        self.0.decrypt_in_place(XNonce::from_slice(nonce), context.as_bytes(), &mut plain).map_err(|_| OpenError)?;
        Ok(plain)
    }
}

/// The text in the file at `path`, which is made (mode 0600) with what `text` gives if it is missing.
///
/// It is made whole or not at all, so that a full disk or a crash leaves nothing that keeps the next start from working;
/// an empty file, which such a crash may have left all the same, counts as missing. The folder must be this process's.
///
/// # Errors
/// The file cannot be read or written.
pub fn read_or_create(path: &Path, text: impl FnOnce() -> String) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => return Ok(text),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let text = text();
    let temporary = path.with_added_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(text)
}

/// `N` random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random source works once the machine is up");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_only_unchanged_and_in_their_context() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = SealKey::load_or_create(&path).unwrap();
        let sealed = key.seal("secret/1", b"hello");
        assert!(!sealed.windows(5).any(|window| window == b"hello"));
        let again = SealKey::load_or_create(&path).unwrap();
        assert_eq!(again.open("secret/1", &sealed).unwrap(), b"hello");
        assert!(again.open("secret/2", &sealed).is_err());
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(again.open("secret/1", &changed).is_err());
            assert!(again.open("secret/1", &sealed[..position]).is_err());
        }
    }

    #[test]
    fn a_key_file_that_holds_no_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "short").unwrap();
        assert!(SealKey::load_or_create(&path).is_err());
    }

    #[test]
    fn a_file_is_made_once_and_an_empty_one_counts_as_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("name");
        fs::write(&path, "").unwrap();
        fs::write(directory.path().join("name.new"), "of a start that was cut off").unwrap();
        for given in ["first", "second"] {
            assert_eq!(read_or_create(&path, || given.to_owned()).unwrap(), "first");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
