//! Tasks that run only when they were woken, in any order.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

/// Numbers that look random.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// One below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// Whether somebody was woken.
pub(crate) struct Flag(Arc<Woken>);

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    /// One that is set.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Woken(AtomicBool::new(true))))
    }

    pub(crate) fn take(&self) -> bool {
        self.0.0.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }
}

type Task = (Flag, Pin<Box<dyn Future<Output = ()>>>);

/// Tasks that are not over.
#[derive(Default)]
pub(crate) struct Tasks(Vec<Task>);

impl Tasks {
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.0.push((Flag::new(), Box::pin(task)));
    }

    /// Runs those that were woken, or some of them; whether there was any.
    pub(crate) fn run(&mut self, dice: &mut Dice) -> bool {
        let mut has_run = false;
        let start = dice.below(self.0.len().max(1));
        self.0.rotate_left(start);
        self.0.retain_mut(|(flag, task)| {
            if dice.below(4) == 0 || !flag.take() {
                return true;
            }
            has_run = true;
            task.as_mut().poll(&mut Context::from_waker(&flag.waker())).is_pending()
        });
        has_run || self.0.iter().any(|(flag, _)| flag.0.0.load(Ordering::Relaxed))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
