//! Time-outs of one worker's connections: a coarse wheel in place of a timer per request.
//!
//! Arming a deadline is a store, unless it comes before the moment at which the wheel looks at the connection next.
//! Then the connection is put into an earlier slot; what is left of it in the later one is passed over when its time comes.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    task::Waker,
    time::Duration,
};

use tokio::sync::Notify;

use crate::instant::Instant;

/// How coarse the wheel is, and how often it turns.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Entries of deadlines that are no more which a worker keeps for new ones. One that is let go stays in its slot until that is turned to,
/// and there may be one for each request.
const KEPT: usize = 1024;

const TICKS_A_SECOND: u64 = 1_000_000_000 / TICK.subsec_nanos() as u64;

/// Slots of the wheel; a deadline further away than all of them is looked at once a round.
const SLOTS: u64 = 1024;

/// The deadlines of one worker; clones share them.
#[derive(Clone)]
pub(crate) struct Deadlines {
    wheel: Rc<Wheel>,
}

struct Wheel {
    start: Instant,
    /// The tick that was turned to last.
    now: Cell<u64>,
    slots: RefCell<Vec<Vec<Weak<Entry>>>>,
    /// Entries in all slots.
    standing: Cell<usize>,
    /// Entries that no deadline has.
    spare: RefCell<Vec<Rc<Entry>>>,
    armed: Notify,
}

struct Entry {
    /// The tick at which the deadline passes; [`NEVER`] if none is armed.
    due: Cell<u64>,
    /// The earliest tick at which the wheel looks at this entry; [`NEVER`] if it stands in no slot.
    looked_at: Cell<u64>,
    passed: Cell<bool>,
    /// The tick at which the task is woken though nothing has passed; [`NEVER`] if it did not ask for that, [`WOKEN`] if it was.
    wakes_at: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

const NEVER: u64 = u64::MAX;
const WOKEN: u64 = 0;

/// The deadline of one connection; unarmed when new.
pub(crate) struct Deadline {
    wheel: Rc<Wheel>,
    entry: Rc<Entry>,
}

impl Deadlines {
    /// A wheel that stands still until [`turn`](Self::turn) is called.
    pub(crate) fn new() -> Self {
        let slots = RefCell::new((0..SLOTS).map(|_| Vec::new()).collect());
        Self {
            wheel: Rc::new(Wheel {
                start: Instant::now(),
                now: Cell::new(0),
                slots,
                standing: Cell::new(0),
                spare: RefCell::default(),
                armed: Notify::new(),
            }),
        }
    }

    /// A deadline of this worker.
    pub(crate) fn deadline(&self) -> Deadline {
        let spare = self.wheel.spare.borrow_mut().pop();
        Deadline { wheel: Rc::clone(&self.wheel), entry: spare.unwrap_or_else(|| Rc::new(Entry::new())) }
    }

    /// Turns the wheel every [`TICK`] while anything is armed, for ever.
    pub(crate) async fn run(&self) {
        loop {
            while self.wheel.standing.get() == 0 {
                self.wheel.armed.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.turn(Instant::now());
        }
    }

    /// Wakes every task that has a deadline armed, to look at what else has changed.
    pub(crate) fn wake_all(&self) {
        for entry in self.wheel.slots.borrow().iter().flatten().filter_map(Weak::upgrade) {
            entry.wake();
        }
    }

    /// Wakes every task whose deadline has passed at `time`.
    pub(crate) fn turn(&self, time: Instant) {
        let wheel = &self.wheel;
        let target = wheel.tick_of(time);
        // After a long pause of the thread one round is enough: each slot is looked at once.
        let from = wheel.now.get().max(target.saturating_sub(SLOTS));
        for tick in from + 1..=target {
            wheel.now.set(tick);
            let entries = std::mem::take(&mut wheel.slots.borrow_mut()[(tick % SLOTS) as usize]);
            wheel.standing.set(wheel.standing.get() - entries.len());
            for weak in entries {
                let Some(entry) = weak.upgrade() else { continue };
                if entry.looked_at.get() > tick {
                    continue;
                }
                entry.looked_at.set(NEVER);
                let has_waited = (WOKEN + 1..=tick).contains(&entry.wakes_at.get());
                if has_waited {
                    entry.wakes_at.set(WOKEN);
                }
                if entry.due.get() <= tick {
                    entry.pass();
                } else if has_waited {
                    entry.wake();
                }
                match entry.next() {
                    NEVER => {}
                    next => wheel.stand(&entry, next, weak),
                }
            }
        }
    }
}

impl Wheel {
    fn tick_of(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.start);
        // In 64 bits: it is asked several times for each request.
        since.as_secs() * TICKS_A_SECOND + u64::from(since.subsec_nanos() / TICK.subsec_nanos())
    }

