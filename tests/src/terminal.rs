//! A command on a terminal.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{DEADLINE, wait_for};

/// A command whose standard output is a terminal, and what it wrote so far. It is killed when this value is dropped.
pub struct Terminal {
    child: Child,
    written: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts `command` on a terminal of so many rows and columns.
    ///
    /// # Panics
    /// When there is no terminal, or the command cannot be started.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("the terminal is ours");
        unlockpt(&master).expect("the terminal is ours");
        let name = ptsname(&master, Vec::new()).expect("the terminal has a name");
        let name = name.to_str().expect("it is a path");
        let terminal = OpenOptions::new().read(true).write(true).open(name).expect("the terminal opens");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("the terminal takes a size");
        let other = || terminal.try_clone().expect("a descriptor");
        let child = command.stdin(other()).stdout(other()).stderr(other()).spawn().expect("the command starts");
        let written = Arc::<Mutex<String>>::default();
        let (all, mut from) = (Arc::clone(&written), File::from(master));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends by an error once the command has.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                all.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Self { child, written }
    }

    /// All that it wrote so far, control sequences too.
    pub fn written(&self) -> String {
        let text = self.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The terminal makes of each end of a line both characters.
        text.replace("\r\n", "\n")
    }

    /// Asks it to end, as Ctrl-C does, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn interrupt(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
        wait_for("it ends", DEADLINE, || self.child.try_wait().expect("it is a child"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
