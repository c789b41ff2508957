//! The tasks that serve streams.
//!
//! A task that has served a stream waits for the next one: its memory, a few KiB, is much dearer to make and to give back than to keep.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Poll, Waker},
};

use h2::{RecvStream, server::SendResponse};
use http::Request;

use super::{chunk::Chunk, connection::Open, stream};
use crate::{engine::KEPT_SCRATCH, worker::Worker};

/// Tasks without a stream that a worker keeps, as many as its scratch memories.
const KEPT: usize = KEPT_SCRATCH;

/// The tasks of one worker that wait for a stream, of whatever connection.
#[derive(Default)]
pub(crate) struct Tasks {
    idle: RefCell<Vec<Rc<Seat>>>,
}

/// A stream that has just come.
pub(super) struct Arrival {
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Chunk>,
    pub(super) open: Open,
}

/// Where a task is given its streams.
struct Seat {
    next: Cell<Option<Arrival>>,
    waker: RefCell<Option<Waker>>,
}

impl Tasks {
    /// Has a task serve the stream: one that waits, else a new one.
    pub(super) fn serve(worker: &Rc<Worker>, arrival: Arrival) {
        let idle = worker.tasks.idle.borrow_mut().pop();
        if let Some(seat) = idle {
            seat.next.set(Some(arrival));
            if let Some(waker) = &*seat.waker.borrow() {
                waker.wake_by_ref();
            }
            return;
        }
        let seat = Rc::new(Seat { next: Cell::new(Some(arrival)), waker: RefCell::default() });
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
        let arrival = std::future::poll_fn(|context| match seat.next.take() {
            Some(arrival) => Poll::Ready(arrival),
            None => {
                *seat.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        });
        let Arrival { request, respond, open } = arrival.await;
        stream::serve(&worker, &open.0, request, respond).await;
        drop(open);
        if !worker.tasks.keeps(&seat) {
            return;
        }
    }
}
