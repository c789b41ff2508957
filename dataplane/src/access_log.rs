//! The access log: workers collect lines and hand them through a bounded queue to a thread of its own, which alone writes.
//!
//! Nothing here waits for the reader of the log: lines that find no place are dropped and counted, and what the writer is
//! told besides lies in a slot that it looks at between lines.

mod line;
mod lines;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use rustix::fs::OFlags;
use tracing::{error, info};

pub(crate) use line::Line;
pub(crate) use lines::Lines;

/// Batches that may wait for the writer; past it lines are dropped and counted, for traffic must not wait for a disk.
const QUEUE: usize = 128;

/// Bytes of lines that are handed over at one time.
const BATCH: usize = 64 << 10;

/// Bytes that are written at one time.
const BUFFER: usize = 64 << 10;

/// Bytes of lines that are worth a write of their own: to collect them with others would be to copy them.
const WHOLE: usize = 16 << 10;

/// How long a request to flush may take.
const FLUSH: Duration = Duration::from_secs(5);

/// Where lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    #[default]
    Stdout,
    /// A file that is appended to.
    File(PathBuf),
}

impl Destination {
    /// Opens it; a file is made if it is missing, and so is its folder. It may block.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File(path) => Box::new(append(path)?),
        })
    }
}

fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A named pipe that nobody reads is an error, not a wait; files know no difference.
    OpenOptions::new().append(true).create(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessLog {
    queue: SyncSender<Vec<u8>>,
    orders: Arc<Mutex<Orders>>,
    dropped: Counter,
}

/// What the writer is to do besides writing lines.
#[derive(Default)]
struct Orders {
    /// Where lines go, or will go as soon as `next` is taken.
    destination: Destination,
    /// Taken at the mark in the queue: an empty line.
    next: Option<Box<dyn Write + Send>>,
    /// Whether the queue had no place for the mark.
    is_unmarked: bool,
    flushed: Option<SyncSender<()>>,
}

impl AccessLog {
    /// Starts the writer thread on standard output. It ends when the last clone is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(dropped: Counter) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let orders: Arc<Mutex<Orders>> = Arc::default();
        let output = Output::new(Destination::Stdout.open()?, dropped.clone());
        let taken = Arc::clone(&orders);
        thread::Builder::new().name("access-log".to_owned()).spawn(move || write_lines(&lines, output, &taken))?;
        Ok(Self { queue, orders, dropped })
    }

    /// Queues lines, each of which ends with a line feed; never blocks.
    fn write(&self, lines: Vec<u8>) {
        if let Err(TrySendError::Full(lines) | TrySendError::Disconnected(lines)) = self.queue.try_send(lines) {
            self.dropped.inc_by(count_lines(&lines));
        }
    }

    /// Lines queued from now on go to `destination`, if they do not already. Opens a file: not for an asynchronous task.
    ///
    /// # Errors
    /// The file cannot be opened; the old destination stays.
    pub(crate) fn switch(&self, destination: &Destination) -> io::Result<()> {
        if lock(&self.orders).destination == *destination {
            return Ok(());
        }
        let output = destination.open()?;
        self.order(|orders| {
            orders.destination = destination.clone();
            orders.next = Some(output);
        });
        Ok(())
    }

    /// Opens the file anew, after it was moved away by log rotation. Not for an asynchronous task.
    pub(crate) fn reopen(&self) {
        let destination = lock(&self.orders).destination.clone();
        match destination.open() {
            Ok(output) => self.order(|orders| {
                // Unless it was switched meanwhile.
                if orders.destination == destination {
                    orders.next = Some(output);
                }
            }),
            Err(error) => error!(%error, "the access log could not be opened again; the old file is kept"),
        }
    }

    /// Waits until everything queued before is written, at most five seconds.
    pub(crate) fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        self.order(|orders| orders.flushed = Some(done));
        if flushed.recv_timeout(FLUSH).is_err() {
            error!("the access log could not be flushed in time");
        }
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        let mut orders = lock(&self.orders);
        change(&mut orders);
        // The mark also wakes a writer that waits; when the queue is full it does not wait.
        orders.is_unmarked |= self.queue.try_send(Vec::new()).is_err();
    }
}

