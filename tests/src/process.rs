//! Processes that end with the test.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{DEADLINE, wait::wait_for};

/// A child process, what it wrote so far, and its end: it is killed when this value is dropped.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; `name` is for messages.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let (output, errors) = (Arc::default(), Arc::default());
        let readers = vec![
            keep(child.stdout.take().expect("piped above"), Arc::clone(&output)),
            keep(child.stderr.take().expect("piped above"), Arc::clone(&errors)),
        ];
        Self { name: name.to_owned(), child, output, errors, readers }
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Both, for the message of a failure.
    pub fn story(&self) -> String {
        format!("--- {} wrote\n{}\n--- and to standard error\n{}\n---", self.name, self.output(), self.errors())
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn signal(&self, signal: Signal) {
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.unwrap_or_else(|error| panic!("{} takes no {signal:?}: {error}\n{}", self.name, self.story()));
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only when it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it ends by itself and everything that it wrote is read.
    ///
    /// # Panics
    /// When it still runs after `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = wait_for(&what, deadline, || self.ended());
        // A child of the child may hold the pipe open for longer; what it writes does not matter here.
        wait_for_readers(&mut self.readers);
        status
    }

    /// Asks `condition` until it gives a value, and fails at once when the process ends before.
    ///
    /// # Panics
    /// When the process ends, or after the usual deadline.
    pub fn wait_until<T>(&mut self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let end = std::time::Instant::now() + DEADLINE;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            if let Some(status) = self.ended() {
                wait_for_readers(&mut self.readers);
                panic!("{} ended ({status}) before: {what}\n{}", self.name, self.story());
            }
            assert!(std::time::Instant::now() < end, "waited {DEADLINE:?} in vain: {what}\n{}", self.story());
            crate::wait::pause();
        }
    }

    /// Waits until standard output holds `text`.
    ///
    /// # Panics
    /// When the process ends before, or after the usual deadline.
    pub fn wait_for_output(&mut self, text: &str) {
        let output = Arc::clone(&self.output);
        self.wait_until(&format!("{text:?} on standard output"), || {
            output.lock().unwrap_or_else(PoisonError::into_inner).contains(text).then_some(())
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            // The test harness shows it with the failed test.
            eprint_story(&self.story());
        }
    }
}

#[expect(clippy::print_stderr, reason = "the story of a failed test goes where the test's own output goes")]
fn eprint_story(story: &str) {
    eprintln!("{story}");
}

fn wait_for_readers(readers: &mut Vec<JoinHandle<()>>) {
    let end = std::time::Instant::now() + Duration::from_secs(1);
    while std::time::Instant::now() < end && readers.iter().any(|reader| !reader.is_finished()) {
        crate::wait::pause();
    }
    readers.retain(|reader| !reader.is_finished());
}

fn keep(stream: impl Read + Send + 'static, text: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// The living children of process `pid`, each with its command line.
pub fn children_of(pid: u32) -> Vec<(u32, String)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| state_and_parent(*child).is_some_and(|(state, parent)| parent == pid && state != 'Z'))
        .map(|child| {
            let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            (child, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

/// Whether process `pid` runs: one that ended and waits for its parent to notice does not.
pub fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z')
}

fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, blanks and parentheses too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Kills process `pid`, as `kill -9` does, and waits until it is gone.
pub(crate) fn kill_now(pid: u32) {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // It fails when it is gone, which is what is wanted.
    let _ = kill_process(id, Signal::KILL);
    wait_for(&format!("process {pid} is gone"), DEADLINE, || (!is_alive(pid)).then_some(()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_and_killed_with_the_guard() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready; echo oh >&2; sleep 1000 & wait"]);
        let mut process = Process::spawn("a shell", command);
        process.wait_for_output("ready");
        let children = wait_for("the child", DEADLINE, || Some(children_of(process.pid())).filter(|c| !c.is_empty()));
        assert!(children[0].1.contains("sleep 1000"), "{children:?}");
        assert!(process.story().contains("oh"));
        let pid = process.pid();
        drop(process);
        assert!(!is_alive(pid));
        kill_now(children[0].0);
        assert!(!is_alive(children[0].0));
    }
}
