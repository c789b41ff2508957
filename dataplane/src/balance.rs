//! Which backend of an upstream takes the next request.

mod round_robin;

pub(crate) use round_robin::Schedule;
