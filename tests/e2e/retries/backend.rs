//! A backend of either version that fails in one way.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use harness::{
    Origin, Reply,
    h2::{Frame, H2Origin, kind},
};

/// What a backend does to each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It answers 200 with its name and how long the request's body was.
    Answers,
    /// It ends the connection, or resets the stream.
    Resets,
    /// It says nothing until the test is over.
    Hangs,
    /// It answers so.
    Status(u16),
    /// It sends what is no response.
    Babbles,
    /// It answers with nothing but a status of gRPC.
    Grpc(&'static str),
}

/// A backend.
pub(super) enum Backend {
    H1(Origin),
    H2(H2Origin),
}

/// Until it is dropped whoever hangs hangs.
#[derive(Clone, Default)]
pub(super) struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Hold {
    fn wait(&self) {
        let (is_over, changed) = &*self.0;
        let guard = is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let _over = changed.wait_while(guard, |is_over| !*is_over);
    }

    /// Lets everybody go.
    pub(super) fn end(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

impl Backend {
    pub(super) fn start(is_h2: bool, way: Way, hold: &Hold) -> Self {
        let hold = hold.clone();
        if !is_h2 {
            return Self::H1(Origin::start(move |request| match way {
                Way::Answers => Reply::text(format!("good {}", request.body.len())),
                Way::Resets => Reply::hang_up(),
                Way::Hangs => {
                    hold.wait();
                    Reply::hang_up()
                }
                Way::Status(status) => Reply::with(status, &[], "bad"),
                Way::Babbles => Reply::raw("hello?\r\n\r\n", false),
                Way::Grpc(_) => unreachable!("gRPC needs HTTP/2"),
            }));
        }
        Self::H2(H2Origin::start(&[], move |request, stream| match way {
            Way::Answers => {
                let body = format!("good {}", request.body.len());
                let length = body.len().to_string();
                stream.answer(&[(":status", "200"), ("content-length", &length)], body.as_bytes(), &[])
            }
            Way::Resets => {
                let code = 2u32.to_be_bytes();
                stream.frame(&Frame::new(kind::RST_STREAM, 0, request.stream, code))
            }
            Way::Hangs => {
                hold.wait();
                Ok(())
            }
            Way::Status(status) => stream.answer(&[(":status", &status.to_string())], b"bad", &[]),
            Way::Babbles => stream.answer(&[("x-no-status", "1")], b"", &[]),
            Way::Grpc(code) => stream.answer(
                &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", code)],
                b"",
                &[],
            ),
        }))
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::H1(origin) => origin.address(),
            Self::H2(origin) => origin.address(),
        }
    }

    /// How many requests came.
    pub(super) fn received(&self) -> usize {
        match self {
            Self::H1(origin) => origin.received().len(),
            // One that is reset after its answer is told of twice.
            Self::H2(origin) => origin.received().iter().filter(|request| request.reset.is_none()).count(),
        }
    }
}
