//! The tasks that serve streams.
//!
//! A task that has served a stream waits for the next one: its memory, a few KiB, is much dearer to make and to give back than to keep.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Poll, Waker},
};

use super::{chunk::Chunk, stream};
use crate::{connection::Connection, engine::KEPT_SCRATCH, worker::Worker};

/// Tasks without a stream that a worker keeps, as many as its scratch memories.
const KEPT: usize = KEPT_SCRATCH;

/// The tasks of one worker that wait for a stream, of whatever connection.
#[derive(Default)]
pub(crate) struct Tasks {
    idle: RefCell<Vec<Rc<Seat>>>,
}

/// A request that has just come.
pub(super) struct Request {
    /// On which connection.
    pub(super) connection: Rc<Connection>,
    /// Its head, as one of HTTP/1.1.
    pub(super) head: Vec<u8>,
    /// The rest of it, and the way back.
    pub(super) stream: http2::Stream<Chunk>,
}

/// Where a task is given its streams.
struct Seat {
    next: Cell<Option<Request>>,
    waker: RefCell<Option<Waker>>,
}

impl Tasks {
    /// Has a task serve the request: one that waits, else a new one.
    pub(super) fn serve(worker: &Rc<Worker>, request: Request) {
        let idle = worker.tasks.idle.borrow_mut().pop();
        if let Some(seat) = idle {
            seat.next.set(Some(request));
            if let Some(waker) = &*seat.waker.borrow() {
                waker.wake_by_ref();
            }
            return;
        }
        let seat = Rc::new(Seat { next: Cell::new(Some(request)), waker: RefCell::default() });
        worker.spawn(serve_all(Rc::clone(worker), seat));
    }

    /// Whether the task of `seat` is to wait for another stream.
    fn keeps(&self, seat: &Rc<Seat>) -> bool {
        let mut idle = self.idle.borrow_mut();
        let keeps = idle.len() < KEPT;
        if keeps {
            idle.push(Rc::clone(seat));
        }
        keeps
    }
}

async fn serve_all(worker: Rc<Worker>, seat: Rc<Seat>) {
    loop {
        let request = std::future::poll_fn(|context| match seat.next.take() {
            Some(request) => Poll::Ready(request),
            None => {
                // It is this task as long as there is one.
                seat.waker.borrow_mut().get_or_insert_with(|| context.waker().clone());
                Poll::Pending
            }
        });
        stream::serve(&worker, request.await).await;
        if !worker.tasks.keeps(&seat) {
            return;
        }
    }
}