    /// Puts `entry` into the slot in which it is looked at for a deadline that is `due`.
    fn stand(&self, entry: &Entry, due: u64, weak: Weak<Entry>) {
        let at = due.min(self.now.get() + SLOTS - 1).max(self.now.get() + 1);
        entry.looked_at.set(at);
        self.slots.borrow_mut()[(at % SLOTS) as usize].push(weak);
        self.standing.set(self.standing.get() + 1);
        self.armed.notify_one();
    }
}

impl Entry {
    fn new() -> Self {
        Self {
            due: Cell::new(NEVER),
            looked_at: Cell::new(NEVER),
            passed: Cell::new(false),
            wakes_at: Cell::new(NEVER),
            waker: RefCell::new(None),
        }
    }

    /// The tick at which there is something to do; [`NEVER`] if there is nothing.
    fn next(&self) -> u64 {
        match self.wakes_at.get() {
            WOKEN => self.due.get(),
            wakes_at => wakes_at.min(self.due.get()),
        }
    }

    fn pass(&self) {
        self.due.set(NEVER);
        self.passed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Deadline {
    /// Says which task is woken. To be called once by the task that polls the connection.
    pub(crate) fn wakes(&self, waker: &Waker) {
        let mut current = self.entry.waker.borrow_mut();
        if !current.as_ref().is_some_and(|current| current.will_wake(waker)) {
            *current = Some(waker.clone());
        }
    }

    /// Arms the deadline to pass `after` from `now`, in place of what was armed.
    pub(crate) fn arm(&self, now: Instant, after: Duration) {
        self.arm_at(now + after);
    }

    /// Arms the deadline to pass at `moment`, in place of what was armed.
    pub(crate) fn arm_at(&self, moment: Instant) {
        let Self { wheel, entry } = self;
        // One tick more: a deadline never passes early.
        let due = wheel.tick_of(moment) + 1;
        entry.passed.set(false);
        entry.due.set(due);
        if due < entry.looked_at.get() {
            wheel.stand(entry, due, Rc::downgrade(entry));
        }
    }

    /// Whether a moment has gone by since the task asked this first: one tick to two, less where the wheel stood still. Then it is
    /// woken, and no deadline has passed.
    pub(crate) fn has_waited_a_moment(&self) -> bool {
        let Self { wheel, entry } = self;
        if entry.wakes_at.get() == NEVER {
            // The next tick may be due at any time.
            let at = wheel.now.get() + 2;
            entry.wakes_at.set(at);
            if at < entry.looked_at.get() {
                wheel.stand(entry, at, Rc::downgrade(entry));
            }
        }
        entry.wakes_at.get() == WOKEN
    }

    /// Nothing passes until the next [`arm`](Self::arm).
    pub(crate) fn disarm(&self) {
        self.entry.due.set(NEVER);
        self.entry.passed.set(false);
    }

    /// Whether the armed deadline has passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.entry.passed.get()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.disarm();
        self.entry.wakes_at.set(NEVER);
        self.entry.waker.take();
        let mut spare = self.wheel.spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(Rc::clone(&self.entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::Wake,
    };

    use super::*;

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const MS: Duration = Duration::from_millis(1);

    fn turned(deadlines: &Deadlines, from: Instant, millis: u32) {
        for tick in 1..=millis / 20 {
            deadlines.turn(from + TICK * tick);
        }
    }

    #[test]
    fn a_deadline_passes_once_within_two_ticks_and_wakes_its_task() {
        for after in [0, 1, 19, 20, 21, 500, 20_479, 20_480, 60_000] {
            let deadlines = Deadlines::new();
            let start = deadlines.wheel.start;
            let woken = Arc::new(Count(AtomicU32::new(0)));
            let deadline = deadlines.deadline();
            deadline.wakes(&Arc::clone(&woken).into());
            deadline.arm(start, MS * after);
            turned(&deadlines, start, after);
            assert!(!deadline.has_passed() || after == 0, "{after} early");
            turned(&deadlines, start, after + 60);
            assert!(deadline.has_passed(), "{after} late");
            turned(&deadlines, start, after + 90_000);
            assert_eq!(woken.0.load(Ordering::Relaxed), 1, "{after}");
        }
    }

    #[test]
    fn arming_again_moves_the_deadline_both_ways_and_disarming_stops_it() {
        let deadlines = Deadlines::new();
        let start = deadlines.wheel.start;
        let (later, earlier, stopped) = (deadlines.deadline(), deadlines.deadline(), deadlines.deadline());
        later.arm(start, MS * 100);
        later.arm(start, MS * 1000);
        earlier.arm(start, MS * 1000);
        earlier.arm(start, MS * 100);
        stopped.arm(start, MS * 100);
        stopped.disarm();
        turned(&deadlines, start, 400);
        assert!(!later.has_passed() && earlier.has_passed() && !stopped.has_passed());
        turned(&deadlines, start, 1100);
        assert!(later.has_passed());
    }

    #[test]
    fn a_deadline_for_each_request_keeps_the_wheel_small_and_nobody_is_woken_for_another() {
        let deadlines = Deadlines::new();
        let start = deadlines.wheel.start;
        for request in 0..10_000u32 {
            let woken = Arc::new(Count(AtomicU32::new(0)));
            let deadline = deadlines.deadline();
            assert!(!deadline.has_passed());
            deadline.wakes(&Arc::clone(&woken).into());
            deadline.arm(start + MS * request, MS * 60_000);
            drop(deadline);
            deadlines.turn(start + MS * request);
            assert_eq!((woken.0.load(Ordering::Relaxed), Arc::strong_count(&woken)), (0, 1));
        }
        assert!(deadlines.wheel.standing.get() < 5, "{}", deadlines.wheel.standing.get());
    }

    #[test]
    fn a_moment_goes_by_whatever_is_armed_and_passes_nothing() {
        for armed in [None, Some(21), Some(60_000)] {
            let deadlines = Deadlines::new();
            let start = deadlines.wheel.start;
            let woken = Arc::new(Count(AtomicU32::new(0)));
            let count = || woken.0.load(Ordering::Relaxed);
            let deadline = deadlines.deadline();
            deadline.wakes(&Arc::clone(&woken).into());
            if let Some(after) = armed {
                deadline.arm(start, MS * after);
            }
            assert!(!deadline.has_waited_a_moment() && !deadline.has_waited_a_moment());
            deadlines.turn(start + TICK);
            assert!(!deadline.has_waited_a_moment());
            assert_eq!(count(), 0, "{armed:?}");
            deadlines.turn(start + TICK * 2);
            // Both at once are one wake-up.
            let has_passed = armed == Some(21);
            assert_eq!((deadline.has_passed(), deadline.has_waited_a_moment(), count()), (has_passed, true, 1));
            turned(&deadlines, start, 90_000);
            assert_eq!((deadline.has_passed(), count()), (armed.is_some(), 1 + u32::from(armed == Some(60_000))));
            // It was once: whoever has the entry next asks anew.
            drop(deadline);
            assert!(!deadlines.deadline().has_waited_a_moment());
        }
    }

    #[test]
    fn a_paused_thread_misses_no_deadline() {
        let deadlines = Deadlines::new();
        let start = deadlines.wheel.start;
        let deadline = deadlines.deadline();
        deadline.arm(start, MS * 100);
        deadlines.turn(start + Duration::from_secs(3600));
        assert!(deadline.has_passed());
    }

    #[test]
    fn rearming_for_each_request_keeps_the_wheel_small() {
        let deadlines = Deadlines::new();
        let start = deadlines.wheel.start;
        let deadline = deadlines.deadline();
        for request in 0..10_000u32 {
            let now = start + MS * request;
            for after in [15_000, 2_000, 60_000, 75_000] {
                deadline.arm(now, MS * after);
            }
            deadlines.turn(now);
        }
        let entries: usize = deadlines.wheel.slots.borrow().iter().map(Vec::len).sum();
        assert!(entries < 20, "{entries}");
    }
}