fn count_lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    // Nothing that is done under the lock leaves it half done.
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_lines(lines: &Receiver<Vec<u8>>, mut output: Output, orders: &Mutex<Orders>) {
    loop {
        let (is_unmarked, flushed) = {
            let mut orders = lock(orders);
            (std::mem::take(&mut orders.is_unmarked), orders.flushed.take())
        };
        if is_unmarked || flushed.is_some() {
            // What was queued before the order goes first.
            lines.try_iter().take(QUEUE).for_each(|line| output.take(&line, orders));
            output.take(&[], orders);
            if let Some(flushed) = flushed {
                let _ = flushed.send(());
            }
        }
        // Write only when nothing waits or the buffer is full: under load many lines share one write.
        let line = match lines.try_recv() {
            Ok(line) => Some(line),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                output.settle();
                lines.recv().ok()
            }
        };
        match line {
            Some(line) => output.take(&line, orders),
            None => return output.settle(),
        }
    }
}

/// An opened destination and the lines on their way to it.
struct Output {
    writer: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    dropped: Counter,
    is_failing: bool,
}

impl Output {
    fn new(writer: Box<dyn Write + Send>, dropped: Counter) -> Self {
        Self { writer, buffer: Vec::with_capacity(BUFFER), dropped, is_failing: false }
    }

    /// Takes lines; none at all is the mark from which on lines go where `orders` say.
    fn take(&mut self, lines: &[u8], orders: &Mutex<Orders>) {
        if self.buffer.is_empty() && lines.len() >= WHOLE {
            return self.write(lines);
        }
        self.buffer.extend_from_slice(lines);
        if lines.is_empty() || self.buffer.len() >= BUFFER {
            self.settle();
        }
        if lines.is_empty()
            && let Some(next) = lock(orders).next.take()
        {
            self.writer = next;
            self.is_failing = false;
        }
    }

    /// Writes the buffer.
    fn settle(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer);
        buffer.clear();
        self.buffer = buffer;
    }

    /// Writes `lines`. What is not taken, by a full disk for one, is given up and counted.
    fn write(&mut self, lines: &[u8]) {
        let mut written = 0;
        match self.write_all(lines, &mut written) {
            Ok(()) if self.is_failing => {
                info!("the access log can be written again");
                self.is_failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                self.dropped.inc_by(count_lines(&lines[written..]));
                // Once, not for every line: this log may lie on the same disk.
                if !self.is_failing {
                    error!(%error, "the access log cannot be written; its lines are dropped and counted until it can");
                }
                self.is_failing = true;
            }
        }
    }

    fn write_all(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        while *written < lines.len() {
            match self.writer.write(&lines[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => *written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: impl Into<PathBuf>) -> Destination {
        Destination::File(path.into())
    }

    #[test]
    fn lines_reach_the_file_in_order_and_survive_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/access.log");
        let log = AccessLog::start(Counter::default()).unwrap();
        log.switch(&file(&path)).unwrap();
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
    fn a_full_disk_drops_lines_and_counts_each() {
        let dropped = Counter::default();
        let log = AccessLog::start(dropped.clone()).unwrap();
        log.switch(&file("/dev/full")).unwrap();
        for _ in 0..1_000 {
            log.write(b"lost\n".to_vec());
        }
        log.flush();
        assert_eq!(dropped.get(), 1_000);
    }

    #[test]
    fn a_pipe_without_a_reader_is_an_error_and_no_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let log = AccessLog::start(Counter::default()).unwrap();
        assert!(log.switch(&file(&path)).is_err());
    }

    #[test]
    fn a_stuck_reader_stops_neither_flush_nor_switch() {
        struct Stuck;
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                loop {
                    thread::park();
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = AccessLog::start(Counter::default()).unwrap();
        log.order(|orders| orders.next = Some(Box::new(Stuck)));
        // Until nothing is taken any more, not even by a writer that had not begun.
        let mut last = Duration::ZERO;
        let started = std::time::Instant::now();
        while started.elapsed() - last < Duration::from_millis(500) {
            let before = log.dropped.get();
            log.write(b"line\n".to_vec());
            if log.dropped.get() == before {
                last = started.elapsed();
            }
        }
        let (done, ended) = sync_channel(1);
        thread::spawn(move || {
            log.switch(&file("/dev/null")).unwrap();
            log.reopen();
            log.flush();
            let _ = done.send(());
        });
        assert!(ended.recv_timeout(FLUSH * 2).is_ok(), "something blocks for ever");
    }
}
