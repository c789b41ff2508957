//! Lines of one worker on their way to the log.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use tokio::sync::Notify;

use super::{AccessLog, BATCH, Line};

/// How long a line may wait for others.
const DELAY: Duration = Duration::from_millis(20);

/// Lines that a worker collects and hands over together: waking the writer costs more than all else about a line.
pub(crate) struct Lines {
    log: AccessLog,
    waiting: RefCell<Vec<u8>>,
    /// How many bytes were handed over last.
    last: Cell<usize>,
    begun: Notify,
}

impl Lines {
    /// Lines for `log`. They are also handed over when this is dropped.
    pub(crate) fn new(log: AccessLog) -> Self {
        Self { log, waiting: RefCell::default(), last: Cell::default(), begun: Notify::new() }
    }

    /// Adds the line that `write` writes.
    pub(crate) fn add(&self, write: impl FnOnce(&mut Line<'_>)) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.begun.notify_one();
            // To grow line by line would copy them again and again.
            waiting.reserve(self.last.get());
        }
        let mut line = Line::new(&mut waiting);
        write(&mut line);
        line.end();
        if waiting.len() >= BATCH {
            self.write(std::mem::take(&mut *waiting));
        }
    }

    /// Hands over, for ever, what waits for [`DELAY`].
    pub(crate) async fn run(&self) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(DELAY).await;
            self.hand_over();
        }
    }

    fn hand_over(&self) {
        let waiting = self.waiting.take();
        if !waiting.is_empty() {
            self.write(waiting);
        }
    }

    fn write(&self, lines: Vec<u8>) {
        self.last.set(lines.len());
        self.log.write(lines);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::access_log::Destination;

    #[test]
    fn lines_are_handed_over_when_they_are_many_when_they_are_old_and_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = AccessLog::start(Counter::default()).unwrap();
        log.switch(&Destination::File(path.clone())).unwrap();
        let written = || {
            log.flush();
            std::fs::read_to_string(&path).unwrap().lines().count()
        };
        let lines = Lines::new(log.clone());
        let add = |count| (0..count).for_each(|_| lines.add(|line| line.number(r#"{"n":"#, 1)));
        let many = BATCH.div_ceil("{\"n\":1}\n".len());
        add(many - 1);
        assert_eq!(written(), 0);
        add(1);
        assert_eq!(written(), many);

        add(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let _ = tokio::time::timeout(DELAY * 2, lines.run()).await;
        });
        assert_eq!(written(), many + 1);

        add(1);
        drop(lines);
        assert_eq!(written(), many + 2);
    }
}
