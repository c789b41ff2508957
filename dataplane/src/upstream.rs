//! The backend's side of a request: connections, their pool, and one exchange over them.

mod connect;
mod exchange;
mod pool;

pub(crate) use exchange::send;
pub(crate) use pool::Pool;
