//! The access log: lines go through a bounded queue to a thread of its own, which alone touches the file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tracing::error;

/// Lines that may wait for the writer; past it they are dropped and counted, for traffic must not wait for a disk.
const QUEUE: usize = 16_384;

/// How long a request to flush may take.
const FLUSH: Duration = Duration::from_secs(5);

/// Where lines go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file that is appended to.
    File(PathBuf),
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessLog {
    queue: SyncSender<Message>,
    dropped: Counter,
}

enum Message {
    Line(Vec<u8>),
    Switch(Output),
    Reopen,
    Flush(SyncSender<()>),
}

/// An opened destination.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    path: Option<PathBuf>,
}

impl Output {
    /// Opens `destination`; the folder of a file is made if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub(crate) fn open(destination: &Destination) -> io::Result<Self> {
        let (inner, path): (Box<dyn Write + Send>, _) = match destination {
            Destination::Stdout => (Box::new(io::stdout()), None),
            Destination::File(path) => (Box::new(append(path)?), Some(path.clone())),
        };
        Ok(Self { writer: BufWriter::with_capacity(64 << 10, inner), path })
    }
}

fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

impl AccessLog {
    /// Starts the writer thread on standard output. It ends when the last clone is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(dropped: Counter) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let output = Output::open(&Destination::Stdout)?;
        let counter = dropped.clone();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || write_lines(&lines, output, &counter))?;
        Ok(Self { queue, dropped })
    }

    /// Queues one line, which ends with a line feed; never blocks.
    pub(crate) fn write(&self, line: Vec<u8>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.inc();
        }
    }

    /// Lines queued from now on go to `output`. Blocks while the queue is full.
    pub(crate) fn switch(&self, output: Output) {
        self.tell(Message::Switch(output));
    }

    /// Opens the file anew, after it was moved away by log rotation. Blocks while the queue is full.
    pub(crate) fn reopen(&self) {
        self.tell(Message::Reopen);
    }

    /// Waits until everything queued before is written, at most five seconds.
    pub(crate) fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        self.tell(Message::Flush(done));
        if flushed.recv_timeout(FLUSH).is_err() {
            error!("the access log could not be flushed in time");
        }
    }

    fn tell(&self, message: Message) {
        // The writer ends only with the last sender, so somebody is there.
        let _ = self.queue.send(message);
    }
}

fn write_lines(lines: &Receiver<Message>, mut output: Output, dropped: &Counter) {
    loop {
        // Flush only when nothing waits: under load many lines share one write.
        let message = match lines.try_recv() {
            Ok(message) => Ok(message),
            Err(TryRecvError::Disconnected) => Err(RecvError),
            Err(TryRecvError::Empty) => {
                settle(&mut output, dropped);
                lines.recv()
            }
        };
        match message {
            Ok(Message::Line(line)) => {
                if let Err(error) = output.writer.write_all(&line) {
                    dropped.inc();
                    error!(%error, "an access-log line could not be written");
                }
            }
            Ok(Message::Switch(next)) => {
                settle(&mut output, dropped);
                output = next;
            }
            Ok(Message::Reopen) => {
                settle(&mut output, dropped);
                if let Some(path) = output.path.clone() {
                    match Output::open(&Destination::File(path)) {
                        Ok(next) => output = next,
                        Err(error) => error!(%error, "the access log could not be opened again; the old file is kept"),
                    }
                }
            }
            Ok(Message::Flush(done)) => {
                settle(&mut output, dropped);
                let _ = done.send(());
            }
            Err(RecvError) => {
                settle(&mut output, dropped);
                return;
            }
        }
    }
}

fn settle(output: &mut Output, dropped: &Counter) {
    if let Err(error) = output.writer.flush() {
        // What a full disk did not take is given up, or the buffer would fail every later line too.
        dropped.inc();
        error!(%error, "the access log could not be written");
        let inner: Box<dyn Write + Send> = Box::new(io::sink());
        let failed = std::mem::replace(&mut output.writer, BufWriter::new(inner));
        let (inner, _) = failed.into_parts();
        output.writer = BufWriter::with_capacity(64 << 10, inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_the_file_in_order_and_survive_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/access.log");
        let log = AccessLog::start(Counter::default()).unwrap();
        log.switch(Output::open(&Destination::File(path.clone())).unwrap());
        log.write(b"1\n".to_vec());
        log.write(b"2\n".to_vec());
        log.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n");
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        log.reopen();
        log.write(b"3\n".to_vec());
        log.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n");
    }

    #[test]
    fn a_full_disk_drops_lines_and_counts_them() {
        let dropped = Counter::default();
        let log = AccessLog::start(dropped.clone()).unwrap();
        log.switch(Output::open(&Destination::File("/dev/full".into())).unwrap());
        log.write(b"lost\n".to_vec());
        log.flush();
        assert!(dropped.get() >= 1);
    }
}
