//! The control socket: whoever reaches it may configure nothing but can read secrets, so it is this user's only.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};
use uuid::Uuid;

/// How long to wait after the system refused to accept, which it does for lack of file descriptors or memory.
const RETRY: Duration = Duration::from_millis(100);

/// A bound control socket. Its file goes when it is dropped.
pub(super) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
}

impl ControlSocket {
    /// Binds `path` with mode 0600 and replaces a socket file on which nobody listens.
    ///
    /// # Errors
    /// `AddrInUse`: another process listens there. `AlreadyExists`: `path` is no socket. Else what the system says.
    pub(super) async fn bind(path: PathBuf) -> io::Result<Self> {
        let failed = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on the control socket {}: {error}", path.display()))
        };
        refuse_occupied(&path).await.map_err(failed)?;
        let listener = bind_private(&path).map_err(failed)?;
        info!(socket = %path.display(), "listening for data planes");
        Ok(Self { listener, path, uid: rustix::process::geteuid().as_raw() })
    }

    /// The next connection of a process that may talk to this one.
    pub(super) async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream))) {
                Ok((peer, stream)) if trusted(peer.uid(), self.uid) => return stream,
                Ok((peer, _)) => warn!(
                    uid = peer.uid(),
                    pid = peer.pid(),
                    "refused a control connection: only this process's user ({}) and root may dial",
                    self.uid
                ),
                Err(error) => {
                    warn!(%error, "cannot accept a control connection");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Before the listener closes: afterwards the file could be another process's.
        if let Err(error) = fs::remove_file(&self.path) {
            warn!(socket = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

/// Whether a process of user `peer` may dial one of user `own`.
fn trusted(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Fails unless `path` is free or a socket on which nobody listens.
async fn refuse_occupied(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => {
            let message = "the path is taken by something that is no socket; move it away";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match UnixStream::connect(path).await.map_err(|error| (error.kind(), error)) {
        // Nobody listens, or the file went in the meantime.
        Err((io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound, _)) => Ok(()),
        // A full queue of connections is somebody's too.
        Ok(_) | Err((io::ErrorKind::WouldBlock, _)) => {
            let message = "another process listens there; stop it, or use another data directory";
            Err(io::Error::new(io::ErrorKind::AddrInUse, message))
        }
        Err((_, error)) => Err(error),
    }
}

/// Binds in a directory that nobody else can enter and moves the socket to `path` when its mode is right, over a stale one.
///
/// So there is no moment at which the socket is open to more than its owner, and none at which `path` is half made.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // Short, because the path of a socket has 107 bytes; random, because a killed process may have left one behind.
    let directory = path.with_file_name(format!(".{:08x}", Uuid::new_v4().as_fields().0));
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let bound = (|| {
        let private = directory.join("s");
        let listener = UnixListener::bind(&private)?;
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600))?;
        fs::rename(&private, path)?;
        Ok(listener)
    })();
    // Its content, the socket, is at its place, or the attempt failed: neither is a reason to fail now.
    let _ = fs::remove_dir_all(&directory);
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_and_root_are_trusted() {
        for (peer, own, expected) in [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (1000, 0, false)] {
            assert_eq!(trusted(peer, own), expected, "{peer} at {own}");
        }
    }
}
