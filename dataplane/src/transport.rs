//! HTTP/1.1 on both sides. The only place that knows hyper: everything else sees our own heads and bodies.

mod body;
mod downstream;
mod upstream;

pub(crate) use body::{AnswerBody, RequestBody, ResponseBody};
pub(crate) use downstream::serve;
pub(crate) use upstream::{RequestSender, SendFault, exchange, over};
